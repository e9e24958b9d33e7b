"""Write data/english.z: English words that a query may contain, so that none is taken for a misspelt term.

python scripts/build_words.py [--cache FOLDER]    # the list of symspellpy (MIT), fetched by name, version and hash
"""

from __future__ import annotations

import argparse
import tempfile
import zlib
from pathlib import Path

from build_encoder import WORDS, read_member

TARGET = Path(__file__).parent.parent / "data" / "english.z"
SHORTEST = 4
"""Letters below which no word is taken for a slip."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cache", type=Path, help="keep the download in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        cache = options.cache or Path(scratch)
        cache.mkdir(parents=True, exist_ok=True)
        lines = read_member(WORDS, cache).decode("utf-8-sig").splitlines()
    listed = (line.split()[0] for line in lines if line.strip())
    words = sorted({word for word in listed if len(word) >= SHORTEST and word.isascii() and word.isalpha()})
    TARGET.write_bytes(zlib.compress(("\n" + "\n".join(words) + "\n").encode(), 9))
    print(f"{len(words)} words, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
