"""What the user sees while the sandbox works: on the standard error, so that results alone are on the standard output."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Generator
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.status import Status
from rich.text import Text

from sandbox.home import Holder
from sandbox.report import VERBS, Change, Watcher
from terminal import PlainConsole

SYMBOLS = {
    "create": "+",
    "update": "~",
    "delete": "-",
    "replace": "±",
    "create-replacement": "+",
    "delete-replaced": "-",
    "keep-replaced": "=",
}
COLOURS = {"=": "dim", "+": "green", "~": "yellow", "-": "red", "±": "magenta"}
_MOST_ROWS = 12
_LINE_SECONDS = 15.0


class Screen(Watcher):
    """Live rows on a terminal, plain lines elsewhere and in CI."""

    def __init__(self) -> None:
        """Decide by the standard error and `CI` how to show things."""
        self.console = PlainConsole(stderr=True, highlight=False, emoji=False, markup=False, soft_wrap=True)
        self.live = self.console.is_terminal and not os.environ.get("CI")
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Change, float]] = {}
        self._counts: dict[str, int] = {}
        self._title = ""
        self._status: Status | None = None
        self._told = ("", 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_status()

    def say(self, text: str) -> None:
        """Tell one thing that stays on the screen."""
        self.console.print(Text(text))

    def waiting(self, holder: Holder | None) -> None:
        """Tell who holds a lock that this command needs."""
        self.say(f"Waiting for {holder or 'another command'} to end.")

    def interrupted(self, again: bool) -> None:  # noqa: FBT001 - a callback's one fact
        """Tell what Ctrl-C does."""
        self.say(
            "Still waiting for AWS to finish what has begun."
            if again
            else "Stopping: finishing what has begun, starting nothing new."
        )

    def status(self, text: str) -> None:
        """Tell what goes on now: on a terminal instead of what went on before, elsewhere as a line every now and then."""
        if self.live and self._status is not None:
            self._status.update(text)
        elif self.live:
            self._status = Status(text, console=self.console)
            self._status.start()
        else:
            subject, since = " ".join(text.split()[:2]), time.monotonic() - self._told[1]
            if subject != self._told[0] or since >= _LINE_SECONDS:
                self._told = (subject, time.monotonic())
                self.say(text)

    def _end_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    @contextlib.contextmanager
    def working(self, title: str) -> Generator[None]:
        """Show rows and timers while the block runs; what the program prints appears above them."""
        self._end_status()
        self._running, self._counts, self._title = {}, {}, title
        if not self.live:
            self.say(title)
            with contextlib.redirect_stdout(sys.stderr), _descriptor_1_to_2():
                yield
            return
        display = Live(console=self.console, get_renderable=self._rows, refresh_per_second=10, transient=True)
        with display, _descriptor_1_to_2():
            yield

    def started(self, change: Change) -> None:
        """Show that an operation has begun."""
        with self._lock:
            self._running[change.urn] = (change, time.monotonic())

    def done(self, change: Change, *, failed: bool) -> None:
        """Show that an operation has ended."""
        with self._lock:
            _, began = self._running.pop(change.urn, (change, time.monotonic()))
            self._counts[change.op] = self._counts.get(change.op, 0) + 1
        if not failed and change.op in {"refresh", "read", "same"}:
            return
        seconds = time.monotonic() - began
        word = "failed" if failed else VERBS[change.op][1]
        line = _symbol("!" if failed else SYMBOLS.get(change.op, "~"))
        line.append(f" {change.type} ", "red" if failed else "")
        line.append(change.name, "bold")
        line.append(f"  {word}{f' ({seconds:.1f} s)' if seconds >= 1 else ''}", "red" if failed else "dim")
        self.console.print(line)

    def told(self, severity: str, text: str) -> None:
        """Show what the program or the engine said."""
        self.console.print(
            Text(f"{'warning: ' if severity == 'warning' else ''}{text}", "yellow" if severity == "warning" else "")
        )

    def _rows(self) -> Group:
        with self._lock:
            running = sorted(self._running.values(), key=lambda row: row[1])
            counts = dict(self._counts)
        now = time.monotonic()
        rows = [
            Text.assemble(
                "  ", (change.type, "dim"), " ", change.name, (f"  {VERBS[change.op][0]} {now - began:.0f} s", "cyan")
            )
            for change, began in running[:_MOST_ROWS]
        ]
        if len(running) > _MOST_ROWS:
            rows.append(Text(f"  and {len(running) - _MOST_ROWS} more", "dim"))
        done = ", ".join(
            f"{count} {VERBS[op][1] if op in VERBS else 'unchanged'}" for op, count in sorted(counts.items())
        )
        title = Spinner("dots", Text.assemble((self._title, "bold"), f"  {done}" if done else ""))
        return Group(*rows, title)


def _symbol(symbol: str) -> Text:
    return Text(symbol, COLOURS.get(symbol, "red"))


@contextlib.contextmanager
def _descriptor_1_to_2() -> Generator[None]:
    """Send to the standard error also what a process that the program starts prints: `--json` owns the standard output."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
