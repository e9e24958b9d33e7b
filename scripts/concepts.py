"""The one writer of data/concepts.yaml: entries go to their place, and every other byte stays as it is.

python scripts/concepts.py add new.yaml more.yaml    # put in the entries of these files; known ones are replaced
python scripts/concepts.py split DIR [--area NAME]   # one file an area, for hands that work at the same time
python scripts/concepts.py sort                      # move entries that are out of order to where they belong

A file that is added is a list of entries, as data/concepts.yaml is. No YAML is written anew: blocks of lines move, each
with the comments above it. Nothing is written where the result would not read as the blocks do.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import yaml

from kb import files
from kb.concepts.nodes import compose
from kb.concepts.source import Source, load, read_entries
from kb.errors import KbError

ROOT = Path(__file__).parent.parent
DATA = ROOT / "data" / "concepts.yaml"


class Pieces(NamedTuple):
    """A concepts file in pieces; one after the other, they are the file."""

    head: str
    """What stands above the first entry and belongs to the file."""
    blocks: dict[str, str]
    """The lines of each entry by its id, in the file's order, with the comments right above it."""

    def text(self) -> str:
        """The file."""
        return self.head + "".join(self.blocks.values())


class Refusal(Exception):
    """Why a file is left as it is."""


def cut(text: str, name: str) -> Pieces:
    """Cut a concepts file into its entries.

    Raises:
        Refusal: it is not a list of entries that begin lines of their own, each with an id of its own.
    """
    try:
        root = compose(text)
    except yaml.YAMLError as error:
        raise Refusal(f"{name} is not YAML: {error}") from error
    if root is None:
        return Pieces(text, {})
    if not isinstance(root, yaml.SequenceNode) or root.flow_style:
        raise Refusal(f"{name} is not a list of entries, one a block of lines")
    lines = text.splitlines(keepends=True)
    if "\r" in text or len(lines) != text.count("\n") + (not text.endswith("\n")):
        raise Refusal(f"{name} has line breaks that are not \\n")
    starts = [_first_line(lines, node.start_mark.line) for node in root.value]
    ids = [_id_of(node, name) for node in root.value]
    bounds = [*starts, len(lines)]
    blocks = ["".join(lines[start:end]) for start, end in zip(starts, bounds[1:], strict=True)]
    if blocks and not blocks[-1].endswith("\n"):
        raise Refusal(f"{name} does not end with a line break")
    if len(set(ids)) < len(ids):
        raise Refusal(f"{name} holds an id twice: {next(id for id in ids if ids.count(id) > 1)}")
    return Pieces("".join(lines[: starts[0]]), dict(zip(ids, blocks, strict=True)))


def _first_line(lines: list[str], line: int) -> int:
    """The line at which an entry begins: that of its dash, or of the comments right above it."""
    if not lines[line].startswith("- "):
        raise Refusal(f"line {line + 1}: an entry begins with '- ' at the start of a line")
    while line and lines[line - 1].startswith("#"):
        line -= 1
    if line == 0 and lines[0].startswith("#"):  # the head of the file, with nothing between it and the first entry
        raise Refusal("leave a blank line between the head of the file and the first entry")
    return line


def _id_of(node: yaml.Node, name: str) -> str:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    ids = [value.value for key, value in pairs if key.value == "id" and isinstance(value, yaml.ScalarNode)]
    if len(ids) != 1:
        raise Refusal(f"{name}:{node.start_mark.line + 1}: an entry without an id, or with two")
    return str(ids[0])


def add(base: Pieces, new: dict[str, str]) -> Pieces:
    """The file with entries put in: a known one where it stands, a new one before the first that comes after it."""
    blocks = {id: new.get(id, block) for id, block in base.blocks.items()}
    order = list(blocks)
    for id in (id for id in sorted(new) if id not in blocks):
        place = next((i for i, other in enumerate(order) if other > id), len(order))
        order.insert(place, id)
    return Pieces(base.head, {id: blocks.get(id) or new[id] for id in order})


def write(pieces: Pieces, path: Path) -> None:
    """Write the file, if it reads as its pieces do.

    Raises:
        Refusal, KbError: it does not, or it is wrong in structure.
    """
    text = pieces.text()
    again = cut(text, path.name)
    if again != pieces:
        raise Refusal(f"{path.name} would not read as its entries do; nothing was written")
    load([Source(path, text.encode())])
    files.write(path, text.encode())


def split(pieces: Pieces, folder: Path, areas: Iterable[str]) -> list[Path]:
    """Write the entries into one file for each main area, for `add` to read; files that are there are not touched."""
    groups: dict[str, str] = defaultdict(str)
    for id, block in pieces.blocks.items():
        (entry,), _ = read_entries(Source(Path(id), block.encode()))
        groups[next(iter(entry.values.get("area", ())), "none")] += block
    chosen = {area: text for area, text in groups.items() if not areas or area in areas}
    paths = {folder / f"{area}.yaml": text for area, text in sorted(chosen.items())}
    if there := [path for path in paths if path.exists()]:
        raise Refusal(f"{there[0]} is there already")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in paths.items():
        files.write(path, text.encode())
    return list(paths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("add").add_argument("files", nargs="+", type=Path)
    actions.add_parser("sort")
    splitting = actions.add_parser("split")
    splitting.add_argument("folder", type=Path)
    splitting.add_argument("--area", action="append", default=[])
    options = parser.parse_args()
    try:
        print(run(options))
    except Refusal as error:
        sys.exit(str(error))
    except KbError as error:
        sys.exit("\n".join([error.message.en, *([error.hint.en] if error.hint else [])]))


def run(options: argparse.Namespace) -> str:
    """Do what is asked, and say what was done."""
    base = cut(_read(options.data), options.data.name)
    if options.action == "split":
        return "\n".join(map(str, split(base, options.folder, options.area)))
    if options.action == "sort":
        ordered = Pieces(base.head, dict(sorted(base.blocks.items())))
        moved = sum(a != b for a, b in zip(base.blocks, ordered.blocks, strict=True))
        write(ordered, options.data)
        return f"{moved} entries stand elsewhere now"
    new: dict[str, str] = {}
    for file in options.files:
        blocks = cut(_read(file), file.name).blocks
        if twice := new.keys() & blocks.keys():
            raise Refusal(f"two files hold {min(twice)}")
        new |= blocks
    known = new.keys() & base.blocks.keys()
    write(add(base, new), options.data)
    return f"{len(new) - len(known)} entries added, {len(known)} replaced"


def _read(path: Path) -> str:
    return files.read_named(path).data.decode("utf-8")


if __name__ == "__main__":
    main()
