"""Shell completion of concept names.

Shells make more of what they are offered than text. The script that typer installs for zsh is evaluated; bash puts a
name on the command line as it stands, to be run by the next Enter; PowerShell does the same. So a name is offered only
where none of them finds anything in it.
"""

from __future__ import annotations

import unicodedata
from itertools import islice

OFFERED = 60
LONGEST = 80
_INSIDE = frozenset("-_.+/,:·@#–《》")


def complete_names(incomplete: str) -> list[str]:
    """Names, aliases and ids that begin with what was typed; empty where the knowledge base cannot be opened."""
    from kb.cli.session import Session
    from kb.errors import KbError
    from kb.language.surface import fold
    from kb.language.text import whole

    key = fold(whole(incomplete), titles=True) if incomplete.strip() else ""
    try:
        found = Session.start().store.names_from(key, 10 * OFFERED)
    except (KbError, OSError):
        return []
    return list(islice(filter(is_plain, found), OFFERED))


def is_plain(name: str) -> bool:
    """Whether a name means nothing to any shell, nor an option to kb.

    It is of words with one space between them. Each begins with a letter or a digit of any script, or with the mark of
    a title, and holds no other signs than a few that no shell reads inside a word.
    """
    return len(name) <= LONGEST and all(map(_is_plain_word, name.split(" ")))


def _is_plain_word(word: str) -> bool:
    begins = word[:1].isalnum() or word[:1] == "《"
    return begins and all(c.isalnum() or c in _INSIDE or unicodedata.category(c)[0] == "M" for c in word)
