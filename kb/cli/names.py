"""Shell completion of concept names."""

from __future__ import annotations


def complete_names(incomplete: str) -> list[str]:
    """Names, aliases and ids that begin with what was typed; empty where the knowledge base cannot be opened."""
    from kb.cli.session import Session
    from kb.errors import KbError
    from kb.surface import fold

    query = """SELECT DISTINCT text FROM surface WHERE key >= ? AND key < ? AND status IN ('id', 'name', 'alias')
               ORDER BY status = 'alias', length(text) LIMIT 60"""
    key = fold(incomplete) if incomplete.strip() else ""
    try:
        store = Session.start().store
    except KbError:
        return []
    return [text for (text,) in store.query(query, (key, key + "\U0010ffff"))]
