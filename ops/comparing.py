"""`ops diff`: which secrets, sources and variables two stacks have. From their outputs; AWS adds the ages. Never a value."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from ops._aws import connect
from ops._console import print_json, print_table, say, working
from ops._errors import AwsError, aws_errors, told
from ops._options import JsonOption, stack_name
from ops._stack import Stack, load
from ops.listing import days_since, foreign_records, records_of

_NONE = "-"


@dataclass(frozen=True)
class Row:
    """One secret, one key of a JSON secret, or one variable of a service, in two stacks.

    Attributes:
        what: `jwt-secret`, `app-config.SMTP_PASSWORD`, or `worker: QUEUE_URL`.
        first: Its source in the first stack, "-" where it doesn't exist.
        second: The same of the second stack.
        ages: Days since the value changed in each, None where that is not known.
    """

    what: str
    first: str
    second: str
    ages: tuple[int | None, int | None] = (None, None)

    @property
    def differs(self) -> bool:
        """Whether the two stacks differ in it."""
        return self.first != self.second

    @property
    def shown_ages(self) -> str:
        """The ages for the table."""
        return "" if self.ages == (None, None) else ", ".join("?" if age is None else str(age) for age in self.ages)


def diff(
    first: Annotated[str, typer.Argument(metavar="STACK|FILE", help="A stack, or a file of its outputs.")],
    second: Annotated[str, typer.Argument(metavar="STACK|FILE", help="The other one.")],
    profile: Annotated[
        list[str] | None,
        typer.Option(
            "--profile", metavar="NAME", help="AWS profile of the first stack; the second use is the second stack's."
        ),
    ] = None,
    *,
    json_: JsonOption = False,
) -> None:
    """Compare two stacks: names, sources and ages of their secrets, and their services' secret variables. Never a value.

    Exit status 1: a name or a source differs. Ages are of the stacks that the credentials reach.
    """
    profiles = [*(profile or []), None, None]
    stacks = _loaded(first), _loaded(second)
    with working(f"Comparing {stacks[0].environment} with {stacks[1].environment}"):
        ages, gaps = zip(*(_ages(stack, profiles[at]) for at, stack in enumerate(stacks)), strict=True)
    rows = list(compare(*stacks, *ages))
    if json_:
        names = [stack.environment for stack in stacks]
        listed = [asdict(row) | {"differs": row.differs} for row in rows]
        print_json({"stacks": names, "rows": listed, "gaps": list(filter(None, gaps))})
    else:
        headings = ("", *(stack.environment for stack in stacks), "changed, days ago", "")
        cells = [
            (row.what, row.first, row.second, row.shown_ages, "differs" if row.differs else "")
            for row in sorted(rows, key=lambda row: not row.differs)
        ]
        print_table(f"{stacks[0].place} and {stacks[1].place}", headings, cells)
        for gap in filter(None, gaps):
            say(gap)
    if any(row.differs for row in rows):
        raise typer.Exit(1)


def _loaded(given: str) -> Stack:
    path = Path(given)
    return load(None, path) if path.is_file() or path.suffix == ".json" else load(stack_name(given))


def compare(
    first: Stack, second: Stack, first_ages: Mapping[str, int | None], second_ages: Mapping[str, int | None]
) -> Iterator[Row]:
    """Yield what either stack has, by name."""
    ours, theirs = dict(_sources(first)), dict(_sources(second))
    for what in sorted({*ours, *theirs}):
        secret = what.partition(".")[0] if what not in first_ages and what not in second_ages else what
        yield Row(
            what,
            ours.get(what, _NONE),
            theirs.get(what, _NONE),
            (first_ages.get(secret) if what in ours else None, second_ages.get(secret) if what in theirs else None),
        )
    for service in sorted({*first.services, *second.services}):
        here, there = (
            set(stack.services[service].container_secrets if service in stack.services else ())
            for stack in (first, second)
        )
        for variable in sorted(here ^ there):
            has, lacks = "variable", _NONE
            yield Row(f"{service}: {variable}", *((has, lacks) if variable in here else (lacks, has)))


def _sources(stack: Stack) -> Iterator[tuple[str, str]]:
    """Yield where each value comes from: by secret, of a JSON secret by key."""
    for name, secret in stack.secrets.items():
        owner = "" if secret.owner == "stack" else f" ({secret.owner})"
        for key, part in secret.parts.items():
            yield (f"{name}.{key}" if key else name), part.kind + owner
        if not secret.parts:
            yield name, f"external{owner}"


def _ages(stack: Stack, profile: str | None) -> tuple[dict[str, int | None], str]:
    """Return the days since each secret changed, and why that is not known."""
    try:
        aws = connect(stack, profile)
        records = records_of(aws, stack) | foreign_records(aws, stack)
    except (AwsError, *aws_errors()) as error:
        return {}, f"ages of {stack.environment} are not known: {told(error)}"
    found = {name: records[secret.arn] for name, secret in stack.secrets.items()}
    return {name: days_since(record.changed) if record else None for name, record in found.items()}, ""
