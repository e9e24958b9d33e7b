"""From YAML to concepts: safe, strict about structure, and precise about where something is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from kb.errors import KbError
from kb.fields import ENTRY, Field, record
from kb.model import Concept
from kb.text import Bilingual

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is ten times faster


class Problem(NamedTuple):
    """Something wrong at a place in a file; sorts by place."""

    file: str
    line: int
    id: str
    field: str
    message: Bilingual

    def said(self, language: str) -> str:
        """`file:line: id.field: what is wrong`."""
        place = ": ".join(part for part in (self.id, self.field) if part)
        return f"{self.file}:{self.line}: {place}: {self.message.zh if language == 'zh' else self.message.en}"


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


def read_entries(path: Path) -> tuple[list[Entry], list[Problem]]:
    """Read a concepts file, or as much of it as can be read.

    Returns:
        The entries in file order, and every structural problem.

    Raises:
        KbError: the file cannot be opened, is not UTF-8, or is not YAML.
    """
    root = _compose(path)
    if root is None:
        return [], []
    if not isinstance(root, yaml.SequenceNode):
        wrong = Bilingual("the file is not a list of entries", "文件不是条目列表")
        return [], [Problem(path.name, root.start_mark.line + 1, "", "", wrong)]
    problems: list[Problem] = []
    entries = [_read_entry(path, node, problems) for node in root.value]
    return [entry for entry in entries if entry.values.get("id")], problems


def _compose(path: Path) -> yaml.Node | None:
    try:
        return yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        why = error.strerror or str(error)
        raise KbError(Bilingual(f"cannot read {path}: {why}", f"无法读取 {path}：{why}")) from error
    except UnicodeDecodeError as error:
        raise KbError(Bilingual(f"{path} is not UTF-8", f"{path} 不是 UTF-8 编码")) from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        at, why = f":{mark.line + 1}" if mark else "", getattr(error, "problem", None) or "nested too deeply"
        raise KbError(Bilingual(f"{path}{at}: not YAML: {why}", f"{path}{at}：不是合法的 YAML：{why}")) from error


def _read_entry(path: Path, node: yaml.Node, problems: list[Problem]) -> Entry:
    """Read one entry with nothing required: an overlay may hold only what it adds."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    lines = {key.value: key.start_mark.line + 1 for key, _ in pairs if isinstance(key, yaml.ScalarNode)}
    name = next((child.value for key, child in pairs if key.value == "id"), "?")

    def report(at: yaml.Node, field: str, message: Bilingual) -> None:
        problems.append(Problem(path.name, at.start_mark.line + 1, str(name), field, message))

    optional = {key: Field(field.kind, field.doc) for key, field in ENTRY.items()}
    values = record(optional).read(node, "", report) or {}
    entry = Entry(path.name, node.start_mark.line + 1, values, lines)
    if isinstance(node, yaml.MappingNode) and "id" not in lines:
        problems.append(entry.problem("id", Bilingual("missing", "缺失")))
    return entry


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
    pairs = values.pop("aliases", {})
    aliases = {language: tuple(text for text, _ in forms) for language, forms in pairs.items()}
    status = {text: mark for forms in pairs.values() for text, mark in forms if mark}
    return Concept(**values, aliases=aliases, alias_status=status)


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


def load(path: Path, overlay: Path | None = None) -> list[Concept]:
    """The concepts of a file, an overlay laid over them, sorted by id.

    Raises:
        KbError: a file cannot be read, or is wrong in structure; every problem is named with its place.
    """
    entries, problems = read_entries(path)
    problems += check_entries(entries)
    if overlay is not None:
        extra, more = read_entries(overlay)
        known = {entry.id for entry in entries}
        problems += more + check_entries([entry for entry in extra if entry.id not in known])
        entries = merge(entries, extra)
    if problems:
        shown = sorted(set(problems))[:10]
        files = ", ".join(sorted({problem.file for problem in problems}))
        more_en = f"\n… and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise KbError(
            Bilingual(f"{files}: {len(problems)} problem(s)", f"{files}：{len(problems)} 处问题"),
            Bilingual(
                "\n".join(p.said("en") for p in shown) + more_en + "\nkb lint FILE shows them all",
                "\n".join(p.said("zh") for p in shown) + more_en + "\n用 kb lint FILE 查看全部",
            ),
        )
    return sorted((make_concept(entry) for entry in entries), key=lambda concept: concept.id)
