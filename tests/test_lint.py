"""The pedant finds each kind of slip, at its place, and nothing in a clean file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kb.concepts.lint import lint
from kb.lab.runner import claims_by_demo

Check = Callable[[str, str], list[str]]
DEMOS = claims_by_demo()


@pytest.fixture
def check(sample: Path, tmp_path: Path) -> Check:
    """Change one thing in the sample and lint it."""

    def changed(old: str, new: str) -> list[str]:
        text = sample.read_text("utf-8")
        assert old in text
        path = tmp_path / "c.yaml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return [problem.said("en") for problem in lint([path], DEMOS).problems]

    return changed


def test_the_sample_is_clean(check: Check) -> None:
    assert check("- id: accuracy", "- id: accuracy") == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("- id: accuracy", "- id: zebra", "out of order"),
        ("to: pytorch}", "to: pytoch}", "no concept 'pytoch'"),
        ("[[transformer|Transformers]]", "[[transfomer|Transformers]]", "no concept [[transfomer]]"),
        ("[[transformer|Transformers]]", "Transformers", "linked in one language only"),
        ("数字很高却没有用", "数字很高,却没有用", "half-width punctuation"),
        ("每个参数都有自己的步长", "每个参数都有自己的step步长", "no space between"),
        ("每个参数都有自己的步长", "每个参数都 有自己的步长", "a needless space"),
        ("Each parameter has its own step size.", "Each parameter，has its own step size.", "Chinese characters"),
        ("Each parameter has its own step size.", "Each. Parameter. Has its own.", "how.en: 5 sentences, at most 3"),
        ("One count of right answers", "One count" + " very" * 60 + " right", "idea.en: "),
        ("只数对了几个", "只数对了几个" + "多" * 105, "idea.zh: "),
        ("92 of 100   = 0.92", "92 of 100   = 0.93", "example.computed.0.92: not in example.en"),
        ('"0.92": "92 / 100"', '"0.92": "93 / 100"', "example.computed.0.92: 93 / 100 is 0.93"),
        ('"0.92": "92 / 100"', '"0.92": "ninety"', "cannot be worked out: 'ninety' is none of"),
        ("gradient    100     0.01", "gradient    100   → 0.01", "example.en: '→' has no certain width"),
        (
            "gradient    100     0.01",
            "gradient    100     0.01" + "\n      x" * 7,
            "example.en: 9 x 25, at most 8 x 62",
        ),
        ("gradient    100     0.01", "gradient    100 " + " " * 47 + "0.01", "example.en: 2 x 67, at most 8 x 62"),
        ("Adam has one, 0.001 by", "Adam (Smith et al. 2019) has one, 0.001 by", "Smith 2019 stands in no source"),
        ("Adam has one, 0.001 by", "Adam (Kingma 2014) has one, 0.001 by", ""),
        ("which optimizer works without tuning", "what is SMBO", "'SMBO' is asked for and stands in no text"),
        ("which optimizer works without tuning", "what is GRU", ""),
        ("claim: lstm_mse", "claim: lstm_msa", "claim: no claim of this demo: "),
        ("  claim: lstm_mse\n", "", "claim: missing: which claim of lstm concerns this model"),
        ("gradient, soft: true}", "gradient}", "gradient is not on the route here"),
        ("implemented_in, to: pytorch}", "implemented_in, to: pytorch, soft: true}", "implemented_in is on no route"),
        ("要保住的是梯度", "前者要保住后者", "'前者' is read on both cards"),
        ('  code: {call: "nn.Dropout(0.5)"}\n', "", "code: missing"),
        ('{call: "nn.Dropout(0.5)"}', '{call: "a = 1\\nb = 2"}', ""),
        ('{call: "nn.Dropout(0.5)"}', '{call: "x\\n' + "y" * 67 + '"}', "code.call: 2 x 67, at most 8 x 66"),
        ('{call: "nn.Dropout(0.5)"}', '{call: "' + r"x\n" * 8 + 'x"}', "code.call: 9 x 1, at most 8 x 66"),
        ("The share of predictions", "The accuracy of predictions", "defines 'Accuracy' by itself"),
        ("The share of predictions that", "The share " + "very " * 30 + "that", "at most 30"),
        ("预测正确的样本", "预测正确的样本" + "多" * 60, "at most 60"),
        ("adaptive moment estimation", "LSTM", "also names"),
        ("inverted dropout", "Drop-Out", "resolves already"),
        (r"\frac{c}{n}", r"\fraction{c}{n}", "cannot be shown in a terminal"),
        (r"\frac{c}{n}", r"\argmin_c \frac{c}{n}", r"\argmin is not known"),
        (r"\frac{c}{n}", "{" * 500 + "c n" + "}" * 500, "nested more than 50 levels deep"),
        (r"A = \frac{c}{n}", r"A = \frac{c}{m}", "not in the formula"),
        ("implemented_in, to: pytorch}", "mitigates, to: pytorch}", "mitigates says why"),
        ("uses, to: gradient}", "is_a, to: adam}", "links to itself"),
        ("  demo: metrics\n", "", "demo: missing"),
        ("what share did my classifier get right", "accuracy", ""),
    ],
)
def test_each_slip_is_found(check: Check, old: str, new: str, said: str) -> None:
    found = check(old, new)
    assert any(said in line for line in found) if said else found == [], found


def test_a_cycle_is_found(check: Check) -> None:
    why = '{rel: prerequisite, to: vanishing-gradient, why: {en: "x", zh: "某"}}'
    found = check("{rel: part_of, to: adam}", why)
    assert any("a cycle of prerequisite: " in line for line in found), found


def test_a_symmetric_link_written_twice_is_found(check: Check) -> None:
    old = "{rel: is_a, to: recurrent-neural-network}\n    - {rel: mitigates"
    found = check(old, old.replace("is_a, to: recurrent-neural-network", "alternative_to, to: gated-recurrent-unit"))
    assert any("says so already" in line for line in found), found


def test_a_missing_demo_is_found(sample: Path) -> None:
    assert any("no demo 'adam'" in problem.said("en") for problem in lint([sample], {"lstm": ["lstm_mse"]}).problems)


def test_an_overlay_is_checked_on_its_base(sample: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("- id: adam\n  aliases: {zh: [亚当]}\n", encoding="utf-8")
    assert lint([sample, overlay]).problems == []
    overlay.write_text("- id: adam\n  aliases: {en: [GRU]}\n- id: mine\n  typo: x\n", encoding="utf-8")
    found = [problem.said("en") for problem in lint([sample, overlay]).problems]
    assert any("overlay.yaml:4: mine: typo: unknown field" in line for line in found), found
    assert any("'GRU' also names gated-recurrent-unit" in line for line in found), found


ENTRY = """
- id: a
  type: concept
  name: {en: A, zh: 甲}
  summary: {en: First., zh: 第一。}
"""


def found_in(tmp_path: Path, text: str) -> list[str]:
    """What the lint says of a file, `id: field: message` each."""
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return [problem.said("en").split(": ", 1)[1] for problem in lint([path]).problems]


OTHER = ENTRY.replace("id: a", "id: b").replace("en: A,", "en: B,").replace("zh: 甲", "zh: 乙")
NO_LINK = "id: no entry links here"


def test_a_concept_that_nothing_links_to_is_found(tmp_path: Path) -> None:
    assert {f"a: {NO_LINK}", f"b: {NO_LINK}"} <= set(found_in(tmp_path, ENTRY + OTHER))
    linked = OTHER + "  links: [{rel: part_of, to: a}]\n"
    mentioned = OTHER + '  how: {en: "A [[a]].", zh: "甲 [[a]]。"}\n'
    for text in (linked, mentioned):
        found = found_in(tmp_path, ENTRY + text)
        assert f"b: {NO_LINK}" in found
        assert f"a: {NO_LINK}" not in found
    assert not any(NO_LINK in line for line in found_in(tmp_path, ENTRY)), "one alone is nobody's orphan"


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("links: [{rel: part_of, to: b}]", "a: links: fewer than two"),
        ("links: [{rel: part_of, to: b}, {rel: part_of, to: b}]", "a: links: a link stands twice"),
        ("links: [{rel: part_of, to: b, why: {en: x, zh: 某}}]", "a: links[0].why: part_of has no why"),
        ("formula: x", "a: symbols: name the symbols of the formula"),
        ("asks: {en: [one]}", "a: asks.en: 1 of them, not 2 to 20"),
        ("asks: {en: [what is a, is it A]}", "a: asks.en: every one contains the name"),
    ],
)
def test_what_an_entry_alone_gets_wrong_is_found(tmp_path: Path, added: str, said: str) -> None:
    assert said in found_in(tmp_path, f"{ENTRY}  {added}\n{OTHER}")
    assert said not in found_in(tmp_path, ENTRY + OTHER) or "fewer" in said


@pytest.mark.parametrize("type", ["model", "technique", "optimizer", "loss", "metric", "framework"])
def test_what_somebody_made_has_a_source(tmp_path: Path, type: str) -> None:
    said = f"a: sources: a {type} needs a primary source"
    assert said in found_in(tmp_path, ENTRY.replace("type: concept", f"type: {type}"))
    assert not any("primary source" in line for line in found_in(tmp_path, ENTRY))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (r'name: {en: "A\e", zh: 甲}', "name.en: a control character, U+001B"),
        (r'name: {en: "A\tB", zh: 甲}', "name.en: a control character, U+0009"),
        (r'name: {en: "A\n\nB", zh: 甲}', "name.en: a line break"),
        ('name: {en: A, zh: "甲\u202e"}', "name.zh: an invisible character, U+202E"),
        ("summary: {en: First\u200b., zh: 第一。}", "summary.en: an invisible character, U+200B"),
        (r'summary: {en: First., zh: "第\u200d一。"}', "summary.zh: an invisible character, U+200D"),
        ('aliases: {zh: ["乙\ufeff"]}', "aliases.zh: an invisible character, U+FEFF"),
        ('asks: {en: ["why\u2028so"]}', "asks.en: an invisible character, U+2028"),
        (r'mind: {en: "A.\x9b", zh: 甲。}', "mind.en: a control character, U+009B"),
        (r'idea: {en: A., zh: "\U000e0041"}', "idea.zh: an invisible character, U+E0041"),
        (r'demo_shows: {en: "A.\xad", zh: 甲。}', "demo_shows.en: an invisible character, U+00AD"),
        (r'formula: "x\a"', "formula[0]: a control character, U+0007"),
        (r'symbols: {"x\e": {en: x, zh: 某}}', ": a control character, U+001B"),
        (r'symbols: {x: {en: "x\n\ny", zh: 某}}', "symbols.x.en: a line break"),
        (r'links: [{rel: causes, to: a, why: {en: "x\e", zh: 某}}]', "links[0].why.en: a control character"),
        ("sources: [{title: T\u200e, author: A, year: 2000, url: 'https://x'}]", "sources[0].title: an invisible"),
        ("sources: [{title: T, author: A, year: 2000, url: 'https://x\u200e'}]", "sources[0].url: an invisible"),
    ],
)
def test_a_character_that_nobody_sees_is_named_with_its_field(tmp_path: Path, line: str, said: str) -> None:
    kept = [old for old in ENTRY.splitlines() if old.split(":")[0].strip() != line.split(":")[0]]
    found = found_in(tmp_path, "\n".join([*kept, f"  {line}"]))
    assert any(said in problem for problem in found), found
    assert not any("invisible" in problem or "control" in problem for problem in found_in(tmp_path, ENTRY))


def test_a_character_that_nobody_sees_is_named_in_chinese_too(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(ENTRY.replace("en: A,", r'en: "A\e\u200b\n\nB",'), encoding="utf-8")
    said = [problem.message.zh for problem in lint([path]).problems if problem.field == "name.en"]
    assert {"含控制字符 U+001B", "含不可见字符 U+200B", "含换行"} <= set(said)


@pytest.mark.parametrize(
    "text", ["می\u200cخواهم", "क्\u200dष", "👨\u200d👩\u200d👧 ⭐\ufe0f", "👩🏽\u200d💻", r"One.\n\nTwo."]
)
def test_what_a_script_or_a_paragraph_needs_is_no_slip(tmp_path: Path, text: str) -> None:
    found = found_in(tmp_path, ENTRY.replace("First.", f'"{text}"'))
    assert not any(word in line for line in found for word in ("invisible", "control", "line break")), found


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id: a", 'id: "a "\n  year: 12', "a: year: not a whole number"),
        ("type: concept", "type: nonsense", "a: type: 'nonsense' is not one of"),
        ("id: a\n  type: concept", 'id: " a"\n  type: nonsense', "type: 'nonsense' is not one of"),
        ("id: a\n  type: concept", "id: b\n  type: nonsense\n  id: a", "this key stands twice"),
        ("type: concept", "type: concept\n  year: " + "1" * 5_000, "a: year: not a whole number from 1600 to 2100"),
        ("type: concept", "type: concept\n  year: !!int ''", "a: year: not a whole number from 1600 to 2100"),
    ],
)
def test_an_entry_that_cannot_be_read_is_named_and_no_more(tmp_path: Path, old: str, new: str, said: str) -> None:
    found = found_in(tmp_path, ENTRY.replace(old, new, 1))
    assert any(said in line for line in found), found
