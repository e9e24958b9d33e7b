"""Write kb/language/pinyin.py: the most usual toneless reading of each common 汉字, from pypinyin (MIT).

python scripts/build_pinyin.py
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from pypinyin import Style, pinyin

HEAD = '''"""Common 汉字 by their most usual toneless reading; made by scripts/build_pinyin.py from pypinyin (MIT)."""

from functools import cache

READINGS = """\\
{rows}
"""


@cache
def readings() -> dict[str, str]:
    """Each character's reading, ü written v."""
    rows = (row.split(" ") for row in READINGS.splitlines())
    return {{character: syllable for syllable, characters in rows for character in characters}}
'''


def main() -> None:
    common = [chr(code) for code in range(0x4E00, 0x9FA6) if _is_common(chr(code))]
    by_reading: dict[str, list[str]] = defaultdict(list)
    for character in common:
        by_reading[pinyin(character, style=Style.NORMAL)[0][0].replace("ü", "v")].append(character)
    rows = "\n".join(
        f"{syllable} {''.join(characters[i : i + 50])}"
        for syllable, characters in sorted(by_reading.items())
        for i in range(0, len(characters), 50)
    )
    target = Path(__file__).parent.parent / "kb" / "language" / "pinyin.py"
    target.write_text(HEAD.format(rows=rows), encoding="utf-8")
    print(f"{len(common)} characters, {len(by_reading)} syllables")


def _is_common(character: str) -> bool:
    """Whether the character is among the 6,763 of GB 2312."""
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


if __name__ == "__main__":
    main()
