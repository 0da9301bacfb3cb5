"""The report as one HTML page that loads nothing: no script, no font, no picture, no link that loads."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from components import pricing
from ops._console import counted
from ops.access import show
from ops.access.judge import STATE, Grant
from ops.listing import age
from ops.report.gather import Review, Secret
from terminal import plain

_MIN_SPAN = timedelta(days=60)
_TICKS = 6
_RIGHTS = ("read", "change", "delete", "take over")
_SHOWN_CHARACTERS = 34


@dataclass(frozen=True)
class Timeline:
    """The time that the drawing of all secrets spans."""

    first: datetime
    last: datetime

    @classmethod
    def of(cls, secrets: Sequence[Secret], now: datetime) -> "Timeline":
        """Return the time from the oldest version to the last rotation that is planned."""
        first = min([*(version.created for one in secrets for version in one.versions), now - _MIN_SPAN])
        dues = [secret.next_rotation for secret in secrets if secret.next_rotation]
        return cls(first, max([*dues, now + (now - first) / 10]))

    def at(self, moment: datetime) -> float:
        """Return a position in percent of the width."""
        return round(100 * ((moment - self.first) / (self.last - self.first)), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Positions with their dates."""
        return [(100 * n / _TICKS, _day(self.first + (self.last - self.first) * n / _TICKS)) for n in range(_TICKS + 1)]


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
        matrix=[(one, [_rights(review.access.grants, one, name) for name in names]) for one in principals],
        timeline=Timeline.of(review.secrets, review.made_at),
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


def _rights(grants: Sequence[Grant], principal: str, name: str) -> dict[str, bool]:
    """Return what a principal can do with a secret, with whether the design does not include it."""
    own = [grant for grant in grants if (grant.principal, grant.secret) == (principal, name)]
    return {r: any(g.wider for g in own if g.right == r) for r in _RIGHTS if any(g.right == r for g in own)}
