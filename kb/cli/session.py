"""One invocation: the user's settings, the language, the terminal, and the knowledge base once it is needed."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb.language.text import LANGUAGES, Language
from kb.settings import Settings, load_settings, locale_language
from kb.show.plain import escaped, one_line, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from kb.base import KnowledgeBase

LONGEST = 600
"""Characters of a line on standard error."""


class Session:
    """What a command works with, made from the shared options."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    def start(cls, lang: str = "", data: str = "", color: str = "", pager: bool = True) -> Session:
        """Settings with the shared options laid over them."""
        settings = load_settings()
        language, data, color = lang or settings.language, data or settings.data, color or settings.color
        return cls(settings._replace(language=language, data=data, color=color, pager=settings.pager and pager))

    @property
    def language(self) -> Language:
        """The language of messages, and of content where one is shown."""
        chosen = self.settings.language
        return next((language for language in LANGUAGES if language == chosen), locale_language())

    @property
    def languages(self) -> tuple[Language, ...]:
        """The languages that content is shown in."""
        both: tuple[Language, ...] = (self.language, "en" if self.language == "zh" else "zh")
        return both if self.settings.language == "both" else (self.language,)

    def say(self, en: str, zh: str) -> str:
        """The text in the session's language."""
        return zh if self.language == "zh" else en

    @cached_property
    def base(self) -> KnowledgeBase:
        """The knowledge base."""
        from kb.base import KnowledgeBase

        return KnowledgeBase.of(self.settings)

    @cached_property
    def console(self) -> Console:
        """Standard output."""
        return make_console(self.settings.color)

    @cached_property
    def notes(self) -> Console:
        """Standard error: progress, counts, hints."""
        return make_console(self.settings.color, stderr=True)

    def print(self, *renderables: RenderableType) -> None:
        """Show an answer: undecorated in a pipe, through the pager where it is taller than the terminal."""
        is_interactive = self.console.is_terminal and sys.stdin is not None and sys.stdin.isatty()
        if not (self.settings.pager and is_interactive):
            for renderable in renderables:
                self.console.print(renderable)
            return
        with self.console.capture() as capture:
            for renderable in renderables:
                self.console.print(renderable)
        page(capture.get(), self.console.height)

    def note(self, en: str, zh: str, style: str = "dim") -> None:
        """Say something beside the answer, on standard error."""
        self.notes.print(printable(shortened(self.say(en, zh))), style=style, markup=False, emoji=False, soft_wrap=True)

    def print_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Show rows of texts: in columns on a terminal, tab-separated in a pipe."""
        if not self.console.is_terminal:
            print("\n".join("\t".join(map(one_line, row)) for row in rows))
            return
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for row in rows:
            table.add_row(*(Text(printable(cell), overflow="fold") for cell in row))
        self.print(table)

    def print_json(self, value: Any, *, indent: int | None = 2) -> None:
        """Show a value as JSON, one document, keys in their order; what a terminal would act on is escaped.

        Args:
            indent: None for one line.
        """
        print(escaped(json.dumps(value, ensure_ascii=False, indent=indent)))


def shortened(line: str) -> str:
    """What is said of a text that may be of any length: a long one loses its middle."""
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 100]} … {line[-97:]}"


def make_console(color: str, *, stderr: bool = False) -> Console:
    """A terminal as the user wants it coloured; NO_COLOR and pipes turn decoration off."""
    from rich.console import Console

    if color == "always":
        return Console(stderr=stderr, force_terminal=True, highlight=False)
    return Console(stderr=stderr, no_color=True if color == "never" else None, highlight=False)


COLOURFUL = ("less", "bat", "batcat", "moar", "moor", "ov")
"""Pagers that show colours. Others, `more` for one, show the codes as text or take them for columns."""
_STYLES = r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\"


def page(text: str, height: int) -> None:
    """Write a text to the terminal, through $PAGER or less where it is taller than the screen.

    Where the pager does not start or fails, the text is written as it is.
    """
    pager = _pager() if text.count("\n") >= height else []
    if not pager or not _show(pager, text):
        sys.stdout.write(text)


def _pager() -> list[str]:
    """The user's pager as a command; empty where there is none that can be run."""
    import shlex
    import shutil

    given = os.environ.get("PAGER", "")
    try:
        command = shlex.split(given) or ["less"]
    except ValueError:  # a quote that does not end
        return []
    if command == ["cat"] or not shutil.which(command[0]):
        return []
    if Path(command[0]).name == "less":
        command[1:1] = ["-R"]  # colours are shown, whatever $LESS holds
    return command


def _show(pager: list[str], text: str) -> bool:
    """Show a text in a pager; False where it fails. It may use Ctrl-C for itself: less stops a search with it."""
    import signal
    import subprocess

    environment = {**os.environ, "LESS": os.environ.get("LESS", "-FRX"), "LESSCHARSET": "utf-8"}
    if Path(pager[0]).name not in COLOURFUL:
        text = re.sub(_STYLES, "", text)
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        done = subprocess.run(pager, input=text.encode(), env=environment, check=False)
    except OSError:  # it is there and cannot be run
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return done.returncode == 0 or bool(pressed)
