"""The vectors of every passage, on disk: opened in milliseconds, extended where texts are new.

One file holds one model's vectors for one state of one knowledge base. Each row knows the hash of its text, so that a
changed knowledge base embeds only what changed, and so does one whose embedding was interrupted.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb.paths import write_atomically
from kb.search.index import CHINESE, CHUNK, LARGE, QUESTION, Encoder, Index, Notify
from kb.store import Store

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
    for path in (shipped / f"vectors-{slug}.npz", own):
        if (index := _read(path, key)) is not None:
            return index
    others = sorted(kept.glob(f"vectors-{slug}_*.npz"))
    return build_index(store, encoder, own, [shipped / f"vectors-{slug}.npz", *others], notify)


def slug_of(key: str) -> str:
    """The key of an encoder as a part of a file's name; it holds no `_`."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", key).strip("-")[-80:]


def _read(path: Path, key: str | None) -> Index | None:
    """An index from a file; None where it is missing, damaged or, with a key, of another state."""
    import numpy as np

    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
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

    rows = store.query("SELECT id, part, language, text FROM passage ORDER BY rowid")
    hashes = np.array([_hash(text) for *_, text in rows], dtype=np.uint64)
    known: dict[int, Halves] = {}
    for other in known_in:
        if (old := _read(other, None)) is not None:
            known |= dict(zip(old.hashes.tolist(), old.vectors, strict=True))
    missing = {digest: text for (*_, text), digest in zip(rows, hashes.tolist(), strict=True) if digest not in known}
    try:
        _embed(encoder, missing, known, notify)
    except BaseException:  # whatever stopped it, the user's patience included: what is done is kept
        _save_part(known, path)
        raise
    firsts: dict[str, int] = {}
    for at, (id, *_) in enumerate(rows):
        firsts.setdefault(id, at)
    kinds = [CHINESE * (language == "zh") + QUESTION * (part == "ask") for _, part, language, _ in rows]
    vectors = np.stack([known[digest] for digest in hashes.tolist()]) if rows else np.zeros((0, 1), np.float16)
    starts = np.array(list(firsts.values()), dtype=np.int32)
    index = Index(list(firsts), starts, vectors, hashes, np.array(kinds, dtype=np.uint8))
    save(index, store.meta("passages"), path)
    return index


def _embed(encoder: Encoder, missing: dict[int, str], known: dict[int, Halves], notify: Notify) -> None:
    """Add the vectors of the missing texts to the known ones."""
    import numpy as np

    digests = sorted(missing, key=lambda digest: -len(missing[digest]))  # a chunk of like lengths holds little padding
    if digests:
        notify(0, len(digests))
    for start in range(0, len(digests), CHUNK):
        part = digests[start : start + CHUNK]
        vectors = encoder.encode([missing[digest] for digest in part], "passage").astype(np.float16)
        known |= dict(zip(part, vectors, strict=True))
        notify(start + len(part), len(digests))


def _save_part(known: dict[int, Halves], path: Path) -> None:
    """Keep vectors that are no whole index yet: the next build finds them by their hashes."""
    import numpy as np

    if known:
        hashes = np.array(list(known), dtype=np.uint64)
        kinds = np.zeros(len(hashes), np.uint8)
        save(Index([""], np.zeros(1, np.int32), np.stack(list(known.values())), hashes, kinds), "", path)


def save(index: Index, key: str, path: Path) -> None:
    """Keep an index; where the folder cannot be written it is built again next time."""
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
        write_atomically(path, buffer.getvalue())
    except OSError:
        pass


def _hash(text: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
