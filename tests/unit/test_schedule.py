"""Rotation schedules that Secrets Manager takes, and others.

Source: AWS Secrets Manager User Guide, "Rotation schedules", the table of fields and the examples.
"""

import pytest

from components.schedule import wrong_duration, wrong_schedule

# The guide's own examples, older editions included; one of them, `cron(0 1 * 1/3 SUN *)`, breaks the guide's own rule that one
# of the two days must be a question mark.
EXAMPLES = [
    "cron(0 /8 * * ? *)",
    "cron(0 8/8 * * ? *)",
    "cron(0 2/10 * * ? *)",
    "cron(0 4/12 * * ? *)",
    "cron(0 10 * * ? *)",
    "cron(0 18 ? * SAT *)",
    "cron(0 8 1 * ? *)",
    "cron(0 8 1/7 * ? *)",
    "cron(0 1 ? 1/3 SUN#1 *)",
    "cron(0 17 L * ? *)",
    "cron(0 8 ? * MON-FRI *)",
    "cron(0 16 1,15 * ? *)",
    "cron(0 0 ? * SUN#1 *)",
]
GOOD = [
    "cron(0 3 ? * SUN *)",
    "cron(0 03 ? * sun *)",
    "cron(0 23 ? * 1 *)",
    "cron(0 0 ? JAN,APR,JUL,OCT 7L *)",
    "cron(0 0 ? * SUNL *)",
    "cron(0 0 ? * L *)",
    "cron(0 0 1-7,31 MAR-NOV ? *)",
    "cron(0 0 */2 */3 ? *)",
    "cron(0 */4 * * ? *)",
    "cron(0 0 ? * TUE#5 *)",
]
BAD = [
    ("", "cron(minutes hours"),
    ("rate(7 days)", "cron(minutes hours"),
    ("0 3 ? * SUN *", "cron(minutes hours"),
    ("cron(0 3 ? * SUN)", "cron(minutes hours"),
    ("cron(0 3 ? * SUN * *)", "cron(minutes hours"),
    ("cron(0  3 ? * SUN *)", "cron(minutes hours"),
    ("cron(0 3 ? * SUN *) ", "cron(minutes hours"),
    ("cron(0 3 ?\n* SUN *)", "cron(minutes hours"),
    ("cron(30 3 ? * SUN *)", "minutes 0"),
    ("cron(0 3 ? * SUN 2027)", "year *"),
    ("cron(0 3 ? * ? *)", "a ? for one of the two days"),
    ("cron(0 3 * * * *)", "a ? for one of the two days"),
    ("cron(0 1 * 1/3 SUN *)", "a ? for one of the two days"),
    ("cron(0 24 ? * SUN *)", "0 to 23, or every so many, at least 4"),
    ("cron(0 /1 * * ? *)", "0 to 23, or every so many, at least 4"),
    ("cron(0 /3 * * ? *)", "0 to 23, or every so many, at least 4"),
    ("cron(0 /24 * * ? *)", "0 to 23, or every so many, at least 4"),
    ("cron(0 24/4 * * ? *)", "0 to 23, or every so many, at least 4"),
    ("cron(0 * * * ? *)", "0 to 23, or every so many, at least 4"),
    ("cron(0 3,4 * * ? *)", "0 to 23, or every so many, at least 4"),
    ("cron(0 3-9 * * ? *)", "0 to 23, or every so many, at least 4"),
    ("cron(0 \u0663 * * ? *)", "0 to 23, or every so many, at least 4"),
    ("cron(0 3 99 FOO ? *)", "a day of the month"),
    ("cron(0 3 99 FOO ? *)", "a month"),
    ("cron(0 3 0 * ? *)", "a day of the month"),
    ("cron(0 3 32 * ? *)", "a day of the month"),
    ("cron(0 3 15W * ? *)", "a day of the month"),
    ("cron(0 3 L-3 * ? *)", "a day of the month"),
    ("cron(0 3 7-1 * ? *)", "a day of the month"),
    ("cron(0 3 1, * ? *)", "a day of the month"),
    ("cron(0 3 1/0 * ? *)", "a day of the month"),
    ("cron(0 3 MON * ? *)", "a day of the month"),
    ("cron(0 3 ? 13 SUN *)", "a month"),
    ("cron(0 3 ? 0 SUN *)", "a month"),
    ("cron(0 3 ? ? SUN *)", "a month"),
    ("cron(0 3 ? L SUN *)", "a month"),
    ("cron(0 3 ? JANUARY SUN *)", "a month"),
    ("cron(0 3 ? * 0 *)", "a day of the week"),
    ("cron(0 3 ? * 8 *)", "a day of the week"),
    ("cron(0 3 ? * SUNDAY *)", "a day of the week"),
    ("cron(0 3 ? * SUN#6 *)", "a day of the week"),
    ("cron(0 3 ? * SUN#0 *)", "a day of the week"),
    ("cron(0 3 ? * #1 *)", "a day of the week"),
    ("cron(0 3 ? * FOOL *)", "a day of the week"),
    ("cron(0 3 ? * FRI-MON *)", "a day of the week"),
]


@pytest.mark.parametrize("schedule", [*EXAMPLES, *GOOD])
def test_schedules_that_secrets_manager_takes(schedule: str) -> None:
    assert wrong_schedule(schedule) is None


@pytest.mark.parametrize(("schedule", "rule"), BAD)
def test_schedules_that_secrets_manager_refuses(schedule: str, rule: str) -> None:
    problem = wrong_schedule(schedule)
    assert problem is not None
    assert rule in problem[1]


def test_each_wrong_field_is_named() -> None:
    problem = wrong_schedule("cron(0 99 99 FOO ? *)")
    assert problem is not None
    assert problem[1].count(";") >= 2
    assert "day of the week" not in problem[1]


@pytest.mark.parametrize(
    ("duration", "schedule"),
    [
        ("1h", "cron(0 3 ? * SUN *)"),
        ("21h", "cron(0 3 ? * SUN *)"),
        ("24h", "cron(0 0 ? * SUN *)"),
        ("1h", "cron(0 23 ? * SUN *)"),
        ("4h", "cron(0 /4 * * ? *)"),
        ("2h", "cron(0 2/10 * * ? *)"),
        ("1h", "nonsense"),
    ],
)
def test_windows_that_end_before_the_day_and_the_next_window(duration: str, schedule: str) -> None:
    assert wrong_duration(duration, schedule) is None


@pytest.mark.parametrize(
    ("duration", "schedule", "rule"),
    [
        ("22h", "cron(0 3 ? * SUN *)", "at most 21h"),
        ("2h", "cron(0 23 ? * SUN *)", "at most 1h"),
        ("5h", "cron(0 /4 * * ? *)", "at most 4h"),
        ("3h", "cron(0 2/10 * * ? *)", "at most 2h"),
        ("25h", "cron(0 0 ? * SUN *)", "whole hours, 1h to 24h"),
        ("0h", "cron(0 0 ? * SUN *)", "whole hours"),
        ("01h", "cron(0 0 ? * SUN *)", "whole hours"),
        ("1", "cron(0 0 ? * SUN *)", "whole hours"),
        ("1.5h", "cron(0 0 ? * SUN *)", "whole hours"),
        ("60m", "cron(0 0 ? * SUN *)", "whole hours"),
        ("1h ", "cron(0 0 ? * SUN *)", "whole hours"),
    ],
)
def test_windows_that_are_too_long_or_no_whole_hours(duration: str, schedule: str, rule: str) -> None:
    problem = wrong_duration(duration, schedule)
    assert problem is not None
    assert rule in problem[1]
