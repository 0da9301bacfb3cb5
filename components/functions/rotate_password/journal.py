"""Structured logs: one JSON object a line on standard output, which Lambda hands to CloudWatch Logs unchanged.

It writes only fixed sentences, the step, the secret's ARN or name and the version id; nothing from a secret or from the
database. CloudWatch metric filters can match the fields, as in `{ $.level = "ERROR" }`.
"""

import json
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Journal:
    """Writes lines about one step of one rotation."""

    step: str
    secret: str
    version: str

    def info(self, message: str) -> None:
        """Write what was done."""
        self._write("INFO", message)

    def error(self, message: str, *, cause: str) -> None:
        """Write why the step failed."""
        self._write("ERROR", message, cause=cause)

    def _write(self, level: str, message: str, **fields: str) -> None:
        line = {
            "level": level,
            "message": message,
            "step": self.step,
            "secret": self.secret,
            "version": self.version,
            **fields,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
