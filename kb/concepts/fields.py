"""The fields of an entry: how each is read from a YAML node, kept as JSON, and described by a JSON Schema.

One table, `ENTRY`, serves the loader, the snapshot, the generated schema and the header of data/concepts.yaml.
A kind reads a node into a value, or reports why it cannot and returns None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from kb.concepts.model import Believed, Code, Concept, Example, Link, Source, Symbol
from kb.concepts.vocabulary import ALIAS_STATUS, AREAS, TYPES, WRITTEN_RELATIONS
from kb.language.text import LANGUAGES, Bilingual, short

if TYPE_CHECKING:  # a card is read without YAML
    from yaml import MappingNode, Node, ScalarNode, SequenceNode

    Report = Callable[[Node, str, Bilingual], None]
    """Called with the node at fault, the field's path and what is wrong."""


def is_scalar(node: Node) -> TypeGuard[ScalarNode]:
    """Whether a node is one text."""
    return type(node).__name__ == "ScalarNode"


def is_sequence(node: Node) -> TypeGuard[SequenceNode]:
    """Whether a node is a list."""
    return type(node).__name__ == "SequenceNode"


def is_mapping(node: Node) -> TypeGuard[MappingNode]:
    """Whether a node has keys."""
    return type(node).__name__ == "MappingNode"


def as_it_is(value: Any) -> Any:
    """A value that is the same in JSON."""
    return value


class Kind(NamedTuple):
    """How a value is read, its JSON Schema, and how it becomes JSON and comes back."""

    read: Callable[[Node, str, Report], Any]
    schema: dict[str, Any]
    to_json: Callable[[Any], Any] = as_it_is
    from_json: Callable[[Any], Any] = as_it_is


MOVED: dict[str, Bilingual] = {
    "body": Bilingual("it is how, use, avoid, cost and mind now", "现分为 how、use、avoid、cost、mind"),
    "misconception": Bilingual(
        "it is believed now, a list of {belief, fact}", "现为 believed，即 {belief, fact} 的列表"
    ),
}
"""Fields that earlier versions had, and what became of them."""


class Field(NamedTuple):
    """A field's kind, whether a file loads without it, and what it must hold."""

    kind: Kind
    doc: str
    needed: bool = False


def text(pattern: str = "", example: str = "") -> Kind:
    """A string, wrapped lines joined; YAML that reads as a number, a date or a truth value is an error."""

    def read(node: Node, path: str, report: Report) -> str | None:
        if not is_scalar(node) or not node.tag.endswith(":str"):
            said = short(node.value) if is_scalar(node) else ""
            en, zh = (f"'{said}'", f"“{said}”") if said else ("this", "此值")
            report(node, path, Bilingual(f"{en} is not text; quote it", f"{zh}不是文本，请加引号"))
            return None
        value = unwrap(node.value)
        if not value or (pattern and not re.fullmatch(pattern, value)):
            said = short(value)
            report(node, path, Bilingual(f"'{said}' is not {example or 'text'}", f"“{said}”不是{example or '文本'}"))
            return None
        return value

    return Kind(read, {"type": "string", "minLength": 1, **({"pattern": f"^{pattern}$"} if pattern else {})})


def one_of(names: Iterable[str]) -> Kind:
    """A string from a closed list."""
    known = sorted(names)

    def read(node: Node, path: str, report: Report) -> str | None:
        value: str | None = TEXT.read(node, path, report)
        if value is not None and value not in known:
            said, options = short(value), ", ".join(known)
            report(node, path, Bilingual(f"'{said}' is not one of {options}", f"“{said}”不在列表中：{options}"))
            return None
        return value

    return Kind(read, {"enum": known})


def shown() -> Kind:
    """One value as it is written, a number or a text; read as a text."""

    def read(node: Node, path: str, report: Report) -> str | None:
        if is_scalar(node) and node.value.strip():
            return unwrap(node.value)
        report(node, path, Bilingual("not one value", "不是单个值"))
        return None

    return Kind(read, {"type": ["string", "number"]})


def flag() -> Kind:
    """`true`; what is not so is left out."""

    def read(node: Node, path: str, report: Report) -> bool | None:
        if is_scalar(node) and node.tag.endswith(":bool") and node.value.casefold() == "true":
            return True
        report(node, path, Bilingual("not true; leave it out otherwise", "只能写 true，否则请省略"))
        return None

    return Kind(read, {"const": True})


def whole_number(low: int, high: int) -> Kind:
    """An integer within bounds, both included."""

    def read(node: Node, path: str, report: Report) -> int | None:
        is_number = is_scalar(node) and node.tag.endswith(":int") and node.value.isdecimal()
        digits = (node.value.lstrip("0") or "0") if is_number else ""
        if not digits or len(digits) > len(str(high)) or not low <= int(digits) <= high:
            wrong = Bilingual(f"not a whole number from {low} to {high}", f"不是 {low} 到 {high} 的整数")
            report(node, path, wrong)
            return None
        return int(digits)

    return Kind(read, {"type": "integer", "minimum": low, "maximum": high})


def list_of(item: Kind) -> Kind:
    """A list; items that cannot be read are left out."""

    def read(node: Node, path: str, report: Report) -> tuple[Any, ...] | None:
        if not is_sequence(node):
            report(node, path, Bilingual("not a list; write [a, b]", "不是列表，请写成 [a, b]"))
            return None
        values = (item.read(child, f"{path}[{i}]", report) for i, child in enumerate(node.value))
        return tuple(value for value in values if value is not None)

    def to_json(values: Iterable[Any]) -> list[Any]:
        return [item.to_json(value) for value in values]

    def from_json(values: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(item.from_json(value) for value in values)

    return Kind(read, {"type": "array", "items": item.schema}, to_json, from_json)


def one_or_more(item: Kind) -> Kind:
    """A list, or one item without the brackets."""
    several = list_of(item)

    def read(node: Node, path: str, report: Report) -> tuple[Any, ...] | None:
        if is_sequence(node):
            values: tuple[Any, ...] | None = several.read(node, path, report)
            return values
        value = item.read(node, path, report)
        return None if value is None else (value,)

    return several._replace(read=read, schema={"anyOf": [item.schema, several.schema]})


def drawn() -> Kind:
    """Lines as they are drawn, columns and all; without blank lines at either end."""

    def read(node: Node, path: str, report: Report) -> str | None:
        if TEXT.read(node, path, report) is None:
            return None
        lines = [line.rstrip() for line in node.value.expandtabs().split("\n")]
        while not lines[0]:
            lines.pop(0)
        return "\n".join(lines).rstrip("\n")

    return Kind(read, TEXT.schema)


def record(fields: Mapping[str, Field], make: Callable[..., Any] = dict) -> Kind:
    """A mapping with known keys; `make` is called with what was read, unless something needed is missing.

    What it makes has an attribute for each key; in JSON every key stands, null where there is nothing.
    """

    def read(node: Node, path: str, report: Report) -> Any:
        nodes = keys(node, path, report)
        if nodes is None:
            return None
        for key in nodes.keys() - fields.keys():
            known = ", ".join(fields)
            unknown = Bilingual(f"unknown field; known: {known}", f"未知字段；可用：{known}")
            report(nodes[key], join(path, key), unknown if path else MOVED.get(key, unknown))
        for key, field in fields.items():
            if field.needed and key not in nodes:
                report(node, join(path, key), Bilingual("missing", "缺失"))
        values = {k: fields[k].kind.read(n, join(path, k), report) for k, n in nodes.items() if k in fields}
        values = {key: value for key, value in values.items() if value is not None}
        if any(field.needed and key not in values for key, field in fields.items()):
            return None
        return make(**values)

    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: {**f.kind.schema, "description": f.doc} for key, f in fields.items()},
        "required": [key for key, field in fields.items() if field.needed],
    }
    to_json, from_json = record_json(fields)
    return Kind(read, schema, to_json, lambda kept: make(**from_json(kept)))


def record_json(fields: Mapping[str, Field]) -> tuple[Callable[[Any], dict[str, Any]], Callable[[Any], dict[str, Any]]]:
    """How what has an attribute for each key becomes JSON, and how its values come back; those that are null do not."""
    kinds = [(key, field.kind) for key, field in fields.items()]

    def to_json(value: Any) -> dict[str, Any]:
        held = ((key, kind, getattr(value, key)) for key, kind in kinds)
        return {key: None if one is None else kind.to_json(one) for key, kind, one in held}

    def from_json(kept: Mapping[str, Any]) -> dict[str, Any]:
        return {key: kind.from_json(kept[key]) for key, kind in kinds if kept[key] is not None}

    return to_json, from_json


def map_of(item: Kind) -> Kind:
    """A mapping with free keys."""

    def read(node: Node, path: str, report: Report) -> dict[str, Any] | None:
        nodes = keys(node, path, report)
        if nodes is None:
            return None
        values = {key: item.read(child, join(path, key), report) for key, child in nodes.items()}
        return {key: value for key, value in values.items() if value is not None}

    def to_json(values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: item.to_json(value) for key, value in values.items()}

    def from_json(values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: item.from_json(value) for key, value in values.items()}

    return Kind(read, {"type": "object", "additionalProperties": item.schema}, to_json, from_json)


def keys(node: Node, path: str, report: Report) -> dict[str, Node] | None:
    """The nodes of a mapping by key; a key that stands twice is reported."""
    if not is_mapping(node):
        report(node, path, Bilingual("not a mapping; write {key: value}", "不是映射，请写成 {key: value}"))
        return None
    found: dict[str, Node] = {}
    for key_node, child in node.value:
        key = TEXT.read(key_node, path, report)
        if key is None:
            continue
        if key in found:
            report(key_node, join(path, key), Bilingual("this key stands twice", "键重复"))
        found[key] = child
    return found


def join(path: str, key: str) -> str:
    """A field's path, `name.en`."""
    return f"{path}.{key}" if path else key


_WIDE = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f“”‘’…—"
_MARKS = "，。、；：？！（）《》「」“”‘’…—"
_JOIN = re.compile(  # no space between 汉字, also inside a link, and none beside full-width marks
    rf"(?<=[{_WIDE}])\n(?=[{_WIDE}])"
    rf"|(?<=[{_WIDE}])\n(?=\[\[[^\[\]|]+\|[{_WIDE}])"
    rf"|(?<=[{_WIDE}]\]\])\n(?=[{_WIDE}])"
    rf"|(?<=[{_MARKS}])\n|\n(?=[{_MARKS}])"
)


def unwrap(value: str) -> str:
    """Join lines that were wrapped for the editor; a blank line stays."""
    if "\n" not in value:
        return value.strip()
    paragraphs = re.split(r"\n[ \t]*\n", value.strip())
    return "\n\n".join(_unwrap_one(paragraph) for paragraph in paragraphs)


def _unwrap_one(paragraph: str) -> str:
    lines = "\n".join(filter(None, map(str.strip, paragraph.split("\n"))))
    return (lines if lines.isascii() else _JOIN.sub("", lines)).replace("\n", " ")


TEXT = text()
KEBAB = text(r"[a-z0-9]+(-[a-z0-9]+)*", "kebab-case")
BOTH = record({"en": Field(TEXT, "in English", True), "zh": Field(TEXT, "in Chinese", True)}, Bilingual)
URL = text(r"https?://\S+", "http(s)://…")


class Alias(NamedTuple):
    """A surface form as it is written; a concept holds the texts alone, and what is said of them beside."""

    text: str
    status: str = ""
    weak: bool = False


def alias() -> Kind:
    """A surface form: a string, or {text, status} where it is no equal of the name, {text, weak} for a common word."""
    marked = record(
        {
            "text": Field(TEXT, "the surface form", True),
            "status": Field(one_of(ALIAS_STATUS), "misnomer, deprecated, or narrower: a kind or part of the concept"),
            "weak": Field(
                flag(),
                "true for an everyday word that means the concept only in company, or one of several; the name, too",
            ),
        },
        Alias,
    )

    def read(node: Node, path: str, report: Report) -> Alias | None:
        if is_mapping(node):
            found: Alias | None = marked.read(node, path, report)
            if found and len(node.value) == 1:
                report(node, path, Bilingual("nothing is said of it; write the text alone", "未作说明，只写文本即可"))
            return found
        value = TEXT.read(node, path, report)
        return value and Alias(value)

    return Kind(read, {"anyOf": [TEXT.schema, marked.schema]})


def by_language(item: Kind) -> Kind:
    """Lists in either language, or both; in JSON both stand, and the empty ones fall away again."""
    lists = record({language: Field(list_of(item), f"in {language}") for language in LANGUAGES})

    def to_json(values: Mapping[str, Any]) -> dict[str, Any]:
        return {language: [item.to_json(one) for one in values.get(language, ())] for language in LANGUAGES}

    def from_json(values: Mapping[str, Any]) -> dict[str, Any]:
        return {language: tuple(map(item.from_json, ones)) for language, ones in values.items() if ones}

    return Kind(lists.read, lists.schema, to_json, from_json)


LINK = record(
    {
        "rel": Field(one_of(WRITTEN_RELATIONS), "the relation, read from this concept to the target", True),
        "to": Field(KEBAB, "the target's id", True),
        "why": Field(BOTH, "one clause; for prerequisite, mitigates, causes and contrasts_with"),
        "soft": Field(flag(), "true where the target helps to understand, and is not needed for it"),
    },
    Link,
)
EXAMPLE = record(
    {
        "en": Field(drawn(), "in English", True),
        "zh": Field(drawn(), "in Chinese", True),
        "computed": Field(map_of(TEXT), "each number that is worked out, or a bar of #: the expression it comes from"),
    },
    Example,
)
BELIEVED = record(
    {
        "belief": Field(BOTH, "what learners believe, as they would say it", True),
        "fact": Field(BOTH, "what is true, naming the concept", True),
    },
    Believed,
)
SYMBOL = record(
    {
        "en": Field(TEXT, "in English", True),
        "zh": Field(TEXT, "in Chinese", True),
        "shape": Field(shown(), "of an array, such as n × d"),
        "default": Field(shown(), "what it usually is"),
    },
    Symbol,
)
CODE = record(
    {
        "call": Field(drawn(), "the real call; a few lines where one does not do it", True),
        "trap": Field(BOTH, "what goes wrong with it"),
    },
    Code,
)
SOURCE = record(
    {
        "title": Field(TEXT, "as published", True),
        "author": Field(TEXT, "the first author", True),
        "year": Field(whole_number(1600, 2100), "of publication", True),
        "url": Field(URL, "arXiv, DOI or official", True),
    },
    Source,
)

ENTRY: dict[str, Field] = {
    "id": Field(KEBAB, "kebab-case English, stable for ever; entries are sorted by it", True),
    "type": Field(one_of(TYPES), "what it is, from a closed list", True),
    "area": Field(list_of(one_of(AREAS)), "one or more fields, from a closed list, the main one first"),
    "name": Field(BOTH, "the standard term in each language; product names stay Latin in both", True),
    "aliases": Field(
        by_language(alias()),
        "other surface forms, the commonest first; {text, status: misnomer|deprecated|narrower}, {text, weak: true}",
    ),
    "summary": Field(BOTH, "one sentence: what it is and what it is for; <= 30 words, <= 60 汉字", True),
    "idea": Field(BOTH, "for who meets the term for the first time: why it works; <= 60 words, <= 105 汉字"),
    "example": Field(
        EXAMPLE, "<= 8 lines of <= 62 columns to follow with a pencil; `computed` says where numbers come from"
    ),
    "how": Field(BOTH, "1-3 sentences: how it works and why; links as [[id]] or [[id|text]], here and below"),
    "use": Field(BOTH, "when it is the right thing"),
    "avoid": Field(BOTH, "when it is not, and what instead"),
    "cost": Field(BOTH, "time, memory, data, defaults"),
    "mind": Field(BOTH, "the trap"),
    "believed": Field(list_of(BELIEVED), "1-3 pairs {belief, fact}: what learners believe, and what is true"),
    "formula": Field(one_or_more(TEXT), "LaTeX, one equation an item, complete"),
    "symbols": Field(map_of(SYMBOL), "every symbol of the formula, named in both languages, with shape and default"),
    "code": Field(CODE, "the real call, in one line or a few, and its trap"),
    "asks": Field(
        by_language(TEXT),
        "2-20 a language, ten serve well: what a person types who does not know the term; they feed the search",
    ),
    "links": Field(list_of(LINK), "typed and directed, two or more; inverses are derived, never written"),
    "year": Field(whole_number(1600, 2100), "of first publication; models, techniques, systems"),
    "sources": Field(list_of(SOURCE), "primary sources"),
    "demo": Field(KEBAB, "id of the demo that measures a claim about it, or of the nearest, where claim is left out"),
    "claim": Field(text(r"[a-z][a-z0-9_]*", "a claim's name"), "name of that demo's claim which concerns the concept"),
    "demo_shows": Field(BOTH, "one sentence: what to look at in that demo for this concept"),
    "wikidata": Field(text(r"Q[1-9][0-9]*", "Q…"), "Q-id, where certain"),
}


_to_json, _from_json = record_json(ENTRY)


def to_json(concept: Concept) -> dict[str, Any]:
    """A concept in its stable form: plain dicts and lists, the keys in reading order."""
    fields = {}
    for key, value in _to_json(concept).items():
        fields[key] = value
        if key == "aliases":
            fields["alias_status"] = dict(concept.alias_status)
            fields["weak"] = list(concept.weak)
    return fields


def from_json(kept: Mapping[str, Any]) -> Concept:
    """The concept of what `to_json` made; other keys are passed over."""
    return Concept(**_from_json(kept), alias_status=dict(kept["alias_status"]), weak=tuple(kept["weak"]))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a concepts file, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kb concepts",
        "type": "array",
        "items": record(ENTRY).schema,
    }


def header() -> str:
    """The comment at the head of data/concepts.yaml: every field, in order."""
    lines = ["# yaml-language-server: $schema=concepts.schema.json", "#"]
    lines += ["# The knowledge base: one list of entries, sorted by id. Fields (* must be there for the file to load):"]
    lines += [f"#   {key + ('*' if field.needed else ''):<14}{field.doc}" for key, field in ENTRY.items()]
    lines += ["# Relations: " + ", ".join(WRITTEN_RELATIONS) + "."]
    return "\n".join(lines) + "\n"
