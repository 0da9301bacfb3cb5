"""Rotation schedules: the cron expressions and window lengths that AWS Secrets Manager accepts.

Source: AWS Secrets Manager User Guide, "Rotation schedules"; API Reference, RotationRulesType. Forms that the guide does
not describe are refused.
"""

import re
from collections.abc import Callable, Sequence

MIN_HOURS_BETWEEN_ROTATIONS = 4

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FORM = "cron(minutes hours day-of-month month day-of-week year), such as cron(0 3 ? * SUN *)"

Problem = tuple[str, str]
"""What is wrong, and what is allowed."""


def wrong_schedule(schedule: str) -> Problem | None:
    """Return what is wrong with a schedule, or None.

    `rate(...)` is refused: it can fire once on the old schedule after each change, so that an unrelated `up` could rotate
    (AWS CloudFormation Template Reference, AWS::SecretsManager::RotationSchedule).
    """
    fields = _fields(schedule)
    if not fields:
        return f"is {schedule[:40]!r}", _FORM
    minutes, hours, day, month, weekday, year = fields
    if minutes != "0" or [day, weekday].count("?") != 1 or year != "*":
        return (
            f"is {schedule[:40]!r}",
            "minutes 0, a ? for one of the two days, year *: Secrets Manager accepts no other",
        )
    checks: tuple[tuple[bool, str], ...] = (
        (bool(_openings(hours)), "one hour of the day, 0 to 23, or every so many, at least 4: 3, /6 or 2/12"),
        (
            day == "?" or _is_day(day),
            "a day of the month: 1 to 31, L for the last; lists 1,15, ranges 1-7 or steps 1/10",
        ),
        (_is_list(month, _number(1, 12, _MONTHS)), "a month: 1 to 12 or JAN to DEC; lists, ranges, steps or *"),
        (
            weekday == "?" or _is_weekday(weekday),
            "a day of the week: 1 to 7 or SUN to SAT; lists, ranges, steps, SUN#1 for the first, SUNL for the last of the month",
        ),
    )
    wrong = [rule for holds, rule in checks if not holds]
    return (f"is {schedule[:40]!r}", "; ".join(wrong)) if wrong else None


def wrong_duration(duration: str, schedule: str) -> Problem | None:
    """Return what is wrong with the length of a schedule's windows, or None."""
    found = re.fullmatch(r"([1-9]|1[0-9]|2[0-4])h", duration)
    if not found:
        return f"is {duration[:40]!r}", "whole hours, 1h to 24h"
    fields = _fields(schedule)
    openings = _openings(fields[1]) if fields else []
    if not openings:
        return None  # the schedule itself is reported
    ends = [*openings[1:], 24]
    longest = min(end - start for start, end in zip(openings, ends, strict=True))
    if int(found[1]) <= longest:
        return None
    return (
        f"is {duration!r}",
        f"at most {longest}h: a window must end before the next one opens, and on the same UTC day",
    )


def _fields(schedule: str) -> list[str] | None:
    found = re.fullmatch(r"cron\(([^()\n]*)\)", schedule)
    fields = found[1].split(" ") if found else []
    return fields if len(fields) == 6 and all(fields) else None  # noqa: PLR2004 - AWS's cron has a year


def _openings(hours: str) -> list[int]:
    """Return the hours at which windows open, or none for an invalid field."""
    if re.fullmatch(r"[01]?[0-9]|2[0-3]", hours):
        return [int(hours)]
    found = re.fullmatch(r"(?:([01]?[0-9]|2[0-3])|\*)?/([0-9]{1,2})", hours)
    if not found or not MIN_HOURS_BETWEEN_ROTATIONS <= int(found[2]) <= 23:  # noqa: PLR2004 - the day's last hour
        return []
    return list(range(int(found[1] or 0), 24, int(found[2])))


def _is_day(field: str) -> bool:
    return field == "L" or _is_list(field, _number(1, 31))


def _is_weekday(field: str) -> bool:
    number = _number(1, 7, _WEEKDAYS)
    named, _, which = field.partition("#")
    if which:
        return number(named) is not None and which in {"1", "2", "3", "4", "5"}
    if field == "L":
        return True
    if field.endswith("L"):
        return number(field[:-1]) is not None
    return _is_list(field, number)


def _number(lowest: int, highest: int, names: Sequence[str] = ()) -> Callable[[str], int | None]:
    """Return a function that reads one value of a field, as a number or by name, or None when it is not one."""

    def read(text: str) -> int | None:
        if text.upper() in names:
            return names.index(text.upper()) + lowest
        is_number = re.fullmatch(r"[0-9]{1,2}", text) and lowest <= int(text) <= highest
        return int(text) if is_number else None

    return read


def _is_list(field: str, number: Callable[[str], int | None]) -> bool:
    """Return whether the field consists of values, ranges and steps, separated by commas."""
    return all(_is_part(part, number) for part in field.split(","))


def _is_part(part: str, number: Callable[[str], int | None]) -> bool:
    start, slash, step = part.partition("/")
    if slash and not re.fullmatch(r"[1-9][0-9]?", step):
        return False
    first, dash, last = start.partition("-")
    if dash:
        low, high = number(first), number(last)
        return low is not None and high is not None and low < high
    return first == "*" or number(first) is not None
