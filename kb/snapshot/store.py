"""What the snapshot knows: cards, rows, words, texts; names stand in `kb.snapshot.lookup`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from kb.concepts.route import learning_path
from kb.language.text import Bilingual, whole
from kb.snapshot.life import open_snapshot
from kb.snapshot.lookup import Names

if TYPE_CHECKING:
    from kb.concepts.card import Card
    from kb.concepts.model import Concept


class Row(NamedTuple):
    """What a list shows of a concept."""

    id: str
    type: str
    areas: tuple[str, ...]
    name: Bilingual
    summary: Bilingual
    demo: str | None


class Store(Names):
    """One snapshot, asked for what its tables hold; use `open_store`."""

    def card(self, id: str, *, paths: bool = True) -> Card:
        """The card of a concept: its JSON form, and its neighbours with their names.

        Args:
            paths: With all that is to be learnt before it, which may be long.

        Raises:
            KeyError: no such id.
        """
        card = self._stored(whole(id))
        formulas: dict[str, Any] = {key: card.pop(key) for key in ("formula_text", "symbols_text")}
        linked: list[str] = card.pop("linked")
        before = self.learning_path(id) if paths else {}
        edges = self.query("SELECT rel, target, why_en, why_zh, soft FROM edge WHERE id = ? ORDER BY place", (id,))
        after = sorted(target for rel, target, *_, soft in edges if rel == "leads_to" and not soft)
        names = self.names({*linked, *before, *(target for _, target, *_ in edges)})
        card["related"] = [
            {"rel": rel, "to": target, "name": names[target], "why": en and {"en": en, "zh": zh}, "soft": bool(soft)}
            for rel, target, en, zh, soft in edges
        ]
        card["learn_first"] = [{"id": id, "name": names[id], "distance": distance} for id, distance in before.items()]
        card["leads_to"] = [{"id": id, "name": names[id]} for id in after]
        card["measured"] = None
        card["link_names"] = {id: names[id] for id in linked if id in names}
        return cast("Card", {**card, **formulas})

    def _stored(self, id: str) -> dict[str, Any]:
        """What the card of a concept holds; where that cannot be read, the snapshot is built anew."""
        for is_last in (False, True):
            asked = self.connection
            rows = self.query("SELECT json FROM card WHERE id = ?", (id,))
            if not rows:
                raise KeyError(id)
            try:
                card: dict[str, Any] = json.loads(rows[0][0])
                return card
            except ValueError:
                if is_last:
                    raise
                self.rebuild(asked)
        raise KeyError(id)

    def names(self, ids: Collection[str]) -> dict[str, dict[str, str]]:
        """The names of those of some ids that there are."""
        sql = "SELECT id, name_en, name_zh FROM card WHERE id IN (SELECT value FROM json_each(?))"
        return {id: {"en": en, "zh": zh} for id, en, zh in self.query(sql, (json.dumps(list(ids)),))}

    def learning_path(self, id: str) -> dict[str, int]:
        """Everything to learn before a concept, the most basic first, each with its distance from the concept."""
        hard = "needed JOIN edge USING (id) WHERE rel = 'prerequisite' AND NOT soft"
        sql = f"""WITH RECURSIVE needed (id) AS (VALUES (?) UNION SELECT target FROM {hard})
                  SELECT id, target FROM {hard} ORDER BY id, place"""
        needs: dict[str, list[str]] = {}
        for one, other in self.query(sql, (id,)):
            needs.setdefault(one, []).append(other)
        return learning_path(needs, id)

    def concepts(self) -> Iterator[Concept]:
        """Every concept, by id."""
        return (self.concept(id) for (id,) in self.query("SELECT id FROM card ORDER BY id"))

    def concept(self, id: str) -> Concept:
        """The concept of an id, without its neighbours.

        Raises:
            KeyError: no such id.
        """
        from kb.concepts.model import Concept

        return Concept.from_json(self._stored(whole(id)))

    def __len__(self) -> int:
        return self.size()

    def rows(self, ids: Sequence[str] | None = None) -> list[Row]:
        """Every concept, or those of some ids, by id, as a list shows it."""
        query = "SELECT id, type, areas, name_en, name_zh, summary_en, summary_zh, demo FROM card"
        if ids is not None:
            query += " WHERE id IN (SELECT value FROM json_each(?))"
        return [
            Row(id, kind, tuple(areas.split()), Bilingual(en, zh), Bilingual(say_en, say_zh), demo)
            for id, kind, areas, en, zh, say_en, say_zh, demo in self.query(
                f"{query} ORDER BY id", () if ids is None else (json.dumps(ids),)
            )
        ]

    def word_places(self, words: Collection[str]) -> dict[str, str]:
        """Those of some words that the entries use, and where: in a name, the prose or a question."""
        sql = """SELECT text, CASE WHEN name THEN 'name' WHEN prose THEN 'prose' ELSE 'ask' END FROM word
                 WHERE text IN (SELECT value FROM json_each(?))"""
        return dict(self.query(sql, (json.dumps(list(words)),)))

    def name_words(self, shortest: int) -> list[str]:
        """The words of names that have at least so many letters."""
        sql = "SELECT text FROM word WHERE name > 0 AND length(text) >= ?"
        return [text for (text,) in self.query(sql, (shortest,))]

    def passages(self) -> list[tuple[str, str, str, str]]:
        """(id, part, language, text) of everything that the encoder sees, concept by concept."""
        from kb.snapshot.compile import make_passages

        return [row for concept in self.concepts() for row in make_passages(concept)]

    def size(self) -> int:
        """How many concepts there are."""
        return int(self.meta("size"))

    def ranked(self, match: str, weights: Sequence[float], limit: int) -> dict[str, float]:
        """BM25 of the concepts that an FTS5 query matches, larger is better, best first.

        Args:
            weights: Of the columns names, summary, asks, body.
        """
        sql = f"""SELECT id, -bm25(lexical, {", ".join(map(str, weights))}) AS score
                  FROM lexical JOIN card ON card.place = lexical.rowid
                  WHERE lexical MATCH ? ORDER BY score DESC, id LIMIT ?"""
        return dict(self.query(sql, (match, limit)))

    def usage(self, word: str, id: str) -> tuple[int, bool]:
        """How many concepts use a word, and whether that of an id does."""
        sql = """SELECT count(*), max(rowid = (SELECT place FROM card WHERE id = ?))
                 FROM lexical WHERE lexical MATCH ?"""
        quoted = '"' + word.replace('"', "") + '"'
        count, there = self.query(sql, (id, quoted))[0]
        return int(count), bool(there)

    def count(self, match: str, most: int) -> int:
        """How many concepts an FTS5 query matches, counted no further than `most`."""
        sql = "SELECT count(*) FROM (SELECT 1 FROM lexical WHERE lexical MATCH ? LIMIT ?)"
        return int(self.query(sql, (match, most))[0][0])


def open_store(sources: Sequence[Path], cache: Path) -> Store:
    """Open the snapshot of some files, each laid over those before it; it is built first where it is not fresh.

    Raises:
        KbError: the sources cannot be read or are wrong.
    """
    return Store(*open_snapshot(sources, cache))
