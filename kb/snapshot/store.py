"""The SQLite snapshot of the knowledge base: opened in a millisecond, rebuilt by itself, safe to lose.

A snapshot belongs to one set of source files. It is fresh while these look the same from outside: size, times, inode;
where they do not, their hash decides. It is never written in place, so several processes may build it at once and a
crash leaves the old one; where the cache cannot be written, it lives in memory for the one command.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kb import __version__
from kb.concepts.route import learning_path
from kb.errors import KbError
from kb.files import Content, State, read_named, state_of, sweep, write
from kb.language.surface import fold, strip_tones
from kb.language.text import Bilingual, whole

if TYPE_CHECKING:
    from kb.concepts.model import Concept

SCHEMA = f"8-{__version__}"
SETTLED = 2_000_000_000
"""Nanoseconds after which a change of a file shows in its times, on every file system."""
KEPT = 8
"""Snapshots of other knowledge bases, and of other versions, that are kept."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR)

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
    """Read access to one snapshot, from any thread; use `open_store`."""

    def __init__(self, opened: Opened, rebuild: Callable[[], Opened]) -> None:
        self.connection, self.path = opened
        self._rebuild = rebuild
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the file; a query afterwards is an error."""
        self.connection.close()

    def __del__(self) -> None:
        with suppress(AttributeError, sqlite3.Error):
            self.close()

    def query(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of a query; a snapshot that turns out to be damaged is built anew first."""
        with self._lock:
            try:
                return self.connection.execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    raise
                self.connection.close()
                self.connection, self.path = self._rebuild()
                return self.connection.execute(sql, values).fetchall()

    def meta(self, key: str) -> str:
        """A value of the snapshot's own description: schema, stamp, source, where, passages."""
        return next((str(value) for (value,) in self.query("SELECT value FROM meta WHERE key = ?", (key,))), "")

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
        formulas = {key: card.pop(key) for key in ("formula_text", "symbols_text")}
        linked, before = card.pop("linked"), self.learning_path(id)
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


def _called(match: Match, name: str) -> str:
    """The surface form that is near, with the concept's name where that differs; pinyin shows its 汉字."""
    return name if match.status == "id" or match.text in match.name else f"{match.text} ({name})"


def open_store(data: Path, overlay: Path | None, cache: Path) -> Store:
    """Open the snapshot of the given sources, building it first where it is missing, stale or damaged.

    Raises:
        KbError: the sources cannot be read or are wrong.
    """
    paths = [path.absolute() for path in (data, overlay) if path is not None]
    where = f"{zlib.crc32(repr(paths).encode('utf-8', 'surrogatepass')):08x}"  # the stamp tells two that share it apart
    path = cache / f"concepts-{SCHEMA}-{where}.sqlite"
    opened = _open_fresh(path, paths)
    return Store(opened or _build(path, paths, where), lambda: _build(path, paths, where))


def _stamp(paths: Sequence[Path], states: Sequence[State]) -> str:
    """What the sources look like from outside."""
    return json.dumps([[str(path), *state] for path, state in zip(paths, states, strict=True)])


def _states(paths: Sequence[Path]) -> list[State]:
    try:
        return [state_of(path, follow=True) for path in paths]
    except (OSError, ValueError):  # reading them will say what is wrong
        return []


class _Read(NamedTuple):
    """The sources, read once, and what is noted of them."""

    contents: list[Content]
    stamp: str
    digest: str


def _read(paths: Sequence[Path]) -> _Read:
    """Read every source once; its stamp is empty while a file is so young that a change might not show in it.

    Raises:
        KbError: one of them cannot be read.
    """
    import hashlib

    contents = [_read_source(path) for path in paths]
    now = time.time_ns()
    is_settled = all(content.state.changed < now - SETTLED for content in contents)
    stamp = _stamp(paths, [content.state for content in contents]) if is_settled else ""
    named = b"\0".join(os.fsencode(path) + b"\0" + content.data for path, content in zip(paths, contents, strict=True))
    return _Read(contents, stamp, hashlib.sha256(named).hexdigest())


def _read_source(path: Path) -> Content:
    try:
        return read_named(path)
    except KbError as error:
        message = error.message
        if isinstance(error.__cause__, FileNotFoundError):
            message = Bilingual(f"no knowledge base at {path}", f"找不到知识库文件 {path}")
        doctor = Bilingual(
            "check --data, KB_DATA and the config; kb doctor shows them",
            "请检查 --data、KB_DATA 和配置；kb doctor 可查看",
        )
        raise KbError(message, doctor) from error


def _open_fresh(path: Path, paths: Sequence[Path]) -> Opened | None:
    """The snapshot, where it is there, whole at its head, and of the sources as they are."""
    try:
        connection = _open_file(path)
    except sqlite3.Error:
        return None
    try:
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        if meta["schema"] == SCHEMA:
            if meta["stamp"] == _stamp(paths, _states(paths)):
                return connection, path
            read = _read(paths)
            if meta["source"] == read.digest:
                return (_restamp(connection, path, read.stamp) if read.stamp else connection), path
    except (sqlite3.Error, KeyError):  # damaged: built anew
        pass
    except KbError:
        connection.close()
        raise
    connection.close()
    return None


def _open_file(path: Path) -> sqlite3.Connection:
    """A snapshot on disk. Nobody writes to one in place, so nothing beside it counts and nothing is locked."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _in_memory(image: bytes = b"") -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    if image:
        connection.deserialize(image)
    return connection


def _restamp(connection: sqlite3.Connection, path: Path, stamp: str) -> sqlite3.Connection:
    """Note the new time of unchanged sources; where that fails, they are hashed again next time."""
    try:
        copy = _in_memory(connection.serialize())
        copy.execute("UPDATE meta SET value = ? WHERE key = 'stamp'", (stamp,))
        copy.commit()
        write(path, copy.serialize(), durable=False)
    except (OSError, sqlite3.Error):
        return connection
    connection.close()
    return copy


def _build(path: Path, paths: Sequence[Path], where: str) -> Opened:
    """A new snapshot, made in memory and then written beside its place and renamed into it."""
    from kb.concepts.source import Source
    from kb.snapshot.compile import compile_into

    read = _read(paths)
    sources = [Source(path, content.data) for path, content in zip(paths, read.contents, strict=True)]
    connection = _in_memory()
    meta = {"schema": SCHEMA, "stamp": read.stamp, "source": read.digest, "where": where}
    compile_into(connection, sources, meta)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path)
        write(path, connection.serialize(), durable=False)
    except OSError:  # the cache cannot be written: it lives in memory, for this command
        return connection, None
    return connection, path


def _tidy(path: Path) -> None:
    """Remove what crashes and older versions left beside a snapshot, and the oldest of the others."""
    sweep(path.parent)
    litter = [*path.parent.glob("concepts-*.sqlite-*"), *path.parent.glob("concepts-*.sqlite.*.tmp")]
    others = [other for other in path.parent.glob("concepts-*.sqlite") if other != path]
    for other in litter + sorted(others, key=lambda other: -state_of(other).modified)[KEPT:]:
        with suppress(OSError):
            other.unlink()
