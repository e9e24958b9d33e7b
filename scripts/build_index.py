"""Embed every passage of data/concepts.yaml with the bundled encoder: data/index, which makes the first search fast.

python scripts/build_index.py    # after every change of the entries; only new texts are embedded
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs in a checkout with nothing installed

from kb.encoder.onnx import OnnxEncoder  # noqa: E402  (the path comes first)
from kb.search.kept import build_index, slug_of  # noqa: E402
from kb.snapshot.store import open_store  # noqa: E402


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        store = open_store(ROOT / "data" / "concepts.yaml", None, Path(cache))
        encoder = OnnxEncoder(ROOT / "data" / "encoder")
        path = ROOT / "data" / "index" / f"vectors-{slug_of(encoder.key)}.npz"
        index = build_index(store, encoder, path, [path], lambda done, total: print(f"{done}/{total}", end="\r"))
    print(f"{len(index.ids)} concepts, {len(index.vectors)} vectors")


if __name__ == "__main__":
    main()
