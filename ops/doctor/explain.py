"""`ops doctor --explain`: what ECS means when a task doesn't start. The texts and their meanings are data: explain.toml.

ECS cuts texts off, so the decisive part can be missing. Then several causes fit; the likeliest comes first.
IAM names the kind of policy at fault, which decides more than the action: a right that a VPC endpoint's policy lacks is not
missing in the role.
"""

import functools
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from components.references import WHOLE_SECRET_ARN

DOCTOR = "python -m ops doctor"
"""The command that decides between causes: it looks at secrets, roles, keys, image, log group and network."""

Sure = Literal["certain", "likely", "open"]


@dataclass(frozen=True)
class Explanation:
    """What an error means.

    Attributes:
        cause: A stable word for programs.
        means: In a sentence.
        fix: A command and nothing else: DOCTOR where only a check of the stack shows the fix, "" where no command fixes it.
        remark: What else to know.
        otherwise: Further causes that fit, the likeliest first; empty when the text is conclusive.
        sure: `certain`: the text names the cause; `likely`: it usually is this one; `open`: the others fit as well.
        source: The reference, "" for a text that is cut off.
    """

    cause: str
    means: str
    fix: str
    remark: str = ""
    otherwise: tuple[str, ...] = ()
    sure: Sure = "certain"
    source: str = ""


@dataclass(frozen=True)
class Sign:
    """Parts of texts that indicate a cause."""

    cause: str
    texts: tuple[str, ...] = ()
    sure: Sure = "certain"
    otherwise: tuple[str, ...] = ()
    source: str = ""


@functools.cache
def known() -> Any:
    """Return what explain.toml holds."""
    return tomllib.loads(Path(__file__).with_name("explain.toml").read_text(encoding="utf-8"))


@functools.cache
def signs(when: str = "") -> tuple[Sign, ...]:
    """Return the signs in their order: those of a denial, those that count later, or else all others."""
    return tuple(
        Sign(
            raw.get("of", name),
            tuple(raw["texts"]),
            raw.get("sure", "certain"),
            tuple(raw.get("otherwise", ())),
            raw["source"],
        )
        for name, raw in known()["cause"].items()
        if "texts" in raw and raw.get("when", "") == when
    )


_CUT_OFF_DENIAL = ("explicit-deny", "resource-policy", "endpoint-policy", "boundary", "organization-policy")
"""What a denial can also be when its end, where IAM gives the reason, is cut off."""

_NO_ANSWER = re.compile(r"retried ([2-9]|\d\d) time")
_NOT_FOUND = re.compile(r"(manifest|tag|image|repository|ref|reference)\b.{0,250}?(not found|unknown)")
_DENIED = re.compile(r"not authorized to perform:?\s*\"?([a-z0-9-]+):([a-z*]+)", re.IGNORECASE)
_PLACE = re.compile(r"explicit deny in (?:an?|the) ([a-z -]*(?:policy|boundary))", re.IGNORECASE)
_KEY = re.compile(r"json key\s*:?\s*[\"'`]?([^\s\"'`:,]+)", re.IGNORECASE)
_HOST = re.compile(r"(?:https?://|dial tcp: lookup |lookup )([a-z0-9.-]+\.[a-z]{2,})", re.IGNORECASE)
_IMAGE = re.compile(r"([a-z0-9.-]+\.[a-z]+/[a-z0-9._/-]+:[\w.-]+)")
_CUT = re.compile(r"(\.\.\.+|\N{HORIZONTAL ELLIPSIS})['\"]?$")
_WORDS_CUT = 8
"""Letters that a cut-off sign must still have."""


def explain(text: str) -> Explanation | None:
    """Return what an error of a task that did not start means, None when it is not known."""
    plain = " ".join(text.split()).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    cut = _CUT.search(plain)
    lower = plain[: cut.start()].lower() if cut else plain.lower()
    found = _recognized(lower, cut=cut is not None)
    return _explanation(found, plain, cut=cut is not None) if found else None


def _recognized(lower: str, *, cut: bool) -> Sign | None:
    """Return the cause that fits, with the others that do."""
    # The network comes before the denials, whose texts hold none of its words; a denial before the words around it.
    network = next(at for at, sign in enumerate(signs()) if sign.cause == "network")
    found = _first(signs()[: network + 1], lower) or _denial(lower, cut=cut) or _first(signs(), lower)
    if found is None and "cannotpull" in lower and _NOT_FOUND.search(lower):
        found = Sign("image-missing")
    if found is None and cut:
        found = next((sign for sign in signs() if _ends_in_part(lower, sign.texts)), None)
    return found or _undecided(lower) or _first(signs("later"), lower)


def _undecided(lower: str) -> Sign | None:
    """Return the causes of a text whose decisive part is missing."""
    for part, causes in known()["undecided"].items():
        if part in lower:
            first, *others = causes.get("no_answer" if _NO_ANSWER.search(lower) else "answered", causes["answered"])
            return Sign(first, sure="open" if others else "likely", otherwise=tuple(others))
    return None


def _first(among: Iterable[Sign], lower: str) -> Sign | None:
    return next((sign for sign in among if any(text in lower for text in sign.texts)), None)


def _denial(lower: str, *, cut: bool) -> Sign | None:
    """Return the cause of a denial by IAM: by its own reason, else by the action."""
    match = _DENIED.search(lower)
    if "with an explicit deny" in lower:
        return Sign("explicit-deny")
    if (found := _first(signs("denial"), lower)) or match is None:
        return found
    cause = known()["denied"].get(match[1], "denied")
    if "no resource-based policy allows" in lower and cause == "permission":
        return Sign("resource-policy")
    if "because" in lower:
        return Sign(cause)
    return Sign(cause, (), "open" if cut else "likely", _CUT_OFF_DENIAL if cut else ())


def _ends_in_part(lower: str, texts: Iterable[str]) -> bool:
    """Return whether a text ends in the beginning of a sign's."""
    return any(lower.endswith(text[:length]) for text in texts for length in range(_WORDS_CUT, len(text)))


def _explanation(found: Sign, plain: str, *, cut: bool) -> Explanation:
    cause = known()["cause"][found.cause]
    means, fix = cause["means"], cause.get("fix", "").replace("DOCTOR", DOCTOR)
    arn, key, host, image = (p.search(plain) for p in (WHOLE_SECRET_ARN, _KEY, _HOST, _IMAGE))
    pulls = "cannotpull" in plain.lower()
    action, place = _DENIED.search(plain), _PLACE.search(plain)
    parts = {
        "secret": arn[0] if arn and not (cut and plain.rstrip(".").endswith(arn[0])) else "",
        "key": key[1].rstrip(".") if key else "",
        "image": image[1] if image and pulls else "",
    }
    gaps = any(f"{{{name}}}" in fix and not part for name, part in parts.items())
    if found.otherwise or gaps:  # a command with a gap is useless
        fix = "" if fix.startswith("docker") and not found.otherwise else DOCTOR
    filled = {
        **parts,
        "key": parts["key"] or "of that name",
        "host": host[1] if host else "the image's registry" if pulls else "AWS Secrets Manager",
        "action": f"{action[1]}:{action[2]}" if action else "the call",
        "place": f"a {place[1]}" if place else "of the role, of the resource or of the organization",
    }
    return Explanation(
        found.cause,
        means.format_map(filled),
        fix.format_map(filled),
        cause.get("remark", ""),
        found.otherwise,
        "open" if found.otherwise and found.sure == "certain" else found.sure,
        found.source,
    )
