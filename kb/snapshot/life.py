"""The life of a snapshot: opened in a millisecond, rebuilt by itself, safe to lose.

A snapshot belongs to one set of source files. It is fresh while these look the same from outside: size, times, inode;
where they do not, their hash decides. It is never written in place, so several processes may build it at once and a
crash leaves the old one; where the cache cannot be written, it lives in memory for the one command.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kb import files
from kb.errors import KbError, Way
from kb.files import Content, State, read_named, state_of, sweep, write
from kb.language.text import Bilingual
from kb.paths import shipped_data
from kb.snapshot.tables import SCHEMA

if TYPE_CHECKING:
    from kb.concepts.source import Source

SETTLED = 2_000_000_000
"""Nanoseconds after which a change of a file shows in its times, on every file system."""
KEPT = 8
"""Snapshots of other knowledge bases, and of other versions, that are kept."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR)

Opened = tuple[sqlite3.Connection, Path | None]
"""A snapshot, and where it lies; None where it lives in memory."""


class Snapshot:
    """Read access to one snapshot, from any thread."""

    def __init__(self, opened: Opened, rebuild: Callable[[], Opened]) -> None:
        self.connection, self.path = opened
        self._rebuild = rebuild
        self._lock = threading.RLock()

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
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED and "decode" not in str(error):
                    raise
                self.rebuild(self.connection)
                return self.connection.execute(sql, values).fetchall()

    def rebuild(self, damaged: sqlite3.Connection) -> None:
        """Build a snapshot that turned out to be damaged anew, unless another thread has.

        Raises:
            KbError: the sources cannot be read or are wrong by now.
        """
        with self._lock:
            if self.connection is damaged:
                self.connection, self.path = self._rebuild()
                damaged.close()

    def meta(self, key: str) -> str:
        """A value of the snapshot's own description: schema, stamp, source, where, passages."""
        return next((str(value) for (value,) in self.query("SELECT value FROM meta WHERE key = ?", (key,))), "")


def open_snapshot(sources: Sequence[Path], cache: Path) -> tuple[Opened, Callable[[], Opened]]:
    """The snapshot of some files, built first where it is missing, stale or damaged; and how to build it anew.

    Raises:
        KbError: the sources cannot be read or are wrong.
    """
    try:
        paths = [path.absolute() for path in sources]
        cache = cache.absolute()
    except FileNotFoundError as error:
        gone = Bilingual("the current folder is gone", "当前文件夹已不存在")
        raise KbError(gone, Bilingual("cd to one that is there", "请切换到存在的文件夹")) from error
    where = f"{zlib.crc32(repr(paths).encode('utf-8', 'surrogatepass')):08x}"  # the stamp tells two that share it apart
    path = cache / f"concepts-{SCHEMA}-{where}.sqlite"
    opened = _open_fresh(path, paths) or _open_shipped(path, paths, where)
    return opened or _build(path, paths, where, anew=False), lambda: _build(path, paths, where, anew=True)


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
    contents = [_read_source(path) for path in paths]
    now = time.time_ns()
    is_settled = all(content.state.changed < now - SETTLED for content in contents)
    stamp = _stamp(paths, [content.state for content in contents]) if is_settled else ""
    return _Read(contents, stamp, digest_of(content.data for content in contents))


def digest_of(sources: Iterable[bytes]) -> str:
    """What tells the content of some files from any other."""
    import hashlib

    return hashlib.sha256(b"".join(b"%d:%s" % (len(data), data) for data in sources)).hexdigest()


def _read_source(path: Path) -> Content:
    try:
        return read_named(path)
    except KbError as error:
        message = error.message
        if isinstance(error.__cause__, FileNotFoundError):
            message = Bilingual(f"no knowledge base at {path}", f"找不到知识库文件 {path}")
        raise KbError(message, ways=[Way("doctor")]) from error


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
                return _noted(connection, path, {"stamp": read.stamp}) if read.stamp else (connection, path)
    except (sqlite3.Error, KeyError, ValueError):  # damaged: built anew
        pass
    except KbError:
        connection.close()
        raise
    connection.close()
    return None


def _open_file(path: Path) -> sqlite3.Connection:
    """A snapshot on disk. Nobody writes to one in place, so nothing beside it counts and nothing is locked."""
    if not path.is_file():  # a pipe would be waited for
        raise sqlite3.OperationalError("no such file")
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _in_memory(image: bytes = b"") -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    if image:
        connection.deserialize(image)
    return connection


def _open_shipped(path: Path, paths: Sequence[Path], where: str) -> Opened | None:
    """What an installed kb brings, kept in the cache, where the sources are as they were shipped and nothing else."""
    for shipped in _shipped(paths):
        with suppress(sqlite3.Error, KeyError, ValueError):  # there is none, or it is damaged
            connection, read = _open_file(shipped), _read(paths)
            meta = dict(connection.execute("SELECT key, value FROM meta"))
            if (meta["schema"], meta["source"]) == (SCHEMA, read.digest):
                return _noted(connection, path, {"stamp": read.stamp, "where": where})
            connection.close()
    return None


def _noted(connection: sqlite3.Connection, path: Path, about: dict[str, str]) -> Opened:
    """A copy of a snapshot that says something else of itself, in the cache, or in memory where that is not written."""
    copy = _in_memory(connection.serialize())
    with copy:
        copy.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", about.items())
    connection.close()
    return copy, path if _kept(copy, path) else None


def _kept(connection: sqlite3.Connection, path: Path) -> bool:
    """Write a snapshot beside its place and rename it into it; False where the cache cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path)
        write(path, connection.serialize())
    except OSError:
        return False
    return True


def _build(path: Path, paths: Sequence[Path], where: str, *, anew: bool) -> Opened:
    """A snapshot of the sources as they are, made in memory and kept in the cache.

    Args:
        anew: Whether nothing of an older one is used.
    """
    from kb.concepts.source import Source

    read = _read(paths)
    sources = [Source(path, content.data) for path, content in zip(paths, read.contents, strict=True)]
    meta = {"schema": SCHEMA, "stamp": read.stamp, "source": read.digest, "where": where}
    older = [] if anew else [path, *_shipped(paths)]
    connection = next(filter(None, (_updated(each, sources, meta) for each in older)), None) or _compiled(sources, meta)
    return connection, path if _kept(connection, path) else None


def _shipped(paths: Sequence[Path]) -> list[Path]:
    """The snapshot of the shipped entries, which an installed kb has, where these are among the sources."""
    folder = shipped_data()
    return [folder / "concepts.sqlite"] if (folder / "concepts.yaml").absolute() in paths else []


def _compiled(sources: Sequence[Source], meta: dict[str, str]) -> sqlite3.Connection:
    from kb.snapshot.update import update

    connection = _in_memory()
    update(connection, sources, meta)
    return connection


def _updated(path: Path, sources: Sequence[Source], meta: dict[str, str]) -> sqlite3.Connection | None:
    """An older snapshot, brought to the present state of the sources; None where it is missing or damaged."""
    from kb.snapshot.update import update

    try:
        connection = _in_memory(files.read(path).data)
        is_whole = connection.execute("PRAGMA quick_check (1)").fetchone() == ("ok",)
        if is_whole and ("schema", SCHEMA) in connection.execute("SELECT key, value FROM meta"):
            update(connection, sources, meta)
            return connection
    except (OSError, ValueError, LookupError, TypeError, AttributeError, sqlite3.Error):  # whatever its bytes mean
        pass
    return None


def _tidy(path: Path) -> None:
    """Remove what crashes and older versions left beside a snapshot, and the oldest of the others."""
    sweep(path.parent)
    litter = [*path.parent.glob("concepts-*.sqlite-*"), *path.parent.glob("concepts-*.sqlite.*.tmp")]
    others = [other for other in path.parent.glob("concepts-*.sqlite") if other != path]
    for other in litter + sorted(others, key=lambda other: -state_of(other).modified)[KEPT:]:
        with suppress(OSError):
            other.unlink()
