"""The vectors of every passage, on disk: opened in milliseconds, extended where texts are new.

One file holds one model's vectors for one state of one knowledge base. Each row knows the hash of its text, so that a
changed knowledge base embeds only what changed. While much is embedded, parts of it are kept beside the file: what
stops the process, a kill included, costs the last CHUNK texts at most.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb import files
from kb.encoder.protocol import Encoder
from kb.search.index import CHINESE, CHUNK, LARGE, QUESTION, Index, Notify
from kb.snapshot.store import Store

if TYPE_CHECKING:
    from kb.search.index import Halves

FORMAT = 2


def open_index(store: Store, encoder: Encoder, shipped: Path, kept: Path, notify: Notify) -> Index:
    """The index of a store for an encoder, built and kept where it is missing.

    Args:
        shipped: The folder with indexes of the shipped entries; it is only read.
        kept: The folder with those of the user: one for each model and each knowledge base.
    """
    key, slug = store.meta("passages"), slug_of(encoder.key)
    own = kept / f"vectors-{slug}_{store.meta('where')}.npz"
    given = (shipped / f"vectors-{slug}.npz").resolve()  # whoever installed it may have linked it
    for path in (given, own):
        if (index := _read(path, key)) is not None:
            return index
    others = sorted(kept.glob(f"vectors-{slug}_*.npz"))
    return build_index(store, encoder, own, [given, *others], notify)


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


def _read(path: Path, key: str | None) -> Index | None:
    """An index from a file; None where it is missing, no file, damaged or, with a key, of another state."""
    import numpy as np

    try:
        with np.load(io.BytesIO(files.read(path, follow=False).data), allow_pickle=False) as file:
            meta = json.loads(bytes(file["meta"]))
            if meta["format"] != FORMAT or (key is not None and meta["passages"] != key):
                return None
            index = Index(meta["ids"], *(file[name] for name in ("starts", "vectors", "hashes", "kinds")))
            if "cells" in file:
                index.cells = file["cells"]
            return index if _is_whole(index) else None
    except Exception:  # a damaged archive raises whatever its bytes happen to mean
        return None


def _is_whole(index: Index) -> bool:
    import numpy as np

    rows = len(index.vectors)
    lengths = np.diff(np.append(index.starts, rows))
    is_cut = len(lengths) == len(index.ids) and bool((lengths > 0).all()) and not index.starts[:1].any()
    is_complete = len(index.hashes) == len(index.kinds) == rows and index.vectors.ndim == 2
    return is_cut and is_complete and ("cells" not in vars(index) or len(index.cells) == rows)


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
    vectors = np.stack([known[digest] for digest in hashes.tolist()]) if rows else np.zeros((0, 1), np.float16)
    starts = np.array(list(firsts.values()), dtype=np.int32)
    index = Index(list(firsts), starts, vectors, hashes, np.array(kinds, dtype=np.uint8))
    if save(index, store.meta("passages"), path):
        for part in _parts(path):
            with suppress(OSError):
                part.unlink()
    return index


def _parts(path: Path) -> Iterator[Path]:
    """What earlier builds of an index kept of it."""
    return path.parent.glob(f"{path.stem}_*.part")


def _known(paths: Sequence[Path]) -> dict[int, Halves]:
    """The vectors that lie in some indexes, by the hashes of their texts."""
    known: dict[int, Halves] = {}
    for path in paths:
        if (index := _read(path, None)) is not None:
            known |= dict(zip(index.hashes.tolist(), index.vectors, strict=True))
    return known


def _embed(encoder: Encoder, texts: dict[int, str], known: dict[int, Halves], path: Path, notify: Notify) -> None:
    """Add the vectors of the missing texts to the known ones, and keep what is done in parts of the index."""
    import numpy as np

    missing = [digest for digest in texts if digest not in known]
    missing.sort(key=lambda digest: -len(texts[digest]))  # a chunk of like lengths holds little padding
    if missing:
        notify(0, len(missing))
    for start in range(0, len(missing), CHUNK):
        chunk = missing[start : start + CHUNK]
        vectors = encoder.encode([texts[digest] for digest in chunk], "passage").astype(np.float16)
        known |= dict(zip(chunk, vectors, strict=True))
        _keep(chunk, vectors, path)
        notify(start + len(chunk), len(missing))


def _keep(digests: list[int], vectors: Halves, path: Path) -> None:
    """Keep vectors in a part of the index: should this build be stopped, the next one finds them by their hashes."""
    import numpy as np

    hashes, kinds = np.array(digests, dtype=np.uint64), np.zeros(len(digests), np.uint8)
    part = Index([""], np.zeros(1, np.int32), vectors, hashes, kinds)
    save(part, "", path.with_name(f"{path.stem}_{hashes[0]:x}.part"))


def save(index: Index, key: str, path: Path) -> bool:
    """Keep an index; False where that cannot be done, and it is built again next time."""
    import numpy as np

    meta = json.dumps({"format": FORMAT, "passages": key, "ids": index.ids}, ensure_ascii=False).encode()
    arrays: dict[str, Any] = {
        "starts": index.starts,
        "vectors": index.vectors,
        "hashes": index.hashes,
        "kinds": index.kinds,
    }
    if len(index.vectors) > LARGE and key:
        arrays["cells"] = index.cells
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.frombuffer(meta, dtype=np.uint8), **arrays)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, buffer.getvalue(), durable=False)
    except OSError:
        return False
    return True


def _hash(text: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
