"""Text from elsewhere (AWS, files, outputs) as a terminal may show it: nothing in it moves the cursor, hides or reorders text."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment


def plain(text: str, *, lines: bool = False) -> str:
    r"""Return a text in which every character that isn't printed is shown as its escape, such as `\x1b` or `\u202e`.

    These are control characters, the escape sequences that begin with one, marks that change the direction of writing, and
    characters without a width. Applied twice it is the same as once.

    Args:
        text: Any text.
        lines: Whether line feeds and tabs stay as they are.
    """
    return "".join(
        character
        if character.isprintable() or (lines and character in "\n\t")
        else character.encode("unicode_escape").decode()
        for character in text
    )


class PlainConsole(Console):
    """A console of rich that shows the text of whatever it is given in `plain` form. Its own colours and cursor moves stay."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of something to show."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text, lines=True), segment.style)
