"""The command line: runs one, and turns what goes wrong into two clear lines and an exit code."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import NoReturn

from typer import Abort, TyperException

from kb.cli.session import Session
from kb.cli.tree import Line, root
from kb.errors import KbError
from kb.language.text import Language
from kb.settings import locale_language


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command line and exit: 0 success, 1 a KbError, 2 usage, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else arguments
    language = language_of(given)
    try:
        code = root(language).main(given, prog_name="kb", standalone_mode=False, obj=Line(language, {}))
        sys.stdout.flush()  # a broken pipe shows itself here
        sys.exit(code if isinstance(code, int) else 0)
    except (KeyboardInterrupt, Abort):
        sys.exit(130)
    except SystemExit as ended:
        if any(isinstance(error, BrokenPipeError) for error in _causes(ended)):  # rich has noticed it, or typer
            _reader_left()
        raise ended
    except BrokenPipeError:
        _reader_left()
    except (KbError, TyperException, OSError, RuntimeError) as error:
        from kb.cli.complain import complain_of

        sys.exit(complain_of(error, given, language))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those during which it was raised."""
    while error is not None:
        yield error
        error = error.__context__


def _reader_left() -> NoReturn:
    """The reader of a pipe, `head` for one, has seen enough: no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(0)


def language_of(given: list[str]) -> Language:
    """The language of help and complaints, which is needed before the options are parsed, and where they cannot be.

    Whatever looks like --lang counts, the last one most: `--lang zh`, `--lang=zh`, `-L zh`, `-Lzh`, `-bLzh`.
    """
    lang = ""
    for word, after in pairwise([*given, ""]):
        if word == "--":
            break
        if word.startswith("-") and (looks := re.match(r"(?:--lang|-[a-zA-Z]*L)=?(.*)", word, re.DOTALL)):
            said = looks[1] or after
            lang = said if said in ("en", "zh", "both") else lang
    try:
        return Session.start(lang=lang).language
    except (KbError, OSError):  # a broken configuration is told of when the command starts
        return "zh" if lang == "zh" else "en" if lang == "en" else locale_language()
