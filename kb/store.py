"""The SQLite snapshot of the knowledge base: opened in a millisecond, rebuilt by itself, safe to lose.

A snapshot belongs to one set of source files. It is fresh while their size and time stand; where these differ,
their hash decides. It is built beside its place and renamed into it, so several processes may do so at once; where the
cache cannot be written, it lives in memory for the one command.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kb import __version__
from kb.errors import KbError
from kb.surface import fold, strip_tones
from kb.text import Bilingual

if TYPE_CHECKING:
    from kb.model import Concept

SCHEMA = f"6-{__version__}"


Opened = tuple[sqlite3.Connection, Path | None]
"""A snapshot, and where it lies; None where it lives in memory."""


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


class Store:
    """Read access to one snapshot; use `open_store`."""

    def __init__(self, opened: Opened, rebuild: Callable[[], Opened]) -> None:
        self.connection, self.path = opened
        self._rebuild = rebuild

    def query(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of a query; a snapshot that turns out to be damaged is built anew first."""
        try:
            return self.connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError:
            self.connection.close()
            self.connection, self.path = self._rebuild()
            return self.connection.execute(sql, values).fetchall()

    def meta(self, key: str) -> str:
        """A value of the snapshot's own description: schema, stamp, source, where, passages."""
        return next((str(value) for (value,) in self.query("SELECT value FROM meta WHERE key = ?", (key,))), "")

    def resolve(self, name: str) -> list[Match]:
        """Every concept that a name means: none, one, or the candidates of an ambiguous one."""
        sql = """SELECT surface.id, text, status, name_en, name_zh FROM surface JOIN card USING (id)
                 WHERE key = ? AND status != 'pinyin'"""
        rows = self.query(sql, (fold(name, titles=True),)) or ("《" in name and self.query(sql, (fold(name),))) or []
        named = [row for row in rows if row[2] != "title"] or rows
        found: dict[str, Match] = {}
        for id, text, status, en, zh in named:
            found.setdefault(id, Match(id, text, status, Bilingual(en, zh)))
        return list(found.values())

    def find(self, name: str) -> Match:
        """The one concept that a name means.

        Raises:
            KbError: it means none (the hint names neighbours) or several (the hint lists them).
        """
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
        quoted = name.replace('"', "")[:60]
        raise KbError(
            Bilingual(f"no concept named '{name}'", f"没有名为“{name}”的概念"),
            Bilingual(f'{en}kb search "{quoted}" looks by meaning', f'{zh}kb search "{quoted}" 可按含义查找'),
        )

    def card(self, id: str) -> dict[str, Any]:
        """The card of a concept: its JSON form, and its neighbours with their names.

        Raises:
            KeyError: no such id.
        """
        rows = self.query("SELECT json FROM card WHERE id = ?", (id,))
        if not rows:
            raise KeyError(id)
        card: dict[str, Any] = json.loads(rows[0][0])
        return card

    def concepts(self) -> Iterator[Concept]:
        """Every concept, by id."""
        from kb.model import Concept

        for (text,) in self.query("SELECT json FROM card ORDER BY id"):
            yield Concept.from_json(json.loads(text))

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


def _called(match: Match, name: str) -> str:
    """The surface form that is near, with the concept's name where that differs; pinyin shows its 汉字."""
    return name if match.status == "id" or match.text in match.name else f"{match.text} ({name})"


def open_store(data: Path, overlay: Path | None, cache: Path) -> Store:
    """Open the snapshot of the given sources, building it first where it is missing, stale or damaged.

    Raises:
        KbError: the sources cannot be read or are wrong.
    """
    sources = [path.resolve() for path in (data, overlay) if path is not None]
    stamp = _stamp(sources)
    where = f"{zlib.crc32(repr(sources).encode()):08x}"  # the stamp tells two that share it apart
    path = cache / f"concepts-{SCHEMA}-{where}.sqlite"

    def build() -> Opened:
        meta = {"schema": SCHEMA, "stamp": stamp, "source": _digest(sources), "where": where}
        return _build(path, data, overlay, meta)

    return Store(_open_fresh(path, stamp, sources) or build(), build)


def _stamp(sources: list[Path]) -> str:
    try:
        states = [path.stat() for path in sources]
    except OSError as error:
        missing = error.filename
        raise KbError(
            Bilingual(f"no knowledge base at {missing}", f"找不到知识库文件 {missing}"),
            Bilingual(
                "check --data, KB_DATA and the config; kb doctor shows them",
                "请检查 --data、KB_DATA 和配置；kb doctor 可查看",
            ),
        ) from error
    for path in sources:
        if path.is_dir():
            raise KbError(
                Bilingual(f"{path} is a folder, not a file", f"{path} 是文件夹，不是文件"),
                Bilingual("name the YAML file in it", "请指定其中的 YAML 文件"),
            )
    return json.dumps([[str(p), state.st_mtime_ns, state.st_size] for p, state in zip(sources, states, strict=True)])


def _digest(sources: list[Path]) -> str:
    import hashlib

    named = b"\0".join(str(path).encode() + path.read_bytes() for path in sources)
    return hashlib.sha256(named).hexdigest()


def _open_fresh(path: Path, stamp: str, sources: list[Path]) -> Opened | None:
    """The snapshot, where it is there, whole at its head, and of the sources as they are."""
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        fresh = meta.get("schema") == SCHEMA and meta.get("stamp") == stamp
        if not fresh and meta.get("schema") == SCHEMA and meta.get("source") == _digest(sources):
            _restamp(path, stamp)
            fresh = True
    except sqlite3.Error:
        return None  # missing or damaged: built anew
    if fresh:
        return connection, path
    connection.close()
    return None


def _restamp(path: Path, stamp: str) -> None:
    """Note the new time of unchanged sources; where that fails, they are hashed again next time."""
    try:
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'stamp'", (stamp,))
        connection.close()
    except sqlite3.Error:
        pass


def _build(path: Path, data: Path, overlay: Path | None, meta: dict[str, str]) -> Opened:
    from kb.compile import compile_into

    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        connection = sqlite3.connect(temporary)
        try:
            compile_into(connection, data, overlay, meta)
        finally:
            connection.close()
        temporary.replace(path)
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True), path
    except (OSError, sqlite3.OperationalError):
        connection = sqlite3.connect(":memory:")
        compile_into(connection, data, overlay, meta)
        return connection, None
    finally:
        with suppress(OSError):  # a folder that cannot be written holds nothing of ours
            temporary.unlink(missing_ok=True)
