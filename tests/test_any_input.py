"""What holds for any input at all: names, queries, formulas, YAML, notes and their properties."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
import yaml
from conftest import SAMPLE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kb.concepts.formula import to_terminal
from kb.concepts.source import Source, load
from kb.concepts.vocabulary import LABELLED
from kb.errors import KbError
from kb.formats.obsidian.export import Options, export
from kb.formats.obsidian.filenames import LONGEST, collision_key, note_name
from kb.formats.obsidian.note import ID_KEY, parse, update
from kb.language.hidden import HIDDEN
from kb.language.surface import fold
from kb.search.hybrid import search
from kb.snapshot.store import Store, open_store

settings.register_profile(
    "kb", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150
)
settings.load_profile("kb")

ANY = st.text(st.characters(exclude_categories=()), max_size=200)
"""Any text, halves of characters included."""
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)
LINES = st.text("ab:#-'\"[]{}|>?!&*%@`, \t\r\n深。~\u2028\x85", max_size=60)
"""Text that looks like a part of a note."""
ODD_YAML = st.text(" -:?[]{}#&*!|>'\"%@`,\n\t~abid01深", max_size=120)
LATEX = st.text("\\{}^_ &%$abxy12+-=()" + string.ascii_letters, max_size=80)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store([SAMPLE], tmp_path_factory.mktemp("cache"))


@given(ANY)
def test_any_name_resolves_or_says_what_is_near(store: Store, name: str) -> None:
    try:
        assert store.find(name).id
    except KbError as error:
        assert error.hint or error.ways


@given(ANY)
def test_any_query_has_an_answer(store: Store, query: str) -> None:
    answer = search(store, query, k=3, mode="lexical")
    assert len(answer.hits) <= 3
    assert len({hit.row.id for hit in answer.hits}) == len(answer.hits)


@given(st.data())
def test_a_name_resolves_in_any_dress(store: Store, data: st.DataObject) -> None:
    surfaces = store.query("SELECT text, id FROM surface WHERE status IN ('name', 'alias')")
    text, id = data.draw(st.sampled_from(surfaces))
    dressed = "".join(data.draw(st.sampled_from((c, c.upper(), c.lower(), _wide(c), f" {c}", f"{c}-"))) for c in text)
    assert id in {match.id for match in store.resolve(dressed)}, dressed


def _wide(character: str) -> str:
    return chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character


@given(ANY)
def test_blanks_and_case_change_no_key(text: str) -> None:
    assert fold(f" {text} ") == fold(text)
    assert fold(text.casefold()) == fold(text)


@given(LATEX)
def test_any_formula_is_shown_or_refused(latex: str) -> None:
    try:
        shown = to_terminal(latex)
    except ValueError:
        return
    assert "\n" not in shown
    assert shown == shown.strip()


@given(st.one_of(ODD_YAML, ANY))
def test_any_yaml_loads_or_says_where_it_is_wrong(tmp_path: Path, text: str) -> None:
    _load(tmp_path, text)


@given(st.data())
def test_a_good_file_with_any_damage_loads_or_says_where_it_is_wrong(tmp_path: Path, data: st.DataObject) -> None:
    good = SAMPLE.read_text("utf-8")
    at = data.draw(st.integers(0, len(good)))
    length = data.draw(st.integers(0, 20))
    _load(tmp_path, good[:at] + data.draw(ODD_YAML) + good[at + length :])


def _load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load([Source.open(path)])
    except KbError as error:
        assert "any.yaml" in error.message.en
    for overlay in (path,):
        try:
            store = open_store([SAMPLE, overlay], tmp_path / "cache")
        except KbError:
            continue
        assert store.find("LSTM").id == "long-short-term-memory"
        store.close()


@given(LINES, LINES, LINES)
def test_a_note_keeps_every_byte_of_the_user_s(front: str, before: str, after: str) -> None:
    text = _note(front, before, after)
    note = parse(text)
    old = {"kb-id": "a", "tags": ["kb/x"]}
    new = update(note, {**old, "tags": ["kb/y"]}, old, "new region\n", force=True)
    if new is None or parse(text).id != "a":
        return
    again = parse(new)
    if note.region is not None:
        assert (again.before, again.after) == (note.before, note.after)
    assert not again.is_edited
    assert again.region.replace("\r\n", "\n") == "new region\n" if again.region else False
    ours = (ID_KEY, "tags")
    assert [raw for key, raw in again.properties if key not in ours] == [
        raw for key, raw in note.properties if key not in ours
    ]
    assert update(again, {**old, "tags": ["kb/y"]}, {**old, "tags": ["kb/y"]}, "new region\n") == new


def _note(front: str, before: str, after: str) -> str:
    mine = front if front.endswith("\n") or not front else front + "\n"
    made = update(parse(""), {"kb-id": "a", "tags": ["kb/x"]}, None, "region\n")
    assert made is not None
    head, _, rest = made.partition("---\n%% kb:begin")
    return f"{head}{mine}---\n{before}\n%% kb:begin{rest}{after}"


@given(st.lists(st.text("ab -#:'\"深", min_size=1, max_size=8), max_size=5), st.booleans())
def test_items_of_the_user_s_are_written_back_as_they_stood(items: list[str], flow: bool) -> None:
    written = yaml.safe_dump(items, default_flow_style=flow, allow_unicode=True, width=10**6)
    raw = f"tags: {written}" if flow or not items else f"tags:\n{written}"
    text = f'---\nkb-id: "a"\n{raw}---\n%% kb:begin 0123456789abcdef x %%\n%% kb:end %%\n'
    new = update(parse(text), {"kb-id": "a", "tags": ["kb/x"]}, {"kb-id": "a", "tags": []}, "r\n")
    assert new is not None
    kept = yaml.safe_load("".join(raw for _, raw in parse(new).properties))["tags"]
    assert [item for item in kept if item != "kb/x"] == items


@given(ANY)
def test_any_title_becomes_a_name_that_every_system_takes(text: str) -> None:
    name = note_name(text)
    assert 0 < len(name.encode()) <= LONGEST + 1
    assert not re.search(r'[/\\?<>:*|"\[\]#^\n\t]', name)
    assert not HIDDEN.search(name)
    assert name == name.strip(" .")
    assert collision_key(note_name(name)) == collision_key(name)


@settings(max_examples=40)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=3, max_size=3))
def test_any_card_makes_notes_that_are_left_alone_the_second_time(
    store: Store, tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str]]
) -> None:
    cards = [store.card(row.id) for row in store.rows()][:3]
    for card, (one, other) in zip(cards, texts, strict=True):
        card["name"] = {"en": one, "zh": other}
        card |= {part: {"en": other, "zh": one} for part in ("summary", "idea", *LABELLED)}
        card["example"], card["code"] = {"en": other, "zh": one}, {"call": one, "trap": {"en": other, "zh": one}}
        card["believed"] = [{"belief": {"en": one, "zh": other}, "fact": {"en": other, "zh": one}}]
        card["formula"] = [other, one]
        card["symbols"] = {one: {"en": other, "zh": one, "shape": other, "default": one}}
        card["aliases"] = {"en": [one, other], "zh": [other]}
    vault = tmp_path_factory.mktemp("vault")
    assert {step.action for step in export(cards, vault, Options(("en", "zh"))).steps} == {"create"}
    assert {step.action for step in export(cards, vault, Options(("en", "zh"))).steps} == {"unchanged"}
    for path in vault.rglob("*.md"):
        note = path.read_bytes().decode("utf-8")
        assert not HIDDEN.search(note)
        assert isinstance(yaml.safe_load(note.split("\n---\n")[0].removeprefix("---\n")), dict)
