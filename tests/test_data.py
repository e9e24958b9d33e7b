"""The shipped entries, read by a pedant."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jsonschema
import networkx as nx
import pytest
import yaml
from conftest import ROOT
from rapidfuzz import fuzz, process

from kb.concepts.formula import to_terminal
from kb.concepts.graph import build_graph, linked
from kb.concepts.lint import lint
from kb.concepts.model import Concept
from kb.concepts.source import Source, load
from kb.concepts.vocabulary import ACYCLIC, AREAS, RELATIONS, TYPES, WRITTEN_RELATIONS
from kb.lab.runner import claims_by_demo
from kb.language.surface import fold
from kb.snapshot.compile import sounds
from kb.snapshot.store import Store, open_store

DATA = ROOT / "data" / "concepts.yaml"


@pytest.fixture(scope="module")
def concepts() -> list[Concept]:
    return load([Source.open(DATA)])


@pytest.fixture(scope="module")
def store(shared_cache: Path) -> Store:
    return open_store([DATA], shared_cache)


def test_the_lint_finds_nothing() -> None:
    assert [problem.said("en") for problem in lint([DATA], claims_by_demo()).problems] == []


def test_what_is_derived_from_the_code_is_fresh() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "build_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + "run: python scripts/build_docs.py"


def test_the_file_fits_the_schema_that_editors_use() -> None:
    schema = json.loads((ROOT / "data" / "concepts.schema.json").read_text("utf-8"))
    entries = yaml.safe_load(DATA.read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(entries)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate([{**entries[0], "typo": 1}])


def test_every_type_area_and_relation_occurs(concepts: list[Concept]) -> None:
    assert len(concepts) >= 100
    assert {concept.type for concept in concepts} == set(TYPES)
    assert {area for concept in concepts for area in concept.area} == set(AREAS)
    assert {link.rel for concept in concepts for link in concept.links} == set(WRITTEN_RELATIONS)


def test_the_graph_holds_every_link_both_ways(concepts: list[Concept]) -> None:
    graph = build_graph(concepts)
    assert graph.number_of_nodes() == len(concepts)
    for concept in concepts:
        assert graph.nodes[concept.id]["concept"] is concept
        for link in concept.links:
            assert graph.has_edge(concept.id, link.to, key=link.rel)
            assert graph.has_edge(link.to, concept.id, key=RELATIONS[link.rel].inverse)
        for target in linked(concept):
            assert target == concept.id or graph.has_edge(concept.id, target)
    for rel in ACYCLIC:
        edges = [(a, b) for a, b, key in graph.edges(keys=True) if key == rel]
        assert nx.is_directed_acyclic_graph(nx.DiGraph(edges)), rel
    assert nx.number_weakly_connected_components(graph) == 1


SHARED = {"FFN", "精度", "步长", "智能体", "8位精度", "Safety", "Kernel", "FLOPs"}
"""Words that mean now one concept, now another: all of these are shown."""


def test_every_known_surface_form_resolves_to_its_concept(store: Store) -> None:
    rows = (line.split("\t") for line in (ROOT / "tests/data/vocabulary.tsv").read_text("utf-8").splitlines()[1:])
    there, wrong = 0, []
    for name, *forms in rows:
        owner = store.resolve(name)
        if not owner:
            continue
        there += 1
        for form in filter(None, forms):
            found = [match.id for match in store.resolve(form)]
            if owner[0].id not in found or (len(found) > 1 and form not in SHARED):
                wrong.append(f"{form} -> {found}, not {owner[0].id}")
    assert not wrong, wrong
    assert there >= 466, f"{there} terms of the vocabulary are there"


@pytest.mark.parametrize("form", ["变形金刚网络", "转移学习"])
def test_odd_wordings_resolve_and_are_marked(store: Store, form: str) -> None:
    assert [match.status for match in store.resolve(form)] == ["misnomer"]


def test_formulas_are_shown_without_a_trace_of_latex(concepts: list[Concept]) -> None:
    for concept in concepts:
        for latex in (*concept.formula, *concept.symbols):
            assert not re.search(r"[\\{}$]", to_terminal(latex)) or r"\{" in latex, latex


def test_questions_are_told_apart(concepts: list[Concept]) -> None:
    asked = Counter(ask for concept in concepts for asks in concept.asks.values() for ask in asks)
    assert [ask for ask, n in asked.items() if n > 1] == []


def test_no_question_resembles_a_frozen_query(concepts: list[Concept]) -> None:
    """What the search is measured with must not stand in what it searches."""
    lines = (ROOT / "tests" / "data" / "search_queries.jsonl").read_text("utf-8").splitlines()
    frozen = [fold(json.loads(line)["q"]) for line in lines]
    asked = [ask for concept in concepts for asks in concept.asks.values() for ask in asks]
    nearest = {ask: process.extractOne(fold(ask), frozen, scorer=fuzz.ratio)[1] for ask in asked}
    assert [ask for ask, likeness in nearest.items() if likeness >= 75] == []


def test_sources_are_told_by_their_addresses(concepts: list[Concept]) -> None:
    titles: dict[str, set[str]] = {}
    for concept in concepts:
        for source in concept.sources:
            titles.setdefault(source.url, set()).add(f"{source.title}, {source.year}")
    assert {url: names for url, names in titles.items() if len(names) > 1} == {}


POSTED_LATER = {"https://arxiv.org/abs/1106.1813"}  # journals of before arXiv, posted there in one go


def test_an_arxiv_number_agrees_with_the_year(concepts: list[Concept]) -> None:
    for concept in concepts:
        for source in concept.sources:
            if match := re.search(r"arxiv\.org/abs/(\d\d)(\d\d)\.\d{4,5}$", source.url):
                if source.url in POSTED_LATER:
                    continue
                assert -1 <= source.year - (2000 + int(match[1])) <= 2, (
                    concept.id,
                    source,
                )  # posted late, or printed late
            else:
                assert "arxiv.org" not in source.url or re.search(r"abs/[a-z-]+/\d{7}$", source.url), source.url


def test_no_concept_is_older_than_its_sources_by_name(concepts: list[Concept]) -> None:
    for concept in concepts:
        assert concept.year is None or concept.year <= max((s.year for s in concept.sources), default=2100), concept.id


def test_pinyin_is_that_of_the_term() -> None:
    assert sounds("梯度消失") == {("tiduxiaoshi", "pinyin"), ("tdxs", "initials")}
    assert ("changduanqijiyiwangluo", "pinyin") in sounds("长短期记忆网络")
    assert ("cdqjywl", "initials") in sounds("长短期记忆网络")
    assert sounds("绿色") == {("lvse", "pinyin")}
    assert sounds("LSTM") == set()


def test_the_learning_path_ends_with_what_is_nearest(concepts: list[Concept], store: Store) -> None:
    paths = {concept.id: store.learning_path(concept.id) for concept in concepts}
    for concept in concepts:
        path = list(paths[concept.id])
        for link in concept.links:
            if link.rel == "prerequisite" and not link.soft:
                assert paths[concept.id][link.to] == 1
                assert all(path.index(basic) < path.index(link.to) for basic in paths[link.to]), concept.id


def test_the_edges_that_are_stored_are_those_of_the_graph(concepts: list[Concept], store: Store) -> None:
    graph = build_graph(concepts)
    stored = store.query("SELECT id, target, rel, why_en, why_zh, kind FROM edge")
    drawn = [
        (id, to, edge["rel"], *(edge["why"] or (None, None)), edge["kind"]) for id, to, edge in graph.edges(data=True)
    ]
    assert sorted(map(str, stored)) == sorted(map(str, drawn))
    written = {(concept.id, link.to, link.rel) for concept in concepts for link in concept.links}
    assert {(id, to, rel) for id, to, rel, *_, kind in stored if kind == "written"} == written
    for id, to, rel, en, zh, kind in stored:
        back = next(row for row in stored if row[:3] == (to, id, INVERSE[rel]))
        assert back[3:5] == (en, zh)
        assert {kind, back[5]} in ({"written", "inverse"}, {"mention"}, {"written"})


INVERSE = {name: relation.inverse for name, relation in RELATIONS.items()}
INVERSE |= {inverse: name for name, inverse in INVERSE.items()}


def test_a_card_names_its_neighbours_as_the_graph_has_them(concepts: list[Concept], store: Store) -> None:
    graph = build_graph(concepts)
    for concept in concepts:
        told = [(edge["rel"], edge["to"]) for edge in store.card(concept.id)["related"]]
        assert told == [(rel, to) for _, to, rel in graph.out_edges(concept.id, data="rel")]
