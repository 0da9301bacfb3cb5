"""Likely mistakes in a secret's value: text that programs and people leave where a value should be."""

from components.checks import wrong_secret

_QUOTES = "\"'`"
_EMPTY_WORDS = {"null", "none", "nil", "undefined", "nan"}
"""What programs write in place of a value that they don't have."""


def unfit(text: str) -> str | None:
    """Return why a value can't be the intended one, None when it can; never the value."""
    bare = text.strip()
    if not bare:
        return "is empty or blank"
    if "\0" in text or text.startswith("\ufeff"):
        return "holds a byte order mark or a zero byte"
    if bare.lower() in _EMPTY_WORDS:
        return "is the word for no value"
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in _QUOTES:
        return "is quoted"
    if bare != text and not bare.startswith("-----BEGIN"):
        return "begins or ends in white space, most likely a pasted line break"
    return None


def unfit_to_keep(text: str) -> str | None:
    """Return why a live value should not become the configuration's: `unfit`, or a placeholder."""
    found = wrong_secret(text, strict=True)
    return unfit(text) or (found if found and "placeholder" in found else None)
