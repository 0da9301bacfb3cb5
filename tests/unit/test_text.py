"""What a terminal gets to see of text from elsewhere."""

import io

import pytest
from rich.live import Live
from rich.text import Text

from terminal import PlainConsole, plain

# Sequences that terminals obey: "ANSI escape code" (Wikipedia), xterm's "Control Sequences", CVE-2021-42574 (bidi overrides).
HOSTILE = {
    "clear the screen": ("\x1b[2J", r"\x1b[2J"),
    "move up and write over a line": ("\x1b[1A\x1b[2KOK", r"\x1b[1A\x1b[2KOK"),
    "set the window's title": ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
    "a link that shows another address": ("\x1b]8;;http://evil\x07here", r"\x1b]8;;http://evil\x07here"),
    "put something into the clipboard": ("\x1b]52;c;cm0=\x07", r"\x1b]52;c;cm0=\x07"),
    "eight-bit CSI": ("\x9b31m", r"\x9b31m"),
    "back to the line's beginning": ("bad\rgood", r"bad\rgood"),
    "backspace": ("ab\b\bok", r"ab\x08\x08ok"),
    "delete": ("\x7f", r"\x7f"),
    "zero byte": ("a\0b", r"a\x00b"),
    "right to left override": ("admin\u202enimda", r"admin\u202enimda"),
    "isolate": ("\u2066x\u2069", r"\u2066x\u2069"),
    "no width": ("ad\u200bmin", r"ad\u200bmin"),
    "line separator": ("a\u2028b", r"a\u2028b"),
    "half a surrogate pair": ("\ud800", r"\ud800"),
    "two lines in a cell": ("a\nb", r"a\nb"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_nothing_that_a_terminal_obeys_is_left(what: str) -> None:
    text, shown = HOSTILE[what]
    assert plain(text) == shown
    assert plain(shown) == shown


@pytest.mark.parametrize("text", ["", "plain", "Grüße, 日本語, العربية", "a b", "a\\nb", "café", "€ 🙂"])
def test_what_people_write_stays(text: str) -> None:
    assert plain(text) == text


def test_lines_and_tabs_stay_where_lines_are_meant() -> None:
    assert plain("a\n\tb\r\n\x1b[1m", lines=True) == "a\n\tb\\r\n\\x1b[1m"


def test_a_console_shows_text_plain_and_keeps_its_own_colours() -> None:
    shown = io.StringIO()
    console = PlainConsole(file=shown, force_terminal=True, color_system="standard", width=80)
    console.print(Text("name\x1b[2J", "red"), "\u202e")
    assert shown.getvalue() == "\x1b[31mname\\x1b[2J\x1b[0m \\u202e\n"


def test_rows_that_are_drawn_anew_are_plain_too() -> None:
    shown = io.StringIO()
    console = PlainConsole(file=shown, force_terminal=True, width=80)
    with Live(Text("busy\x1b]0;title\x07"), console=console, auto_refresh=False):
        pass
    assert "\x1b]" not in shown.getvalue()
    assert r"busy\x1b]0;title" in shown.getvalue()
