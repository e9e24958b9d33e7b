"""kb: a bilingual deep-learning knowledge base in which every concept links to a demo that runs.

>>> import kb
>>> base = kb.open()
>>> base.resolve("长短期记忆网络").name.en
'Long short-term memory'
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs 4 ms, before Ctrl-C is looked after

__version__ = "0.1.0"
SCHEMA_VERSION = 2
"""Of a concept's JSON: one more where a key goes or means something else; CHANGELOG.md says which."""

if TYPE_CHECKING:
    from typing import Any

    from kb.base import KnowledgeBase, open
    from kb.concepts.model import Concept, Link, Source
    from kb.errors import KbError
    from kb.language.text import Bilingual
    from kb.search.hybrid import Answer, Hit

_HOMES = {
    "open": "kb.base",
    "KnowledgeBase": "kb.base",
    "KbError": "kb.errors",
    "Answer": "kb.search.hybrid",
    "Hit": "kb.search.hybrid",
    "Concept": "kb.concepts.model",
    "Link": "kb.concepts.model",
    "Source": "kb.concepts.model",
    "Bilingual": "kb.language.text",
}
__all__ = [
    "SCHEMA_VERSION",
    "Answer",
    "Bilingual",
    "Concept",
    "Hit",
    "KbError",
    "KnowledgeBase",
    "Link",
    "Source",
    "open",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: `import kb` itself costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kb' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
