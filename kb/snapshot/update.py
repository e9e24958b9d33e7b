"""The tables of a snapshot, brought to the state of its sources: an empty one is filled, another one changed.

Only what was written anew is read and compiled. What hangs on several entries, the edges, is made again for all.
"""

from __future__ import annotations

import gc
import hashlib
import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from kb.concepts.blocks import Block, cut, read_block
from kb.concepts.card import Kept
from kb.concepts.graph import Node, edges_of, node_of
from kb.concepts.model import Concept, Link
from kb.concepts.source import Entry, Source, check_entries, load, make_concept, merge
from kb.language.text import Bilingual
from kb.snapshot.compile import Sounds, Words, card_row, surface_rows, words_of
from kb.snapshot.tables import TABLES

_THESE = "(SELECT value FROM json_each(?))"


class Change(NamedTuple):
    """What is different: concepts that were written anew, each with the state of its blocks, and ids that are gone."""

    concepts: list[tuple[Concept, str]]
    gone: list[str]
    blocks: list[tuple[str, str]]
    """(digest, id) of every block of the sources."""


def update(db: sqlite3.Connection, sources: Sequence[Source], meta: dict[str, str]) -> None:
    """Bring a database, empty or a snapshot of other sources, to the state of these.

    Raises:
        KbError: the data cannot be loaded.
        sqlite3.Error: the snapshot is damaged.
    """
    with _without_collector():
        if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            db.executescript(TABLES)
        change = _changed(db, sources)
        with db:
            write(db, change)
            digests = "\n".join(digest for (digest,) in db.execute("SELECT passages FROM card ORDER BY id"))
            about = {**meta, "passages": hashlib.sha256(digests.encode()).hexdigest()}
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", about.items())


@contextmanager
def _without_collector() -> Iterator[None]:
    """Many objects are made and none in circles: looking for these would take as long as the work."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _changed(db: sqlite3.Connection, sources: Sequence[Source]) -> Change:
    """What to write; everything, where the sources cannot be read in blocks."""
    known = dict(db.execute("SELECT digest, id FROM block"))
    states = dict(db.execute("SELECT id, state FROM card"))
    found = _by_id(sources, known)
    if found is None:
        return _everything(sources, states)
    blocks, entries = found
    now = {id: "+".join(block.digest for block in of_id) for id, of_id in blocks.items()}
    changed = [id for id in blocks if states.get(id) != now[id]]
    merged = [_merged(blocks[id], entries) for id in changed]
    if None in merged:
        return _everything(sources, states)
    concepts = [(make_concept(entry), now[entry.id]) for entry in merged if entry]
    gone = [id for id in states if id not in blocks]
    return Change(concepts, gone, [(block.digest, id) for id, of_id in blocks.items() for block in of_id])


Blocks = dict[str, list[Block]]
"""The blocks of each id, in the order of the sources."""


def _by_id(sources: Sequence[Source], known: dict[str, str]) -> tuple[Blocks, dict[str, Entry]] | None:
    """The blocks by id, and the entries that had to be read for it, by digest; None for what is read as a whole."""
    blocks: Blocks = {}
    entries: dict[str, Entry] = {}
    for source in sources:
        pieces, seen = cut(source), set()
        for block in pieces or ():
            id = known.get(block.digest, "")
            if not id:
                entry = read_block(block)
                if entry is None:
                    return None
                entries[block.digest], id = entry, entry.id
            if id in seen:
                return None
            seen.add(id)
            blocks.setdefault(id, []).append(block)
        if pieces is None:
            return None
    return blocks, entries


def _merged(blocks: Sequence[Block], entries: dict[str, Entry]) -> Entry | None:
    """The entry of some blocks, each laid over those before it; None where one cannot be read."""
    read = [entries.get(block.digest) or read_block(block) for block in blocks]
    first, *others = read
    if first is None or None in others or check_entries([first]):
        return None
    return merge([first], [entry for entry in others if entry])[0]


def _everything(sources: Sequence[Source], states: Collection[str]) -> Change:
    concepts = [(concept, "") for concept in load(sources)]
    ids = {concept.id for concept, _ in concepts}
    return Change(concepts, [id for id in states if id not in ids], [])


def write(db: sqlite3.Connection, change: Change) -> None:
    """Write what is different into the tables, all but what `meta` says of the sources."""
    places = dict(db.execute("SELECT id, place FROM card"))
    written = sorted(change.concepts, key=lambda changed: changed[0].id)
    outdated = [id for id in (*(concept.id for concept, _ in written), *change.gone) if id in places]
    known = _remove(db, outdated, places)
    taken = set(places.values())
    numbers = (place for place in itertools.count(1) if place not in taken)
    there = [(places.get(concept.id) or next(numbers), concept, state) for concept, state in written]
    words = {place: words_of(concept) for place, concept, _ in there}
    rows = ((place, state, *card_row(concept)) for place, concept, state in there)
    db.executemany("INSERT INTO card VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    surfaces = (row for _, concept, _ in there for row in surface_rows(concept, known))
    db.executemany("INSERT OR IGNORE INTO surface (key, id, text, status) VALUES (?, ?, ?, ?)", surfaces)
    lexical = ((place, *of_it.columns()) for place, of_it in words.items())
    db.executemany("INSERT INTO lexical (rowid, names, summary, asks, body) VALUES (?, ?, ?, ?, ?)", lexical)
    _count(db, words.values(), 1)
    db.execute("DELETE FROM block")
    db.executemany("INSERT OR IGNORE INTO block VALUES (?, ?)", change.blocks)
    db.execute("DELETE FROM edge")
    db.executemany("INSERT INTO edge VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _edge_rows(db, change))
    db.execute("INSERT OR REPLACE INTO meta SELECT 'size', count(*) FROM card")


def _remove(db: sqlite3.Connection, ids: Sequence[str], places: Mapping[str, int]) -> dict[str, Sounds]:
    """Take concepts out of every table but that of the edges; how their names sound, which takes long to find out."""
    if not ids:
        return {}
    chosen = (json.dumps(ids),)
    kept = [json.loads(card) for (card,) in db.execute(f"SELECT json FROM card WHERE id IN {_THESE}", chosen)]
    concepts = list(map(Concept.from_json, kept))
    words = {places[concept.id]: words_of(concept) for concept in concepts}
    lexical = ((place, *of_it.columns()) for place, of_it in words.items())
    db.executemany(
        "INSERT INTO lexical (lexical, rowid, names, summary, asks, body) VALUES ('delete', ?, ?, ?, ?, ?)", lexical
    )
    _count(db, words.values(), -1)
    sounds: dict[str, set[tuple[str, str]]] = {}
    heard = f"SELECT text, key, status FROM surface WHERE id IN {_THESE} AND status IN ('pinyin', 'initials')"
    for text, key, status in db.execute(heard, chosen):
        sounds.setdefault(text, set()).add((key, status))
    for table in ("card", "surface"):
        db.execute(f"DELETE FROM {table} WHERE id IN {_THESE}", chosen)
    return {text: frozenset(of_it) for text, of_it in sounds.items()}


def _count(db: sqlite3.Connection, words: Iterable[Words], sign: int) -> None:
    """Add the words of some concepts to the counts of those that use each, or take them away again."""
    counts: tuple[Counter[str], Counter[str], Counter[str]] = Counter(), Counter(), Counter()
    for of_it in words:
        for count, there in zip(counts, of_it.places(), strict=True):
            count.update(there)
    rows = ((word, *(sign * count[word] for count in counts)) for word in sorted(set().union(*counts)))
    added = "name = name + excluded.name, prose = prose + excluded.prose, ask = ask + excluded.ask"
    sql = f"INSERT INTO word VALUES (?, ?, ?, ?) ON CONFLICT (text) DO UPDATE SET {added}"
    db.executemany(sql, rows)
    if sign < 0:
        db.execute("DELETE FROM word WHERE name + prose + ask = 0")


def _edge_rows(db: sqlite3.Connection, change: Change) -> Iterator[tuple[str | int | None, ...]]:
    """Every edge, and where it stands among those of its concept."""
    fresh = {concept.id: node_of(concept) for concept, _ in change.concepts}
    kept = db.execute("SELECT id, json FROM card ORDER BY id").fetchall()
    nodes = [fresh.get(id) or _node(json.loads(card)) for id, card in kept]
    for place, (id, rel, target, why, kind, soft) in enumerate(edges_of(nodes)):
        yield id, rel, target, why and why.en, why and why.zh, kind, soft, place


def _node(card: Kept) -> Node:
    links = [
        Link(link["rel"], link["to"], link["why"] and Bilingual(**link["why"]), link["soft"]) for link in card["links"]
    ]
    return Node(card["id"], links, card["linked"])
