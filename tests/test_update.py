"""A snapshot brought to the present state of its sources holds what one made anew would hold."""

from __future__ import annotations

import json
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLE
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.concepts import blocks
from kb.concepts.blocks import cut, read_block
from kb.concepts.source import Source, load, read_entries
from kb.errors import KbError
from kb.snapshot.life import Opened
from kb.snapshot.store import Store, open_store
from kb.snapshot.update import update

ENTRIES = re.split(r"^(?=- )", SAMPLE.read_text("utf-8"), flags=re.MULTILINE)[1:]
IDS = [re.match(r"- id: (\S+)", entry)[1] for entry in ENTRIES]  # type: ignore[index]  # every entry begins so
TABLES = ("block", "card", "edge", "surface", "word", "meta")


def source(*entries: str) -> Source:
    return Source(Path("c.yaml"), "".join(entries).encode())


def overlay(*entries: str) -> Source:
    return Source(Path("overlay.yaml"), "".join(entries).encode())


def compiled(*sources: Source) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    update(db, sources, {})
    return db


def content(db: sqlite3.Connection) -> dict[str, Any]:
    """All that a snapshot holds, but for the numbers that its entries have in it."""
    columns = {table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")] for table in TABLES}
    found: dict[str, Any] = {
        table: sorted(
            db.execute(f"SELECT {', '.join(name for name in names if name != 'place')} FROM {table}"), key=str
        )
        for table, names in columns.items()
    }
    found["order"] = db.execute("SELECT id, rel, target FROM edge ORDER BY id, place").fetchall()
    db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab (main, lexical, instance)")
    words = "SELECT term, id, col, offset FROM vocabulary JOIN card ON card.place = doc ORDER BY term, id, col, offset"
    found["words"] = db.execute(words).fetchall()
    return found


def entry(id: str, text: str = "What it is.", links: str = "") -> str:
    return (
        f"- id: {id}\n  type: concept\n  name: {{en: The {id}, zh: 概念{id}}}\n"
        f"  summary: {{en: '{text}', zh: 一句话。}}\n" + (f"  links: [{links}]\n" if links else "")
    )


def repeating(number: int) -> str:
    """An entry whose aliases add 30,000 characters: one may, many may not."""
    return entry(f"x{number}") + f"  asks: {{en: [&long {'x' * 2000}{', *long' * 15}]}}\n"


ALIASES = ["en: [Another]", "zh: [梯度下降法, 特度下降法]", "zh: [特度下降法]"]
"""Two of which sound alike."""
CHANGES = st.one_of(
    st.tuples(
        st.just("change"), st.integers(0, len(ENTRIES) - 1), st.sampled_from(["Verily", "[[adam]]", "GRU", "梯度"])
    ),
    st.tuples(st.just("remove"), st.integers(0, len(ENTRIES) - 1), st.just("")),
    st.tuples(
        st.just("add"), st.integers(0, 3), st.sampled_from([f"{{rel: uses, to: {id}}}" for id in (*IDS, "x1", "x2")])
    ),
    st.tuples(
        st.just("lay"),
        st.integers(0, len(ENTRIES) - 1),
        st.sampled_from(ALIASES),
    ),
)


@settings(deadline=None, max_examples=40)
@given(st.lists(CHANGES, max_size=6))
def test_any_changes_leave_what_a_snapshot_made_anew_holds(changes: list[tuple[str, int, str]]) -> None:
    there, added, laid = dict(enumerate(ENTRIES)), dict[int, str](), dict[int, str]()
    db = compiled(source(*ENTRIES), overlay())
    for what, number, text in changes:
        if what == "change" and number in there:
            there[number] = there[number].replace("summary: {en: ", f"summary: {{en: {text.strip('[]')} ", 1)
        elif what == "remove":
            there.pop(number, None)
        elif what == "add":
            added[number] = entry(f"x{number}", links=text)
        elif number in there:
            laid[number] = f"- id: {IDS[number]}\n  aliases: {{{text}}}\n"
        files = source(*there.values(), *added.values()), overlay(*(laid[i] for i in laid if i in there))
        update(db, files, {})
        assert content(db) == content(compiled(*files))


def test_only_what_changed_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    db = compiled(source(*ENTRIES))
    read: list[str] = []

    def listen(block: blocks.Block) -> Any:
        read.append(block.data.decode())
        return read_block(block)

    monkeypatch.setattr("kb.snapshot.update.read_block", listen)
    monkeypatch.setattr("kb.snapshot.update.load", None)
    changed = ENTRIES[3].replace("en: ", "en: Verily ", 1)
    update(db, [source(*ENTRIES[:3], changed, *ENTRIES[4:])], {})
    assert read == [changed]


def test_a_link_to_what_comes_later_is_drawn_then() -> None:
    first, second = entry("a", links="{rel: uses, to: b}"), entry("b")
    db = compiled(source(first))
    assert not db.execute("SELECT * FROM edge").fetchall()
    update(db, [source(first, second)], {})
    assert db.execute("SELECT id, rel, target FROM edge").fetchall() == [("a", "uses", "b"), ("b", "used_by", "a")]
    update(db, [source(first)], {})
    assert not db.execute("SELECT * FROM edge").fetchall()


WHOLE = {
    "an alias of another entry's": entry("a").replace("name: ", "name: &name ", 1)
    + "- id: b\n  type: concept\n  name: *name\n  summary: {en: S., zh: 一句话。}\n",
    "a list in JSON": json.dumps(
        [{"id": "a", "type": "concept"} | {key: {"en": "A", "zh": "一"} for key in ("name", "summary")}]
    ),
    "a mark of a document": f"---\n{entry('a')}",
    "the end of a document": f"{entry('a')}...\n",
    "a directive": f"%YAML 1.1\n---\n{entry('a')}",
    "entries after a line that YAML alone breaks": f"{entry('a')}  demo: x\u2028- id: b\n".replace("\u2028", "\x85"),
    "a quoted text that looks like an entry": entry("a", "one\n- id: b\n  two"),
    "a list that is indented": entry("a").replace("\n", "\n  ").replace("- id", "  - id", 1),
    "a list in flow style behind a space": " [{id: a, type: task, name: {en: A, zh: 甲}, summary: {en: S, zh: 一}}]",
    "a mapping behind a space": " just: text\n",
    "an entry behind a break of YAML's own": "# mine\r" + entry("b").replace("\n", "\r") + "\n" + entry("a"),
    "a head that is not UTF-8": b"# \xff\n" + entry("a").encode(),
    "a head with a control character": "# \x1b\n" + entry("a"),
    "a head with a key behind a break": "# c\u2028foo: x\n" + entry("a"),
    "an entry below its dash": entry("a").replace("- id", "-\n  id"),
}


@pytest.mark.parametrize("text", WHOLE.values(), ids=WHOLE.keys())
def test_a_file_that_cannot_be_cut_is_read_as_a_whole(text: str | bytes) -> None:
    file = Source(Path("c.yaml"), text if isinstance(text, bytes) else text.encode())
    try:
        concepts = [concept.id for concept in load([file])]
    except KbError as error:
        with pytest.raises(KbError, match=re.escape(str(error))):
            compiled(file)
        return
    db = compiled(file)
    assert [id for (id,) in db.execute("SELECT id FROM card ORDER BY id")] == concepts
    update(db, [file], {})
    assert content(db) == content(compiled(file))


@pytest.mark.parametrize(
    "text",
    [entry("a") + entry("a"), entry("a").replace("  type: concept\n", ""), entry("a") + "- 5\n",
     entry("a") + "- id: [\n", entry("a") + "x: y\n", "x: y\n" + entry("a"), entry("a") + "- id: b\x01\n",
     entry("a") + "  year: 3\n", entry("a") + "...\n" + entry("b"), "".join(map(repeating, range(8)))],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_in_the_file(text: str) -> None:
    file = Source(Path("c.yaml"), text.encode())
    with pytest.raises(KbError) as whole:
        load([file])
    db = compiled(source(entry("z")))
    with pytest.raises(KbError) as told:
        update(db, [file], {})
    assert (told.value.message, told.value.hint) == (whole.value.message, whole.value.hint)
    assert db.execute("SELECT id FROM card").fetchall() == [("z",)]


@pytest.mark.parametrize("mark", ["", "\ufeff", "# a comment\n\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blocks_hold_what_the_file_holds(mark: str, end: str) -> None:
    file = Source(Path("c.yaml"), (mark + "".join(ENTRIES).replace("\n", end)).encode())
    pieces = cut(file)
    assert pieces is not None
    read = [read_block(piece) for piece in pieces]
    assert [found and found.values for found in read] == [found.values for found in read_entries(file)[0]]


def kept(tmp_path: Path) -> tuple[Path, Path]:
    """A concepts file, and the snapshot of it in the cache."""
    own = tmp_path / "own.yaml"
    own.write_text("".join(ENTRIES), encoding="utf-8")
    path = open_store([own], tmp_path / "cache").path
    assert path is not None
    return own, path


def open_damaged(own: Path, path: Path) -> Store:
    """The store of a snapshot whose cards cannot be read."""
    path.write_bytes(path.read_bytes().replace(b'{"id":', b'}"id":'))
    return open_store([own], path.parent)


def test_of_two_names_that_sound_alike_the_one_that_stays_is_still_heard() -> None:
    one = entry("a") + "  aliases: {zh: [梯度下降法, 特度下降法]}\n"
    db = compiled(source(one))
    less = source(one.replace("梯度下降法, ", ""))
    update(db, [less], {})
    assert content(db) == content(compiled(less))


def test_places_do_not_grow_with_what_is_gone() -> None:
    db = compiled(source(*ENTRIES))
    for round in range(6):
        update(db, [source(*(entry(f"x{number}-{round}") for number in range(4)))], {})
    assert db.execute("SELECT max(place) FROM card").fetchone() <= (len(ENTRIES),)
    assert db.execute("SELECT value FROM meta WHERE key = 'size'").fetchone() == ("4",)


def test_concepts_that_match_alike_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("".join(entry(f"c{number}") for number in (5, 6, 7)), encoding="utf-8")
    open_store([own], tmp_path / "cache")
    own.write_text("".join(entry(f"c{number}") for number in range(1, 8)), encoding="utf-8")
    store = open_store([own], tmp_path / "cache")
    assert list(store.ranked('"what"', (1, 1, 1, 1), 3)) == ["c1", "c2", "c3"]


def test_a_snapshot_whose_cards_say_something_else_is_not_used_after_a_change(tmp_path: Path) -> None:
    own, path = kept(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"alias_status"', b'"amias_status"'))
    own.write_text("".join(ENTRIES[1:]), encoding="utf-8")
    assert open_store([own], tmp_path / "cache").card(IDS[3])["alias_status"] is not None


def test_threads_that_find_the_same_damage_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, path = kept(tmp_path)
    store = open_damaged(own, path)
    built = []
    again = store._rebuild

    def build() -> Opened:
        built.append(1)
        return again()

    monkeypatch.setattr(store, "_rebuild", build)
    with ThreadPoolExecutor(6) as pool:
        assert [card["id"] for card in pool.map(store.card, IDS * 3)] == IDS * 3
    assert built == [1]


def test_where_a_damaged_snapshot_cannot_be_built_anew_the_error_says_why(tmp_path: Path) -> None:
    own, path = kept(tmp_path)
    store = open_damaged(own, path)
    own.write_text("- id: [\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(KbError, match="not YAML"):
            store.card(IDS[0])


def test_an_entry_keeps_its_place() -> None:
    db = compiled(source(*ENTRIES))
    for text in ("one", "two", "three"):
        update(db, [source(*ENTRIES[1:], ENTRIES[0].replace("en: ", f"en: {text} ", 1))], {})
    assert db.execute("SELECT min(place), max(place) FROM card").fetchone() == (1, len(ENTRIES))


@pytest.mark.parametrize("damage", [b"\0", b"\xff", b"a"])
def test_a_damaged_snapshot_is_not_used_after_a_change(tmp_path: Path, damage: bytes) -> None:
    own = tmp_path / "own.yaml"
    own.write_bytes(SAMPLE.read_bytes())
    path = open_store([own], tmp_path / "cache").path
    assert path is not None
    whole = path.read_bytes()
    own.write_text(own.read_text("utf-8").replace('zh: "Adam"', 'zh: "亚当"'), encoding="utf-8")
    expected = content(compiled(Source(own, own.read_bytes())))
    for page in range(len(whole) // 4096):
        path.write_bytes(whole[: page * 4096] + damage * 4096 + whole[(page + 1) * 4096 :])
        store = open_store([own], tmp_path / "cache")
        found = content(store.connection)
        assert {key: found[key] for key in expected if key != "meta"} == {
            key: expected[key] for key in expected if key != "meta"
        }


def test_what_turns_out_to_be_damaged_is_not_built_from_itself(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("".join(ENTRIES), encoding="utf-8")
    store = open_store([own], tmp_path / "cache")
    assert store.path is not None
    expected = store.ranked('"gradient"', (1, 1, 1, 1), 5)
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE lexical_data SET block = x'00' WHERE id > 10")
    connection.close()
    assert expected
    assert open_store([own], tmp_path / "cache").ranked('"gradient"', (1, 1, 1, 1), 5) == expected
