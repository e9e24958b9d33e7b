"""The pedant: what is wrong with a knowledge base, each with its file, line, id, field and what to do.

`kb.concepts.source` says what keeps a file from loading; here stands what the curation standard asks beyond that.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kb.concepts.formula import to_terminal
from kb.concepts.model import Concept
from kb.concepts.source import Entry, Problem, Source, make_concept, read_all
from kb.concepts.vocabulary import ACYCLIC, SYMMETRIC, WITH_REASON
from kb.language import prose, wiki
from kb.language.surface import fold
from kb.language.text import LANGUAGES, Bilingual, short

Finding = tuple[str, Bilingual]
"""A field's path, and what is wrong with it."""

EXPECTED = ("area", "body", "asks", "demo", "demo_shows")
MOST_ASKS = 20
NAMED = 5
"""Concepts that a finding names."""
PROSE = ("summary", "body", "misconception", "demo_shows")
WITH_SOURCES = {"model", "technique", "optimizer", "loss", "metric", "framework"}


class Linted(NamedTuple):
    """The entries of some files as far as they could be read, and every problem of them, in file order."""

    entries: list[Entry]
    problems: list[Problem]


def lint(sources: Sequence[Path], demos: Collection[str] | None = None) -> Linted:
    """Check some concepts files, each laid over those before it.

    Args:
        demos: Ids of the demos that exist; None skips that check.

    Raises:
        KbError: a file cannot be read at all.
    """
    entries, problems = read_all([Source.open(path) for path in sources])
    problems += _order([entry for entry in entries if entry.file == sources[0].name])
    broken = {problem.id for problem in problems}
    sound = {entry.id: (entry, make_concept(entry)) for entry in entries if entry.id not in broken}
    names = {entry.id for entry in entries}
    for entry, concept in sound.values():
        found = [
            *_missing(concept),
            *_lengths(concept),
            *_prose(concept),
            *_formula(concept),
            *_asks(concept),
            *_unseen(concept),
        ]
        found += _links(concept, names)
        if demos is not None and concept.demo and concept.demo not in demos:
            found.append(("demo", Bilingual(f"no demo '{concept.demo}'", f"没有演示“{concept.demo}”")))
        problems += [entry.problem(field, message) for field, message in found]
    pairs = list(sound.values())
    problems += [*_collisions(pairs), *_cycles(pairs), *_written_twice(pairs), *_orphans(pairs)]
    return Linted(entries, sorted(set(problems)))


def _missing(concept: Concept) -> Iterator[Finding]:
    for name in EXPECTED:
        if not getattr(concept, name):
            yield name, Bilingual("missing", "缺失")
    if concept.type in WITH_SOURCES and not concept.sources:
        yield "sources", Bilingual(f"a {concept.type} needs a primary source", "此类条目需要原始文献")
    if concept.formula and not concept.symbols:
        yield "symbols", Bilingual("name the symbols of the formula", "请说明公式中的符号")


def _lengths(concept: Concept) -> Iterator[Finding]:
    limits = {"en": (30, "words", "词"), "zh": (60, "汉字", "个汉字")}
    for language in LANGUAGES:
        limit, unit, measure = limits[language]
        n = prose.length(concept.summary.of(language), language)
        if n > limit:
            yield (
                f"summary.{language}",
                Bilingual(f"{n} {unit}, at most {limit}", f"{n} {measure}，最多 {limit}"),
            )
        if concept.body:
            n = prose.sentences(wiki.plain(concept.body.of(language)), language)
            if not 3 <= n <= 8:
                yield f"body.{language}", Bilingual(f"{n} sentences, not 3 to 8", f"{n} 句，应为 3 到 8 句")
    for language, name in zip(LANGUAGES, concept.name, strict=True):
        if name.casefold() in concept.summary.of(language).casefold():
            said = short(name)
            wrong = Bilingual(f"the summary defines '{said}' by itself", f"摘要用“{said}”解释自身")
            yield f"summary.{language}", wrong


def _texts(concept: Concept) -> Iterator[tuple[str, Bilingual]]:
    for name in PROSE:
        if text := getattr(concept, name):
            yield name, text
    yield from ((f"symbols.{short(symbol)}", text) for symbol, text in concept.symbols.items())
    for i, link in enumerate(concept.links):
        if link.why:
            yield f"links[{i}].why", link.why


def _prose(concept: Concept) -> Iterator[Finding]:
    for field, text in _texts(concept):
        yield from ((f"{field}.zh", slip) for slip in prose.chinese(text.zh))
        yield from ((f"{field}.en", slip) for slip in prose.english(text.en))
    for ask in concept.asks.get("zh", ()):
        yield from ((f"asks.zh '{short(ask)}'", slip) for slip in prose.chinese(ask, keywords=True))


def _unseen(concept: Concept) -> Iterator[Finding]:
    for field, text in _strings(concept):
        yield from ((field, slip) for slip in prose.unseen(text, lines=field.startswith(PROSE)))


def _strings(concept: Concept) -> Iterator[tuple[str, str]]:
    """Every text that an entry holds, in whatever field."""
    for field, text in [("name", concept.name), *_texts(concept)]:
        yield from ((f"{field}.{language}", text.of(language)) for language in LANGUAGES)
    for field, lists in (("aliases", concept.aliases), ("asks", concept.asks)):
        yield from ((f"{field}.{language}", text) for language, texts in lists.items() for text in texts)
    if concept.formula:
        yield "formula", concept.formula
    yield from ((f"symbols.{short(symbol)}", symbol) for symbol in concept.symbols)
    for i, source in enumerate(concept.sources):
        yield from ((f"sources[{i}].{part}", getattr(source, part)) for part in ("title", "author", "url"))


def _formula(concept: Concept) -> Iterator[Finding]:
    for field, latex in [("formula", concept.formula or ""), *((f"symbols.{short(s)}", s) for s in concept.symbols)]:
        try:
            to_terminal(latex)
        except ValueError as error:
            yield field, Bilingual(f"cannot be shown in a terminal: {error}", f"无法在终端显示：{error}")
    formula = (concept.formula or "").replace(" ", "")
    for symbol in concept.symbols:
        if symbol.replace(" ", "") not in formula:
            yield f"symbols.{short(symbol)}", Bilingual("not in the formula", "公式中没有此符号")


def _asks(concept: Concept) -> Iterator[Finding]:
    for language, name in zip(LANGUAGES, concept.name, strict=True):
        asks = concept.asks.get(language, ())
        if concept.asks and not 2 <= len(asks) <= MOST_ASKS:
            yield (
                f"asks.{language}",
                Bilingual(f"{len(asks)} of them, not 2 to {MOST_ASKS}", f"{len(asks)} 条，应为 2 到 {MOST_ASKS} 条"),
            )
        if asks and all(fold(name) in fold(ask) for ask in asks):
            yield f"asks.{language}", Bilingual("every one contains the name", "每一条都包含概念名")


def _links(concept: Concept, names: set[str]) -> Iterator[Finding]:
    if len(concept.links) < 2:
        yield "links", Bilingual("fewer than two", "少于两条")
    for i, link in enumerate(concept.links):
        here = f"links[{i}]"
        if link.to == concept.id:
            yield here, Bilingual("links to itself", "链接到自身")
        elif link.to not in names:
            yield f"{here}.to", Bilingual(f"no concept '{link.to}'", f"没有概念“{link.to}”")
        if (link.rel in WITH_REASON) != (link.why is not None):
            asked = link.rel in WITH_REASON
            message = Bilingual(f"{link.rel} says why", f"{link.rel} 需要说明原因")
            yield (
                f"{here}.why",
                message if asked else Bilingual(f"{link.rel} has no why", f"{link.rel} 不带原因"),
            )
    if len(concept.links) != len({(link.rel, link.to) for link in concept.links}):
        yield "links", Bilingual("a link stands twice", "链接重复")
    for field, text in _texts(concept):
        for language in LANGUAGES:
            unknown = [target for target in wiki.targets(text.of(language)) if target not in names]
            for target in unknown:
                yield f"{field}.{language}", Bilingual(f"no concept [[{target}]]", f"没有概念 [[{target}]]")
        if set(wiki.targets(text.en)) != set(wiki.targets(text.zh)):
            odd = ", ".join(sorted(set(wiki.targets(text.en)) ^ set(wiki.targets(text.zh))))
            yield field, Bilingual(f"linked in one language only: {odd}", f"仅一种语言中有链接：{odd}")


def _order(entries: Sequence[Entry]) -> Iterator[Problem]:
    for before, entry in itertools.pairwise(entries):
        if entry.id < before.id and entry.line > before.line:
            yield entry.problem(
                "id", Bilingual(f"out of order: before '{before.id}'", f"顺序错误：应在“{before.id}”之前")
            )


def _collisions(pairs: Sequence[tuple[Entry, Concept]]) -> Iterator[Problem]:
    owners: dict[str, list[tuple[Entry, str, str]]] = defaultdict(list)
    for entry, concept in pairs:
        for text, kind in concept.surfaces():
            owners[fold(text, titles=True)].append((entry, text, kind))
    for claims in owners.values():
        if len({entry.id for entry, _, _ in claims}) > 1:
            for entry, text, kind in claims:
                near = sorted({other.id for other, _, _ in claims[: NAMED + 1]} - {entry.id})
                others = ", ".join(near[:NAMED]) + " …" * (len(claims) > NAMED + 1)
                wrong = Bilingual(f"'{text}' also names {others}", f"“{text}”同时是 {others} 的名称")
                yield entry.problem("name" if kind in ("name", "id") else "aliases", wrong)
        entry, text, kind = claims[-1]
        if len(claims) > 1 and kind not in ("name", "id") and all(e.id == entry.id for e, _, _ in claims):
            yield entry.problem("aliases", Bilingual(f"'{text}' resolves already", f"“{text}”已可解析，无需重复"))


def _cycles(pairs: Sequence[tuple[Entry, Concept]]) -> Iterator[Problem]:
    by_id = {concept.id: entry for entry, concept in pairs}
    for rel in ACYCLIC:
        edges = {c.id: [link.to for link in c.links if link.rel == rel and link.to in by_id] for _, c in pairs}
        for cycle in _find_cycles(edges):
            path = " → ".join([*cycle, cycle[0]])
            yield by_id[cycle[0]].problem("links", Bilingual(f"a cycle of {rel}: {path}", f"{rel} 成环：{path}"))


def _find_cycles(edges: dict[str, list[str]]) -> Iterator[list[str]]:
    """One cycle for each back edge of a depth-first walk."""
    state: dict[str, int] = {}
    for root in edges:
        stack = [(root, iter(edges[root]))] if root not in state else []
        state.setdefault(root, 1)
        while stack:
            node, children = stack[-1]
            child = next(children, None)
            if child is None:
                state[node] = 2
                stack.pop()
            elif child not in state:
                state[child] = 1
                stack.append((child, iter(edges[child])))
            elif state[child] == 1:
                trail = [name for name, _ in stack]
                yield trail[trail.index(child) :]


def _written_twice(pairs: Sequence[tuple[Entry, Concept]]) -> Iterator[Problem]:
    links = {(concept.id, link.rel, link.to) for _, concept in pairs for link in concept.links}
    for entry, concept in pairs:
        for i, link in enumerate(concept.links):
            if link.rel in SYMMETRIC and concept.id > link.to and (link.to, link.rel, concept.id) in links:
                wrong = Bilingual(f"{link.to} says so already", f"{link.to} 中已有此链接")
                yield entry.problem(f"links[{i}]", wrong)


def _orphans(pairs: Sequence[tuple[Entry, Concept]]) -> Iterator[Problem]:
    if len(pairs) < 2:
        return
    linked = {link.to for _, concept in pairs for link in concept.links}
    for _, concept in pairs:
        bodies = [text.en for _, text in _texts(concept)]
        linked |= {target for text in bodies for target in wiki.targets(text)}
    for entry, concept in pairs:
        if concept.id not in linked:
            yield entry.problem("id", Bilingual("no entry links here", "没有条目链接到这里"))
