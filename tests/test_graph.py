"""Edges and where they come from, what to learn first and how far it is, and what a card shows of it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

import kb
from kb.concepts.route import learning_path
from kb.show.card import SHOWN, Style, render_card
from kb.snapshot.store import open_store


def test_an_edge_says_whether_it_is_written_an_inverse_or_a_mention(sample: Path) -> None:
    with kb.open(sample) as base:
        edges = {(id, target, rel): kind for id, target, rel, kind in base.graph.edges(keys=True, data="kind")}
    assert edges["adam", "gradient", "uses"] == "written"
    assert edges["gradient", "adam", "used_by"] == "inverse"
    assert edges["gated-recurrent-unit", "long-short-term-memory", "alternative_to"] == "written"
    assert edges["long-short-term-memory", "gated-recurrent-unit", "alternative_to"] == "inverse"
    mentions = {pair: kind for pair, kind in edges.items() if pair[2] in ("mentions", "mentioned_by")}
    assert mentions
    assert set(mentions.values()) == {"mention"}


def test_a_mention_beside_a_written_link_is_no_edge_of_its_own(sample: Path) -> None:
    with kb.open(sample) as base:
        assert set(base.graph["adam"]["transformer"]) == {"applied_to"}
        assert len(base.graph["transformer"]["adam"]) == 1


def test_a_card_says_what_to_learn_first_and_what_it_leads_to(sample: Path, tmp_path: Path) -> None:
    store = open_store([sample], tmp_path)
    gradient, vanishing = store.names(["gradient"]), store.names(["vanishing-gradient"])
    assert store.card("gradient")["leads_to"] == [{"id": id, "name": name} for id, name in vanishing.items()]
    path = store.card("vanishing-gradient")["learn_first"]
    assert path == [{"id": id, "name": name, "distance": 1} for id, name in gradient.items()]
    assert store.card("vanishing-gradient", paths=False)["learn_first"] == []


def test_a_learning_path_knows_how_far_each_step_is() -> None:
    needs = {"e": ["d", "b"], "d": ["c"], "c": ["b"], "b": ["a"], "x": ["e"]}
    assert learning_path(needs, "e") == {"a": 2, "b": 1, "c": 2, "d": 1}
    assert list(learning_path(needs, "e")) == ["a", "b", "c", "d"]
    assert learning_path(needs, "a") == {}
    assert learning_path({"a": ["b"], "b": ["a"]}, "a") == {"b": 1}


@pytest.mark.parametrize(("language", "label"), [("en", "before"), ("zh", "先学")])
def test_a_card_names_the_nearest_of_what_to_learn_first(
    language: str, label: str, sample: Path, tmp_path: Path
) -> None:
    card = open_store([sample], tmp_path).card("adam")
    steps = SHOWN + 3
    card["learn_first"] = [
        {"id": f"s{i}", "name": {"en": f"Step{i}", "zh": f"第{i}步"}, "distance": steps - i} for i in range(steps)
    ]
    out = io.StringIO()
    console = Console(file=out, width=200, color_system=None)
    console.print(render_card(card, Style((language,), framed=False)))  # type: ignore[arg-type]  # a Language
    (line,) = (line for line in out.getvalue().splitlines() if line.startswith(label))
    names = [card["learn_first"][i]["name"][language] for i in range(3, steps)]
    assert line.removeprefix(label).strip() == " → ".join(["…", *names])
