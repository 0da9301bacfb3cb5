"""Names and texts in SQL statements that take no parameters, such as those about roles."""

import pg8000.native


def identifier(name: str) -> str:
    """A role's, database's or setting's name, quoted for SQL."""
    return str(pg8000.native.identifier(name))


def literal(text: str) -> str:
    """A text, quoted for SQL; the sessions of `postgresql` have standard_conforming_strings on."""
    return str(pg8000.native.literal(text))
