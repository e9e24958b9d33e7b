"""The tables of a snapshot."""

from __future__ import annotations

from kb import __version__

SCHEMA = f"12-{__version__}"
"""Says which tables a snapshot has, and what stands in them. Count it up where either changes: a snapshot with another
number is built anew, while one that is taken for another would fail or answer wrongly."""
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE block (digest TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE card (
    place INTEGER PRIMARY KEY, state TEXT NOT NULL, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, areas TEXT NOT NULL,
    name_en TEXT NOT NULL, name_zh TEXT NOT NULL, summary_en TEXT NOT NULL, summary_zh TEXT NOT NULL,
    demo TEXT, passages TEXT NOT NULL, json TEXT NOT NULL
);
CREATE TABLE edge (
    id TEXT, rel TEXT, target TEXT, why_en TEXT, why_zh TEXT, kind TEXT NOT NULL, soft INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (id, rel, target)
) WITHOUT ROWID;
CREATE TABLE surface (
    key TEXT, id TEXT, status TEXT, text TEXT NOT NULL, PRIMARY KEY (key, id, status, text)
) WITHOUT ROWID;
CREATE TABLE word (
    text TEXT PRIMARY KEY, name INTEGER NOT NULL, prose INTEGER NOT NULL, ask INTEGER NOT NULL
) WITHOUT ROWID;
CREATE VIRTUAL TABLE lexical USING fts5 (names, summary, asks, body, content = '', tokenize = 'porter unicode61');
"""
"""`kb.snapshot.update` fills them with the rows of `kb.snapshot.compile`; `store` and `lookup` read them."""
