"""How many of the secrets in a labelled corpus are found, and how many plain variables cost a look."""

import random
import re
import string
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops._detect import why_secret

CORPUS = Path(__file__).parent / "corpus" / "variables.txt"
DRAWS = 20
"""Times that each random value is drawn anew, so that a figure does not depend on luck."""

MISSED = {"CONSUL", "KIOSK"}
"""Values that say nothing, under names that say nothing: words, a word with digits. Only the application's owner can tell."""

ALPHABETS = {
    "hex": "0123456789abcdef",
    "b36": string.ascii_lowercase + string.digits,
    "b62": string.ascii_letters + string.digits,
    "b64": string.ascii_letters + string.digits + "+/",
    "b64url": string.ascii_letters + string.digits + "-_",
    "base32": string.ascii_uppercase + "234567",
    "upper": string.ascii_uppercase + string.digits,
    "lower": string.ascii_lowercase,
    "digits": string.digits,
    "pw": string.ascii_letters + string.digits + "!#$%^&*?~@+",
}


@dataclass(frozen=True)
class Variable:
    """One line of the corpus."""

    name: str
    shape: str
    secret: bool

    def value(self, draw: int) -> str:
        generator = random.Random(f"{self.name} {draw}")  # noqa: S311 - invented, and the same in each run
        text = self.shape.replace("\\n", "\n")
        for kind, alphabet in ALPHABETS.items():
            before, *parts = text.split(f"{{{kind}:")
            for part in parts:
                count, _, after = part.partition("}")
                before += _drawn(generator, alphabet, int(count), special=kind == "pw") + after
            text = before
        return text


def _drawn(generator: random.Random, alphabet: str, count: int, *, special: bool) -> str:
    """A random text; of a password generator's it has every kind of character, as such generators see to."""
    while True:
        found = "".join(generator.choices(alphabet, k=count))
        kinds = ("[a-z]", "[A-Z]", r"\d", r"[^A-Za-z0-9]")
        if not special or all(re.search(kind, found) for kind in kinds):
            return found


def _corpus() -> Iterator[Variable]:
    for line in CORPUS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            label, name, shape = line.split(" ", 2)
            assert label in {"secret", "plain"}
            yield Variable(name, shape, label == "secret")


VARIABLES = list(_corpus())
SECRET = [variable for variable in VARIABLES if variable.secret]
PLAIN = [variable for variable in VARIABLES if not variable.secret]


def _flagged(variable: Variable) -> int:
    return sum(why_secret(variable.name, variable.value(draw)) is not None for draw in range(DRAWS))


def test_recall_and_precision_on_the_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    assert min(len(SECRET), len(PLAIN)) >= 100
    hits, alarms = {v: _flagged(v) for v in SECRET}, {v: _flagged(v) for v in PLAIN}
    found, false = sum(hits.values()), sum(alarms.values())
    recall, precision = found / (DRAWS * len(SECRET)), found / (found + false)
    looks = false / (DRAWS * len(PLAIN))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(SECRET)} secrets, {len(PLAIN)} plain variables, {DRAWS} draws: recall {recall:.4f}, "
            f"precision {precision:.4f}, plain variables that cost a look {looks:.4f}\n"
        )
    missed = {v.name: DRAWS - n for v, n in hits.items() if n < DRAWS}
    assert recall >= 0.99, missed
    assert {v.name for v, n in hits.items() if n < DRAWS * 0.8} == MISSED
    assert looks <= 0.05, {v.name: n for v, n in alarms.items() if n}
