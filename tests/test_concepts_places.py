"""What is said of a file: where, in which order, how much of it, and in which language."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.concepts.blocks import cut, read_block
from kb.concepts.formula import to_terminal
from kb.concepts.lint import lint
from kb.concepts.source import Problem, Source, load, read_entries
from kb.errors import KbError
from kb.language.text import Bilingual

ENTRY = """
- id: a
  type: concept
  name: {en: A, zh: 甲}
  summary: {en: First., zh: 第一。}
"""
OTHER = ENTRY.replace("id: a", "id: b").replace("en: A,", "en: B,").replace("zh: 甲", "zh: 乙")


def written(tmp_path: Path, text: str, name: str = "c.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def linted(tmp_path: Path, text: str) -> list[str]:
    return [problem.said("en") for problem in lint([written(tmp_path, text)]).problems]


def refused(*paths: Path) -> KbError:
    with pytest.raises(KbError) as raised:
        load([Source.open(path) for path in paths])
    return raised.value


def test_a_problem_is_said_in_both_languages() -> None:
    problem = Problem("c.yaml", 3, "a", "name.en", Bilingual("missing", "缺失"))
    assert problem.said("en") == "c.yaml:3: a: name.en: missing"
    assert problem.said("zh") == "c.yaml:3: a: name.en: 缺失"
    assert problem._replace(id="", field="").said("zh") == "c.yaml:3: 缺失"


@pytest.mark.parametrize(("wrong", "more"), [(9, ""), (10, ""), (11, "… and 1 more"), (13, "… and 3 more")])
def test_a_refusal_names_ten_problems_and_counts_the_others(tmp_path: Path, wrong: int, more: str) -> None:
    error = refused(written(tmp_path, ENTRY + "".join(f"  typo{n}: x\n" for n in range(wrong))))
    assert error.hint is not None
    assert error.message.en == f"c.yaml: {wrong} problem(s)"
    lines = error.hint.en.splitlines()
    assert len(lines) == min(wrong, 10) + bool(more)
    assert not more or lines[-1] == more
    assert [int(line.split(":")[1]) for line in lines[:10]] == list(range(6, 6 + min(wrong, 10)))
    assert len(error.hint.zh.splitlines()) == len(lines)
    assert error.hint.zh.splitlines()[0] != lines[0]
    assert ("另有" in error.hint.zh) == bool(more)


def test_a_refusal_names_every_file_once(tmp_path: Path) -> None:
    first = written(tmp_path, ENTRY + "  typo: x\n  more: x\n")
    second = written(tmp_path, "- id: b\n  typo: x\n", "b.yaml")
    assert refused(first, second).message.en.startswith("b.yaml, c.yaml: ")


def test_problems_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = linted(tmp_path, OTHER + ENTRY + "  links: [{rel: part_of, to: none}]\n")
    lines = [int(line.split(":")[1]) for line in found]
    assert lines == sorted(lines)
    assert len(set(found)) == len(found)
    assert {line.split(": ")[1] for line in found} == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("  how:\n    en: It is [[none]] now.\n    zh: 甲。\n", "how"),
        ('  code:\n    call: "x = 1"\n    trap: {en: "[[none]].", zh: 甲。}\n', "code.trap"),
    ],
)
def test_a_problem_inside_a_field_stands_at_the_line_of_the_field(tmp_path: Path, text: str, field: str) -> None:
    found = [said for said in linted(tmp_path, ENTRY + text) if "[[none]]" in said]
    assert found and all(said.startswith(f"c.yaml:6: a: {field}.en: ") for said in found), found


@pytest.mark.parametrize(("year", "is_told"), [(1599, True), (1600, False), (2100, False), (2101, True)])
def test_the_first_and_the_last_year_are_years(tmp_path: Path, year: int, is_told: bool) -> None:
    found = linted(tmp_path, ENTRY + f"  year: {year}\n")
    assert any("not a whole number from 1600" in said for said in found) == is_told, found


@pytest.mark.parametrize(("language", "unit", "most"), [("en", "word ", 30), ("zh", "多", 60)])
def test_a_summary_may_be_as_long_as_its_limit(tmp_path: Path, language: str, unit: str, most: int) -> None:
    was = {"en": "First.", "zh": "第一。"}[language]
    for length, is_told in ((most, False), (most + 1, True)):
        found = linted(tmp_path, ENTRY.replace(was, unit * length))
        assert any(f"summary.{language}: {length} " in line for line in found) == is_told, found


@pytest.mark.parametrize("part", ["how", "use", "avoid", "cost", "mind"])
def test_a_labelled_line_has_three_sentences_at_most(tmp_path: Path, part: str) -> None:
    for count, is_told in ((3, False), (4, True)):
        found = linted(tmp_path, ENTRY + f'  {part}: {{en: "{"It is. " * count}", zh: "{"是。" * count}"}}\n')
        for language in ("en", "zh"):
            assert any(f"{part}.{language}: {count} sentences" in line for line in found) == is_told, found


@pytest.mark.parametrize(
    ("old", "said"), [("body", "it is how, use, avoid, cost and mind now"), ("misconception", "it is believed now")]
)
def test_a_field_of_the_older_form_says_what_became_of_it(tmp_path: Path, old: str, said: str) -> None:
    found = linted(tmp_path, ENTRY + f"  {old}: {{en: A., zh: 甲。}}\n")
    assert any(f"a: {old}: {said}" in line for line in found), found


@pytest.mark.parametrize(("count", "is_told"), [(1, True), (2, False), (20, False), (21, True)])
def test_two_to_twenty_questions_a_language(tmp_path: Path, count: int, is_told: bool) -> None:
    asked = ", ".join(f"question {n}" for n in range(count))
    found = linted(tmp_path, ENTRY + f"  asks: {{en: [{asked}], zh: [{asked}]}}\n")
    for language in ("en", "zh"):
        assert any(f"asks.{language}: {count} of them" in line for line in found) == is_told, found


def test_links_of_one_language_are_all_named(tmp_path: Path) -> None:
    found = linted(tmp_path, ENTRY + OTHER + '  how: {en: "[[a]] and [[b]]", zh: 甲}\n')
    assert any("b: how: linked in one language only: a, b" in line for line in found), found


def test_a_name_of_two_is_told_where_it_stands(tmp_path: Path) -> None:
    found = linted(tmp_path, ENTRY + OTHER.replace("en: B,", "en: A,") + "  aliases: {zh: [甲]}\n")
    assert any("b: name: 'A' also names a" in line for line in found), found
    assert any("a: name: 'A' also names b" in line for line in found), found
    assert any("b: aliases: '甲' also names a" in line for line in found), found


def test_an_alias_that_is_the_id_of_another_is_told_at_both(tmp_path: Path) -> None:
    named = ENTRY.replace("id: a", "id: ab").replace("en: A,", "en: C,")
    found = linted(tmp_path, named + OTHER + "  aliases: {en: [AB]}\n")
    assert any("ab: name: 'ab' also names b" in line for line in found), found
    assert any("b: aliases: 'AB' also names ab" in line for line in found), found


def test_every_cycle_is_told_once_wherever_it_begins(tmp_path: Path) -> None:
    text = "".join(
        ENTRY.replace("id: a", f"id: {id}") + f"  links: [{{rel: is_a, to: {to}}}]\n"
        for id, to in (("a", "b"), ("b", "c"), ("c", "b"), ("d", "a"), ("e", "e"))
    )
    found = [line.split(": ", 3)[-1] for line in linted(tmp_path, text) if "a cycle of" in line]
    assert found == ["a cycle of is_a: b → c → b", "a cycle of is_a: e → e"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# nothing\n\na: b\n", "c.yaml:3: the file is not a list of entries"),
        ("# nothing\n- id: a\n\x07\n# more\n", "c.yaml:3: a control character, U+0007"),
        ("# nothing\n- {id: a\n- id: b\n", "c.yaml:3: not YAML: "),
    ],
)
def test_what_is_no_file_of_entries_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    error = refused(written(tmp_path, text))
    assert any(said in told for told in (error.message.en, error.hint.en if error.hint else ""))


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("symbols: [x]", "a: symbols: not a mapping"),
        ("symbols: {x: {en: what}}", "a: symbols.x.zh: missing"),
        ("symbols: {x: {en: 1, zh: 一}}", "a: symbols.x.en: '1' is not text"),
        ("symbols: {x: {en: a, zh: 甲}, x: {en: b, zh: 乙}}", "a: symbols.x: this key stands twice"),
        ("symbols: {1: {en: a, zh: 甲}}", "a: symbols: '1' is not text"),
        ("asks: {en: [why, 2]}", "a: asks.en[1]: '2' is not text"),
        ("asks: {de: [warum]}", "a: asks.de: unknown field"),
        ("links: [{rel: part_of, to: b, why: {en: x}}]", "a: links[0].why.zh: missing"),
        ("aliases: {en: [{text: x}]}", "a: aliases.en[0]: nothing is said of it"),
        ("aliases: {en: [{text: x, status: odd}]}", "a: aliases.en[0].status: 'odd' is not one of"),
    ],
)
def test_what_is_wrong_inside_a_field_is_told_with_its_path(tmp_path: Path, added: str, said: str) -> None:
    error = refused(written(tmp_path, f"{ENTRY}  {added}\n"))
    assert error.hint is not None
    (line,) = error.hint.en.splitlines()
    assert line.startswith(f"c.yaml:6: {said}")


def test_the_blocks_of_a_file_hold_its_entries(sample: Path) -> None:
    source = Source.open(sample)
    entries, _ = read_entries(source)
    blocks = cut(source)
    assert blocks is not None
    read = [read_block(block) for block in blocks]
    assert [entry and entry.values for entry in read] == [entry.values for entry in entries]
    assert [entry and entry.file for entry in read] == [sample.name] * len(entries)


@pytest.mark.parametrize(
    "text",
    [
        "- id: b\n  name: *a\n",
        "- typo: x\n",
        "- name: {en: A, zh: 甲}\n",
        "- a\n",
        "- {id: b\n",
        "- id: b\nc: d\n",
    ],
)
def test_a_block_that_may_be_wrong_is_left_to_who_reads_the_whole(tmp_path: Path, text: str) -> None:
    (block,) = cut(Source.open(written(tmp_path, text))) or ()
    assert read_block(block) is None


def test_a_file_with_more_than_comments_before_its_entries_is_not_cut(tmp_path: Path) -> None:
    assert cut(Source.open(written(tmp_path, "# why\n\n- id: a\n"))) is not None
    assert cut(Source.open(written(tmp_path, "# why\n  # indented\n   \n- id: a\n"))) is not None
    assert cut(Source.open(written(tmp_path, "a: b\n- id: a\n"))) is None


def test_a_script_of_several_signs_stands_close() -> None:
    assert to_terminal("x_{i + 1}") == "xᵢ₊₁"


def test_a_formula_is_one_line_with_one_space_at_a_place() -> None:
    assert to_terminal(" a \n\t b  \\;  = c ") == "a b = c"
    assert to_terminal(r"\mathbb{R+}") == "ℝ+", "what has no double strokes stays"


def test_a_word_of_several_is_one_that_each_calls_weak(tmp_path: Path) -> None:
    weak, plain = "  aliases: {zh: [{text: 步, weak: true}]}\n", "  aliases: {zh: [步]}\n"
    assert not [line for line in linted(tmp_path, ENTRY + weak + OTHER + weak) if "also names" in line]
    assert [line for line in linted(tmp_path, ENTRY + weak + OTHER + plain) if "'步' also names" in line]
    named = OTHER.replace("zh: 乙", "zh: 步")
    assert named != OTHER
    assert [line for line in linted(tmp_path, ENTRY + weak + named) if "'步' also names" in line]
