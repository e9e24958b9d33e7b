"""Where something is written that the user named a place for: a file, or a stream that has a name.

A file is replaced whole. What is no file must not be: `/dev/null` would become a picture. Pipes and character devices
are written to as they are, standard output by its many names among them; all else is refused.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from kb import files
from kb.errors import KbError
from kb.language.text import Bilingual
from kb.paths import is_writable

_NO_FILE = Bilingual("it is no file, but a link, a folder or a device", "它不是文件，而是链接、文件夹或设备")
_NO_FOLDER = Bilingual("its folder is not there, or cannot be written to", "所在文件夹不存在或不可写")


def is_stdout(path: Path) -> bool:
    """Whether a path means what standard output is: /dev/stdout, /dev/fd/1, or the file that it goes to."""
    try:
        return os.path.samestat(path.stat(), os.fstat(1))
    except (OSError, ValueError):
        return False


def is_stream(path: Path) -> bool:
    """Whether a path means standard output, another pipe, or a character device."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) or is_stdout(path)


def check_target(path: Path) -> None:
    """See that `write_to` will succeed, before much work is done for it.

    Raises:
        KbError: nothing can be written there.
    """
    if is_stream(path):
        return
    try:
        is_file = stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        is_file = True  # it will be one
    except (OSError, ValueError) as error:
        raise _cannot(path, files.reason(error)) from error
    if not is_file:
        raise _cannot(path, _NO_FILE)
    if not (path.parent.is_dir() and is_writable(path.parent)):
        raise _cannot(path, _NO_FOLDER)


def write_to(path: Path, content: bytes) -> None:
    """Write a file, or to a stream.

    Raises:
        KbError: it cannot be written.
    """
    if is_stdout(path):
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return
    try:
        if is_stream(path):
            path.write_bytes(content)
        else:
            files.write(path, content)
    except OSError as error:
        raise _cannot(path, files.reason(error)) from error


def _cannot(path: Path, why: Bilingual) -> KbError:
    name = str(path)
    return KbError(Bilingual(f"cannot write {name}: {why.en}", f"无法写入 {name}：{why.zh}"))
