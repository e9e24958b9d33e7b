"""From concepts to the SQLite snapshot that every reading command opens."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from kb.concepts.graph import edges_of
from kb.concepts.model import Concept
from kb.concepts.source import Source, load
from kb.language import wiki
from kb.language.pinyin import readings
from kb.language.surface import fold, strip_tones
from kb.language.text import LANGUAGES
from kb.language.words import words

TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE card (
    id TEXT PRIMARY KEY, type TEXT NOT NULL, areas TEXT NOT NULL,
    name_en TEXT NOT NULL, name_zh TEXT NOT NULL, summary_en TEXT NOT NULL, summary_zh TEXT NOT NULL,
    demo TEXT, json TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE edge (
    id TEXT, rel TEXT, target TEXT, why_en TEXT, why_zh TEXT, kind TEXT NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (id, rel, target)
) WITHOUT ROWID;
CREATE TABLE surface (
    key TEXT, id TEXT, text TEXT NOT NULL, status TEXT NOT NULL, PRIMARY KEY (key, id, status)
) WITHOUT ROWID;
CREATE TABLE word (text TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE passage (id TEXT NOT NULL, part TEXT NOT NULL, language TEXT NOT NULL, text TEXT NOT NULL);
CREATE VIRTUAL TABLE lexical USING fts5 (id UNINDEXED, names, summary, asks, body, tokenize = 'porter unicode61');
"""
PLACES = ("ask", "prose", "name")


def compile_into(connection: sqlite3.Connection, sources: Sequence[Source], meta: dict[str, str]) -> None:
    """Fill an empty database from a concepts file and its overlays.

    Raises:
        KbError: the data cannot be loaded; nothing has been written to the database then.
    """
    concepts = load(sources)
    passages = [row for concept in concepts for row in make_passages(concept)]
    digest = hashlib.sha256("\0".join("\0".join(row) for row in passages).encode()).hexdigest()
    connection.executescript(TABLES)
    with connection:
        connection.executemany("INSERT INTO card VALUES (?,?,?,?,?,?,?,?,?)", _card_rows(concepts))
        connection.executemany("INSERT INTO edge VALUES (?,?,?,?,?,?,?)", _edge_rows(concepts))
        connection.executemany("INSERT OR IGNORE INTO surface VALUES (?,?,?,?)", _surface_rows(concepts))
        connection.executemany("INSERT INTO passage VALUES (?,?,?,?)", passages)
        connection.executemany("INSERT INTO word VALUES (?,?)", _word_rows(concepts).items())
        connection.executemany("INSERT INTO lexical VALUES (?,?,?,?,?)", _lexical_rows(concepts))
        connection.executemany("INSERT INTO meta VALUES (?,?)", {**meta, "passages": digest}.items())


def _card_rows(concepts: Iterable[Concept]) -> Iterable[tuple[str | None, ...]]:
    for c in concepts:
        card = json.dumps(make_card(c), ensure_ascii=False, separators=(",", ":"))
        areas = " ".join(c.area)
        yield c.id, c.type, areas, c.name.en, c.name.zh, c.summary.en, c.summary.zh, c.demo, card


def make_card(concept: Concept) -> dict[str, Any]:
    """The JSON form of a concept, its formulas in readable form, and whom its texts link to."""
    card = concept.to_json()
    texts = [text for pair in (concept.body, concept.misconception, concept.summary) if pair for text in pair]
    card["linked"] = sorted({target for text in texts for target in wiki.targets(text)})
    card["formula_text"], card["symbols_text"] = _readable(concept)
    return card


def _edge_rows(concepts: Iterable[Concept]) -> Iterable[tuple[str | int | None, ...]]:
    """Every edge, and where it stands among those of its concept."""
    for place, (id, rel, target, why, kind) in enumerate(edges_of(concepts)):
        yield id, rel, target, why and why.en, why and why.zh, kind, place


def _readable(concept: Concept) -> tuple[str | None, dict[str, str]]:
    from kb.concepts.formula import to_terminal

    try:
        return concept.formula and to_terminal(concept.formula), {s: to_terminal(s) for s in concept.symbols}
    except ValueError:  # a user's formula that we cannot read is shown as it is written; lint says so
        return concept.formula, {symbol: symbol for symbol in concept.symbols}


def _surface_rows(concepts: Iterable[Concept]) -> Iterable[tuple[str, str, str, str]]:
    """Every surface form by its key; pinyin of the Chinese ones too, which only suggests and never resolves.

    A title without its marks has the status `title`: it resolves where nothing else has that name.
    """
    for concept in concepts:
        for text, status in concept.surfaces():
            yield fold(text, titles=True), concept.id, text, status
            if "《" in text:
                yield fold(text), concept.id, text, "title"
        chinese = (concept.name.zh, *concept.aliases.get("zh", ()))
        for text in chinese:
            for spelled in {pinyin(text), _by_character(text)} - {""}:
                yield spelled, concept.id, text, "pinyin"


def pinyin(text: str) -> str:
    """Toneless pinyin in one word, `梯度消失` -> `tiduxiaoshi`; empty for a text without 汉字."""
    from pypinyin import Style, lazy_pinyin

    if text.isascii():
        return ""
    return fold(strip_tones("".join(lazy_pinyin(text, style=Style.NORMAL, v_to_u=False))))


def _by_character(text: str) -> str:
    """Pinyin of a name of 汉字 alone, each read as it most often is: how a slip of the input method is recognized."""
    table = readings()
    return "".join(table[character] for character in text) if all(character in table for character in text) else ""


def _word_rows(concepts: Sequence[Concept]) -> dict[str, str]:
    """Every Latin word that the entries use, and the best place that has it: a name, the prose or a question."""
    found: dict[str, str] = {}
    for concept in concepts:
        prose = (*concept.summary, *(concept.body or ()), *(concept.misconception or ()))
        names = [text for text, _ in concept.surfaces()]
        for place, texts in (("ask", concept.asks.get("en", ())), ("prose", prose), ("name", names)):
            for word in (word for text in texts for word in words(text) if word.isascii()):
                found[word] = max(found.get(word, place), place, key=PLACES.index)
    return found


def make_passages(concept: Concept) -> list[tuple[str, str, str, str]]:
    """(id, part, language, text) of everything that the encoder sees of a concept."""
    rows: list[tuple[str, str, str, str]] = []
    for language in LANGUAGES:
        name, others = concept.name.of(language), concept.aliases.get(language, ())
        rows.append((concept.id, "names", language, ", ".join([name, *others[:6]])))
        rows.append((concept.id, "summary", language, f"{name}: {concept.summary.of(language)}"))
        if concept.body:
            rows.append((concept.id, "body", language, f"{name}: {wiki.plain(concept.body.of(language))}"))
        rows += [(concept.id, "ask", language, ask) for ask in concept.asks.get(language, ())]
    return rows


def _lexical_rows(concepts: Iterable[Concept]) -> Iterable[tuple[str, ...]]:
    for concept in concepts:
        names = [text for text, _ in concept.surfaces()]
        asks = [ask for language in LANGUAGES for ask in concept.asks.get(language, ())]
        body = [*map(wiki.plain, concept.body or ()), *map(wiki.plain, concept.misconception or ())]
        columns = (names, concept.summary, asks, body)
        yield (concept.id, *(" ".join(words(" \n ".join(texts))) for texts in columns))
