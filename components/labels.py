"""The staging labels that the program gives the versions it puts, so that they are known again and AWS keeps them."""

OF_PULUMI = "pulumi-"
"""How every one of them begins."""

LIVE, PREVIOUS = f"{OF_PULUMI}live-", f"{OF_PULUMI}previous-"
"""How those of the live version begin, and those of the generation before it."""

RESTORED = f"{OF_PULUMI}restored"
"""That of a version whose values the program keeps using after a destroy (components/restored_values.py)."""

_SHOWN_DIGITS = 8


def live(record_id: str) -> str:
    """Return the label of the version that Pulumi put last as the live value, from the id of the secret's record."""
    return LIVE + record_id[:_SHOWN_DIGITS]


def previous(record_id: str) -> str:
    """Return the label of the version that holds the generation before."""
    return PREVIOUS + record_id[:_SHOWN_DIGITS]
