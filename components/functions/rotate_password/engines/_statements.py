"""What the parts of the PostgreSQL engine need of a session."""

from typing import Any, Protocol


class Statements(Protocol):
    """Runs SQL statements as one user."""

    def run(self, statement: str, **parameters: str) -> list[list[Any]]:
        """Run a statement and return its rows; its errors quote nothing."""
        ...
