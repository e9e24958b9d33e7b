"""Write docs/gallery.md and docs/gallery.zh.md: of every demo its picture, its claims and what they gave.

python scripts/build_gallery.py             # draw the demos that changed, and write both pages
python scripts/build_gallery.py lstm gru    # draw these anew
python scripts/build_gallery.py --check     # exit 1 where a page or a picture is stale; nothing runs

The values are those of data/measured.json; a picture is of seed 0. Each holds the hash of the demo that drew it.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs in a checkout with nothing installed

from PIL import Image, PngImagePlugin

from kb.lab.figures import draw
from kb.lab.measured import hash_of, median, of_demo
from kb.lab.runner import Demo, all_demos, run_demo
from kb.language.text import Bilingual, Language

FOLDER = ROOT / "docs" / "gallery"
PAGES: dict[Language, Path] = {"en": ROOT / "docs" / "gallery.md", "zh": ROOT / "docs" / "gallery.zh.md"}
LARGEST = 60_000
"""Bytes of a picture."""
HEAD = Bilingual(
    "# Gallery\n\n[中文](gallery.zh.md) · Every demo: what it draws, what it claims, and what the claim gave on five "
    "seeds, median and worst, beside its control. Run one with `kb demo NAME`. Made by scripts/build_gallery.py.",
    "# 图库\n\n[English](gallery.md) · 每个演示画出的图、作出的论断，以及论断在五个种子上的结果（中位数与最差值）"
    "和对照；图中文字为英文。运行：`kb demo 名称`。由 scripts/build_gallery.py 生成。",
)
COLUMNS = Bilingual("| claim | measured | worst | control |", "| 论断 | 实测 | 最差 | 对照 |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="demos to draw anew; those that changed, where none is named")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 where something is stale")
    asked = parser.parse_args()
    demos = all_demos()
    due = [demo for demo in demos if demo.id in asked.names or (not asked.names and is_stale(demo))]
    pages = {path: page(demos, language) for language, path in PAGES.items()}
    if asked.check:
        stale = [demo.id for demo in due]
        stale += [path.name for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
        sys.exit("\n".join(stale) or 0)
    FOLDER.mkdir(exist_ok=True)
    for demo in due:
        print(demo.id, flush=True)
        picture(demo).write_bytes(small(draw(run_demo(demo).figures, demo.title), hash_of(demo.path)))
    for path in set(FOLDER.glob("*.png")) - {picture(demo) for demo in demos}:
        path.unlink()
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")


def picture(demo: Demo) -> Path:
    return FOLDER / f"{demo.id}.png"


def is_stale(demo: Demo) -> bool:
    """Whether the picture is missing or of an earlier state of the demo."""
    path = picture(demo)
    if not path.exists():
        return True
    with Image.open(path) as image:
        return image.info.get("demo") != hash_of(demo.path)


def small(png: bytes, of_demo: str) -> bytes:
    """The picture with fewer pixels and colours, until it is small enough; it says of which state of the demo it is."""
    marked = PngImagePlugin.PngInfo()
    marked.add_text("demo", of_demo)
    with Image.open(io.BytesIO(png)) as drawn:
        full = drawn.convert("RGB")
    for width, colours in ((800, 128), (800, 48), (640, 48), (480, 32), (360, 16)):
        sized = full.resize((width, round(full.height * width / full.width)), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        sized.quantize(colours, method=Image.Quantize.MAXCOVERAGE).save(out, "PNG", optimize=True, pnginfo=marked)
        if out.tell() <= LARGEST:
            return out.getvalue()
    raise ValueError(f"a picture of {out.tell()} bytes")


def page(demos: list[Demo], language: Language) -> str:
    """The page in one language."""
    return "\n\n".join([HEAD.of(language), *(section(demo, language) for demo in demos)]) + "\n"


def section(demo: Demo, language: Language) -> str:
    """What the page says of a demo."""
    seconds = of_demo(demo.id).get("seconds", demo.cpu_seconds)
    title = cell(demo.title.of(language))
    return "\n".join(
        [
            f"## {title}",
            "",
            f"`kb demo {demo.id}` · {seconds:.0f} s · [{demo.path.name}](../kb/demos/{demo.path.name})",
            "",
            f"![{title}](gallery/{demo.id}.png)",
            "",
            COLUMNS.of(language),
            "|---|---|---|---|",
            *rows(demo, language),
        ]
    )


def rows(demo: Demo, language: Language) -> Iterator[str]:
    """The claims of training, or where there is none all that are judged, as they were measured."""
    claims = of_demo(demo.id).get("claims", {})
    judged = {name: of_it for name, of_it in claims.items() if of_it["values"] and of_it["controls"]}
    trained = {name: of_it for name, of_it in judged.items() if of_it["kind"] == "trained"}
    for of_it in (trained or judged).values():
        worst = (max if of_it["op"] == "<=" else min)(of_it["values"])
        values = median(of_it["values"]), worst, median(of_it["controls"])
        yield f"| {cell(of_it['says'][language])} | {' | '.join(f'{value:.3g}' for value in values)} |"


def cell(text: str) -> str:
    """A text within a table of Markdown."""
    return re.sub(r"([\\|*_`<\[\]])", r"\\\1", " ".join(text.split()))


if __name__ == "__main__":
    main()
