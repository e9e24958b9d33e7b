"""One Obsidian note: properties, a region that kb keeps, and everything else, which is the user's to the last byte.

The region stands between two comment marks; the first carries the hash of what was written, so that a region that the
user edited is known as such even when the manifest is lost. Properties stay where and as they stand; only those that
kb owns, and the user has left so, are brought up to date.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import yaml

from kb.concepts.nodes import compose

ID_KEY = "kb-id"
MOST = 8
"""Regions of a note that are looked at."""
Value = str | int | list[str]
Properties = dict[str, Value]

_BEGIN = re.compile(r"^%% kb:begin ([0-9a-f]{16}) [^\n]*%%\r?\n", re.MULTILINE)
_END = re.compile(r"^%% kb:end %%", re.MULTILINE)
_FRONT = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_KEY = re.compile(r"(?:\"([^\"\\]+)\"|'([^']+)'|([^\s#'\"\-?][^:]*)):(?=\s|$)")
_GOES_ON = re.compile(r"[ \t]+\S|-\s|[\]}]")
"""A line that belongs to the property above it: indented, an item of a list, or the end of one."""


class Property(NamedTuple):
    """Lines of the front matter that belong together, and their key; "" for what is none, a comment for one."""

    key: str
    raw: str


@dataclass(slots=True)
class Note:
    """A note taken apart; put together again, the parts are the same text."""

    properties: list[Property]
    before: str
    mark: str
    region: str | None
    after: str
    newline: str

    @property
    def is_edited(self) -> bool:
        """The region is no longer what was written, or is gone."""
        found = _BEGIN.match(self.mark)
        return self.region is None or found is None or digest(self.region) != found[1]

    @property
    def id(self) -> str:
        """The concept that the note says it is of; empty where it says none."""
        raw = next((raw for key, raw in self.properties if key == ID_KEY), "")
        node = _value_of(raw)
        return node.value if isinstance(node, yaml.ScalarNode) else ""


def parse(text: str, known: str = "") -> Note:
    """Take a note apart; any text can be.

    Args:
        known: The `blind_digest` of the region that kb wrote, should the note hold several.
    """
    front = _FRONT.match(text)
    rest = text[front.end() :] if front else text
    newline = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
    properties = _split(front[1]) if front else []
    found = [
        Note(properties, rest[: begin.start()], begin[0], rest[begin.end() : end.start()], rest[end.end() :], newline)
        for begin in islice(_BEGIN.finditer(rest), MOST if known else 1)
        if (end := _END.search(rest, begin.end()))
    ]
    ours = [note for note in found if known and blind_digest(note.region or "") == known]
    return next(iter(ours + found), Note(properties, rest, "", None, "", newline))


def _split(front: str) -> list[Property]:
    """The front matter, property by property."""
    found: list[Property] = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", front):
        if found and _GOES_ON.match(line):
            found[-1] = found[-1]._replace(raw=found[-1].raw + line)
        else:
            match = _KEY.match(line)
            found.append(Property((match[1] or match[2] or match[3]).strip() if match else "", line))
    return found


def _value_of(raw: str) -> yaml.Node | None:
    """The value of a property; None where that is not YAML."""
    try:
        root = compose(raw)
    except (yaml.YAMLError, ValueError):  # the latter for bytes that are no text
        return None
    if not isinstance(root, yaml.MappingNode) or len(root.value) != 1:
        return None
    value: yaml.Node = root.value[0][1]
    return value


def update(note: Note, ours: Properties, before: Properties | None, region: str, *, force: bool = False) -> str | None:
    """The note's text with our properties and region brought up to date, and all that is the user's kept.

    Args:
        before: The properties as kb wrote them last; None where that is not known.
        force: Write the single values that the user changed, and the properties that they took out, anew.

    Returns:
        None where the properties cannot be changed without breaking them.
    """
    front = _front(note, ours, before, force)
    if _is_yaml("".join(raw for _, raw in note.properties)) and not _is_yaml(front):
        return None
    end = note.newline
    mark, shown = note.mark, note.region
    if shown is None or shown.replace("\r\n", "\n") != region or note.is_edited:
        mark = f"%% kb:begin {digest(region)} written by kb; your own notes go below the end mark %%{end}"
        shown = region.replace("\n", end)
    text = note.before
    if note.region is None and text.strip():  # a begin without an end would make a part of ours of what follows
        text = _BEGIN.sub("", text).rstrip("\r\n") + end * 2
    return f"---{end}{front}---{end}{text}{mark}{shown}%% kb:end %%{note.after or end}"


def _is_yaml(front: str) -> bool:
    try:
        return isinstance(compose(front), yaml.MappingNode | None)
    except (yaml.YAMLError, ValueError):
        return False


def _front(note: Note, ours: Properties, before: Properties | None, force: bool) -> str:
    """The front matter brought up to date: what stands there in its place, what is new behind the last of ours."""
    there, lines, last = {key for key, _ in note.properties}, list[str](), 0
    for key, raw in note.properties:
        old = (before or {}).get(key)
        if key in there and (key in ours or old is not None):
            there.remove(key)  # one that stands twice is the user's
            lines.append(_updated(key, raw, ours.get(key), old, note.newline, force))
            last = len(lines)
        else:
            lines.append(raw)
    gone = set() if force or not note.properties else set(before or {})  # the user took them out
    there = {key for key, _ in note.properties}
    new = [_written(key, value, note.newline) for key, value in ours.items() if key not in there | gone]
    return "".join(lines[:last] + new + lines[last:])


def _updated(key: str, raw: str, value: Value | None, old: Value | None, end: str, force: bool) -> str:
    """One property of ours as it stands, or as it should; "" where it is no longer wanted."""
    node = _value_of(raw)
    if isinstance(value, list) or (value is None and isinstance(old, list)):
        return _updated_list(key, raw, value, old if isinstance(old, list) else [], end)
    said = node.value if isinstance(node, yaml.ScalarNode) else None
    is_ours = old is not None and said == str(old)
    if value is None:
        return "" if is_ours and "#" not in raw else raw  # a comment is the user's
    if said == str(value) or not (is_ours or force):
        return raw
    rest = raw[node.end_mark.index :] if isinstance(node, yaml.ScalarNode) else ""
    return _written(key, value, end).removesuffix(end) + (rest if re.match(r"[ \t]*(#|\r?\n)", rest) else end)


class _Item(NamedTuple):
    """An item of a list: what it says, and how it is written, with all that stands on its lines."""

    text: str
    raw: str
    is_noted: bool = False
    """The user wrote a comment behind it."""


def _updated_list(key: str, raw: str, value: list[str] | None, old: list[str], end: str) -> str:
    """A list as it stands, without what we no longer say and with what we say anew; the user's items as they are."""
    found = _items(key, raw)
    if found is None:
        return raw
    heading, items = found
    wanted, said = value or [], {item.text for item in items}
    kept = [item for item in items if item.text in wanted or item.text not in old or item.is_noted]
    added = [text for text in wanted if text not in said and text not in old]
    if len(kept) == len(items) and not added:
        return raw
    if not kept and not added:
        comments = "".join(re.findall(r" #[^\r\n]*", heading)) + end + "".join(_comments(item.raw) for item in items)
        return f"{key}: []{comments}" if value is not None or comments.strip() else ""
    indent = re.match(r"[ \t]*", kept[0].raw)[0] if kept else "  "  # type: ignore[index]  # it matches anything
    new = [f"{indent}- {json.dumps(text, ensure_ascii=False)}{end}" for text in added]
    return heading + "".join([item.raw if item in kept else _comments(item.raw) for item in items] + new)


def _comments(raw: str) -> str:
    """The lines below an item that are comments: they may speak of what comes next."""
    return "".join(line for line in raw.splitlines(keepends=True)[1:] if line.lstrip().startswith("#"))


def _items(key: str, raw: str) -> tuple[str, list[_Item]] | None:
    """The heading of a list and its items, whatever form it has; None where it is something else."""
    node = _value_of(raw)
    if node is None:
        return None
    end = "\r\n" if raw.endswith("\r\n") else "\n"
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        starts = [raw.rfind("\n", 0, child.start_mark.index) + 1 for child in node.value]
        if len(set(starts)) < len(starts) or 0 in starts:
            return None
        parts = [raw[start:stop] for start, stop in zip(starts, [*starts[1:], len(raw)], strict=True)]
        return raw[: starts[0]], [
            _Item(_text(child, raw), part, "#" in raw[child.end_mark.index :].partition("\n")[0])
            for child, part in zip(node.value, parts, strict=True)
        ]
    if (isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")) or ("#" in raw and raw.count("\n") > 1):
        return None  # written by hand, with comments inside: left so
    comment = re.match(r"\s*#[^\r\n]*", raw[node.end_mark.index :])
    heading = f"{key}:{' ' + comment[0].strip() if comment else ''}{end}"
    if isinstance(node, yaml.SequenceNode):
        return heading, [_Item(_text(c, raw), f"  - {_slice(c, raw)}{end}") for c in node.value]
    if not isinstance(node, yaml.ScalarNode):
        return None
    is_null = node.tag.endswith(":null")
    texts = [] if is_null else [text.strip() for text in re.split(r"[,\s]" if key == "tags" else ",", node.value)]
    return heading, [_Item(text, f"  - {json.dumps(text, ensure_ascii=False)}{end}") for text in texts if text]


def _text(node: yaml.Node, raw: str) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else _slice(node, raw)


def _slice(node: yaml.Node, raw: str) -> str:
    return raw[node.start_mark.index : node.end_mark.index].strip()


def _written(key: str, value: Value, end: str) -> str:
    """YAML that Obsidian reads as it is meant: strings quoted, lists one item a line, nothing wrapped."""
    if isinstance(value, list) and value:
        return f"{key}:{end}" + "".join(f"  - {json.dumps(item, ensure_ascii=False)}{end}" for item in value)
    return f"{key}: {json.dumps(value, ensure_ascii=False)}{end}"


def digest(text: str) -> str:
    """A short hash of a region, blind to the kind of line ends."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode("utf-8", "surrogateescape")).hexdigest()[:16]


def blind_digest(region: str) -> str:
    """A short hash of a region, blind to what its links lead to: Obsidian rewrites them where a note is renamed."""
    return digest(re.sub(r"\[\[[^\[\]|]*(\|[^\[\]]*)?\]\]", lambda link: f"[[{link[1] or ''}]]", region))
