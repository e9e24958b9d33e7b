"""What the snapshot knows: names, cards, words, texts. All SQL that reads stands here."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from kb.concepts.route import learning_path
from kb.errors import KbError, Way
from kb.language.surface import fold, strip_tones
from kb.language.text import Bilingual, whole
from kb.snapshot.life import Snapshot, open_snapshot

if TYPE_CHECKING:
    from kb.concepts.card import Card
    from kb.concepts.model import Concept

_NAMES = "status NOT IN ('pinyin', 'initials')"
"""The rows of `surface` that name a concept; the others only sound like it."""


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
        """Every concept that a name means: none, one, or the candidates of an ambiguous one. An id is exact.

        What is known as it stands is that; else marks around it, brackets behind it and modules before it fall away.
        """
        name = whole(name)
        found = self._named(name)
        if len(found) == 1:
            return found
        from kb.language.marks import undressed

        forms = [form.strip() for form in undressed(name)]
        found = found or next(filter(None, map(self._named, forms)), [])
        return [match for match in found if match.id in forms] or found or self._named_in_parts(forms[-1])

    def _named(self, name: str) -> list[Match]:
        """The concepts of a name as it stands."""
        sql = f"""SELECT surface.id, text, status, name_en, name_zh FROM surface JOIN card USING (id)
                  WHERE key = ? AND {_NAMES}"""
        rows = self.query(sql, (fold(name, titles=True),)) or ("《" in name and self.query(sql, (fold(name),))) or []
        named = [row for row in rows if row[2] != "title"] or rows
        found: dict[str, Match] = {}
        for id, text, status, en, zh in named:
            found.setdefault(id, Match(id, text, status, Bilingual(en, zh)))
        return list(found.values())

    def _named_in_parts(self, name: str) -> list[Match]:
        """The concepts of a name with another behind it, or of one in code.

        Where both names are known they mean what they have in common. If that is nothing, the one in brackets says in
        what field the other is meant, `Attention (Transformer)`; two names side by side mean nothing then.
        """
        from kb.language.marks import in_brackets, in_code, in_two_scripts, may_be_one

        if found := next(filter(None, map(self._named, in_code(name))), []):
            return found
        brackets = in_brackets(name)
        parts = brackets or in_two_scripts(name)
        if parts is None:
            return []
        one, other = map(self.resolve, parts)
        common = {match.id for match in one} & {match.id for match in other}
        both = [match for match in one if match.id in common]
        if not brackets:
            return both
        return both or one or (other if may_be_one(*parts) else [])

    def find(self, name: str) -> Match:
        """The one concept that a name means.

        Raises:
            KbError: it means none (the hint names neighbours) or several (they are the ways out).
        """
        name = whole(name)
        matches = self.resolve(name)
        if len(matches) == 1:
            return matches[0]
        if matches:
            said = Bilingual(f"'{name}' names {len(matches)} concepts", f"“{name}”对应 {len(matches)} 个概念")
            raise KbError(said, ways=[Way("explain", m.id, Bilingual(*[", ".join(m.name)] * 2)) for m in matches])
        if not name.strip():
            raise KbError(Bilingual("an empty name", "名称为空"), ways=[Way("list")])
        near = self.neighbours(name)
        en, zh = ", ".join(_called(m, m.name.en) for m in near), "、".join(_called(m, m.name.zh) for m in near)
        raise KbError(
            Bilingual(f"no concept named '{name}'", f"没有名为“{name}”的概念"),
            Bilingual(f"did you mean {en}?", f"是否想找：{zh}？") if near else None,
            [Way("search", name)],
        )

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
        return cast("Card", {**card, **formulas})

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
        return (self.concept(id) for (id,) in self.query("SELECT id FROM card ORDER BY id"))

    def concept(self, id: str) -> Concept:
        """The concept of an id, without its neighbours.

        Raises:
            KeyError: no such id.
        """
        from kb.concepts.model import Concept

        return Concept.from_json(self._stored(whole(id)))

    def __len__(self) -> int:
        return int(self.query("SELECT count(*) FROM card")[0][0])

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
        """Concepts whose names are spelled or sound like a name that did not resolve, nearest first.

        What is known in brackets stands before all others, and then those whose pinyin begins with these very letters.
        """
        from rapidfuzz import fuzz, process

        from kb.language.marks import in_brackets, in_code, undressed

        bare = [*undressed(whole(name))][-1]
        name = [bare, *in_code(bare)][-1]
        query = "SELECT key, surface.id, text, status, name_en, name_zh FROM surface JOIN card USING (id) WHERE "
        rows = self.query(query + "status != 'initials'")
        key = fold(strip_tones(name) if not any("\u3400" <= c <= "\u9fff" for c in name) else name)
        cutoff = 70 if len(key) > 3 else 60
        ranked = process.extract(key, [row[0] for row in rows], scorer=fuzz.ratio, limit=40, score_cutoff=cutoff)
        near = self.query(query + "status = 'initials' AND key = ?", (key,)) + [rows[place] for _, _, place in ranked]
        found = {match.id: match for part in in_brackets(bare) or () for match in self.resolve(part)}
        for _, id, text, status, en, zh in near:
            found.setdefault(id, Match(id, text, status, Bilingual(en, zh)))
        return list(found.values())[:limit]

    def names_from(self, start: str, limit: int, *, demos: bool = False) -> list[str]:
        """Ids, names and aliases whose key begins so: ids and names first, short ones before long ones.

        Args:
            demos: Only of concepts that have a demo.
        """
        sql = """SELECT DISTINCT text FROM surface WHERE key >= ? AND key < ? AND status IN ('id', 'name', 'alias')
                 AND (NOT ? OR EXISTS (SELECT 1 FROM card WHERE card.id = surface.id AND demo IS NOT NULL))
                 ORDER BY status = 'alias', length(text) LIMIT ?"""
        return [text for (text,) in self.query(sql, (start, start + "\U0010ffff", demos, limit))]

    def named_by(self, keys: Collection[str]) -> list[tuple[str, str]]:
        """(key, id) of the concepts that have one of these keys; pinyin names nothing."""
        sql = f"SELECT DISTINCT key, id FROM surface WHERE key IN (SELECT value FROM json_each(?)) AND {_NAMES}"
        return self.query(sql, (json.dumps(list(keys)),))

    def keys(self, keys: Collection[str]) -> set[str]:
        """Those of some keys that a concept is spelled or sounds like."""
        sql = "SELECT key FROM surface WHERE key IN (SELECT value FROM json_each(?)) AND status != 'initials'"
        return {key for (key,) in self.query(sql, (json.dumps(list(keys)),))} if keys else set()

    def sounding_like(self, spelled: Collection[str]) -> dict[str, str]:
        """The Chinese names that are spelled so in pinyin, the shortest of each."""
        sql = """SELECT key, text FROM surface WHERE key IN (SELECT value FROM json_each(?)) AND status = 'pinyin'
                 ORDER BY length(text) DESC, text DESC"""
        return dict(self.query(sql, (json.dumps(sorted(spelled)),))) if spelled else {}

    def abbreviated(self, initials: Collection[str]) -> dict[str, str]:
        """The Chinese names whose pinyin begins with these letters, of those that one concept alone has."""
        sql = """SELECT key, min(text) FROM surface WHERE key IN (SELECT value FROM json_each(?))
                 GROUP BY key HAVING count(DISTINCT id) = 1 AND min(status = 'initials')"""
        return dict(self.query(sql, (json.dumps(sorted(initials)),))) if initials else {}

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
        """How many concepts there are, at most."""
        return int(self.query("SELECT coalesce(max(place), 0) FROM card")[0][0])

    def ranked(self, match: str, weights: Sequence[float], limit: int) -> dict[str, float]:
        """BM25 of the concepts that an FTS5 query matches, larger is better, best first.

        Args:
            weights: Of the columns names, summary, asks, body.
        """
        sql = f"""SELECT id, score FROM (
                      SELECT rowid AS place, -bm25(lexical, {", ".join(map(str, weights))}) AS score FROM lexical
                      WHERE lexical MATCH ? ORDER BY score DESC LIMIT ?
                  ) JOIN card USING (place) ORDER BY score DESC"""
        return dict(self.query(sql, (match, limit)))

    def count(self, match: str, most: int) -> int:
        """How many concepts an FTS5 query matches, counted no further than `most`."""
        sql = "SELECT count(*) FROM (SELECT 1 FROM lexical WHERE lexical MATCH ? LIMIT ?)"
        return int(self.query(sql, (match, most))[0][0])


def _called(match: Match, name: str) -> str:
    """The surface form that is near, with the concept's name where that differs; pinyin shows its 汉字."""
    return name if match.status == "id" or match.text in match.name else f"{match.text} ({name})"


def open_store(sources: Sequence[Path], cache: Path) -> Store:
    """Open the snapshot of some files, each laid over those before it; it is built first where it is not fresh.

    Raises:
        KbError: the sources cannot be read or are wrong.
    """
    return Store(*open_snapshot(sources, cache))
