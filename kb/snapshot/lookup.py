"""Names looked up: which concepts one means, which are near one that none has, how names are spelled and sound."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

from kb.errors import KbError, Way
from kb.language.surface import fold, strip_tones
from kb.language.text import Bilingual, whole
from kb.snapshot.life import Snapshot

_NAMES = "status NOT IN ('pinyin', 'initials')"
"""The rows of `surface` that name a concept; the others only sound like it."""


class Match(NamedTuple):
    """A concept that a name resolves to, and the surface form that did it."""

    id: str
    text: str
    status: str
    name: Bilingual


class Names(Snapshot):
    """What a snapshot knows of names."""

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


def _called(match: Match, name: str) -> str:
    """The surface form that is near, with the concept's name where that differs; pinyin shows its 汉字."""
    return name if match.status == "id" or match.text in match.name else f"{match.text} ({name})"
