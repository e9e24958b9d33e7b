"""Shell completion: the names of concepts, demos and models, and the few values of an option.

Shells make more of what they are offered than text. The script that typer installs for zsh is evaluated; bash puts a
name on the command line as it stands, to be run by the next Enter; PowerShell does the same. So a name is offered only
where none of them finds anything in it.

What is offered goes on from what was typed, letter for letter: `lst` becomes `lstm`, which means LSTM, too. typer and
zsh would drop all else, and bash, where names differ in case, would take back what was typed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from kb.cli.session import Session

OFFERED = 60
LONGEST = 80
_INSIDE = frozenset("-_.+/,:·@#–《》")

Complete = Callable[[typer.Context, list[str], str], list[str]]


def complete_names(incomplete: str, session: Session | None = None, *, demos: bool = False) -> list[str]:
    """Names, aliases and ids that begin with what was typed; empty where the knowledge base cannot be opened.

    Args:
        demos: Only of concepts that have a demo.
    """
    from kb.cli.session import Session
    from kb.errors import KbError
    from kb.language.surface import fold
    from kb.language.text import whole

    key = fold(whole(incomplete), titles=True) if incomplete.strip() else ""
    try:
        session = session or Session.start()
        found = session.base.names_from(key, 10 * OFFERED, demos=demos)
    except (KbError, OSError):
        return []
    return list(islice(filter(is_plain, found), OFFERED))


def offer_names(context: typer.Context, incomplete: str) -> list[str]:
    """The names that go on from the words of one on the command line, in the knowledge base that it is about."""
    before = _words_before(context)
    return _offered(complete_names(f"{before} {incomplete}", _session_of(context)), before, incomplete)


def offer_demos(context: typer.Context, incomplete: str) -> list[str]:
    """The ids of demos, and the names of concepts that have one, that go on from what was typed."""
    from kb.lab.runner import demo_ids

    before = _words_before(context)
    names = complete_names(f"{before} {incomplete}", _session_of(context), demos=True)
    return _offered([*sorted(demo_ids()), *names], before, incomplete)


def offer_models(incomplete: str) -> list[str]:
    """The models that are here."""
    from kb.encoder.models import BUNDLED, fetched

    return [name for name in (BUNDLED, *fetched()) if name.startswith(incomplete) and is_plain(name)]


def among(values: Iterable[str], also: Iterable[str] = ()) -> Complete:
    """The completion of an option that takes one of a few values.

    Args:
        also: Other words for them, offered once one is begun.
    """
    known, others = tuple(values), tuple(also)

    def complete(context: typer.Context, args: list[str], incomplete: str) -> list[str]:
        return [value for value in known + others * bool(incomplete) if value.startswith(incomplete)]

    return complete


def _session_of(context: typer.Context) -> Session | None:
    """A session with the options that the line gives; None where there is no line, as in a test."""
    from kb.cli.session import Session
    from kb.errors import KbError

    try:
        return Session.start(**context.obj.shared)
    except (KbError, OSError):
        return None


def _words_before(context: typer.Context) -> str:
    """The words of the name that stand before the one that is being typed."""
    return " ".join(context.params.get("name") or ())


def _offered(names: Iterable[str], before: str, typed: str) -> list[str]:
    from kb.language.text import whole

    offers = (_continued(name, before, whole(typed)) for name in names)
    return list(dict.fromkeys(offer for offer in offers if offer and is_plain(offer)))


def _continued(name: str, before: str, typed: str) -> str:
    """What was typed, and how the name goes on behind the words before it; empty where it is another name.

    What was typed in small letters goes on in small ones.
    """
    from kb.language.surface import fold

    words, n = name.split(" "), len(before.split())
    if n and fold(" ".join(words[:n]), titles=True) != fold(before, titles=True):
        return ""
    rest, typed = " ".join(words[n:]), typed.lstrip()
    if rest.startswith(typed):
        return rest
    key = fold(typed, titles=True)
    ends = next((end for end in _ends(rest, len(typed)) if fold(rest[:end], titles=True) == key), 0)
    tail = rest[ends:].lower() if typed.islower() else rest[ends:]
    return typed + tail if ends else ""


def _ends(text: str, likely: int) -> Iterator[int]:
    """Where the beginning of a text may end, the likely place first."""
    yield likely
    yield from range(1, len(text) + 1)


def is_plain(name: str) -> bool:
    """Whether a name means nothing to any shell, nor an option to kb.

    It is of words with one space between them. Each begins with a letter or a digit of any script, or with the mark of
    a title, and holds no other signs than a few that no shell reads inside a word.
    """
    return len(name) <= LONGEST and all(map(_is_plain_word, name.split(" ")))


def _is_plain_word(word: str) -> bool:
    begins = word[:1].isalnum() or word[:1] == "《"
    return begins and all(c.isalnum() or c in _INSIDE or unicodedata.category(c)[0] == "M" for c in word)
