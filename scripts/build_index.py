"""Embed every passage of data/concepts.yaml with the bundled encoder: data/index, which makes the first search fast.

python scripts/build_index.py            # after every change of the entries; only new texts are embedded
python scripts/build_index.py --check    # whether that was forgotten
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs in a checkout with nothing installed

from kb.encoder.onnx import OnnxEncoder
from kb.search.kept import build_index, index_file, read_index, slug_of
from kb.snapshot.store import open_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="embed nothing; fail where the index is not of the entries"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        store = open_store([ROOT / "data" / "concepts.yaml"], Path(cache))
        encoder = OnnxEncoder(ROOT / "data" / "encoder")
        path = index_file(ROOT / "data" / "index", slug_of(encoder.key))
        if options.check:
            sys.exit(stale(path, store.meta("passages")))
        index = build_index(store, encoder, path, [path], lambda done, total: print(f"{done}/{total}", end="\r"))
    print(f"{len(index.ids)} concepts, {len(index.codes)} vectors")


def stale(path: Path, passages: str | None) -> str | None:
    """What is wrong with the folder of the shipped index; None where it holds that of these passages alone."""
    others = sorted(other.name for other in path.parent.iterdir() if other != path)
    if others:
        return f"{path.parent} also holds {', '.join(others)}"
    return None if read_index(path, passages) else "data/index is not of these entries: python scripts/build_index.py"


if __name__ == "__main__":
    main()
