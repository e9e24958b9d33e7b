"""What the snapshot knows: names, cards, words, texts. All SQL that reads stands here."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kb.concepts.route import learning_path
from kb.errors import KbError
from kb.language.surface import fold, strip_tones
from kb.language.text import Bilingual, whole
from kb.snapshot.life import Snapshot, open_snapshot

if TYPE_CHECKING:
    from kb.concepts.model import Concept


class Match(NamedTuple):
    """A concept that a name resolves to, and the surface form that did it."""

    id: str
    text: str
    status: str
    name: Bilingual


class Row(NamedTuple):
    """What a list shows of a concept."""

    id: str
    type: str
    areas: tuple[str, ...]
    name: Bilingual
    summary: Bilingual
    demo: str | None


class Store(Snapshot):
    """One snapshot, asked for what its tables hold; use `open_store`."""

    def resolve(self, name: str) -> list[Match]:
        """Every concept that a name means: none, one, or the candidates of an ambiguous one. An id is exact."""
        name = whole(name)
        sql = """SELECT surface.id, text, status, name_en, name_zh FROM surface JOIN card USING (id)
                 WHERE key = ? AND status != 'pinyin'"""
        rows = self.query(sql, (fold(name, titles=True),)) or ("《" in name and self.query(sql, (fold(name),))) or []
        named = [row for row in rows if row[2] != "title"] or rows
        found: dict[str, Match] = {}
        for id, text, status, en, zh in named:
            found.setdefault(id, Match(id, text, status, Bilingual(en, zh)))
        own = found.get(name.strip())
        return [own] if own else list(found.values())

    def find(self, name: str) -> Match:
        """The one concept that a name means.

        Raises:
            KbError: it means none (the hint names neighbours) or several (the hint lists them).
        """
        name = whole(name)
        matches = self.resolve(name)
        if len(matches) == 1:
            return matches[0]
        if matches:
            listed = "\n".join(f"kb explain {m.id}    # {m.name.en}, {m.name.zh}" for m in matches)
            raise KbError(
                Bilingual(f"'{name}' names {len(matches)} concepts", f"“{name}”对应 {len(matches)} 个概念"),
                Bilingual(listed, listed),
            )
        if not name.strip():
            raise KbError(Bilingual("an empty name", "名称为空"), Bilingual("kb list shows all", "kb list 列出全部"))
        near = self.neighbours(name)
        en = f"did you mean {', '.join(_called(m, m.name.en) for m in near)}?\n" if near else ""
        zh = f"是否想找：{'、'.join(_called(m, m.name.zh) for m in near)}？\n" if near else ""
        quoted = re.sub(r'["$`\\\\!]', "", name)[:60]
        raise KbError(
            Bilingual(f"no concept named '{name}'", f"没有名为“{name}”的概念"),
            Bilingual(f'{en}kb search "{quoted}" looks by meaning', f'{zh}kb search "{quoted}" 可按含义查找'),
        )

    def card(self, id: str, *, paths: bool = True) -> dict[str, Any]:
        """The card of a concept: its JSON form, and its neighbours with their names.

        Args:
            paths: With all that is to be learnt before it, which may be long.

        Raises:
            KeyError: no such id.
        """
        card = self._stored(whole(id))
        formulas = {key: card.pop(key) for key in ("formula_text", "symbols_text")}
        linked, before = card.pop("linked"), self.learning_path(id) if paths else {}
        edges = self.query("SELECT rel, target, why_en, why_zh FROM edge WHERE id = ? ORDER BY place", (id,))
        after = sorted(target for rel, target, *_ in edges if rel == "leads_to")
        names = self.names({*linked, *before, *(target for _, target, *_ in edges)})
        card["related"] = [
            {"rel": rel, "to": target, "name": names[target], "why": en and {"en": en, "zh": zh}}
            for rel, target, en, zh in edges
        ]
        card["learn_first"] = [{"id": id, "name": names[id], "distance": distance} for id, distance in before.items()]
        card["leads_to"] = [{"id": id, "name": names[id]} for id in after]
        card["link_names"] = {id: names[id] for id in linked if id in names}
        return {**card, **formulas}

    def _stored(self, id: str) -> dict[str, Any]:
        """What the card of a concept holds; where that cannot be read, the snapshot is built anew."""
        for is_last in (False, True):
            rows = self.query("SELECT json FROM card WHERE id = ?", (id,))
            if not rows:
                raise KeyError(id)
            try:
                card: dict[str, Any] = json.loads(rows[0][0])
                return card
            except ValueError:
                if is_last:
                    raise
                self.rebuild()
        raise KeyError(id)

    def names(self, ids: Collection[str]) -> dict[str, dict[str, str]]:
        """The names of those of some ids that there are."""
        sql = "SELECT id, name_en, name_zh FROM card WHERE id IN (SELECT value FROM json_each(?))"
        return {id: {"en": en, "zh": zh} for id, en, zh in self.query(sql, (json.dumps(list(ids)),))}

    def learning_path(self, id: str) -> dict[str, int]:
        """Everything to learn before a concept, the most basic first, each with its distance from the concept."""
        sql = """WITH RECURSIVE needed (id) AS (
                     VALUES (?) UNION SELECT target FROM edge JOIN needed USING (id) WHERE rel = 'prerequisite'
                 )
                 SELECT id, target FROM edge JOIN needed USING (id) WHERE rel = 'prerequisite' ORDER BY id, place"""
        needs: dict[str, list[str]] = {}
        for one, other in self.query(sql, (id,)):
            needs.setdefault(one, []).append(other)
        return learning_path(needs, id)

    def concepts(self) -> Iterator[Concept]:
        """Every concept, by id."""
        from kb.concepts.model import Concept

        for (id,) in self.query("SELECT id FROM card ORDER BY id"):
            yield Concept.from_json(self._stored(id))

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

    def neighbours(self, name: str, limit: int = 5) -> list[Match]:
        """Concepts whose names are spelled or sound like a name that did not resolve, nearest first."""
        from rapidfuzz import fuzz, process

        name = whole(name)
        query = "SELECT key, surface.id, text, status, name_en, name_zh FROM surface JOIN card USING (id)"
        rows = self.query(query)
        key = fold(strip_tones(name) if not any("\u3400" <= c <= "\u9fff" for c in name) else name)
        cutoff = 70 if len(key) > 3 else 60
        ranked = process.extract(key, [row[0] for row in rows], scorer=fuzz.ratio, limit=40, score_cutoff=cutoff)
        found: dict[str, Match] = {}
        for _, _, position in ranked:
            _, id, text, status, en, zh = rows[position]
            found.setdefault(id, Match(id, text, status, Bilingual(en, zh)))
        return list(found.values())[:limit]

    def names_from(self, start: str, limit: int) -> list[str]:
        """Ids, names and aliases whose key begins so: ids and names first, short ones before long ones."""
        sql = """SELECT DISTINCT text FROM surface WHERE key >= ? AND key < ? AND status IN ('id', 'name', 'alias')
                 ORDER BY status = 'alias', length(text) LIMIT ?"""
        return [text for (text,) in self.query(sql, (start, start + "\U0010ffff", limit))]

    def named_by(self, keys: Collection[str]) -> list[tuple[str, str]]:
        """(key, id) of the concepts that have one of these keys; pinyin names nothing."""
        sql = """SELECT DISTINCT key, id FROM surface
                 WHERE key IN (SELECT value FROM json_each(?)) AND status != 'pinyin'"""
        return self.query(sql, (json.dumps(list(keys)),))

    def keys(self, keys: Collection[str]) -> set[str]:
        """Those of some keys that a concept is spelled or sounds like."""
        sql = "SELECT key FROM surface WHERE key IN (SELECT value FROM json_each(?))"
        return {key for (key,) in self.query(sql, (json.dumps(list(keys)),))} if keys else set()

    def sounding_like(self, spelled: Collection[str]) -> dict[str, str]:
        """The Chinese names that are spelled so in pinyin, the shortest of each."""
        sql = """SELECT key, text FROM surface WHERE key IN (SELECT value FROM json_each(?)) AND status = 'pinyin'
                 ORDER BY length(text) DESC, text DESC"""
        return dict(self.query(sql, (json.dumps(sorted(spelled)),))) if spelled else {}

    def word_places(self, words: Collection[str]) -> dict[str, str]:
        """Those of some words that the entries use, and where: in a name, the prose or a question."""
        sql = "SELECT text, place FROM word WHERE text IN (SELECT value FROM json_each(?))"
        return dict(self.query(sql, (json.dumps(list(words)),)))

    def name_words(self, shortest: int) -> list[str]:
        """The words of names that have at least so many letters."""
        sql = "SELECT text FROM word WHERE place = 'name' AND length(text) >= ?"
        return [text for (text,) in self.query(sql, (shortest,))]

    def passages(self) -> list[tuple[str, str, str, str]]:
        """(id, part, language, text) of everything that the encoder sees, concept by concept."""
        return self.query("SELECT id, part, language, text FROM passage ORDER BY rowid")

    def size(self) -> int:
        """How many concepts there are, at most."""
        return int(self.query("SELECT coalesce(max(rowid), 0) FROM lexical")[0][0])

    def ranked(self, match: str, weights: Sequence[float], limit: int) -> dict[str, float]:
        """BM25 of the concepts that an FTS5 query matches, larger is better, best first.

        Args:
            weights: Of the columns id, names, summary, asks, body.
        """
        sql = f"""SELECT id, score FROM (
                      SELECT rowid AS place, -bm25(lexical, {", ".join(map(str, weights))}) AS score FROM lexical
                      WHERE lexical MATCH ? ORDER BY score DESC LIMIT ?
                  ) JOIN lexical ON lexical.rowid = place ORDER BY score DESC"""
        return dict(self.query(sql, (match, limit)))

    def count(self, match: str, most: int) -> int:
        """How many concepts an FTS5 query matches, counted no further than `most`."""
        sql = "SELECT count(*) FROM (SELECT 1 FROM lexical WHERE lexical MATCH ? LIMIT ?)"
        return int(self.query(sql, (match, most))[0][0])


def _called(match: Match, name: str) -> str:
    """The surface form that is near, with the concept's name where that differs; pinyin shows its 汉字."""
    return name if match.status == "id" or match.text in match.name else f"{match.text} ({name})"


def open_store(data: Path, overlay: Path | None, cache: Path) -> Store:
    """Open the snapshot of the given sources, building it first where it is missing, stale or damaged.

    Raises:
        KbError: the sources cannot be read or are wrong.
    """
    return Store(*open_snapshot(data, overlay, cache))
