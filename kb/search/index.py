"""The vectors of every passage, on disk: opened in milliseconds, extended where texts are new.

One file holds one model's vectors for one state of the knowledge base. Each row knows the hash of its text, so that a
changed knowledge base embeds only what changed.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kb.paths import write_atomically
from kb.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

FORMAT = 1
BATCH = 64


class Encoder(Protocol):
    """Anything that turns texts into unit vectors."""

    name: str
    device: str

    def encode(self, texts: Sequence[str]) -> Matrix:
        """Unit rows, float32: (N, D)."""


@dataclass(frozen=True, slots=True)
class Index:
    """Vectors in the order of the passages; those of one concept stand together."""

    ids: list[str]
    starts: NDArray[np.int32]
    vectors: Matrix
    hashes: NDArray[np.uint64]

    def scores(self, query: Matrix) -> Matrix:
        """The best cosine of each concept with each query: (Q, D) -> (Q, len(ids))."""
        import numpy as np

        return np.maximum.reduceat(query @ self.vectors.T, self.starts, axis=1)


def open_index(store: Store, encoder: Encoder, folders: Sequence[Path], notify: Callable[[int, int], None]) -> Index:
    """The index of a store for an encoder, built and kept where it is missing.

    Args:
        folders: Where indexes may lie; a new one is written to the last.
        notify: Called with how many texts are embedded, of how many.
    """
    key = store.meta("passages")
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", encoder.name).strip("-")[-80:]
    paths = [folder / f"vectors-{slug}.npz" for folder in folders]
    for path in paths:
        if (index := _read(path, key)) is not None:
            return index
    return _build(store, encoder, key, paths, notify)


def _read(path: Path, key: str | None) -> Index | None:
    """An index from a file; None where it is missing, damaged or, with a key, of another state."""
    import zipfile

    import numpy as np

    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            meta = json.loads(bytes(file["meta"]))
            if meta["format"] != FORMAT or (key is not None and meta["passages"] != key):
                return None
            vectors = file["vectors"].astype(np.float32)
            index = Index(meta["ids"], file["starts"], vectors, file["hashes"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return index if len(index.starts) == len(index.ids) and len(index.hashes) == len(vectors) else None


def _build(store: Store, encoder: Encoder, key: str, paths: list[Path], notify: Callable[[int, int], None]) -> Index:
    import numpy as np

    rows = store.query("SELECT id, text FROM passage ORDER BY rowid")
    hashes = np.array([_hash(text) for _, text in rows], dtype=np.uint64)
    known: dict[int, Matrix] = {}
    for path in paths:
        if (old := _read(path, None)) is not None:
            known |= dict(zip(old.hashes.tolist(), old.vectors, strict=True))
    texts = [text for (_, text), digest in zip(rows, hashes.tolist(), strict=True) if digest not in known]
    if texts:
        done = 0
        for batch in _batches(texts):
            vectors = encoder.encode(batch).astype(np.float16).astype(np.float32)
            known |= {_hash(text): vector for text, vector in zip(batch, vectors, strict=True)}
            done += len(batch)
            notify(done, len(texts))
    ids = list(dict.fromkeys(id for id, _ in rows))
    owners = [id for id, _ in rows]
    starts = np.array([owners.index(id) for id in ids], dtype=np.int32)
    index = Index(ids, starts, np.stack([known[digest] for digest in hashes.tolist()]), hashes)
    save(index, key, paths[-1])
    return index


def save(index: Index, key: str, path: Path) -> None:
    """Keep an index; where the folder cannot be written it is built again next time."""
    import numpy as np

    meta = json.dumps({"format": FORMAT, "passages": key, "ids": index.ids}, ensure_ascii=False).encode()
    buffer = io.BytesIO()
    np.savez(
        buffer,
        meta=np.frombuffer(meta, dtype=np.uint8),
        vectors=index.vectors.astype(np.float16),
        starts=index.starts,
        hashes=index.hashes,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except OSError:
        pass


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for i in range(0, len(texts), BATCH):
        yield texts[i : i + BATCH]
