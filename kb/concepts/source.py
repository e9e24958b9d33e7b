"""From YAML to concepts: safe, strict about structure, and precise about where something is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from kb.concepts.fields import ENTRY, Field, record
from kb.concepts.model import Concept
from kb.concepts.nodes import compose
from kb.errors import KbError, Way
from kb.files import read_named
from kb.language.text import Bilingual, short

UNREADABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML allows in no text, unless it is written as an escape."""


class Source(NamedTuple):
    """A concepts file, read once: whatever is derived from it is derived from these bytes."""

    path: Path
    data: bytes

    @classmethod
    def open(cls, path: Path) -> Source:
        """Read the file.

        Raises:
            KbError: it cannot be read, or is no file.
        """
        return cls(path, read_named(path).data)


class Problem(NamedTuple):
    """Something wrong at a place in a file; sorts by place."""

    file: str
    line: int
    id: str
    field: str
    message: Bilingual

    def said(self, language: str) -> str:
        """`file:line: id.field: what is wrong`."""
        parts = (short(self.id), short(self.field), self.message.zh if language == "zh" else self.message.en)
        return f"{self.file}:{self.line}: {': '.join(part for part in parts if part)}"


@dataclass(slots=True)
class Entry:
    """One entry as it was read: its values by field, and the line of each."""

    file: str
    line: int
    values: dict[str, Any]
    lines: dict[str, int]

    @property
    def id(self) -> str:
        return str(self.values.get("id", "?"))

    def problem(self, field: str, message: Bilingual) -> Problem:
        """A problem with a field of this entry, at its line."""
        return Problem(self.file, self.lines.get(field.split(".")[0].split("[")[0], self.line), self.id, field, message)


def read_entries(source: Source) -> tuple[list[Entry], list[Problem]]:
    """Read a concepts file, or as much of it as can be read.

    Returns:
        The entries in file order, and every structural problem.

    Raises:
        KbError: the file is not UTF-8, or is not YAML.
    """
    root = _compose(source)
    if root is None:
        return [], []
    file = source.path.name
    if not isinstance(root, yaml.SequenceNode):
        wrong = Bilingual("the file is not a list of entries", "文件不是条目列表")
        return [], [Problem(file, root.start_mark.line + 1, "", "", wrong)]
    read = [read_entry(file, node) for node in root.value]
    problems = [problem for _, found in read for problem in found]
    return [entry for entry, _ in read if entry.values.get("id")], problems


def _compose(source: Source) -> yaml.Node | None:
    path = source.path
    try:
        text = source.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.data.count(b"\n", 0, error.start) + 1
        raise KbError(Bilingual(f"{path}:{line}: not UTF-8", f"{path}:{line}：不是 UTF-8 编码")) from error
    if odd := UNREADABLE.search(text):
        line, code = text.count("\n", 0, odd.start()) + 1, f"U+{ord(odd[0]):04X}"
        raise KbError(
            Bilingual(f"{path}:{line}: a control character, {code}", f"{path}:{line}：含控制字符 {code}"),
            Bilingual("remove it, or save the file as UTF-8", "请删除该字符，或将文件保存为 UTF-8"),
        )
    try:
        return compose(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at, why = f":{mark.line + 1}" if mark else "", getattr(error, "problem", None) or str(error)
        raise KbError(Bilingual(f"{path}{at}: not YAML: {why}", f"{path}{at}：不是合法的 YAML：{why}")) from error


_OPTIONAL = record({key: Field(field.kind, field.doc) for key, field in ENTRY.items()})


def read_entry(file: str, node: yaml.Node) -> tuple[Entry, list[Problem]]:
    """Read one entry with nothing required, for an overlay may hold only what it adds; and what is wrong with it."""
    problems: list[Problem] = []
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    named = {key.value: child for key, child in pairs if isinstance(key, yaml.ScalarNode)}
    lines = {key.value: key.start_mark.line + 1 for key, _ in pairs if isinstance(key, yaml.ScalarNode)}
    id = named.get("id")
    name = id.value.strip() if isinstance(id, yaml.ScalarNode) else "?"

    def report(at: yaml.Node, field: str, message: Bilingual) -> None:
        problems.append(Problem(file, at.start_mark.line + 1, name, field, message))

    values = _OPTIONAL.read(node, "", report) or {}
    entry = Entry(file, node.start_mark.line + 1, values, lines)
    if isinstance(node, yaml.MappingNode) and "id" not in lines:
        problems.append(entry.problem("id", Bilingual("missing", "缺失")))
    return entry, problems


def read_all(sources: Sequence[Source]) -> tuple[list[Entry], list[Problem]]:
    """The entries of some files, each laid over those before it, and every structural problem of each.

    Raises:
        KbError: a file is not UTF-8, or is not YAML.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    for source in sources:
        read, wrong = read_entries(source)
        known = {entry.id for entry in entries}
        problems += wrong + check_entries([entry for entry in read if entry.id not in known])
        entries = merge(entries, read) if entries else read
    return entries, problems


def merge(base: Sequence[Entry], overlay: Iterable[Entry]) -> list[Entry]:
    """Lay an overlay on a base: new ids are added; of known ids, lists are appended to and the rest is replaced."""
    merged = {entry.id: entry for entry in base}
    for entry in overlay:
        known = merged.get(entry.id)
        if known is None:
            merged[entry.id] = entry
        else:
            values = {key: _extend(known.values.get(key), value) for key, value in entry.values.items()}
            merged[entry.id] = Entry(known.file, known.line, {**known.values, **values}, known.lines)
    return list(merged.values())


def _extend(old: Any, new: Any) -> Any:
    if isinstance(old, tuple) and isinstance(new, tuple) and not isinstance(new, Bilingual):
        return old + tuple(item for item in new if item not in old)
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _extend(old.get(key), value) for key, value in new.items()}}
    return new


def make_concept(entry: Entry) -> Concept:
    """The concept of an entry in which every needed field was read."""
    values = dict(entry.values)
    lists = values.pop("aliases", {})
    forms = [form for aliases in lists.values() for form in aliases]
    names = {entry.id, *values["name"]}
    aliases = {
        language: tuple(form.text for form in forms if not (form.weak and form.text in names))  # the name is weak
        for language, forms in lists.items()
    }
    status = {form.text: form.status for form in forms if form.status}
    weak = tuple(dict.fromkeys(form.text for form in forms if form.weak))
    return Concept(**values, aliases=aliases, alias_status=status, weak=weak)


def check_entries(entries: Sequence[Entry]) -> list[Problem]:
    """What keeps entries from becoming concepts: needed fields that are missing, ids that stand twice."""
    problems, seen = [], set()
    for entry in entries:
        if entry.id in seen:
            problems.append(entry.problem("id", Bilingual("this id stands twice", "id 重复")))
        seen.add(entry.id)
        missing = (key for key, field in ENTRY.items() if field.needed and key not in entry.lines)
        problems += [entry.problem(key, Bilingual("missing", "缺失")) for key in missing]
    return problems


def load(sources: Sequence[Source]) -> list[Concept]:
    """The concepts of some files, each laid over those before it, sorted by id.

    Raises:
        KbError: a file is wrong in structure; every problem is named with its place.
    """
    entries, problems = read_all(sources)
    if problems:
        raise _refusal(problems)
    return sorted((make_concept(entry) for entry in entries), key=lambda concept: concept.id)


def _refusal(problems: Sequence[Problem]) -> KbError:
    shown = sorted(set(problems))[:10]
    files = ", ".join(sorted({problem.file for problem in problems}))
    more_en = f"\n… and {len(problems) - 10} more" if len(problems) > 10 else ""
    more_zh = f"\n……另有 {len(problems) - 10} 处" if len(problems) > 10 else ""
    return KbError(
        Bilingual(f"{files}: {len(problems)} problem(s)", f"{files}：{len(problems)} 处问题"),
        Bilingual("\n".join(p.said("en") for p in shown) + more_en, "\n".join(p.said("zh") for p in shown) + more_zh),
        [Way("lint")],
    )
