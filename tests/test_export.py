"""The Obsidian vault: correct when new, quiet when nothing changed, and never at the user's cost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from conftest import SAMPLE
from vault import faults, read

from kb.errors import KbError
from kb.formats.obsidian.content import escape, escape_html
from kb.formats.obsidian.export import Exported, Options, export
from kb.formats.obsidian.filenames import note_name
from kb.formats.obsidian.manifest import MANIFEST
from kb.formats.obsidian.note import parse
from kb.paths import shipped_data
from kb.snapshot.store import Store, open_store

EN = Options(("en",))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store([SAMPLE], tmp_path / "cache")


@pytest.fixture
def cards(store: Store) -> list[dict]:  # type: ignore[type-arg]  # cards as JSON has them
    return [store.card(row.id) for row in store.rows()]


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return tmp_path / "vault"


def actions(done: Exported) -> Counter[str]:
    return Counter(step.action for step in done.steps)


def snapshot(vault: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in vault.rglob("*") if path.is_file())
    return {path.relative_to(vault).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("languages", [("en",), ("zh",), ("zh", "en")])
def test_a_new_vault_is_without_fault(cards: list, vault: Path, languages: tuple) -> None:
    assert actions(export(cards, vault, Options(languages))) == {"create": 11}
    assert faults(vault) == []


def test_the_shipped_knowledge_base_makes_a_vault_without_fault(tmp_path: Path, shared_cache: Path) -> None:
    store = open_store([shipped_data() / "concepts.yaml"], shared_cache)
    cards = [store.card(row.id) for row in store.rows()]
    for languages in (("en",), ("zh", "en")):
        folder = tmp_path / "-".join(languages)
        assert actions(export(cards, folder, Options(languages))) == {"create": len(cards)}
        assert faults(folder) == []


def test_a_second_export_touches_nothing(cards: list, vault: Path) -> None:
    export(cards, vault, EN)
    before = snapshot(vault)
    assert actions(export(cards, vault, EN)) == {"unchanged": 11}
    assert snapshot(vault) == before


def test_a_dry_run_writes_nothing(cards: list, vault: Path) -> None:
    assert actions(export(cards, vault, Options(("en",), dry_run=True))) == {"create": 11}
    assert not vault.exists()


def test_what_the_user_writes_around_the_region_stays(cards: list, vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb" / "Adam.md"
    text = note.read_text("utf-8").replace("\n---\n", '\nrating: 5\nmine:\n  - "[[Else]]"\n---\nMy preface.\n', 1)
    note.write_text(text + "\nMy thoughts on [[Dropout]].\n", encoding="utf-8")
    cards[1]["summary"]["en"] = "Changed."
    assert actions(export(cards, vault, EN)) == {"unchanged": 10, "update": 1}
    properties, body = read(note)
    assert properties["rating"] == 5
    assert properties["mine"] == ["[[Else]]"]
    assert "My preface." in body
    assert "My thoughts on [[Dropout]]." in body
    assert "Changed." in body


def test_tags_that_the_user_added_stay_and_those_taken_out_stay_out(cards: list, vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb" / "Adam.md"
    text = note.read_text("utf-8")
    note.write_text(text.replace('  - "kb/optimizer"\n', '  - "todo"\n'), encoding="utf-8")
    cards[1]["summary"]["en"] = "Changed."
    export(cards, vault, EN)
    assert read(note)[0]["tags"] == ["todo", "kb/optimization"]


def test_a_region_that_the_user_edited_is_a_conflict(cards: list, vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb" / "Adam.md"
    note.write_text(note.read_text("utf-8").replace("Each parameter", "EACH parameter"), encoding="utf-8")
    before = note.read_bytes()
    assert actions(export(cards, vault, EN)) == {"unchanged": 10, "conflict": 1}
    assert note.read_bytes() == before
    assert actions(export(cards, vault, Options(("en",), force=True))) == {"unchanged": 10, "update": 1}
    assert "Each parameter" in note.read_text("utf-8")


def test_a_note_that_the_user_deleted_is_not_resurrected(cards: list, vault: Path) -> None:
    export(cards, vault, EN)
    linking = [note for note in (vault / "kb").glob("*.md") if "[[Adam]]" in note.read_text("utf-8")]
    (vault / "kb" / "Adam.md").unlink()
    assert actions(export(cards, vault, EN))["deleted"] == 1
    assert linking
    assert not any("[[Adam]]" in note.read_text("utf-8") for note in linking if note.exists())
    assert actions(export(cards, vault, EN)) == {"unchanged": 10, "deleted": 1}
    assert actions(export(cards, vault, Options(("en",), force=True)))["create"] == 1


def test_a_renamed_and_moved_note_is_known_again_and_links_follow(cards: list, vault: Path) -> None:
    export(cards, vault, EN)
    (vault / "reading").mkdir()
    (vault / "kb" / "Dropout.md").rename(vault / "reading" / "Random deletion.md")
    counts = actions(export(cards, vault, EN))
    assert counts["create"] == counts["deleted"] == 0
    assert not (vault / "kb" / "Dropout.md").exists()
    assert "[[reading/Random deletion|" in (vault / "kb" / "Overfitting.md").read_text("utf-8")
    assert faults(vault) == []


def test_a_lost_manifest_loses_nothing(cards: list, vault: Path) -> None:
    export(cards, vault, EN)
    before = snapshot(vault)
    (vault / "kb" / MANIFEST).unlink()
    assert actions(export(cards, vault, EN)) == {"unchanged": 11}
    assert {name: content for name, (content, _) in snapshot(vault).items()} == {
        name: content for name, (content, _) in before.items()
    }


def test_a_manifest_that_points_outside_is_harmless(cards: list, vault: Path, tmp_path: Path) -> None:
    outside = tmp_path / "precious.md"
    outside.write_text("mine", encoding="utf-8")
    export(cards, vault, EN)
    manifest = vault / "kb" / MANIFEST
    manifest.write_text(manifest.read_text("utf-8").replace("kb/Adam.md", "../precious.md"), encoding="utf-8")
    export(cards[2:], vault, Options(("en",), prune=True, force=True))
    export(cards, vault, Options(("en",), prune=True, force=True))
    assert outside.read_text("utf-8") == "mine"


def test_prune_removes_only_untouched_notes_of_its_own(cards: list, vault: Path) -> None:
    export(cards, vault, EN)
    mine = vault / "kb" / "Mine.md"
    mine.write_text("mine", encoding="utf-8")
    touched = vault / "kb" / "Adam.md"
    touched.write_text(touched.read_text("utf-8") + "\nA remark.\n", encoding="utf-8")
    gone = [card for card in cards if card["id"] not in ("adam", "accuracy")]
    counts = actions(export(gone, vault, Options(("en",), prune=True)))
    assert counts["prune"] == counts["keep"] == 1
    assert mine.exists()
    assert touched.exists()
    assert not (vault / "kb" / "Accuracy.md").exists()


def test_prune_works_after_an_export_without_it(cards: list, vault: Path) -> None:
    export(cards, vault, EN)
    export(cards[1:], vault, EN)
    assert actions(export(cards[1:], vault, Options(("en",), prune=True)))["prune"] == 1


def renamed(cards: list, **names: str) -> list:
    return [{**card, "name": {**card["name"], "en": names.get(card["id"], card["name"]["en"])}} for card in cards]


@pytest.mark.parametrize(
    "names",
    [
        {"adam": "Dropout", "dropout": "Adam"},
        {"accuracy": "Adam", "adam": "Dropout", "dropout": "Novel"},
        {"adam": "Accuracy", "accuracy": "Novel"},
        {"adam": "ADAM"},
    ],
)
def test_names_that_change_places_lose_nothing(cards: list, vault: Path, names: dict) -> None:
    export(cards, vault, EN)
    for note in (vault / "kb").glob("*.md"):
        note.write_text(note.read_text("utf-8") + f"\nMine in {read(note)[0]['kb-id']}.\n", encoding="utf-8")
    export(renamed(cards, **names), vault, EN)
    kept = {read(note)[0]["kb-id"]: read(note)[1] for note in (vault / "kb").glob("*.md")}
    assert len(list((vault / "kb").glob("*.md"))) == len(kept) == 11
    assert all(f"Mine in {id}." in body for id, body in kept.items())
    assert actions(export(renamed(cards, **names), vault, EN)) == {"unchanged": 11}


def test_a_conflict_keeps_its_place_from_others(cards: list, vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb" / "Adam.md"
    note.write_text(note.read_text("utf-8").replace("Each parameter", "EACH parameter"), encoding="utf-8")
    swapped = renamed(cards, adam="Dropout", dropout="Adam")
    assert actions(export(swapped, vault, EN))["conflict"] == 1
    assert "EACH parameter" in note.read_text("utf-8")
    assert read(vault / "kb" / "Adam (dropout).md")[0]["kb-id"] == "dropout"


def test_line_ends_marks_and_odd_bytes_of_the_users_stay(cards: list, vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb" / "Adam.md"
    note.write_bytes(b"\xef\xbb\xbf" + note.read_bytes().replace(b"\n", b"\r\n") + b"odd \xff byte\r\n")
    assert actions(export(cards, vault, EN)) == {"unchanged": 11}
    cards[1]["summary"]["en"] = "Changed."
    assert actions(export(cards, vault, EN)) == {"unchanged": 10, "update": 1}
    content = note.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf---\r\n")
    assert b"Changed.\r\n" in content
    assert content.endswith(b"odd \xff byte\r\n")


def test_a_file_of_the_users_is_never_overwritten(cards: list, vault: Path) -> None:
    (vault / "kb").mkdir(parents=True)
    (vault / "kb" / "adam.md").write_text("mine", encoding="utf-8")
    export(cards, vault, EN)
    assert (vault / "kb" / "adam.md").read_text("utf-8") == "mine"
    assert (vault / "kb" / "Adam (adam).md").exists()


def test_a_link_in_the_way_is_a_clear_error(cards: list, vault: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    vault.mkdir()
    (vault / "kb").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KbError, match="is not a folder"):
        export(cards, vault, EN)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_another_language_renames_and_keeps_what_the_user_wrote(cards: list, vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb" / "Dropout.md"
    note.write_text(note.read_text("utf-8") + "\nA remark.\n", encoding="utf-8")
    export(cards, vault, Options(("zh",)))
    assert "A remark." in (vault / "kb" / "随机失活.md").read_text("utf-8")
    assert not note.exists()
    assert faults(vault) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A/B\\C", "A-B-C"), ("What? <is> it: *|\"", "What is it"), (" .hidden. ", "hidden"), ("con", "con-"),
        ("COM1.x", "COM1.x-"), ("", "Untitled"), ("[[x]]#^|", "x"), ("e\u0301", "\u00e9"),
        ("../../etc/passwd", "-..-etc-passwd"), ("深度学习" * 40, "深度学习" * 20), ("a\x00b\u202ec", "abc"),
    ],
)  # fmt: skip
def test_names_become_safe(text: str, name: str) -> None:
    assert note_name(text) == name


def test_text_is_escaped_and_any_note_can_be_taken_apart() -> None:
    assert escape("a*b_[c](d) <e> #f ==g== $h$ 50% x = y") == r"a\*b\_\[c\](d) \<e\> \#f \==g\== \$h\$ 50% x = y"
    for text in (
        "",
        "---",
        "---\n",
        "---\nno end",
        "---\n: x\n---\n",
        "%% kb:begin 0123456789abcdef x %%\nno end",
        "\0",
    ):
        assert parse(text).is_edited


def test_a_note_says_what_is_believed_and_has_a_heading_only_where_something_is_below(cards: list, vault: Path) -> None:
    pair = {"belief": {"en": "It [[adam|learns]].", "zh": "它会学。"}, "fact": {"en": "No.", "zh": "不会。"}}
    cards[1] |= {"believed": [pair]}
    cards[2] |= {"links": [], "related": []}
    export(cards, vault, Options(("en", "zh")))
    text, other = ((vault / f"kb/{card['name']['en']}.md").read_text("utf-8") for card in cards[1:3])
    assert "> [!question] believed: It learns.\n> No.\n" in text
    assert "> [!question] 误解：它会学。\n> 不会。\n" in text
    assert ("\n## Relations\n" in text, "\n## Relations\n" in other) == (True, False)
    assert escape_html("a <b> < c") == "a \\<b> \\< c"
