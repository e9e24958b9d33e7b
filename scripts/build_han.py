"""Write kb/language/han.py: the traditional characters and their simplified forms, from OpenCC's table (Apache-2.0).

python scripts/build_han.py    # needs opencc-python-reimplemented, which carries the table
"""

from __future__ import annotations

from pathlib import Path

import opencc

HEAD = '''"""Traditional characters and their simplified forms; scripts/build_han.py, from OpenCC (Apache-2.0)."""

TRADITIONAL = (
{traditional}
)
SIMPLIFIED = (
{simplified}
)
TO_SIMPLIFIED = str.maketrans(TRADITIONAL, SIMPLIFIED)
'''


def literal(characters: list[str], width: int = 52) -> str:
    """A tuple-free string literal over many lines; a 汉字 is two columns wide."""
    lines = ("".join(characters[i : i + width]) for i in range(0, len(characters), width))
    return "\n".join(f'    "{line}"' for line in lines)


def main() -> None:
    table = Path(opencc.__file__).parent / "dictionary" / "TSCharacters.txt"
    rows = (line.split("\t") for line in table.read_text(encoding="utf-8").splitlines() if "\t" in line)
    pairs = {old: new.split()[0] for old, new in rows if len(old) == 1 and len(new.split()[0]) == 1}
    pairs = {old: new for old, new in sorted(pairs.items()) if old != new and ord(old) < 0x10000}
    target = Path(__file__).parent.parent / "kb" / "language" / "han.py"
    body = HEAD.format(traditional=literal(list(pairs)), simplified=literal(list(pairs.values())))
    target.write_text(body, encoding="utf-8")
    print(f"{len(pairs)} pairs in {target}")


if __name__ == "__main__":
    main()
