"""The pedant: what is wrong with a knowledge base, each with its file, line, id, field and what to do.

`kb.concepts.source` says what keeps a file from loading; here stands what the curation standard asks beyond that.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kb.concepts.compute import disagrees, stands_in
from kb.concepts.formula import to_terminal
from kb.concepts.model import Concept
from kb.concepts.route import learning_path
from kb.concepts.source import Entry, Problem, Source, make_concept, read_all
from kb.concepts.vocabulary import ACYCLIC, LABELLED, PROSE, SYMMETRIC, WITH_REASON
from kb.language import prose, wiki
from kb.language.surface import fold
from kb.language.text import LANGUAGES, Bilingual, Language, columns, short

Finding = tuple[str, Bilingual]
"""A field's path, and what is wrong with it."""

EXPECTED = ("area", "idea", "how", "believed", "asks", "demo", "demo_shows")
ALONE = re.compile("前者|后者")
"""What points at a name that stands on one card only."""
MOST_ASKS = 20
NAMED = 5
"""Concepts that a finding names."""
LIMITS: dict[str, dict[Language, int]] = {"summary": {"en": 30, "zh": 60}, "idea": {"en": 60, "zh": 105}}
"""Words and 汉字 that a part may have."""
SENTENCES = 3
"""That a labelled line may have."""
CITED = re.compile(
    r"\b([A-Z][\w’'-]+)(?: (?:and|&|与|和) [A-Z][\w-]+)?(?: et al\.?| 等)?[,，]?(?: | ?[(（])((?:19|20)\d\d)(?!\d)"
)
"""A name and a year: Li et al. (2018), Hui（2020）, (Gal 2015)."""
NO_AUTHOR = set(
    "In Since By From Until As About Around Before After During Of The To And For At Between Early Late Only"
    " January February March April May June July August September October November December ImageNet".split()
)
"""Words that stand before a year and cite nobody."""
ABBREVIATION = re.compile(r"(?<![A-Za-z_.])[A-Z][A-Z0-9]+(?![A-Za-z_(])")
NO_TERM = {"AI", "ML", "DL", "ID", "OK", "PC", "PDF", "CSV", "API", "US", "TV", "FAQ", "XY", "AB", "PPT", "MB", "GB"}
"""Abbreviations that everybody knows."""
LINES, COLUMNS = 8, 62
"""Of an example."""
CODE_LINES, CODE_COLUMNS = 8, 66
"""Of a call that takes more than a line; one line may be long, and is wrapped."""
MOST_BELIEVED = 3
DRAWN_WITH = re.compile(r"[^ -~“”‘’…—×\n]")
"""What is neither a column wide in every terminal nor, as 汉字 are, two: Greek letters, arrows, blocks."""
NEEDS_EXAMPLE = {"loss", "metric", "component", "optimizer", "problem", "technique"}
NEEDS_USE = {"technique", "optimizer", "model", "component", "loss", "metric", "framework", "hardware"}
NEEDS_CODE = "pytorch"
"""Who says that this has it says how it is called."""
ROUTED = ("uses", "trained_by")
"""What a model does so lies on its learning route."""
WITH_SOURCES = {"model", "technique", "optimizer", "loss", "metric", "framework"}
WITHOUT_CLAIM = {"application", "framework", "hardware", "resource"}
"""What no experiment of seconds says anything of, so that its demo is only the nearest one."""


class Linted(NamedTuple):
    """The entries of some files as far as they could be read, and every problem of them, in file order."""

    entries: list[Entry]
    problems: list[Problem]
    nearest: list[str]
    """The entries whose demo measures nothing of them and is only the nearest, by id."""


def lint(sources: Sequence[Path], demos: Mapping[str, Collection[str]] | None = None) -> Linted:
    """Check some concepts files, each laid over those before it.

    Args:
        demos: The names of the claims of every demo, by its id; None skips that check.

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
            *_example(concept),
            *_code(concept),
            *_believed(concept),
            *_prose(concept),
            *_formula(concept),
            *_asks(concept),
            *_unseen(concept),
        ]
        found += _links(concept, names)
        found += _demo(concept, demos) if demos is not None else ()
        problems += [entry.problem(field, message) for field, message in found]
    pairs = list(sound.values())
    named = {fold(text, titles=True) for _, concept in pairs for text, _ in concept.surfaces()}
    for entry, concept in pairs:
        found = [*_cited(concept, named), *_promised(concept, named)]
        problems += [entry.problem(field, message) for field, message in found]
    problems += [*_collisions(pairs), *_cycles(pairs), *_written_twice(pairs), *_orphans(pairs), *_routes(pairs)]
    nearest = sorted(concept.id for _, concept in pairs if concept.demo and not concept.claim)
    return Linted(entries, sorted(set(problems)), nearest)


def _missing(concept: Concept) -> Iterator[Finding]:
    expected = [*EXPECTED]
    expected += ["example"] * (concept.type in NEEDS_EXAMPLE) + ["use"] * (concept.type in NEEDS_USE)
    expected += ["code"] * any((link.rel, link.to) == ("implemented_in", NEEDS_CODE) for link in concept.links)
    for name in expected:
        if not getattr(concept, name):
            yield name, Bilingual("missing", "缺失")
    if concept.type in WITH_SOURCES and not concept.sources:
        yield "sources", Bilingual(f"a {concept.type} needs a primary source", "此类条目需要原始文献")
    if concept.formula and not concept.symbols:
        yield "symbols", Bilingual("name the symbols of the formula", "请说明公式中的符号")


def _lengths(concept: Concept) -> Iterator[Finding]:
    units = {"en": ("words", "词"), "zh": ("汉字", "个汉字")}
    for language in LANGUAGES:
        unit, measure = units[language]
        for part, limits in LIMITS.items():
            text, limit = getattr(concept, part), limits[language]
            if text and (n := prose.length(wiki.plain(text.of(language)), language)) > limit:
                yield f"{part}.{language}", Bilingual(f"{n} {unit}, at most {limit}", f"{n} {measure}，最多 {limit}")
        for part in LABELLED:
            text = getattr(concept, part)
            if text and (n := prose.sentences(wiki.plain(text.of(language)), language)) > SENTENCES:
                wrong = Bilingual(f"{n} sentences, at most {SENTENCES}", f"{n} 句，最多 {SENTENCES} 句")
                yield f"{part}.{language}", wrong
    for language, name in zip(LANGUAGES, concept.name, strict=True):
        if name.casefold() in concept.summary.of(language).casefold():
            said = short(name)
            wrong = Bilingual(f"the summary defines '{said}' by itself", f"摘要用“{said}”解释自身")
            yield f"summary.{language}", wrong


def _example(concept: Concept) -> Iterator[Finding]:
    example = concept.example
    if example is None:
        return
    for language in LANGUAGES:
        lines = example.of(language).split("\n")
        wide = max(map(columns, lines))
        if len(lines) > LINES or wide > COLUMNS:
            size = f"{len(lines)} x {wide}", f"{LINES} x {COLUMNS}"
            yield f"example.{language}", Bilingual(f"{size[0]}, at most {size[1]}", f"{size[0]}，最多 {size[1]}")
        odd = {c for c in DRAWN_WITH.findall(example.of(language)) if unicodedata.east_asian_width(c) not in "WF"}
        for character in sorted(odd):
            wrong = Bilingual(f"'{character}' has no certain width", f"“{character}”的宽度不固定")
            yield f"example.{language}", wrong
    for number, expression in example.computed.items():
        here = f"example.computed.{short(number)}"
        for language in LANGUAGES:
            if not stands_in(number, example.of(language)):
                yield here, Bilingual(f"not in example.{language}", f"example.{language} 中没有")
        try:
            right = disagrees(number, expression)
        except ValueError as fault:
            yield here, Bilingual(f"cannot be worked out: {fault}", f"无法计算：{fault}")
        else:
            if right:
                yield here, Bilingual(f"{short(expression)} is {right}", f"{short(expression)} 等于 {right}")


def _code(concept: Concept) -> Iterator[Finding]:
    """A call on several lines is read as it stands: its lines fit."""
    if not concept.code:
        return
    lines = concept.code.call.split("\n")
    if len(lines) > CODE_LINES or (len(lines) > 1 and max(map(columns, lines)) > CODE_COLUMNS):
        size = f"{len(lines)} x {max(map(columns, lines))}", f"{CODE_LINES} x {CODE_COLUMNS}"
        yield "code.call", Bilingual(f"{size[0]}, at most {size[1]}", f"{size[0]}，最多 {size[1]}")


def _believed(concept: Concept) -> Iterator[Finding]:
    if len(concept.believed) > MOST_BELIEVED:
        n = len(concept.believed)
        yield "believed", Bilingual(f"{n} pairs, at most {MOST_BELIEVED}", f"{n} 对，最多 {MOST_BELIEVED} 对")


def _demo(concept: Concept, demos: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    if concept.demo and concept.demo not in demos:
        yield "demo", Bilingual(f"no demo '{concept.demo}'", f"没有演示“{concept.demo}”")
    elif concept.claim and concept.claim not in demos.get(concept.demo or "", ()):
        known = ", ".join(demos.get(concept.demo or "", ()))
        yield "claim", Bilingual(f"no claim of this demo: {known}", f"该演示没有此论断：{known}")
    elif concept.demo and not concept.claim and concept.type not in WITHOUT_CLAIM:
        said = f"missing: which claim of {concept.demo} concerns this {concept.type}"
        yield "claim", Bilingual(said, "缺失：请指明演示中与它有关的论断")


def _cited(concept: Concept, named: Collection[str]) -> Iterator[Finding]:
    """Who is cited by name and year, and stands in no source."""
    known = [(f"{source.author} {source.title}".casefold(), str(source.year)) for source in concept.sources]
    for field, text in concept.prose():
        for language in LANGUAGES:
            for name, year in CITED.findall(wiki.plain(text.of(language))):
                is_there = any(name.casefold() in who and year == when for who, when in known)
                if not is_there and name not in NO_AUTHOR and fold(name) not in named:
                    wrong = Bilingual(f"{name} {year} stands in no source", f"文献中没有 {name} {year}")
                    yield f"{field}.{language}", wrong


def _promised(concept: Concept, named: Collection[str]) -> Iterator[Finding]:
    """An abbreviation that is asked for, and that neither the entry nor any name knows."""
    parts = [*(text for text, _ in concept.surfaces()), *(text for _, pair in concept.prose() for text in pair)]
    if concept.example:
        parts += [concept.example.en, concept.example.zh]
    if concept.code:
        parts.append(concept.code.call)
    said = " ".join([*parts, *concept.formula, *(f"{source.title} {source.author}" for source in concept.sources)])
    for language in LANGUAGES:
        for ask in concept.asks.get(language, ()):
            for term in ABBREVIATION.findall(ask):
                if term not in said and term not in NO_TERM and fold(term) not in named:
                    wrong = Bilingual(f"'{term}' is asked for and stands in no text", f"问到了“{term}”，正文中却没有")
                    yield f"asks.{language} '{short(ask)}'", wrong


def _texts(concept: Concept) -> Iterator[tuple[str, Bilingual]]:
    yield from concept.prose()
    yield from ((f"symbols.{short(symbol)}", meant.says) for symbol, meant in concept.symbols.items())
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
        yield from (
            (field, slip) for slip in prose.unseen(text, lines=field.startswith((*PROSE, "example", "code.call")))
        )


def _strings(concept: Concept) -> Iterator[tuple[str, str]]:
    """Every text that an entry holds, in whatever field."""
    for field, text in [("name", concept.name), *_texts(concept)]:
        yield from ((f"{field}.{language}", text.of(language)) for language in LANGUAGES)
    for field, lists in (("aliases", concept.aliases), ("asks", concept.asks)):
        yield from ((f"{field}.{language}", text) for language, texts in lists.items() for text in texts)
    if concept.example:
        yield from ((f"example.{language}", concept.example.of(language)) for language in LANGUAGES)
    if concept.code:
        yield "code.call", concept.code.call
    yield from ((f"formula[{i}]", line) for i, line in enumerate(concept.formula))
    yield from ((f"symbols.{short(symbol)}", symbol) for symbol in concept.symbols)
    for i, source in enumerate(concept.sources):
        yield from ((f"sources[{i}].{part}", getattr(source, part)) for part in ("title", "author", "url"))


def _formula(concept: Concept) -> Iterator[Finding]:
    lines = [(f"formula[{i}]", line) for i, line in enumerate(concept.formula)]
    for field, latex in [*lines, *((f"symbols.{short(s)}", s) for s in concept.symbols)]:
        try:
            to_terminal(latex)
        except ValueError as error:
            yield field, Bilingual(f"cannot be shown in a terminal: {error}", f"无法在终端显示：{error}")
    formula = "\n".join(concept.formula).replace(" ", "")
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
        if link.why and (word := ALONE.search(link.why.zh)):
            wrong = Bilingual(
                f"'{word[0]}' is read on both cards: name it", f"“{word[0]}”会显示在两张卡片上，请直接写名称"
            )
            yield f"{here}.why.zh", wrong
        if link.soft and link.rel not in (*ROUTED, "prerequisite", "part_of"):
            yield f"{here}.soft", Bilingual(f"{link.rel} is on no route", f"{link.rel} 不在学习路径上")
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


def _routes(pairs: Sequence[tuple[Entry, Concept]]) -> Iterator[Problem]:
    """What a model uses, is trained by or consists of, and its learning route leaves out."""
    needs = {c.id: [link.to for link in c.links if link.rel == "prerequisite" and not link.soft] for _, c in pairs}
    parts: dict[str, list[str]] = defaultdict(list)
    for _, concept in pairs:
        for link in concept.links:
            if link.rel == "part_of" and not link.soft:
                parts[link.to].append(concept.id)
    for entry, concept in pairs:
        if concept.type != "model":
            continue
        made_of = [link.to for link in concept.links if link.rel in ROUTED and not link.soft] + parts[concept.id]
        route = learning_path(needs, concept.id)
        for left in [other for other in dict.fromkeys(made_of) if other in needs and other not in route]:
            wrong = Bilingual(
                f"{left} is not on the route here: make it a prerequisite, of this or of one before, or soft",
                f"学习路径上没有 {left}：请列为先修（本条或其先修），或标为 soft",
            )
            yield entry.problem("links", wrong)


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
    shared = {(concept.id, text) for _, concept in pairs for text in concept.weak}
    for claims in owners.values():
        is_shared = all((entry.id, text) in shared and kind not in ("name", "id") for entry, text, kind in claims)
        if len({entry.id for entry, _, _ in claims}) > 1 and not is_shared:
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
        linked |= {target for _, text in _texts(concept) for target in wiki.targets(text.en)}
    for entry, concept in pairs:
        if concept.id not in linked:
            yield entry.problem("id", Bilingual("no entry links here", "没有条目链接到这里"))
