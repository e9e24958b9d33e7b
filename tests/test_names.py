"""Names as they come: in marks, in brackets, in code, by their initials."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, SAMPLE
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kb.errors import KbError
from kb.language.marks import LONGEST, in_code, undressed
from kb.language.text import Bilingual
from kb.search.hybrid import search
from kb.search.reading import read_query
from kb.snapshot.store import Store, open_store

INNER = ("{}", "[[{}]]", "![[{}]]", "[[nothing-like-it|{}]]", "[{}](https://example.org/a_b)", "#{}")
MIDDLE = (
    "**{}**",
    "*{}*",
    "`{}`",
    "~~{}~~",
    "=={}==",
    '"{}"',
    "'{}'",
    "“{}”",
    "‘{}’",
    "「{}」",
    "『{}』",
    "【{}】",
    "({})",
)
ENDS = ("{}", "{}.", "{}。", "{}!", "{}？", "{}，", "{}：", "{}；", "{}……", "  {} ")
LINES = ("{}", "- {}", "* {}", "# {}", "### {}", "> {}", "1. {}", "2) {}", "- [ ] {}", "- [x] {}")


@st.composite
def dresses(draw: st.DrawFn) -> str:
    """Marks around a name, as a note or a paper has them, with {} where the name stands."""
    dress = draw(st.sampled_from(INNER))
    for mark in draw(st.lists(st.sampled_from(MIDDLE), max_size=2)):
        dress = mark.format(dress)
    return draw(st.sampled_from(LINES)).format(draw(st.sampled_from(ENDS)).format(dress))


@pytest.fixture(scope="module")
def shipped(shared_cache: Path) -> Store:
    return open_store([ROOT / "data" / "concepts.yaml"], shared_cache)


@pytest.fixture(scope="module")
def surfaces(shipped: Store) -> list[str]:
    """Everything that a concept is called."""
    return [text for concept in shipped.concepts() for text, _ in concept.surfaces()]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store([SAMPLE], tmp_path / "cache")


def knowledge(tmp_path: Path, *entries: tuple[str, str, str]) -> Store:
    """A knowledge base of concepts with an id, an English and a Chinese name."""
    path = tmp_path / "own.yaml"
    summary = {"en": "O.", "zh": "一。"}
    rows = [{"id": i, "type": "model", "name": {"en": en, "zh": zh}, "summary": summary} for i, en, zh in entries]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return open_store([path], tmp_path / "cache")


def ids(store: Store, name: str) -> list[str]:
    return [match.id for match in store.resolve(name)]


@settings(max_examples=400)
@given(st.data(), dresses())
def test_a_known_name_means_the_same_in_any_marks(
    shipped: Store, surfaces: list[str], data: st.DataObject, dress: str
) -> None:
    name = data.draw(st.sampled_from(surfaces))
    assert shipped.resolve(dress.format(name)) == shipped.resolve(name) != []


@given(st.text("qxzjvk", min_size=4, max_size=12), dresses())
def test_nonsense_in_marks_is_still_nonsense(shipped: Store, name: str, dress: str) -> None:
    assume(not shipped.resolve(name))
    assert shipped.resolve(dress.format(name)) == []


SHARED = {"safety", "AI 安全"}
"""Words that two concepts share: one in brackets behind the other tells nothing."""


def test_a_name_with_another_of_the_same_concept_in_brackets_is_that_concept(shipped: Store) -> None:
    for concept in shipped.concepts():
        names = [concept.name.en, concept.name.zh, *(texts[0] for texts in concept.aliases.values() if texts)]
        for outer, inner in permutations(names, 2):
            for form in (f"{outer}（{inner}）", f"{outer} ({inner})", f"**{outer}**（*{inner}*）"):
                assert concept.id in ids(shipped, form), form
                if {outer, inner} - SHARED:
                    assert ids(shipped, form) == [concept.id], form


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Attention (Transformer)", ["attention-mechanism"]),  # the brackets say in what field
        ("long-lost memory nets（长短期记忆网络）", ["long-short-term-memory"]),
        ("长短时记忆模型（LSTM）", ["long-short-term-memory"]),
        ("LSTM（某种网络）", ["long-short-term-memory"]),
        ("Batch Normalization Layer (BN)", ["batch-normalization"]),
        ("Memory (RNN)", ["hidden-state"]),
        ("Dreaming (RNN)", []),
        ("why gradients vanish (RNN)", []),
        ("梯度为什么会消失（RNN）", []),
        ("卷积神经网络CNN", ["convolutional-neural-network"]),
        ("LSTM / 长短期记忆网络", ["long-short-term-memory"]),
        ("Transformer 注意力机制", []),
        ("什么是LSTM？", []),
        ("长短期记忆网络（LSTM)", ["long-short-term-memory"]),
        ("（）", []),
        ("LSTM（）", ["long-short-term-memory"]),
    ],
)
def test_what_stands_in_brackets_or_beside_counts_where_it_can_be_a_name(
    shipped: Store, name: str, found: list[str]
) -> None:
    assert ids(shipped, name) == found


def test_brackets_tell_the_meanings_of_an_ambiguous_name_apart(tmp_path: Path) -> None:
    store = knowledge(tmp_path, ("batch", "BN", "批归一化"), ("bayes", "bn", "贝叶斯网络"))
    assert ids(store, "BN") == ["batch", "bayes"]
    assert ids(store, "BN（贝叶斯网络）") == ids(store, "贝叶斯网络（BN）") == ["bayes"]
    assert ids(store, "**BN**.") == ["batch", "bayes"]


def test_an_exact_id_wins_in_marks_too(tmp_path: Path) -> None:
    store = knowledge(tmp_path, ("step", "Step size", "步长"), ("stride", "Step", "步长"))
    for name in ("step", "**step**", "[[step]]", "`step`。", '"step"'):
        assert ids(store, name) == ["step"], name
    with pytest.raises(KbError) as raised:
        store.find("步长")
    assert [way.about for way in raised.value.ways] == ["step", "stride"]


MARKED = (
    "C++",
    "C#",
    "A*",
    "L2",
    "k-means++",
    "precision@k",
    "nn.Module",
    "Conv2d",
    "Top (k)",
    "[MASK]",
    "Who?",
    "*args",
)
"""Names that have marks themselves, and what they would be without them."""
BARE = ("C", "A", "L", "k-means", "precision", "Module", "Conv", "Top", "MASK", "Who", "args")


def test_a_name_that_has_marks_itself_keeps_them(tmp_path: Path) -> None:
    named = [(f"m{i}", name, f"甲{i}") for i, name in enumerate(MARKED)]
    store = knowledge(tmp_path, *named, *((f"b{i}", name, f"乙{i}") for i, name in enumerate(BARE)))
    for i, name in enumerate(MARKED):
        for dress in ("{}", "**{}**", "`{}`", "「{}」", "- {}", "{}。"):
            assert ids(store, dress.format(name)) == [f"m{i}"], dress.format(name)
    for i, name in enumerate(BARE):
        assert ids(store, f"*{name}*") == [f"b{i}"], name


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nn.Dropout", "dropout"),
        ("nn.Dropout(p=0.5)", "dropout"),
        ("`torch.nn.LSTM`", "long-short-term-memory"),
        ("torch::nn::LSTM", "long-short-term-memory"),
        ("torch.nn.functional.softmax", "softmax"),
        ("F.softmax", "softmax"),
        ("nn.Conv2d", "convolution"),
        ("Conv2D", "convolution"),
        ("BatchNorm1d", "batch-normalization"),
        ("tf.keras.layers.MaxPooling2D()", "pooling-layer"),
        ("MultiheadAttention", "multi-head-attention"),
        ("nn.CrossEntropyLoss", "cross-entropy"),
        ("torch.optim.Adam", "adam"),
    ],
)
def test_a_name_in_code_is_found(shipped: Store, name: str, found: str) -> None:
    assert ids(shipped, name) == [found]


@pytest.mark.parametrize("name", ["character.ai", "lstm.py", "v1.2.3", "a.b", "3d", "it works.Really"])
def test_what_only_looks_like_a_name_in_code_is_not_found(shipped: Store, name: str) -> None:
    assert ids(shipped, name) == []


def test_a_long_text_is_no_name_in_marks(shipped: Store) -> None:
    text = "**" * LONGEST + "LSTM" + "**" * LONGEST
    assert list(undressed(text)) == [text]
    assert in_code("nn." * LONGEST + "LSTM") == []
    assert ids(shipped, "LSTM" + "（LSTM）" * 1000) == []


def test_no_lookup_of_a_name_reads_all_rows(shipped: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []
    ask = shipped.query

    def noted(sql: str, values: Any = ()) -> list[Any]:
        asked.append((sql, values))
        return ask(sql, values)

    monkeypatch.setattr(shipped, "query", noted)
    shipped.resolve("LSTM")
    assert len(asked) == 1, "what is known as it stands is looked up once"
    for name in ("**[[LSTM]]**。", "LSTM（长短期记忆网络）", "nn.Conv2d", "nothing（at all）"):
        shipped.resolve(name)
    shipped.abbreviated(["tdxs"])
    assert 10 < len(asked) < 60
    for sql, values in asked:
        plan = " ".join(row[3] for row in ask(f"EXPLAIN QUERY PLAN {sql}", values))
        assert "SCAN surface" not in plan and "SCAN card" not in plan, plan


def test_initials_suggest_and_never_resolve(store: Store) -> None:
    for letters, name in (("tdxs", "梯度消失"), ("cdqjywl", "长短期记忆网络")):
        assert ids(store, letters) == []
        assert store.neighbours(letters)[0].text == name
        with pytest.raises(KbError) as raised:
            store.find(letters)
        assert raised.value.hint is not None
        assert name in raised.value.hint.zh


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("tdxs", "梯度消失"),
        ("tdxs 怎么办", "梯度消失 怎么办"),
        ("cdqjywl", "长短期记忆网络"),
        ("TDXS", "TDXS"),
        ("my_tdxs.py", "my_tdxs.py"),
        ("cnn", "cnn"),
        ("loss", "loss"),
        ("gnn", "gnn"),
    ],
)
def test_initials_are_read_in_a_query(store: Store, query: str, read: str) -> None:
    assert read_query(store, query).text == read


def test_initials_find_what_they_are_read_as(store: Store) -> None:
    first = search(store, "tdxs", mode="lexical")[0]
    assert (first.row.id, first.exact) == ("vanishing-gradient", True)


def test_initials_that_are_a_word_a_name_or_of_several_concepts_are_not_read(tmp_path: Path) -> None:
    both = ("one", "One", "甲乙丙丁"), ("two", "Two", "加一并丁")
    words = (
        ("three", "Three", "发爱从恶"),
        ("four", "Four", "他的心是"),
        ("five", "Td xs", "戊"),
        ("six", "Six", "梯度消失"),
    )
    store = knowledge(tmp_path, *both, *words)
    assert {match.id for match in store.neighbours("jybd")} == {"one", "two"}
    assert store.neighbours("face")[0].id == "three"
    assert ids(store, "tdxs") == ["five"]
    for query in ("jybd", "face", "tdxs"):
        assert read_query(store, query).text == query


def test_the_initials_are_no_more_than_two_a_name(shipped: Store) -> None:
    ((count,),) = shipped.query("SELECT count(*) FROM surface WHERE status = 'initials'")
    names = sum(1 + len(concept.aliases.get("zh", ())) for concept in shipped.concepts())
    assert 100 < count < 2 * names


def test_names_are_told_from_their_first_letters(store: Store) -> None:
    names = ["gradient", "Gradient", "gated-recurrent-unit", "Gated recurrent unit", "GRU", "grad"]
    assert store.names_from("g", 9) == names
    assert store.names_from("g", 2) == names[:2]
    assert store.names_from("长短", 9) == ["长短期记忆网络", "长短时记忆网络"]
    assert store.names_from("gradient descent", 9) == []


def test_an_alias_is_known_by_its_sound_as_a_name_is(store: Store) -> None:
    assert store.sounding_like(["zantuifa", "suijishihuo"]) == {"zantuifa": "暂退法", "suijishihuo": "随机失活"}
    assert store.abbreviated(["cdsjywl"]) == {"cdsjywl": "长短时记忆网络"}


def test_several_near_names_are_told_apart(store: Store) -> None:
    with pytest.raises(KbError) as raised:
        store.find("recurrent unet")
    assert raised.value.hint == Bilingual(
        "did you mean Gated recurrent unit, Recurrent neural network?", "是否想找：门控循环单元、循环神经网络？"
    )


def test_only_latin_words_are_kept_for_spelling(store: Store) -> None:
    assert all(word.isascii() for word in store.name_words(1))
    assert {"gru", "gated", "adaptive"} <= set(store.name_words(1))
