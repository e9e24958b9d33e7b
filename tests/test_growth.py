"""Long, deep and odd texts: time grows with their length alone, and what comes out is what the plain slow way gives."""

from __future__ import annotations

import gc
import io
import json
import random
import re
import sqlite3
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import networkx as nx
import pytest
import yaml
from conftest import ROOT, SAMPLE
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from kb.concepts.fields import unwrap
from kb.concepts.formula import to_terminal
from kb.concepts.lint import lint
from kb.concepts.model import Concept, Symbol
from kb.concepts.model import Source as Paper
from kb.concepts.nodes import compose
from kb.concepts.route import learning_path
from kb.concepts.source import Source
from kb.formats.obsidian.filenames import note_name
from kb.formats.obsidian.note import parse, update
from kb.language.surface import fold, strip_tones
from kb.language.text import Bilingual, normal
from kb.language.words import words
from kb.show.card import Style, render_card
from kb.show.wrap import _atoms, wrap
from kb.snapshot.compile import make_card
from kb.snapshot.store import open_store
from kb.snapshot.update import update as compile_into

pytestmark = pytest.mark.slow

SHARE = 2.5**3
"""What eight times as much may cost; what grows with the square costs 64 times."""


def cost(work: Callable[[], object]) -> float:
    """Processor time of the best of three runs, in seconds; the collector, whose work is not ours, rests."""
    times = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
    finally:
        gc.enable()
    return min(times)


def growth(work: Callable[[str], object], make: Callable[[int], str], n: int) -> float:
    """How many times as much a text of eight times the length costs."""
    short, long = make(n), make(8 * n)
    return cost(lambda: work(long)) / cost(lambda: work(short))


@pytest.mark.parametrize("unit", ["a", "，", "字", "a\ufe0f", "x.y/", "\u0301", "\u200d"])
def test_wrapping_a_long_word_costs_no_more_than_its_length(unit: str) -> None:
    assert growth(lambda text: wrap(Text(text), 80), lambda n: "a" * 100 + unit * n, 20_000) < SHARE


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "a" + " " * n + "b",
        lambda n: "字" + " " * n + "，",
        lambda n: "字" + "\u3000" * n + "字\n字",
        lambda n: "字" + "\n\u3000" * n + "b",
        lambda n: "字\n[[" * n,
        lambda n: "字，\n  " * n,
    ],
)
def test_joining_lines_costs_no_more_than_their_length(make: Callable[[int], str]) -> None:
    assert growth(unwrap, make, 30_000) < SHARE


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "x" + r"\quad " * n + "= 1",
        lambda n: "(" + r"\; " * n + "+ 1",
        lambda n: "x_1 " * n,
        lambda n: r"\text{" + "a " * n + "}",
        lambda n: "x" + r"\; {}" * n + "^2",
    ],
)
def test_reading_a_formula_costs_no_more_than_its_length(make: Callable[[int], str]) -> None:
    assert growth(to_terminal, make, 8_000) < SHARE


@pytest.mark.parametrize("unit", ["a", "字", "\u0301\u0316"])
def test_naming_a_note_costs_no_more_than_the_length_of_the_name(unit: str) -> None:
    assert growth(note_name, lambda n: unit * n, 20_000) < SHARE


def test_each_finding_is_short_however_long_the_text(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    ask, name = "".join(f"字{i}" for i in range(5_000)), "b" * 5_000
    names = {"en": name, "zh": "甲"}
    entry = {"id": "a", "type": "model", "name": names, "summary": {"en": f"{name}.", "zh": "甲。"}}
    for broken in ({"type": ask}, {"id": ask}, {"name": {"en": int("1" * 3_000), "zh": "甲"}}):
        path.write_text(json.dumps([{**entry, **broken}]), encoding="utf-8")
        assert all(len(problem.message.en) < 300 and len(problem.message.zh) < 300 for problem in lint([path]).problems)
    path.write_text(json.dumps([{**entry, "asks": {"zh": [ask, "问"]}}]), encoding="utf-8")
    found = lint([path]).problems
    assert sum("no space between" in problem.message.en for problem in found) > 4_000
    assert any("defines 'bbb" in problem.message.en for problem in found)
    assert all(len(problem.field) + len(problem.message.en) < 250 for problem in found)


def source(url: str) -> Concept:
    """A concept with one source."""
    same = Bilingual("A", "A")
    return Concept("a", "model", same, same, sources=(Paper("T", "Author", 2000, url),))


def shown(concept: Concept) -> str:
    """The concept's card on a coloured terminal."""
    out = io.StringIO()
    card = {**make_card(concept), "related": [], "learn_first": [], "leads_to": [], "link_names": {}, "measured": None}
    console = Console(file=out, width=100, force_terminal=True, color_system="standard")
    console.print(render_card(json.loads(json.dumps(card)), Style(("en",))))
    return out.getvalue()


def test_a_long_address_does_not_stand_in_every_line_of_itself() -> None:
    assert shown(source("https://example.org/" + "a" * 200)).count("\x1b]8;") >= 6
    short, long = (len(shown(source("https://example.org/" + "，" * n))) for n in (2_000, 16_000))
    assert long / short < SHARE


def test_a_formula_that_is_nested_too_deeply_is_shown_as_it_is_written() -> None:
    same, latex = Bilingual("A", "A"), r"\sqrt{" * 60 + "x" + "}" * 60
    assert r"\sqrt{\sqrt{" in shown(
        Concept("a", "model", same, same, formula=(latex,), symbols={"x": Symbol("x", "x")})
    )


def test_the_learning_paths_of_all_concepts_cost_no_more_than_their_number() -> None:
    def work(n: int) -> float:
        needs = {str(i): [str(i // 2)] if i else [] for i in range(n)}
        needs |= {f"{i}'": ["0", "1"] for i in range(n)}
        return cost(lambda: [learning_path(needs, id) for id in needs])

    assert work(3_200) / work(400) < SHARE


def test_a_chain_of_prerequisites_may_be_of_any_length() -> None:
    ids = [str(i) for i in range(5_000)]
    path = learning_path({**{a: [b] for a, b in pairwise(ids)}, ids[-1]: [ids[0]]}, ids[0])
    assert list(path) == ids[:0:-1]
    assert path[ids[-1]] == 4_999


def recursive_path(needs: dict[str, list[str]], id: str) -> dict[str, int]:
    """What `learning_path` says, written as it is thought."""
    distance, order, seen = {id: 0}, [], {id}
    waiting = [id]
    for node in waiting:
        new = [needed for needed in needs[node] if needed not in distance]
        distance |= dict.fromkeys(new, distance[node] + 1)
        waiting += new

    def visit(node: str) -> None:
        for needed in needs[node]:
            if needed not in seen:
                seen.add(needed)
                visit(needed)
                order.append(needed)

    visit(id)
    return {node: distance[node] for node in order}


def test_a_learning_path_is_that_of_the_recursion() -> None:
    chance = random.Random(1)
    for size in range(2, 60):
        ids = [f"n{i}" for i in range(size)]
        needs = {id: chance.sample(ids, chance.randrange(min(size, 5))) for id in ids}
        assert size < 6 or not nx.is_directed_acyclic_graph(nx.DiGraph(needs))
        for id in ids:
            assert list(learning_path(needs, id).items()) == list(recursive_path(needs, id).items())


def slow_wrap(text: str, width: int) -> list[str]:
    """What `wrap` says of one paragraph, with every length tried."""
    breaks, used, at = [0], 0, 0
    for piece in _atoms(text):
        columns = cell_len(piece)
        if used and used + columns > width and not piece.isspace():
            breaks.append(at)
            used = 0
        at += len(piece)
        while columns > width:
            piece = piece[next((n for n in range(len(piece), 1, -1) if cell_len(piece[:n]) <= width), 1) :]
            breaks.append(at - len(piece))
            columns = cell_len(piece)
        used += columns
    return [text[start:end].rstrip() for start, end in pairwise([*breaks, len(text)])]


def test_lines_are_those_of_the_slow_way() -> None:
    chance = random.Random(2)
    for _ in range(2_000):
        text = "".join(chance.choices("aab 中文，。（）“”-.e\u0301", k=chance.randrange(60)))
        text += chance.choice("a中，.\u0301") * chance.randrange(80)
        width = chance.randrange(2, 30)
        assert [line.plain for line in wrap(Text(text), width)] == slow_wrap(text, width), (text, width)


WIDE = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f“”‘’…—"
MARKS = "，。、；：？！（）《》「」“”‘’…—"


def slow_unwrap(value: str) -> str:
    """What `unwrap` says, by patterns that try every blank."""

    def one(paragraph: str) -> str:
        for pattern in (
            rf"(?<=[{WIDE}])\s*\n\s*(?=[{WIDE}])",
            rf"(?<=[{WIDE}])\s*\n\s*(?=\[\[[^\[\]|]+\|[{WIDE}])",
            rf"(?<=[{WIDE}]\]\])\s*\n\s*(?=[{WIDE}])",
            rf"(?<=[{MARKS}])\s*\n\s*|\s*\n\s*(?=[{MARKS}])",
        ):
            paragraph = re.sub(pattern, "", paragraph)
        return re.sub(r"[ \t]*\n[ \t]*", " ", paragraph.strip())

    return "\n\n".join(map(one, re.split(r"\n[ \t]*\n", value.strip())))


def scalars(path: Path) -> Iterator[str]:
    """Every text of a YAML file as it stands."""
    waiting = [yaml.compose(path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            yield node.value
        else:
            waiting += [part for child in node.value for part in (child if isinstance(child, tuple) else (child,))]


def test_joined_lines_are_those_of_the_slow_way() -> None:
    chance = random.Random(3)
    parts = [
        "a",
        "b ",
        "字",
        "，",
        "“",
        " ",
        "  ",
        "\n",
        "\n ",
        "\t",
        "[[",
        "]]",
        "|",
        "[[a-b|字]]",
        "[[a|b]]",
        "[",
        "-",
    ]
    for _ in range(20_000):
        text = "".join(chance.choices(parts, k=chance.randrange(16)))
        assert unwrap(text) == slow_unwrap(text), text
    for text in (*scalars(SAMPLE), *scalars(ROOT / "data" / "concepts.yaml")):
        assert unwrap(text) == slow_unwrap(text)


def test_a_note_s_name_is_cut_between_characters() -> None:
    assert note_name("字" * 200) == "字" * 80
    assert note_name("a" + "字" * 200) == "a" + "字" * 79
    assert note_name("é" * 119 + "a.😀") == "é" * 119 + "a"
    assert note_name("a" * 239 + "é") == "a" * 239


@pytest.mark.parametrize("read", [fold, words, normal, strip_tones])
@pytest.mark.parametrize("unit", ["\u0301\u0323", "a\u0301", "梯", "\u1100\u1161", "ab "])
def test_reading_a_name_costs_no_more_than_its_length(read: Callable[[str], object], unit: str) -> None:
    assert growth(read, lambda n: "a" + unit * n, 10_000) < SHARE


def test_a_long_text_has_the_normal_form_of_a_short_one() -> None:
    text = "Ｇｒａｄｉｅｎｔ e\u0301 ﬁ 梯度 " * 200
    assert normal(text) == unicodedata.normalize("NFKC", text)
    assert normal(text, "NFD") == unicodedata.normalize("NFD", text)


def entries(n: int) -> str:
    """A knowledge base of n entries, each linked with three before it."""
    return "".join(
        f"- id: c{i}\n  type: concept\n  area: [optimization]\n  name: {{en: Concept {i}, zh: 概念 {i}}}\n"
        f"  summary: {{en: One of {n}., zh: 其中之一。}}\n"
        f"  how: {{en: 'See [[c{i // 2}]].', zh: '见 [[c{i // 2}]]。'}}\n"
        f"  links: [{{rel: prerequisite, to: c{i // 2}}}, {{rel: uses, to: c{i // 3}}}, {{rel: is_a, to: c{i // 5}}}]\n"
        for i in range(n)
    )


def sources(text: str) -> list[Source]:
    return [Source(Path("c.yaml"), text.encode())]


def test_compiling_costs_no_more_than_the_entries() -> None:
    def work(text: str) -> None:
        with closing(sqlite3.connect(":memory:")) as connection:
            compile_into(connection, sources(text), {})

    assert growth(work, entries, 100) < SHARE


def test_linting_costs_no_more_than_the_entries(tmp_path: Path) -> None:
    def work(text: str) -> None:
        (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
        lint([tmp_path / "c.yaml"])

    assert growth(work, entries, 100) < SHARE


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "- x: &a " + "b" * 100 + "\n" + "- *a\n" * (n // 5),
        lambda n: "- " + "{a: " * (n % 7) + "b: 1" * 0 + "c" * n,
        lambda n: "- a: 1\n" * n,
        lambda n: "- " * n,
        lambda n: "%TAG !a! tag:x\n" * n + "--- a",
    ],
)
def test_reading_yaml_costs_no_more_than_its_length(make: Callable[[int], str]) -> None:
    def work(text: str) -> None:
        with suppress(yaml.YAMLError):
            compose(text)

    assert growth(work, make, 4_000) < SHARE


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "---\n" + "x: 1\n" * n + "---\n",
        lambda n: "---\ntags:\n" + "  - x\n" * n + "---\n",
        lambda n: "---\ntags: [" + "x, " * n + "]\n---\n",
        lambda n: "---\n" + "---\t" * n,
        lambda n: "%% kb:begin 0123456789abcdef " + "%% " * n + "\n",
        lambda n: "%% kb:begin 0123456789abcdef x %%\n" * n,
        lambda n: "---\n" + " " * n + "\n---\n" + "\n" * n,
        lambda n: "---\nkb-id: a\n" + "#" * n + "\n---\n",
        lambda n: "---\nx" + " " * n + "y\n---\n",
        lambda n: "---\ntags: a" + " " * n + "b\n---\n",
        lambda n: "%% kb:begin 0123456789abcdef x %%\n%% kb:end %%\n" * n,
    ],
)
def test_taking_a_note_apart_costs_no_more_than_its_length(make: Callable[[int], str]) -> None:
    ours, before = {"kb-id": "a", "tags": ["kb/y"]}, {"kb-id": "a", "tags": ["kb/x"]}
    assert growth(lambda text: update(parse(text), ours, before, "region\n"), make, 4_000) < SHARE


def test_the_notes_of_a_chain_cost_no_more_than_its_length(tmp_path: Path) -> None:
    def work(n: int) -> float:
        chain = entries(n).replace("prerequisite, to: c", "example_of, to: c")
        chain = re.sub(r"- id: c(\d+)\n((?:  .*\n)*?)  links: \[", _needs_the_one_before, chain)
        (tmp_path / f"{n}.yaml").write_text(chain, encoding="utf-8")
        store = open_store([tmp_path / f"{n}.yaml"], tmp_path / "cache")
        return cost(lambda: [store.card(row.id, paths=False) for row in store.rows()])

    assert work(1600) / work(200) < SHARE


def _needs_the_one_before(match: re.Match[str]) -> str:
    number = int(match[1])
    return f"- id: c{number}\n{match[2]}  links: [{{rel: prerequisite, to: c{max(number - 1, 0)}}}, "
