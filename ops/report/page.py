"""The report as one HTML page that loads nothing: no script, no font, no picture, no link that loads."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from components import pricing
from components.references import CURRENT
from ops._console import counted
from ops.access import show
from ops.access.judge import STATE, Grant
from ops.listing import age
from ops.report.gather import Review, Secret, Way
from terminal import plain

_MIN_SPAN = timedelta(days=60)
_TICKS = 6
_RIGHTS = ("read", "change", "delete", "take over")
_ROW, _TOP = 34, 44
"""Heights in the drawings, in pixels."""
_SHOWN_CHARACTERS = 34


@dataclass(frozen=True)
class Cell:
    """What a principal can do with a secret: rights, with `wider` where the design does not include one."""

    rights: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Line:
    """A secret on the time line; positions in percent of its width.

    Attributes:
        start: Where its current value begins.
        versions: Where versions were written, with a text.
        due: Where the next rotation is; None without one.
    """

    name: str
    y: int
    start: float
    versions: tuple[tuple[float, str], ...]
    due: float | None


@dataclass(frozen=True)
class Timeline:
    """All secrets over the same time."""

    height: int
    now: float
    ticks: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Drawing:
    """The way from one container to its values: a row for each variable."""

    way: Way
    height: int
    rows: tuple[tuple[int, str, str], ...]


def render(review: Review) -> str:
    """Return the page. Text from AWS is escaped, and has no control characters."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - other commands save 50 ms

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    filters: dict[str, Any] = {"day": _day, "age": age, "by": show.by, "short": short, "counted": counted}
    environment.filters.update(filters)
    principals = sorted({grant.principal for grant in review.access.grants})
    names = sorted(review.stack.secret_arns)
    names += [STATE] if any(grant.secret == STATE for grant in review.access.grants) else []
    return environment.get_template("page.html").render(
        review=review,
        command=command(review),
        sentences=show.sentences(review.access),
        headline=show.headline(review.access),
        names=names,
        matrix=[
            (principal, [_cell(review.access.grants, principal, name) for name in names]) for principal in principals
        ],
        timeline=timeline(review.secrets, review.made_at),
        drawings=[_drawing(way) for way in review.ways],
        total=pricing.total(review.costs),
        prices_as_of=pricing.AS_OF,
        counts={
            status: sum(finding.status == status for finding in review.health)
            for status in ("ok", "warning", "failure", "unchecked")
        },
    )


def command(review: Review) -> str:
    """Return the command that creates the page again."""
    words = ["python", "-m", "ops", "report", "--html", "review.html", "--stack", review.stack.environment]
    words += ["--everybody"] if review.access.everybody else []
    words += [word for arn in review.access.trusted for word in ("--trusted", arn)]
    return shlex.join(words)


def _finalized(value: Any) -> Any:
    return plain(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _day(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}" if moment else ""


def short(text: str, characters: int = _SHOWN_CHARACTERS) -> str:
    """Return a text shortened for a box of a drawing; the tables have all of it."""
    text = plain(text)
    return text if len(text) <= characters else f"{text[: characters // 2 - 1]}…{text[-(characters // 2) :]}"


def _cell(grants: Sequence[Grant], principal: str, name: str) -> Cell:
    own = [grant for grant in grants if (grant.principal, grant.secret) == (principal, name)]
    found = {
        right: any(g.wider for g in own if g.right == right) for right in _RIGHTS if any(g.right == right for g in own)
    }
    return Cell(tuple(found.items()))


def timeline(secrets: Iterable[Secret], now: datetime) -> Timeline:
    """Return the positions on the time line."""
    secrets = tuple(secrets)
    moments = [version.created for secret in secrets for version in secret.versions]
    dues = [secret.next_rotation for secret in secrets if secret.next_rotation]
    first = min([*moments, now - _MIN_SPAN])
    last = max([*dues, now + (now - first) / 10])
    span = last - first

    def at(moment: datetime) -> float:
        return round(100 * ((moment - first) / span), 2)

    lines: list[Line] = []
    for number, secret in enumerate(secrets):
        current = next((v.created for v in secret.versions if CURRENT in v.labels), None)
        lines.append(
            Line(
                name=secret.name,
                y=_TOP + number * _ROW,
                start=at(current) if current else at(now),
                versions=tuple(
                    (at(v.created), f"{_day(v.created)}: {', '.join(v.labels) or 'no label'}") for v in secret.versions
                ),
                due=at(secret.next_rotation) if secret.next_rotation else None,
            )
        )
    ticks = tuple((100 * n / _TICKS, _day(first + span * n / _TICKS)) for n in range(_TICKS + 1))
    return Timeline(_TOP + len(lines) * _ROW, at(now), ticks, tuple(lines))


def _drawing(way: Way) -> Drawing:
    rows = tuple(
        (_TOP + number * _ROW, variable.name, f"{variable.secret}{f' · {variable.key}' if variable.key else ''}")
        for number, variable in enumerate(way.variables)
    )
    return Drawing(way, _TOP + max(len(rows), 1) * _ROW, rows)
