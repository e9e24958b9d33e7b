"""A large knowledge base: the shipped entries, repeated under new ids and names.

python scripts/big.py 1000 big.yaml
KB_DATA=big.yaml kb list
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
_ENTRY = re.compile(r"^(?=- id: )", re.MULTILINE)
_NAME = re.compile(r"(?<=^  name: )\{en: (.+), zh: (.+)\}$", re.MULTILINE)
_ID = re.compile(r"(?<=^- id: )[a-z0-9-]+|(?<=\bto: )[a-z0-9-]+|(?<=\[\[)[a-z0-9-]+(?=[|\]])", re.MULTILINE)


def make(n: int) -> str:
    """The YAML of n entries, in the order of their ids; those of one repetition are linked with one another."""
    shipped = _ENTRY.split((ROOT / "data" / "concepts.yaml").read_text("utf-8"))[1:]
    made = [_again(entry, round) for round in range(-(-n // len(shipped))) for entry in shipped][:n]
    return "".join(sorted(made, key=lambda entry: entry.split(maxsplit=3)[2]))


def _again(entry: str, round: int) -> str:
    """An entry with another id, another name in each language, and links to its neighbours of the same round."""
    if round == 0:
        return entry
    renamed = _NAME.sub(lambda name: f"{{en: {_suffixed(name[1], round)}, zh: {_suffixed(name[2], round)}}}", entry)
    return _ID.sub(rf"\g<0>-round{round}", renamed)


def _suffixed(name: str, round: int) -> str:
    """A name as YAML has it, with the number of the round at its end, inside its quotes where it has some."""
    return f'{name[:-1]} v{round}"' if name.endswith('"') else f"{name} v{round}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entries", type=int)
    parser.add_argument("path", type=Path)
    given = parser.parse_args()
    given.path.write_text(make(given.entries), encoding="utf-8")


if __name__ == "__main__":
    main()
