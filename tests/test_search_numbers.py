"""The numbers of the search: how near two concepts are, what is a slip, and what leaves as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import SAMPLE
from numpy.typing import NDArray

from kb.concepts.model import Concept
from kb.language.text import Bilingual
from kb.paths import cache_dir
from kb.search.hybrid import Semantic, _hit, search
from kb.search.index import Index
from kb.search.kept import open_index
from kb.search.lexical import lexical_scores
from kb.search.names import name_scores
from kb.search.reading import read_query
from kb.search.side import keeps_vectors
from kb.search.similar import near, similar, suggest_links
from kb.snapshot.compile import make_passages
from kb.snapshot.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store([SAMPLE], tmp_path / "cache")


def drawn(counts: list[int], seed: int = 0) -> Index:
    """An index of concepts with so many passages each."""
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(sum(counts), 8)).astype(np.float16)
    starts = np.array([0, *np.cumsum(counts)[:-1]], np.int32)
    kinds = draw.integers(0, 4, sum(counts)).astype(np.uint8)
    return Index([f"c{n}" for n in range(len(counts))], starts, vectors, np.arange(sum(counts), dtype=np.uint64), kinds)


def seen_of(index: Index) -> NDArray[np.float32]:
    """The passages of an index as unit vectors, seen from the centre of their language."""
    seen = index.vectors - np.stack([index._centres[0], index._centres[1]])[index.kinds & 1]
    return seen / np.linalg.norm(seen, axis=1, keepdims=True)


@pytest.mark.parametrize("large", [0, 10**6])
def test_two_concepts_are_as_near_as_the_nearest_passages_of_each(large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [1, 4, 2, 3, 1, 5, 2]
    index = drawn(counts)
    monkeypatch.setattr("kb.search.index.LARGE", large)
    monkeypatch.setattr("kb.search.index.CHUNK", 3)
    parts = np.split(seen_of(index), np.cumsum(counts)[:-1])
    for one in range(len(counts)):
        cosines = [parts[one] @ other.T for other in parts]
        expected = [(table.max(1).mean() + table.max(0).mean()) / 2 for table in cosines]
        np.testing.assert_allclose(index.similar(one), expected, atol=1e-6)


@pytest.fixture
def index(store: Store) -> Index:
    """The sample's concepts with drawn vectors."""
    ids = [row.id for row in store.rows()]
    made = drawn([2] * len(ids))
    return Index(ids, made.starts, made.codes, made.hashes, made.kinds)


def test_neighbours_in_json_say_who_compared_what(store: Store, index: Index) -> None:
    match = store.find("dropout")
    said = near(store, Semantic(Named(), index), match, 3, linked=True).to_json()
    assert {key: said[key] for key in ("id", "model", "device")} == {"id": "dropout", "model": "drawn", "device": "cpu"}
    assert said.keys() == {"id", "model", "device", "near"}
    scores = index.similar(index.position["dropout"])
    names = {row.id: row.name for row in store.rows()}
    linked = {link["to"]: link["rel"] for link in store.card("dropout")["related"]}
    for one in said["near"]:
        id = one["id"]
        assert one["name"] == {"en": names[id].en, "zh": names[id].zh}
        assert one["score"] == round(float(scores[index.position[id]]), 4)
        assert one["relations"] == ([linked[id]] if id in linked else [])
        assert one.keys() == {"id", "name", "score", "relations"}


class Named:
    """An encoder that is only named."""

    name = key = "drawn"
    device, runtime = "cpu", "python"

    def encode(self, texts: Sequence[str], side: str = "query") -> np.ndarray:
        raise AssertionError("nothing is embedded")


def test_ten_neighbours_are_shown_and_nobody_is_its_own(store: Store, index: Index) -> None:
    assert len(similar(store, index, "dropout", linked=True)) == 10 == len(index.ids) - 1
    found = near(store, Semantic(Named(), index), store.find("dropout"), linked=True)
    assert len(found) == 10
    assert [one.row.id for one in found] == [found[rank].row.id for rank in range(10)]
    assert "dropout" not in {one.row.id for one in found}
    assert len(near(store, Semantic(Named(), index), store.find("dropout"))) < 10, "what is linked is left out"


def test_concepts_that_are_equally_near_stand_in_their_order(store: Store) -> None:
    ids = [row.id for row in store.rows()]
    count = len(ids)
    codes = np.ones((count, 4), np.float16)
    codes[1::2, 0] = -1
    parts = np.arange(count, dtype=np.int32), codes, np.arange(count, dtype=np.uint64), np.zeros(count, np.uint8)
    scores = {one.row.id: one.score for one in similar(store, Index(ids, *parts), ids[0], count, linked=True)}
    assert list(scores) == sorted(scores, key=lambda id: (-scores[id], ids.index(id)))
    assert len(set(scores.values())) == 2


def test_pairs_are_suggested_nearest_first_and_each_once(store: Store, index: Index) -> None:
    pairs = suggest_links(store, index, 1000)
    assert [score for *_, score in pairs] == sorted((score for *_, score in pairs), reverse=True)
    assert len({(one, other) for one, other, _ in pairs}) == len(pairs) > 20
    assert suggest_links(store, index) == pairs[:20]
    assert all(one < other for one, other, _ in pairs)


def test_a_pair_is_suggested_where_each_is_near_the_other(
    store: Store, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb.search.similar.MUTUAL", 2)
    nearest = {id: {one.row.id for one in similar(store, index, id, 2)} for id in index.ids}
    mutual = {(a, b) for a in index.ids for b in nearest[a] if a < b and a in nearest[b]}
    assert {(one, other) for one, other, _ in suggest_links(store, index, 1000)} == mutual


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("trnsfomer", "transformer"),  # two slips in a long word
        ("trnsfmr", "trnsfmr"),  # three are another word
        ("rransfomer", "rransfomer"),  # two, and the first letter is wrong
        ("rransformer", "transformer"),
        ("dripuot", "dripuot"),  # two in a short word
        ("drupout", "dropout"),
        ("ADMA", "adam"),
        ("Adma", "adam"),
        ("ADIM", "adam"),
        ("Adim", "Adim"),  # a short name may be one that we do not know
        ("EDAM", "EDAM"),
        ("adams", "adams"),  # a plural is no slip
        ("PyTroch", "pytorch"),
        ("PyTirch", "PyTirch"),  # nor is a name with capitals inside
        ("pytirch", "pytorch"),
    ],
)
def test_a_slip_is_told_from_a_word_that_is_not_known(store: Store, typed: str, read: str) -> None:
    assert read_query(store, typed).text == read


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("过你和", "过你和"),  # two of three characters differ
        ("过你合", "过拟合"),
        ("提督消失", "梯度消失"),  # two of four
        ("提督小时", "提督小时"),
    ],
)
def test_at_most_half_of_the_characters_may_only_sound_right(store: Store, typed: str, read: str) -> None:
    assert read_query(store, typed).text == read


def test_vectors_are_kept_in_a_folder_of_the_cache() -> None:
    assert keeps_vectors()
    assert (cache_dir() / "index").is_dir()
    assert keeps_vectors(), "also where the folder is there already"
    (cache_dir() / "index").rmdir()
    (cache_dir() / "index").touch()
    assert not keeps_vectors()


def test_a_hit_in_json_is_the_row_and_why_it_was_found(store: Store) -> None:
    hit = search(store, "dropout rate").hits[0]
    assert hit.to_json() == {
        "id": "dropout",
        "type": hit.row.type,
        "name": {"en": "Dropout", "zh": "随机失活"},
        "summary": {"en": hit.row.summary.en, "zh": hit.row.summary.zh},
        "score": round(hit.score, 4),
        "parts": {name: round(value, 4) for name, value in hit.parts.items()},
        "exact": False,
        "weak": False,
    }
    assert hit.parts.keys() == {"lexical", "name"}
    assert any(value != round(value, 3) for value in hit.parts.values())


def test_a_hit_is_weak_where_nothing_speaks_for_it(store: Store) -> None:
    row = next(iter(store.rows(["dropout"])))

    def weak(exact: bool = False, **parts: float) -> bool:
        return _hit(row, 1.0, {name: {"dropout": value} for name, value in parts.items()}, exact).weak

    assert weak(semantic=0.0, lexical=9.0)
    assert not weak(semantic=1.0)
    assert not weak(semantic=0.0, name=0.1)
    assert not weak(exact=True, semantic=0.0)
    assert not weak(lexical=0.1), "without an encoder a word is all there is"


@pytest.mark.parametrize(
    ("query", "shares"),
    [
        ("dropout", {"dropout": 1.0}),
        ("use dropout", {"dropout": 0.7}),
        ("dropouts", {"dropout": 1.0}),
        ("DROPOUT DROPOUT", {"dropout": 0.5}),
        ("recurrent neural network", {"recurrent-neural-network": 1.0}),
        ("vanishing gradient", {"vanishing-gradient": 1.0, "gradient": 8 / 17 / 3}),
        ("梯度消失", {"vanishing-gradient": 1.0, "gradient": 0.5 / 3}),
        ("随机失活 怎么 用", {"dropout": 1.0}),
        ("训练时随机失活", {"dropout": 4 / 6}),
        ("nothing here", {}),
        ("", {}),
    ],
)
def test_a_name_counts_by_its_share_of_the_query(store: Store, query: str, shares: dict[str, float]) -> None:
    assert name_scores(store, query) == pytest.approx(shares)


def test_texts_are_embedded_as_passages_and_queries_as_queries(store: Store, tmp_path: Path) -> None:
    sides: list[str] = []

    class Told(Named):
        def encode(self, texts: Sequence[str], side: str = "query") -> np.ndarray:
            sides.append(side)
            return np.ones((len(texts), 4), np.float32)

    encoder = Told()
    opened = open_index(store, encoder, tmp_path / "shipped", tmp_path / "deep" / "index", lambda *_: None)
    assert set(sides) == {"passage"}
    assert list((tmp_path / "deep" / "index").glob("*.bin"))
    sides.clear()
    search(store, "how to stop overfitting", semantic=lambda: Semantic(encoder, opened))
    assert sides == ["query"]


KNOWN = {"alpha": 900, "beta": 1, "gamma": 1000, "delta": 1001, "epsilon": 5000, "mu": 0, "nu": 0}
KNOWN |= {f"rare{n}": n for n in range(2, 8)}


@pytest.mark.parametrize(
    ("size", "query", "match"),
    [
        (20_000, "alpha delta mu", '"alpha" OR "delta" OR "mu"'),
        (20_001, "alpha beta gamma delta mu", '"beta" OR "alpha" OR "gamma"'),
        (20_001, "rare7 rare6 rare5 rare4 rare3 rare2", '"rare2" OR "rare3" OR "rare4" OR "rare5" OR "rare6"'),
        (20_001, "delta epsilon", '"epsilon" AND "delta"'),
        (20_001, "delta mu", '"delta"'),
        (20_001, "mu nu", '"mu"'),
    ],
)
def test_of_many_concepts_only_rare_words_are_looked_up(
    store: Store, monkeypatch: pytest.MonkeyPatch, size: int, query: str, match: str
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(store, "size", lambda: size)
    monkeypatch.setattr(store, "count", lambda term, most: min(KNOWN[term.strip('"')], most))
    monkeypatch.setattr(store, "ranked", lambda match, weights, limit: asked.append(match) or {})
    lexical_scores(store, query)
    assert asked == [match]


def test_of_common_words_the_two_longest_are_looked_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(store, "size", lambda: 10**6)
    monkeypatch.setattr(store, "count", lambda term, most: most)
    monkeypatch.setattr(store, "ranked", lambda match, weights, limit: asked.append(match) or {})
    lexical_scores(store, "zz a dddd ccc")
    assert asked == ['"dddd" AND "ccc"']


@pytest.mark.parametrize(
    ("asks", "parts"), [(3, {"names", "summary", "idea", "body", "ask"}), (4, {"names", "summary", "ask"})]
)
def test_enough_questions_stand_for_the_longer_texts(asks: int, parts: set[str]) -> None:
    text = Bilingual("Text.", "文字。")
    questions = tuple(f"question {n}" for n in range(asks))
    concept = Concept(
        "a", "concept", Bilingual("A", "甲"), text, idea=text, how=text, asks={"en": questions, "zh": questions}
    )
    assert {part for _, part, _, _ in make_passages(concept)} == parts


def test_the_nearest_seventh_of_the_passages_counts() -> None:
    index = drawn([4, 14, 21])
    query = np.random.default_rng(1).normal(size=8).astype(np.float32)
    scores = index.find(query / np.linalg.norm(query), chinese=False).scores
    seen = query / np.linalg.norm(query) - index._centres[2]
    cosines = np.split(seen_of(index) @ (seen / np.linalg.norm(seen)), [4, 18])
    expected = [np.sort(part)[::-1][:count].mean() for part, count in zip(cosines, (1, 2, 3), strict=True)]
    np.testing.assert_allclose(scores, expected, atol=1e-6)
