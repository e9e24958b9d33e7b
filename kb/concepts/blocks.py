"""A concepts file in blocks, one an entry: after a change, only the blocks that changed are read.

A file is cut only where that cannot change what it says: every line outside the entries is a comment, every block is a
list of one entry by itself, and none refers to another by an alias. Other files are read as a whole.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from kb.concepts.nodes import compose
from kb.concepts.source import UNREADABLE, Entry, Source, read_entry

_MARK = b"\xef\xbb\xbf"
_BEGIN = re.compile(rb"^(?=- )", re.MULTILINE)
_OUTSIDE = re.compile(rb"^[^ #\r\n]", re.MULTILINE)


class Block(NamedTuple):
    """One entry of a file as it is written, and a digest of that."""

    file: str
    data: bytes
    digest: str


def cut(source: Source) -> list[Block] | None:
    """The blocks of a file; None where something stands before the first that is no comment."""
    import hashlib

    head, *pieces = _BEGIN.split(source.data.removeprefix(_MARK))
    if not _is_comment(head):
        return None
    name = source.path.name
    return [Block(name, piece, hashlib.blake2b(piece, digest_size=16).hexdigest()) for piece in pieces]


def _is_comment(head: bytes) -> bool:
    """Whether a text says nothing to YAML, however that breaks its lines."""
    try:
        text = head.decode()
    except UnicodeDecodeError:
        return False
    lines = (line.lstrip(" ") for line in text.splitlines())
    return not UNREADABLE.search(text) and all(line.startswith("#") or not line for line in lines)


def read_block(block: Block) -> Entry | None:
    """The entry of a block; None where the file is to be read as a whole, which may say what is wrong with it.

    The lines of its values are counted from the block's own first one.
    """
    if _OUTSIDE.search(block.data, 1):
        return None
    try:
        root = compose(block.data.decode(), aliases=False)
    except (UnicodeDecodeError, yaml.YAMLError):
        return None
    if not isinstance(root, yaml.SequenceNode) or len(root.value) != 1:
        return None
    entry, problems = read_entry(block.file, root.value[0])
    return None if problems or not entry.values.get("id") else entry
