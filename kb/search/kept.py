"""The vectors of every passage, on disk: mapped into memory as they lie there, extended where texts are new.

One file holds one model's vectors for one state of one knowledge base, a byte a number: MAGIC, the checksum of all that
follows it, the size of a header in JSON, the header, and the arrays of LAYOUT, each on a multiple of ALIGNED bytes. It
is replaced by renaming, never changed, so that whoever has mapped it keeps what was there. Each row knows the hash of
its text, so that a changed knowledge base embeds only what changed. While much is embedded, parts of it are kept beside
the file: what stops the process, a kill included, costs the last CHUNK texts at most.
"""

from __future__ import annotations

import json
import mmap
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb import files
from kb.encoder.protocol import Encoder
from kb.search.index import CHINESE, CHUNK, LARGE, QUESTION, Index, Notify
from kb.snapshot.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kb.search.index import Codes, Matrix

MAGIC = b"KBV3"
"""How a file begins; its last character counts the changes of what follows."""
LAYOUT = {"starts": "<i4", "hashes": "<u8", "kinds": "u1", "codes": "i1", "cells": "<i2"}
"""The arrays in their order, as `Index` has them. Only a large index has cells."""
ALIGNED = 64
_HEAD = struct.Struct("<4sII")
_STALE = "vectors-*.npz"
"""Indexes as they were kept before they were mapped."""


def open_index(store: Store, encoder: Encoder, shipped: Path, kept: Path, notify: Notify) -> Index:
    """The index of a store for an encoder, built and kept where it is missing.

    Args:
        shipped: The folder with indexes of the shipped entries; it is only read.
        kept: The folder with those of the user: one for each model and each knowledge base.
    """
    key, slug = store.meta("passages"), slug_of(encoder.key)
    own = index_file(kept, slug, store.meta("where"))
    given = index_file(shipped, slug).resolve()  # whoever installed it may have linked it
    for path in (given, own):
        if (index := read_index(path, key)) is not None:
            return index
    return build_index(store, encoder, own, [given, *index_files(kept, slug)], notify)


def can_keep(folder: Path) -> bool:
    """Whether an index that is built now can be kept in a folder, which is made where it is missing."""
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def slug_of(key: str) -> str:
    """The key of an encoder as a part of a file's name; it holds no `_`."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", key).strip("-")[-80:]


def index_file(folder: Path, slug: str, where: str | None = None) -> Path:
    """The index of an encoder, of what ships or else of one knowledge base."""
    return folder / f"vectors-{slug}{f'_{where}' if where else ''}.bin"


def index_files(folder: Path, slug: str = "*") -> list[Path]:
    """The indexes that are in a folder, in the order of their names: all, or those of an encoder."""
    return sorted({*folder.glob(f"vectors-{slug}.bin"), *folder.glob(f"vectors-{slug}_*.bin")})


def read_index(path: Path, key: str | None) -> Index | None:
    """An index from a file; None where it is missing, no file, damaged or, with a key, of another state."""
    try:
        with files.opened(path, follow=False) as (file, _):
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, checksum, size = _HEAD.unpack_from(data)
        if magic != MAGIC or zlib.crc32(memoryview(data)[8:]) != checksum:
            return None
        header = json.loads(data[_HEAD.size : _HEAD.size + size])
        return _index(header, data, _HEAD.size + size) if key in (None, header["passages"]) else None
    except (OSError, ValueError, struct.error):  # ValueError for an empty file, which cannot be mapped
        return None


def _index(header: dict[str, Any], data: mmap.mmap, end: int) -> Index:
    """The index whose arrays begin where the header ends; they stay where they are."""
    import numpy as np

    arrays: dict[str, NDArray[Any]] = {}
    for name, shape in header["shapes"].items():
        start, kind = _aligned(end), np.dtype(LAYOUT[name])
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(data, kind, count, start).reshape(shape)
        end = start + count * kind.itemsize
    cells = arrays.pop("cells", None)
    index = Index(header["ids"], **arrays)
    if cells is not None:
        index.cells = cells
    return index


def _aligned(at: int) -> int:
    return -(-at // ALIGNED) * ALIGNED


def build_index(store: Store, encoder: Encoder, path: Path, known_in: Sequence[Path], notify: Notify) -> Index:
    """Embed the passages of a store, but for those whose vectors lie in other indexes of the encoder, and keep them."""
    import numpy as np

    files.sweep(path.parent)
    rows = store.passages()
    hashes = np.array([_hash(text) for *_, text in rows], dtype=np.uint64)
    texts = {digest: text for (*_, text), digest in zip(rows, hashes.tolist(), strict=True)}
    known = _known([*known_in, *_parts(path)])
    _embed(encoder, texts, known, path, notify)
    firsts: dict[str, int] = {}
    for at, (id, *_) in enumerate(rows):
        firsts.setdefault(id, at)
    kinds = [CHINESE * (language == "zh") + QUESTION * (part == "ask") for _, part, language, _ in rows]
    codes = np.stack([known[digest] for digest in hashes.tolist()]) if rows else np.zeros((0, 1), np.int8)
    starts = np.array(list(firsts.values()), dtype=np.int32)
    index = Index(list(firsts), starts, codes, hashes, np.array(kinds, dtype=np.uint8))
    if save(index, store.meta("passages") or "", path):
        for done in (*_parts(path), *path.parent.glob(_STALE)):
            with suppress(OSError):
                done.unlink()
    return index


def _parts(path: Path) -> Iterator[Path]:
    """What earlier builds of an index kept of it."""
    return path.parent.glob(f"{path.stem}_*.part")


def _known(paths: Sequence[Path]) -> dict[int, Codes]:
    """The vectors that lie in some indexes, by the hashes of their texts."""
    known: dict[int, Codes] = {}
    for path in paths:
        if (index := read_index(path, None)) is not None:
            known |= dict(
                zip(index.hashes.tolist(), index.codes.copy(), strict=True)
            )  # Windows replaces no mapped file
    return known


def _embed(encoder: Encoder, texts: dict[int, str], known: dict[int, Codes], path: Path, notify: Notify) -> None:
    """Add the vectors of the missing texts to the known ones, and keep what is done in parts of the index."""
    missing = [digest for digest in texts if digest not in known]
    missing.sort(key=lambda digest: -len(texts[digest]))  # a chunk of like lengths holds little padding
    if missing:
        notify(0, len(missing))
    for start in range(0, len(missing), CHUNK):
        chunk = missing[start : start + CHUNK]
        codes = quantize(encoder.encode([texts[digest] for digest in chunk], "passage"))
        known |= dict(zip(chunk, codes, strict=True))
        _keep(chunk, codes, path)
        notify(start + len(chunk), len(missing))


def quantize(vectors: Matrix) -> Codes:
    """Rows whose directions are those of the vectors, a byte a number: (n, D); docs/search.md says what that costs."""
    import numpy as np

    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-30)
    codes: Codes = np.rint(vectors / largest * 127).astype(np.int8)
    return codes


def _keep(digests: list[int], codes: Codes, path: Path) -> None:
    """Keep vectors in a part of the index: should this build be stopped, the next one finds them by their hashes."""
    import numpy as np

    hashes, kinds = np.array(digests, dtype=np.uint64), np.zeros(len(digests), np.uint8)
    part = Index([""], np.zeros(1, np.int32), codes, hashes, kinds)
    save(part, "", path.with_name(f"{path.stem}_{hashes[0]:x}.part"))


def save(index: Index, key: str, path: Path) -> bool:
    """Keep an index; False where that cannot be done, and it is built again next time."""
    import numpy as np

    arrays = {name: getattr(index, name) for name in LAYOUT if name != "cells" or (len(index.codes) > LARGE and key)}
    shapes = {name: array.shape for name, array in arrays.items()}
    header = json.dumps({"passages": key, "ids": index.ids, "shapes": shapes}, ensure_ascii=False).encode()
    body = bytearray(struct.pack("<I", len(header)) + header)
    for name, array in arrays.items():
        body += bytes(_aligned(8 + len(body)) - 8 - len(body))
        body += np.ascontiguousarray(array, LAYOUT[name]).tobytes()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, struct.pack("<4sI", MAGIC, zlib.crc32(body)) + body, durable=False)
    except OSError:
        return False
    return True


def _hash(text: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
