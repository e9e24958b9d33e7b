"""Files, read and written in one way: whole or not at all, through no link, and nothing but files.

What is written stands beside its place first, under a random name that nobody can have planted, and is renamed into
place. Its writer holds a lock on it; what a crash leaves is held by nobody, so that `sweep` can tell and remove it.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from kb.errors import KbError
from kb.language.text import Bilingual

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed: that is the lock
    fcntl = None  # type: ignore[assignment]  # the module's name stands for whether it is here

_TEMPORARY = re.compile(r"\.kb-[0-9a-f]{16}\.tmp")
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class State(NamedTuple):
    """What tells one state of a file from another without reading it; times in nanoseconds."""

    size: int
    modified: int
    changed: int
    inode: int

    def is_like(self, other: State) -> bool:
        """Whether a file has not been written to since, though it may have been renamed."""
        return self._replace(changed=other.changed) == other


LARGEST = 1_000_000_000
"""Bytes of a file that somebody named."""
ABSENT = State(-1, 0, 0, 0)
"""The state of a file that is not there."""


class Content(NamedTuple):
    """A file's bytes, and its state before they were read."""

    data: bytes
    state: State


def state_of(path: Path, *, follow: bool = False) -> State:
    """The state of a file, or of a link itself, as it is now; ABSENT where there is none."""
    try:
        return _state(path.stat() if follow else path.lstat())
    except FileNotFoundError:
        return ABSENT


def read_named(path: Path) -> Content:
    """Read a file that the user named.

    Raises:
        KbError: it is not there, cannot be read, or is a folder, a pipe or a device.
    """
    try:
        return read(path, most=LARGEST)
    except (OSError, ValueError) as error:  # the latter for a name that can be none
        why = reason(error)
        raise KbError(Bilingual(f"cannot read {path}: {why.en}", f"无法读取 {path}：{why.zh}")) from error


def reason(error: Exception) -> Bilingual:
    """Why a file cannot be read or written; what the system says is put into Chinese where we know it."""
    if isinstance(error, OddFile):
        return error.said
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Bilingual(said, _IN_CHINESE.get(getattr(error, "errno", None) or 0, said))


def _state(seen: os.stat_result) -> State:
    return State(seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)


def read(path: Path, *, follow: bool = True, most: int | None = None) -> Content:
    """Read a regular file.

    Args:
        follow: Read through a link as well.
        most: Bytes that it may have.

    Raises:
        OSError: it cannot be read, is too large, or is a folder, a pipe, a device or a link that is not followed.
    """
    with opened(path, follow) as (file, state):
        if most is not None and state.size > most:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return Content(file.read(), state)


def head(path: Path, size: int) -> bytes:
    """The first bytes of a regular file that is no link.

    Raises:
        OSError: as `read` does.
    """
    with opened(path, follow=False) as (file, _):
        return file.read(size)


@contextmanager
def opened(path: Path, follow: bool) -> Iterator[tuple[BinaryIO, State]]:
    """A regular file, open, and its state.

    Raises:
        OSError: as `read` does.
    """
    try:
        descriptor = os.open(path, _READ | (0 if follow else _NO_LINK))
    except OSError as error:
        raise (_odd(path, stat.S_IFLNK) if error.errno == errno.ELOOP and not follow else error) from error
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise _odd(path, seen.st_mode)
        with open(descriptor, "rb", closefd=False) as file:
            yield file, _state(seen)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes, *, durable: bool = True, was: State | None = None) -> None:
    """Write a file whole or not at all; one that is there keeps its rights.

    Args:
        durable: Wait until the disk has it: for what cannot be made again.
        was: Write over this state alone, so that nothing is lost that somebody has written since.

    Raises:
        OSError: the folder cannot be written to, or the path is a folder, a link or a device.
        FileChanged: the file is in another state than `was`.
    """
    try:
        there = path.lstat()
    except FileNotFoundError:
        there = None
    if there is not None and not stat.S_ISREG(there.st_mode):
        raise _odd(path, there.st_mode)
    temporary, descriptor = _temporary(path.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123  (a descriptor, not a path)
            file.write(content)
            file.flush()
            if durable:
                os.fsync(descriptor)
            if there is not None:
                temporary.chmod(stat.S_IMODE(there.st_mode))
            if fcntl is None:
                file.close()  # Windows renames no file that is open
            _put(temporary, path, was)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _put_new(temporary: Path, path: Path) -> None:
    """Give a finished file its name, if no file has it."""
    try:
        os.link(temporary, path)
        temporary.unlink()
    except FileExistsError as error:
        raise FileChanged(path) from error
    except OSError:  # a file system without links
        if state_of(path) != ABSENT:
            raise FileChanged(path) from None
        temporary.replace(path)


def _put(temporary: Path, path: Path, was: State | None) -> None:
    """Rename a finished file into its place. What somebody wrote into the old one in that very moment is not lost."""
    if was is None:
        temporary.replace(path)
        return
    if was == ABSENT:
        _put_new(temporary, path)
        return
    with opened(path, follow=False) as (old, state):
        if not state.is_like(was):
            raise FileChanged(path)
        temporary.replace(path)
        if not _state(os.fstat(old.fileno())).is_like(was):
            raise FileChanged(path, old.read())


class OddFile(OSError):
    """What is there is no regular file; `said` says what it is."""

    def __init__(self, code: int, message: str, path: str, said: Bilingual) -> None:
        super().__init__(code, message, path)
        self.said = said


class FileChanged(OSError):
    """A file was written to by somebody else between reading and writing it.

    `lost` is what they wrote, where it has been written over already.
    """

    def __init__(self, path: Path, lost: bytes | None = None) -> None:
        super().__init__(errno.EBUSY, "it keeps changing", str(path))
        self.lost = lost


def _temporary(folder: Path) -> tuple[Path, int]:
    """A new file of a random name, and a descriptor that holds its lock."""
    while True:
        path = folder / f".kb-{os.urandom(8).hex()}.tmp"
        descriptor = os.open(path, _NEW | _NO_LINK, 0o666)
        if fcntl is None:
            return path, descriptor
        with suppress(OSError):  # a file system without locks: nothing is swept there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # swept before it was locked


def sweep(folder: Path) -> int:
    """Remove the temporaries in a folder that no living process is writing; how many there were."""
    swept = 0
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208  (names alone, of a folder that may be large)
            swept += bool(_TEMPORARY.fullmatch(name)) and _sweep(folder / name)
    return swept


def _sweep(path: Path) -> bool:
    try:
        descriptor = os.open(path, _READ | _NO_LINK)
    except OSError:
        return False
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except OSError:  # its writer lives
        return False
    finally:
        os.close(descriptor)
    if fcntl is None:
        with suppress(OSError):
            path.unlink()
    return True


@contextmanager
def locked(folder: Path, seconds: float = 60) -> Iterator[None]:
    """Hold a folder against other processes that lock it; they wait.

    Raises:
        TimeoutError: another process held it for so long.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, folder, time.monotonic() + seconds)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise TimeoutError(errno.ETIMEDOUT, "another process works on it", str(folder)) from error
            time.sleep(0.02)
        except OSError:  # a file system without locks
            return


def _odd(path: Path, mode: int) -> OddFile:
    """Why something that is not a regular file is left alone."""
    said = next(
        (said for is_kind, said in _KINDS if is_kind(mode)),
        Bilingual("it is a device, not a file", "它是设备，不是文件"),
    )
    return OddFile(errno.ELOOP if stat.S_ISLNK(mode) else errno.EINVAL, said.en, str(path), said)


_KINDS = (
    (stat.S_ISLNK, Bilingual("it is a link, which is not followed", "它是链接，不会跟随")),
    (stat.S_ISDIR, Bilingual("it is a folder, not a file", "它是文件夹，不是文件")),
    (stat.S_ISFIFO, Bilingual("it is a pipe, not a file", "它是管道，不是文件")),
    (stat.S_ISSOCK, Bilingual("it is a socket, not a file", "它是套接字，不是文件")),
)
_IN_CHINESE = {
    errno.ENOENT: "文件不存在",
    errno.EACCES: "没有权限",
    errno.EPERM: "不允许此操作",
    errno.ENOTDIR: "路径中有一段不是文件夹",
    errno.EISDIR: "它是文件夹，不是文件",
    errno.ELOOP: "链接循环",
    errno.ENAMETOOLONG: "文件名过长",
    errno.ENOSPC: "磁盘空间不足",
    errno.EROFS: "文件系统只读",
    errno.EFBIG: "文件过大",
    errno.EIO: "读写错误",
    errno.EBUSY: "它一直在变动",
    errno.ETIMEDOUT: "另一个进程正在使用它",
}
