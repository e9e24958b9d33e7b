"""A vault belongs to its user: what they wrote, named, moved and linked stays, whatever happens to an export."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, SAMPLE
from vault import faults, id_of, links, notes_of, read, resolve

from kb import files
from kb.cli.ways import way_out
from kb.errors import KbError
from kb.formats.obsidian import export as obsidian
from kb.formats.obsidian.export import Exported, Options, export
from kb.formats.obsidian.manifest import MANIFEST
from kb.formats.obsidian.note import parse, update
from kb.snapshot.store import open_store

EN, ZH = Options(("en",)), Options(("zh",))
PRUNE = Options(("en",), prune=True)
FORCE = Options(("en",), force=True)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> str:
    store = open_store([SAMPLE], tmp_path_factory.mktemp("cache"))
    return json.dumps([store.card(row.id) for row in store.rows()])


@pytest.fixture
def cards(shipped: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(shipped)
    return found


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return tmp_path / "vault"


def counts(done: Exported) -> dict[str, int]:
    return dict(Counter(step.action for step in done.steps))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def changed(cards: list[dict[str, Any]], *ids: str) -> list[dict[str, Any]]:
    """The cards with other summaries."""
    return [
        {**card, "summary": {**card["summary"], "en": "Changed."}} if not ids or card["id"] in ids else card
        for card in cards
    ]


def renamed(cards: list[dict[str, Any]], **names: str) -> list[dict[str, Any]]:
    return [{**card, "name": {**card["name"], "en": names.get(card["id"], card["name"]["en"])}} for card in cards]


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


# ---- places and names


@pytest.mark.parametrize("to", ["kb/随机失活.md", "kb/My dropout.md", "reading/Dropout.md", "Dropout.md"])
@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("options", [EN, ZH])
def test_a_note_stays_where_the_user_put_it(
    cards: list[dict[str, Any]], vault: Path, to: str, lost: bool, options: Options
) -> None:
    export(cards, vault, EN)
    (vault / "reading").mkdir()
    (vault / "kb/Dropout.md").rename(vault / to)
    for run in range(4):
        if lost:
            (vault / "kb" / MANIFEST).unlink()
        if run == 2:
            cards = renamed(cards, dropout="Dropping out")
        done = export(cards, vault, options if run < 3 else EN)
        assert (vault / to).exists()
        assert "create" not in counts(done)
        assert [path for path in notes_of(vault) if id_of(vault, path) == "dropout"] == [to]
    assert faults(vault) == []


def test_a_note_that_comes_back_to_its_place_follows_its_name_again(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    (vault / "kb/Dropout.md").rename(vault / "kb/Mine.md")
    export(cards, vault, EN)
    (vault / "kb/Mine.md").rename(vault / "kb/Dropout.md")
    export(cards, vault, EN)
    export(cards, vault, ZH)
    assert id_of(vault, "kb/随机失活.md") == "dropout"


def test_links_of_the_user_keep_their_target(cards: list[dict[str, Any]], vault: Path) -> None:
    (vault / "notes/nlp").mkdir(parents=True)
    (vault / "notes/nlp/transformer.md").write_text("mine", encoding="utf-8")
    (vault / "GRADIENT.md").write_text("mine", encoding="utf-8")
    daily = vault / "daily.md"
    daily.write_text("[[Transformer]] [[gradient]] [[Adam]]", encoding="utf-8")
    before = links(vault, "daily.md")
    export(cards, vault, EN)
    after = links(vault, "daily.md")
    assert before["[[Transformer]]"] == after["[[Transformer]]"] == "notes/nlp/transformer.md"
    assert before["[[gradient]]"] == after["[[gradient]]"] == "GRADIENT.md"
    assert after["[[Adam]]"] == "kb/Adam.md"
    assert id_of(vault, "kb/Transformer (transformer).md") == "transformer"
    assert faults(vault) == []


def test_links_of_kb_reach_kb_s_notes_even_where_a_user_s_note_comes_later(
    cards: list[dict[str, Any]], vault: Path
) -> None:
    export(cards, vault, EN)
    (vault / "Overfitting.md").write_text("mine", encoding="utf-8")
    assert any("opens Overfitting.md" in fault for fault in faults(vault))
    export(cards, vault, EN)
    assert faults(vault) == []
    assert "[[kb/Overfitting|Overfitting]]" in (vault / "kb/Dropout.md").read_text("utf-8")
    assert (vault / "Overfitting.md").read_text("utf-8") == "mine"


def test_the_folder_can_be_chosen_and_is_remembered(cards: list[dict[str, Any]], vault: Path) -> None:
    done = export(cards, vault, Options(("en",), folder="library/deep learning"))
    assert done.home == vault / "library/deep learning"
    assert counts(export(cards, vault, EN)) == {"unchanged": 11}
    append(vault / "library/deep learning/Adam.md", "Mine.\n")
    assert counts(export(cards, vault, Options(("en",), folder="kb"))) == {"rename": 11}
    assert "Mine." in (vault / "kb/Adam.md").read_text("utf-8")
    assert sorted(path.name for path in (vault / "library/deep learning").iterdir()) == []
    assert counts(export(cards, vault, Options(("en",), folder="."))) == {"rename": 11}
    assert "Mine." in (vault / "Adam.md").read_text("utf-8")
    assert faults(vault) == []


@pytest.mark.parametrize("folder", ["../out", "/tmp/out", "a/../../b", ".hidden", "link", "link/in", "file"])
def test_a_folder_that_leads_out_of_the_vault_is_refused(
    cards: list[dict[str, Any]], vault: Path, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    vault.mkdir()
    (vault / "link").symlink_to(tmp_path / "elsewhere")
    (vault / "file").write_text("mine", encoding="utf-8")
    before = contents(tmp_path)
    with pytest.raises(KbError, match="folder"):
        export(cards, vault, Options(("en",), folder=folder))
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", ["folder", "link", "dangling link"])
def test_what_is_in_the_way_stays_and_the_note_gets_another_name(
    cards: list[dict[str, Any]], vault: Path, tmp_path: Path, kind: str
) -> None:
    elsewhere = tmp_path / "elsewhere.md"
    (vault / "kb").mkdir(parents=True)
    there = vault / "kb/Adam.md"
    if kind == "folder":
        there.mkdir()
    else:
        there.symlink_to(elsewhere)
    if kind == "link":
        elsewhere.write_text("mine", encoding="utf-8")
    assert counts(export(cards, vault, EN)) == {"create": 11}
    assert there.is_dir() if kind == "folder" else there.is_symlink()
    assert id_of(vault, "kb/Adam (adam).md") == "adam"
    assert elsewhere.exists() == (kind == "link")


@pytest.mark.parametrize("length", [60, 200, 300])
def test_long_names_that_begin_alike_are_two_notes(cards: list[dict[str, Any]], vault: Path, length: int) -> None:
    start = "A method of estimating the gradient of an expectation by sampling, " * 5
    names = {"adam": start[:length] + " first", "dropout": start[:length] + " second"}
    export(renamed(cards, **names), vault, EN)
    for note in (vault / "kb").glob("*.md"):
        append(note, f"Mine in {read(note)[0]['kb-id']}.\n")
    export(changed(renamed(cards, **names)), vault, EN)
    for note in (vault / "kb").glob("*.md"):
        properties, body = read(note)
        assert f"Mine in {properties['kb-id']}." in body
        assert "Changed." in body
    assert len(list((vault / "kb").glob("*.md"))) == 11


def test_one_long_name_of_two_concepts_and_a_long_id_are_no_trouble(cards: list[dict[str, Any]], vault: Path) -> None:
    long = "长" * 80
    cards[1] = {**cards[1], "id": "a" * 300}
    names = {"a" * 300: long, "dropout": long, "accuracy": long}
    assert counts(export(renamed(cards, **names), vault, EN)) == {"create": 11}
    assert counts(export(renamed(cards, **names), vault, EN)) == {"unchanged": 11}
    swapped = renamed(cards, **names | {"dropout": "x" * 300, "a" * 300: "x" * 300})
    assert counts(export(swapped, vault, EN))["rename"] == 2
    assert sorted(id_of(vault, path) for path in notes_of(vault)) == sorted(card["id"] for card in swapped)


# ---- other vaults, copies, strangers


def test_a_vault_inside_a_vault_is_left_alone(cards: list[dict[str, Any]], vault: Path) -> None:
    inner, app = vault / "inner", vault / "app"
    export(cards, inner, EN)
    export(cards, app, Options(("en",), folder="notes/kb"))
    (app / "notes/kb" / MANIFEST).unlink()
    (app / ".obsidian").mkdir()
    before = contents(inner), contents(app)
    assert counts(export(changed(cards), vault, EN)) == {"create": 11}
    assert (contents(inner), contents(app)) == before
    assert counts(export(cards, inner, EN)) == {"unchanged": 11}


def test_the_folder_of_the_notes_is_no_vault_of_its_own(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    before = contents(vault)
    with pytest.raises(KbError, match="holds the notes of the export to"):
        export(cards, vault / "kb", EN)
    assert contents(vault) == before


@pytest.mark.parametrize("copy", ["Backup", "A copy", "zz"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_copy_of_the_notes_is_reported_and_left_alone(
    cards: list[dict[str, Any]], vault: Path, copy: str, lost: bool
) -> None:
    export(cards, vault, EN)
    shutil.copytree(vault / "kb", vault / copy, ignore=shutil.ignore_patterns(".kb*"))
    shutil.copy(vault / "kb/Adam.md", vault / "kb/Adam 1.md")
    before = contents(vault / copy)
    if lost:
        (vault / "kb" / MANIFEST).unlink()
    done = export(changed(cards), vault, EN)
    assert counts(done) == {"update": 11, "copy": 12}
    assert contents(vault / copy) == before
    assert "Changed." in (vault / "kb/Adam.md").read_text("utf-8")
    assert "Changed." not in (vault / "kb/Adam 1.md").read_text("utf-8")
    export(renamed(cards, adam="Eve"), vault, EN)
    assert "Changed." not in (vault / "kb/Adam 1.md").read_text("utf-8")
    assert id_of(vault, "kb/Eve.md") == "adam"


def test_links_that_a_stranger_planted_are_not_written_through(
    cards: list[dict[str, Any]], vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    (vault / "kb").mkdir(parents=True)
    (vault / "kb/.Adam.md.1.tmp").symlink_to(victim)
    (vault / "kb" / MANIFEST).symlink_to(victim)
    drawn = iter([bytes(8), bytes(8), *[os.urandom(8) for _ in range(1000)]])
    monkeypatch.setattr(os, "urandom", lambda n: next(drawn))
    (vault / "kb/.kb-0000000000000000.tmp").symlink_to(victim)
    with pytest.raises(KbError, match="link"):
        export(cards, vault, EN)
    assert victim.read_text("utf-8") == "mine"


# ---- interruptions


def test_a_renaming_that_was_interrupted_leaves_one_note_a_concept(
    cards: list[dict[str, Any]], vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after every possible step, and gone on in the same and in the other language."""
    names = {"adam": "Dropout", "dropout": "Accuracy", "accuracy": "Adam"}  # a ring, so that one has to step aside
    stop = 0
    for stop in range(40):
        for then in (EN, ZH):
            shutil.rmtree(vault, ignore_errors=True)
            export(cards, vault, EN)
            for note in (vault / "kb").glob("*.md"):
                append(note, f"Mine in {read(note)[0]['kb-id']}.\n")
            left = iter(range(stop))
            with monkeypatch.context() as patch:
                for name in ("rename", "replace"):
                    patch.setattr(Path, name, _stopping(left, getattr(Path, name)))
                try:
                    export(renamed(cards, **names), vault, EN)
                    finished = True
                except InterruptedError:
                    finished = False
                except KbError as error:
                    finished = "interrupted" not in str(error.__cause__)
            export(renamed(cards, **names), vault, then)
            ids = [id_of(vault, path) for path in notes_of(vault)]
            assert sorted(ids) == sorted(card["id"] for card in cards)
            assert all(f"Mine in {id_of(vault, p)}." in (vault / p).read_text("utf-8") for p in notes_of(vault))
            assert not list(vault.rglob(".kb-*.tmp"))
            title = "Dropout" if then is EN else "Adam"
            assert id_of(vault, f"kb/{title}.md") == "adam"
        if finished:
            break
    assert 8 < stop < 39


def _stopping(left: Any, real: Any) -> Any:
    def stopped(*arguments: Any) -> Any:
        if next(left, None) is None:
            raise InterruptedError("interrupted")
        return real(*arguments)

    return stopped


def test_a_killed_export_is_healed_by_the_next(vault: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "KB_DATA": str(SAMPLE),
        "KB_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
    }
    code = (
        "import os, signal, sys; from kb.cli.app import main; import kb.files as f; real = f._put; n = [0]\n"
        "def put(*a):\n"
        "    n[0] += 1\n"
        f"    os.kill(os.getpid(), signal.{signal.SIGKILL.name}) if n[0] == 5 else real(*a)\n"
        "f._put = put; main(['export', 'obsidian', sys.argv[1]])"
    )
    subprocess.run([sys.executable, "-m", "kb", "list"], env=environment, capture_output=True, check=True)
    killed = subprocess.run([sys.executable, "-c", code, str(vault)], env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(vault.rglob(".kb-*.tmp"))) == 1
    command = [sys.executable, "-m", "kb", "export", "obsidian", str(vault), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert Counter(step["action"] for step in json.loads(done.stdout)) == {"create": 7, "unchanged": 4}
    assert not list(vault.rglob(".kb-*.tmp"))


def test_exports_at_once_take_turns(vault: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "KB_DATA": str(SAMPLE),
        "KB_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "kb", "export", "obsidian", str(vault), "-L", language],
            env=environment,
            stderr=subprocess.PIPE,
        )
        for language in ("en", "zh") * 3
    ]
    said = [process.communicate(timeout=120)[1].decode() for process in running]
    assert [process.returncode for process in running] == [0] * 6, said
    assert len(notes_of(vault)) == 11
    assert not list(vault.rglob(".kb-*.tmp"))


def test_an_export_that_another_one_holds_up_says_so(
    cards: list[dict[str, Any]], vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.mkdir()
    real = files.locked
    monkeypatch.setattr(files, "locked", lambda folder: real(folder, seconds=0))
    with real(vault), pytest.raises(KbError, match="another process works on it"):
        export(cards, vault, EN)


def test_what_the_user_writes_during_an_export_is_kept(
    cards: list[dict[str, Any]], vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line is written after the note was read, and another in the very moment of the renaming."""
    export(cards, vault, EN)
    note, real_put, real_replace = vault / "kb/Adam.md", files._put, Path.replace
    moments = iter(["before", "between", "between"])

    def put(temporary: Path, path: Path, was: Any) -> None:
        if path == note and next(moments, "") == "before":
            append(path, "Before.\n")
        real_put(temporary, path, was)

    def replacing(self: Path, target: Path) -> Path:
        if target == note and next(moments, "") == "between":
            append(target, "Between.\n")
        return real_replace(self, target)

    monkeypatch.setattr(files, "_put", put)
    monkeypatch.setattr(Path, "replace", replacing)
    assert counts(export(changed(cards, "adam"), vault, EN)) == {"update": 1, "unchanged": 10}
    text = note.read_text("utf-8")
    assert text.endswith("Before.\nBetween.\n")
    assert "Changed." in text
    assert not parse(text).is_edited


def test_an_edit_of_our_part_in_the_moment_of_writing_comes_back(
    cards: list[dict[str, Any]], vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(cards, vault, EN)
    note, real, edits = vault / "kb/Adam.md", Path.replace, iter([True])

    def replacing(self: Path, target: Path) -> Path:
        if target == note and next(edits, False):
            target.write_text(target.read_text("utf-8").replace("Each parameter", "EACH parameter"), encoding="utf-8")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replacing)
    assert counts(export(changed(cards, "adam"), vault, EN)) == {"conflict": 1, "unchanged": 10}
    assert "EACH parameter" in note.read_text("utf-8")


def test_a_note_that_appears_or_vanishes_meanwhile_is_not_touched(
    cards: list[dict[str, Any]], vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(cards[2:], vault, EN)
    real = files._put

    def put(temporary: Path, path: Path, was: Any) -> None:
        if path.name == "Adam.md":
            path.write_text("mine", encoding="utf-8")
        if path.name == "Dropout.md":
            path.unlink()
        real(temporary, path, was)

    monkeypatch.setattr(files, "_put", put)
    done = export(changed(cards, "dropout"), vault, EN)
    assert counts(done)["skip"] == counts(done)["deleted"] == 1
    assert (vault / "kb/Adam.md").read_text("utf-8") == "mine"
    assert not (vault / "kb/Dropout.md").exists()


def test_a_file_that_never_rests_is_an_error_and_keeps_all(
    cards: list[dict[str, Any]], vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(cards, vault, EN)
    real, n = files._put, 0

    def put(temporary: Path, path: Path, was: Any) -> None:
        nonlocal n
        if path.name == "Adam.md":
            n += 1
            append(path, f"Line {n}.\n")
        real(temporary, path, was)

    monkeypatch.setattr(files, "_put", put)
    with pytest.raises(KbError, match="keeps changing"):
        export(changed(cards, "adam"), vault, EN)
    assert n == obsidian.ATTEMPTS
    assert (vault / "kb/Adam.md").read_text("utf-8").endswith("".join(f"Line {i}.\n" for i in range(1, n + 1)))


# ---- odd notes


ODD_PROPERTIES = [
    "year: 2000-02-30", "tags: [2020-13-45]", "tags: !!int x", "tags: " + "[" * 2000, "tags: {a: b}",
    "aliases: &a [*a]",
    "mine: !!python/object/apply:os.system [false]", "x: !!timestamp y", "area: 'unclosed", "tags: \ud800",
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_PROPERTIES)
def test_an_odd_property_blocks_nothing(cards: list[dict[str, Any]], vault: Path, odd: str) -> None:
    export(cards, vault, EN)
    for name in ("Adam.md", "Dropout.md"):
        note, key = vault / "kb" / name, odd.partition(":")[0]
        text = re.sub(rf"^{key}:.*\n(?:  .*\n)*", "", note.read_text("utf-8"), flags=re.MULTILINE)
        note.write_bytes(text.replace("---\n", f"---\n{odd}\n", 1).encode("utf-8", "surrogatepass"))
    (vault / "mine.md").write_bytes(f"---\n{odd}\n---\nmine".encode("utf-8", "surrogatepass"))
    for _ in range(2):
        done = export(changed(cards, "accuracy"), vault, EN)
        assert sum(counts(done).get(action, 0) for action in ("unchanged", "update", "conflict")) == 11
        for name in ("Adam.md", "Dropout.md"):
            assert odd.encode("utf-8", "surrogatepass") in (vault / "kb" / name).read_bytes()


@pytest.mark.parametrize(
    "content",
    [b"\xff", b"[" * 100_000, b'{"format": 2, "notes": {"adam": {"path": "kb/Adam.md", "owned": []}}}', b"null", b"{}",
     b'{"format": 2, "root": 7, "notes": {}}', b'{"format": 2, "notes": {"adam": 7}}', b'{"notes": {"adam": {}}}',
     b'{"format": 2, "notes": {"adam": {"path": "kb/Adam.md", "also": 3}}}'],
)  # fmt: skip
def test_a_damaged_manifest_is_a_lost_one(cards: list[dict[str, Any]], vault: Path, content: bytes) -> None:
    export(cards, vault, EN)
    before = contents(vault)
    (vault / "kb" / MANIFEST).write_bytes(content)
    assert counts(export(cards, vault, EN)) == {"unchanged": 11}
    assert contents(vault) == before


def test_pipes_links_and_unreadable_notes_are_skipped_with_a_line(
    cards: list[dict[str, Any]], vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.mkdir()
    os.mkfifo(vault / "pipe.md")
    (vault / "round.md").symlink_to("round.md")
    (vault / "secret.md").write_text("---\nx: 1\n---\n", encoding="utf-8")
    (vault / "large.md").write_bytes(b"---\n" + b"x" * 100)
    monkeypatch.setattr("kb.formats.obsidian.vault.LARGEST", 90)
    real = os.open

    def opening(path: Any, *arguments: Any, **more: Any) -> int:
        if str(path).endswith("secret.md"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **more)

    monkeypatch.setattr(os, "open", opening)
    done = export(cards, vault, EN)
    skipped = {step.path: step.why.en for step in done.steps if step.action == "skip" and step.why}
    assert skipped == {
        "large.md": "File too large",
        "pipe.md": "it is a pipe, not a file",
        "secret.md": "Permission denied",
    }
    assert counts(done)["create"] == 11


def test_a_note_that_lost_its_id_is_the_user_s(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    note.write_text("All mine now.", encoding="utf-8")
    assert counts(export(changed(cards), vault, EN)) == {"update": 10, "skip": 1}
    assert counts(export(changed(cards), vault, EN)) == {"unchanged": 10, "skip": 1}
    assert note.read_text("utf-8") == "All mine now."
    export(cards, vault, FORCE)
    assert note.read_text("utf-8") == "All mine now."
    assert id_of(vault, "kb/Adam (adam).md") == "adam"


# ---- what stands in a note


FOREIGN = [
    "dc:title: hello", "# my comment", '"my \\"key\\"": x', "? complex\n: value", "-dash: x", "'#tag': x", "rating: 5",
    "quote: |\n  two\n\n  lines", "text: a\u2028b\u0085c", "list:\n- x\n- y", "flow: [a,\n  b\n]", "",
]  # fmt: skip


@pytest.mark.parametrize("line", FOREIGN)
@pytest.mark.parametrize("place", ["first", "last", "amid"])
def test_lines_of_the_user_s_in_the_properties_stay(
    cards: list[dict[str, Any]], vault: Path, line: str, place: str
) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    text = note.read_text("utf-8")
    spots = {
        "first": ("---\n", f"---\n{line}\n"),
        "last": ("\n---\n", f"\n{line}\n---\n"),
        "amid": ("tags:", f"{line}\ntags:"),
    }
    edited = text.replace(*spots[place], 1)
    note.write_bytes(edited.encode())
    assert counts(export(cards, vault, EN)) == {"unchanged": 11}
    assert note.read_bytes() == edited.encode()
    cards[1]["area"] = [*cards[1]["area"], "training"]
    export(changed(cards, "adam"), vault, EN)
    assert f"{line}\n" in note.read_bytes().decode()
    assert "Changed." in note.read_text("utf-8")
    assert '- "kb/training"' in note.read_text("utf-8")


@pytest.mark.parametrize(
    ("mine", "kept"),
    [
        ("tags:\n  - yes\n  - 12:30\n  - 1.10\n  - 010\n  - ~\n", ["  - yes", "  - 12:30", "  - 1.10", "  - 010"]),
        ("tags:\n  - todo # why\n", ["  - todo # why"]),
        ("tags:\n- No\n", ["- No", '- "kb/training"']),
        ("tags: [a, 'b c', No] # mine\n", ["tags: # mine", "  - a", "  - 'b c'", "  - No"]),
        ("tags: kb/optimizer, mine\n", ['  - "kb/optimizer"', '  - "mine"']),
        ("tags: mine other\n", ['  - "mine"', '  - "other"']),
        ("tags:\n", ['  - "kb/training"']),
        ("tags: []\n", ['  - "kb/training"']),
        ("tags: # none yet\n", ["tags: # none yet", '  - "kb/training"']),
        ("tags: {a: b}\n", ["tags: {a: b}"]),
    ],
)  # fmt: skip
def test_items_of_a_list_stay_as_they_are_written(
    cards: list[dict[str, Any]], vault: Path, mine: str, kept: list[str]
) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    text = re.sub(r"^tags:\n(?:  .*\n)*", lambda _: mine, note.read_text("utf-8"), flags=re.MULTILINE)
    note.write_text(text, encoding="utf-8")
    cards[1]["area"] = [*cards[1]["area"], "training"]
    assert counts(export(cards, vault, EN))["update"] == 1
    lines = note.read_text("utf-8").splitlines()
    assert [line for line in kept if line not in lines] == []
    read(note)
    assert counts(export(cards, vault, EN)) == {"unchanged": 11}


def test_aliases_in_one_string_and_a_type_of_one_s_own_stay(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    text = re.sub(r"^aliases:\n(?:  .*\n)*", "aliases: mine, Eve\n", note.read_text("utf-8"), flags=re.MULTILINE)
    text = text.replace('type: "optimizer"', "type: reference # my own").replace("year: 2014\n", "")
    note.write_text(text, encoding="utf-8")
    export(changed(cards, "adam"), vault, EN)
    assert note.read_text("utf-8").startswith(text[: text.index("tags:")])
    assert "type: reference # my own\n" in note.read_text("utf-8")
    assert "year:" not in note.read_text("utf-8")
    export(cards, vault, FORCE)
    assert read(note)[0]["type"] == "optimizer"
    assert read(note)[0]["year"] == 2014


def test_properties_as_another_program_writes_them_are_no_change(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    for note in (vault / "kb").glob("*.md"):
        front, _, body = note.read_text("utf-8").removeprefix("---\n").partition("\n---\n")
        lines = [re.sub(r'"([\w/-]+)"', r"\1", line) for line in front.split("\n")]
        note.write_text("---\n" + "\n".join(lines) + "\n---\n" + body, encoding="utf-8")
    assert counts(export(cards, vault, EN)) == {"unchanged": 11}


def test_a_property_that_we_no_longer_have_goes_unless_it_is_the_user_s(
    cards: list[dict[str, Any]], vault: Path
) -> None:
    export(cards, vault, EN)
    for i, text in ((1, "2014"), (0, "")):
        note = vault / "kb" / ("Adam.md" if i else "Accuracy.md")
        assert ("year: " + text in note.read_text("utf-8")) == bool(i)
    cards[1]["year"] = None
    cards[1]["links"] = []
    export(cards, vault, EN)
    properties = read(vault / "kb/Adam.md")[0]
    assert not {"year", "is_a", "uses", "variant_of"} & properties.keys()


@pytest.mark.parametrize("mine", ["rating: 5\n", "# note\n", ""])
def test_prune_keeps_what_the_user_put_anything_into(cards: list[dict[str, Any]], vault: Path, mine: str) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    note.write_text(note.read_text("utf-8").replace("\n---\n", f"\n{mine}---\n", 1), encoding="utf-8")
    export(changed(cards, "adam"), vault, EN)  # what kb writes in between is no touch of the user's, nor hides one
    done = export([card for card in cards if card["id"] != "adam"], vault, PRUNE)
    assert counts(done)["keep" if mine else "prune"] == 1
    assert note.exists() == bool(mine)


def test_prune_keeps_a_note_with_one_more_tag(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    note.write_text(note.read_text("utf-8").replace("tags:\n", "tags:\n  - todo\n"), encoding="utf-8")
    assert counts(export(cards[:1] + cards[2:], vault, PRUNE))["keep"] == 1
    assert note.exists()


def test_every_line_keeps_its_end(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    mine = b"one\r\ntwo\nthree\rfour\x0bfive\x85six\xe2\x80\xa8seven\r\n"
    note.write_bytes(note.read_bytes() + mine)
    other = vault / "kb/Dropout.md"
    other.write_bytes(other.read_bytes().replace(b"\n", b"\r\n") + b"lf\n")
    export(changed(cards, "adam", "dropout"), vault, EN)
    assert note.read_bytes().endswith(mine)
    assert b"Changed.\n" in note.read_bytes()
    assert other.read_bytes().endswith(b"%% kb:end %%\r\nlf\n")
    assert b"Changed.\r\n" in other.read_bytes()
    assert b"\n" not in other.read_bytes().replace(b"\r\n", b"").removesuffix(b"lf\n")


def symbol(en: str, zh: str) -> dict[str, str | None]:
    """A symbol of a card."""
    return {"en": en, "zh": zh, "shape": None, "default": None}


def test_text_cannot_break_the_marks(cards: list[dict[str, Any]], vault: Path) -> None:
    end = "%% kb:end %%"
    cards[1] |= {
        "formula": [f"a {end} b\n{end} $$ c"],
        "symbols": {"x$ <img src=https://e.org>": symbol(end, "%%"), "y\\": symbol("y", "y")},
        "summary": {"en": f"A\n{end} [[x]]", "zh": "甲"},
        "example": {"en": f"a\n{end}\n```\n````\n{end}", "zh": "甲"},
        "how": {"en": f"[[dropout|a {end}]]\n{end}", "zh": "甲"},
        "believed": [{"belief": {"en": f"x\n{end}\n]", "zh": "甲"}, "fact": {"en": f"y\n{end}", "zh": "甲"}}],
        "code": {"call": f"f(`)\n{end}", "trap": {"en": f"```\n{end}", "zh": "甲"}},
    }
    export(cards, vault, EN)
    text = (vault / "kb/Adam.md").read_text("utf-8")
    assert len(re.findall(r"(?<!\\)%%", text)) == 4
    assert "<img" not in re.sub(r"\\<", "", text)
    for options in (EN, FORCE, EN):
        assert counts(export(cards, vault, options)) == {"unchanged": 11}


def test_marks_of_the_user_s_below_are_the_user_s(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    note, other = vault / "kb/Adam.md", (vault / "kb/Dropout.md").read_text("utf-8")
    append(note, f"A copy:\n{other}\n")
    export(changed(cards, "adam"), vault, EN)
    assert note.read_text("utf-8").endswith(f"A copy:\n{other}\n")


def test_marks_that_were_taken_out_are_put_back_by_force_below_the_text(
    cards: list[dict[str, Any]], vault: Path
) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    note.write_text(note.read_text("utf-8").partition("%% kb:begin")[0] + "Mine alone", encoding="utf-8")
    assert counts(export(cards, vault, EN)) == {"conflict": 1, "unchanged": 10}
    export(cards, vault, FORCE)
    assert "\nMine alone\n\n%% kb:begin" in note.read_text("utf-8")
    assert counts(export(cards, vault, EN)) == {"unchanged": 11}


def test_nothing_unseen_reaches_a_note(cards: list[dict[str, Any]], vault: Path) -> None:
    odd = "\x1b[31m\x00\x07\x7f\x9b\u202e\u2066\u200b\ufeff\U000e0041\ud800\u2028"
    cards[1] = json.loads(json.dumps(cards[1]).replace("Each parameter", "Each" + json.dumps(odd)[1:-1] + "parameter"))
    cards[1]["aliases"]["en"].append(f"A{odd}B")
    cards[1]["name"]["en"] = f"Ad{odd}am\n\nx"
    cards[1]["symbols"] = {f"x{odd}": symbol(odd, odd)}
    export(cards, vault, EN)
    for name, content in contents(vault).items():
        shown = name + content.decode("utf-8")
        assert not set(shown) & set(odd.replace("[31m", ""))
    assert faults(vault) == []


def test_any_note_comes_back_as_it_was(cards: list[dict[str, Any]]) -> None:
    for text in (
        "",
        "---",
        "---\nx",
        "---\r\nkb-id: a\r\n---\r\nbody",
        "---\n---\n",
        "---\n: \n---\n%% kb:begin 0 %%\n",
    ):
        note = parse(text)
        new = update(note, {"kb-id": "a"}, None, "region\n")
        assert new is not None
        assert new.replace("\r\n", "\n").endswith("%% kb:end %%" + (note.after.replace("\r\n", "\n") or "\n"))
        again = parse(new)
        assert again.id == "a"
        assert not again.is_edited
        assert update(again, {"kb-id": "a"}, {"kb-id": "a"}, "region\n") == new


def test_the_checker_says_which_note_a_link_reaches() -> None:
    notes = ["A.md", "x/A.md", "x/y/B.md", "z/B.md", "x/y/z/é.md"]
    assert resolve(notes, "x/C.md", "a") == "A.md"
    assert resolve(notes, "x/y/C.md", "B") == "x/y/B.md"
    assert resolve(notes, "C.md", "b") == "z/B.md"
    assert resolve(notes, "C.md", "y/B") == "x/y/B.md"
    assert resolve(notes, "C.md", "e\u0301") == "x/y/z/é.md"
    assert resolve(notes, "C.md", "D") is None


def test_a_file_that_appears_where_a_note_moves_to_is_not_written_over(
    cards: list[dict[str, Any]], vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(cards, vault, EN)
    real = obsidian._Exporter._remember

    def remember(self: Any, known: Any) -> None:
        real(self, known)
        (vault / "kb/Eve.md").write_text("mine", encoding="utf-8")

    with monkeypatch.context() as patch:
        patch.setattr(obsidian._Exporter, "_remember", remember)
        with pytest.raises(KbError, match=r"Eve\.md"):
            export(renamed(cards, adam="Eve"), vault, EN)
    assert (vault / "kb/Eve.md").read_text("utf-8") == "mine"
    export(renamed(cards, adam="Eve"), vault, EN)
    assert id_of(vault, "kb/Eve (adam).md") == "adam"


def test_prune_keeps_what_was_written_a_moment_ago(
    cards: list[dict[str, Any]], vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(cards, vault, EN)
    real = obsidian._Exporter._rename

    def rename(self: Any, steps: Any) -> None:
        append(vault / "kb/Adam.md", "Mine.\n")
        real(self, steps)

    monkeypatch.setattr(obsidian._Exporter, "_rename", rename)
    done = export([card for card in cards if card["id"] != "adam"], vault, PRUNE)
    assert counts(done)["keep"] == 1
    assert (vault / "kb/Adam.md").read_text("utf-8").endswith("Mine.\n")


def test_the_note_that_kb_knows_is_its_own_wherever_a_copy_lies(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    (vault / "z").mkdir()
    (vault / "kb/Dropout.md").rename(vault / "z/My own name of it.md")
    export(cards, vault, EN)
    shutil.copy(vault / "z/My own name of it.md", vault / "kb/Dropout.md")
    done = export(changed(cards, "dropout"), vault, EN)
    assert [step.path for step in done.steps if step.action == "copy"] == ["kb/Dropout.md"]
    assert "Changed." in (vault / "z/My own name of it.md").read_text("utf-8")


def test_the_end_of_our_part_begins_a_line() -> None:
    text = "%% kb:begin 0123456789abcdef x %%\na %% kb:end %% b\n%% kb:end %% mine\n%% kb:end %%\n"
    note = parse(text)
    assert note.region == "a %% kb:end %% b\n"
    assert note.after == " mine\n%% kb:end %%\n"


def test_a_symbol_that_ends_in_a_backslash_stays_in_its_dollars(cards: list[dict[str, Any]], vault: Path) -> None:
    cards[1]["formula"] = "y"
    cards[1]["symbols"] = {"y\\": symbol("one", "y"), "y\\\\": symbol("two", "y")}
    export(cards, vault, EN)
    lines = (vault / "kb/Adam.md").read_text("utf-8").splitlines()
    assert r"- $y\ $ one" in lines
    assert r"- $y\\$ two" in lines


def test_properties_that_cannot_be_changed_without_breaking_them_are_a_conflict(
    cards: list[dict[str, Any]], vault: Path
) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    note.write_text(
        note.read_text("utf-8").replace("year: 2014\n", "year:\n  2014\n\n  # mine\n  \n"), encoding="utf-8"
    )
    text = note.read_text("utf-8").replace("area:\n", 'uses:\n  - "[[Gradient]]"\n\n  - mine\narea:\n')
    note.write_text(re.sub(r'uses:\n  - "\[\[Gradient\]\]"\n(?!\n)', "", text), encoding="utf-8")
    read(note)
    before = note.read_bytes()
    cards[1]["links"] = []
    done = export(cards, vault, EN)
    assert counts(done)["conflict"] == 1
    assert note.read_bytes() == before


def test_a_property_that_stands_twice_is_ours_once(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    note.write_text(note.read_text("utf-8").replace("\n---\n", "\ntags: mine # twice\n---\n", 1), encoding="utf-8")
    cards[1]["area"] = ["training"]
    export(cards, vault, EN)
    assert "\ntags: mine # twice\n---\n" in note.read_text("utf-8")
    assert '\n  - "kb/training"\n' in note.read_text("utf-8")


def test_line_ends_inside_our_part_are_no_edit(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    note.write_bytes(note.read_bytes().replace(b"## Relations\n", b"## Relations\r\n"))
    before = note.read_bytes()
    assert counts(export(cards, vault, EN)) == {"unchanged": 11}
    assert note.read_bytes() == before


def test_a_conflict_is_not_remembered_as_ours(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    note, manifest = vault / "kb/Adam.md", vault / "kb" / MANIFEST
    before = json.loads(manifest.read_bytes())["notes"]
    note.write_text(note.read_text("utf-8").replace("Each parameter", "EACH parameter"), encoding="utf-8")
    cards[1]["year"] = 1999
    assert counts(export(cards, vault, EN))["conflict"] == 1
    assert json.loads(manifest.read_bytes())["notes"] == before


# ---- folders that are moved, copied, opened, and vaults around them


def test_a_folder_that_was_renamed_or_moved_is_the_folder_of_the_notes(
    cards: list[dict[str, Any]], vault: Path
) -> None:
    export(cards, vault, EN)
    (vault / ".obsidian").mkdir()
    append(vault / "kb/Adam.md", "Mine.\n")
    for there in ("library", "topics/kb", "topics/deep/learning"):
        place = next(path for path in vault.rglob(MANIFEST)).parent
        (vault / there).parent.mkdir(parents=True, exist_ok=True)
        place.rename(vault / there)
        done = export(cards, vault, EN)
        assert counts(done) == {"unchanged": 11}
        assert done.home == vault / there
    assert (vault / "topics/deep/learning/Adam.md").read_text("utf-8").endswith("Mine.\n")
    assert counts(export(cards, vault, Options(("en",), folder="kb"))) == {"rename": 11}
    assert faults(vault) == []


def test_a_folder_that_was_moved_can_be_named(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    (vault / "topics").mkdir()
    (vault / "kb").rename(vault / "topics/kb")
    assert counts(export(cards, vault, Options(("en",), folder="topics/kb"))) == {"unchanged": 11}
    assert counts(export(cards, vault, EN)) == {"unchanged": 11}


def test_a_copy_of_the_folder_is_no_second_home(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, Options(("en",), folder="library"))
    shutil.copytree(vault / "library", vault / "library copy")
    before = contents(vault)
    done = export(cards, vault, EN)
    assert done.home == vault / "library"
    assert counts(done)["copy"] == 11
    assert counts(export(cards, vault, EN)) == {"unchanged": 11, "copy": 11}
    for path, content in before.items():
        if path.startswith("library copy"):
            assert (vault / path).read_bytes() == content
    assert len(list((vault / "library").glob("*.md"))) == 11


def test_the_folder_of_the_notes_may_be_opened_as_a_vault(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    (vault / "kb/.obsidian").mkdir()
    assert counts(export(cards, vault, EN)) == {"unchanged": 11}


def test_a_damaged_manifest_of_another_vault_gives_nothing_away(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault / "inner", EN)
    (vault / "inner/kb" / MANIFEST).write_bytes(b"{")
    before = contents(vault / "inner")
    export(changed(cards), vault, EN)
    assert contents(vault / "inner") == before


def test_a_folder_inside_a_vault_takes_its_names_from_all_of_it(cards: list[dict[str, Any]], vault: Path) -> None:
    (vault / ".obsidian").mkdir(parents=True)
    (vault / "Dropout.md").write_text("mine", encoding="utf-8")
    (vault / "daily.md").write_text("[[Dropout]] [[Adam]]", encoding="utf-8")
    done = export(cards, vault / "Reference", EN)
    assert done.home == vault.resolve() / "Reference/kb"
    assert links(vault, "daily.md") == {"[[Dropout]]": "Dropout.md", "[[Adam]]": "Reference/kb/Adam.md"}
    assert faults(vault) == []
    assert counts(export(cards, vault / "Reference", EN)) == {"unchanged": 11}
    (vault / "Adam.md").write_text("mine", encoding="utf-8")
    export(cards, vault / "Reference", EN)
    assert faults(vault) == []


def test_names_behind_a_linked_folder_count(cards: list[dict[str, Any]], vault: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "Transformer.md").write_text("mine", encoding="utf-8")
    (elsewhere / "round").symlink_to(elsewhere)
    vault.mkdir()
    (vault / "notes").symlink_to(elsewhere)
    export(cards, vault, EN)
    assert id_of(vault, "kb/Transformer (transformer).md") == "transformer"
    assert contents(elsewhere) == {"Transformer.md": b"mine"}


def test_the_languages_are_remembered(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, Options(None, otherwise=("zh", "en")))
    assert (vault / "kb/随机失活.md").exists()
    assert counts(export(cards, vault, Options(None, otherwise=("en",)))) == {"unchanged": 11}
    assert counts(export(cards, vault, EN))["rename"] == 8


# ---- marks, regions and links that the user or Obsidian changed


@pytest.mark.parametrize("end", ["", " %% kb:end %%"])
def test_force_twice_loses_nothing_where_the_end_of_our_part_is_gone(
    cards: list[dict[str, Any]], vault: Path, end: str
) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    note.write_text(note.read_text("utf-8").replace("%% kb:end %%", end) + "MINE\n", encoding="utf-8")
    assert counts(export(cards, vault, EN))["conflict"] == 1
    export(changed(cards), vault, FORCE)
    assert "MINE\n" in note.read_text("utf-8")
    assert counts(export(changed(cards), vault, EN)) == {"unchanged": 11}
    export(cards, vault, FORCE)
    assert "MINE\n" in note.read_text("utf-8")


def test_a_part_of_another_note_above_ours_is_the_user_s(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    pasted = "%% kb:begin" + (vault / "kb/Dropout.md").read_text("utf-8").partition("%% kb:begin")[2]
    note.write_text(note.read_text("utf-8").replace("%% kb:begin", pasted + "%% kb:begin", 1), encoding="utf-8")
    export(changed(cards, "adam"), vault, EN)
    assert pasted in note.read_text("utf-8")
    assert note.read_text("utf-8").count("Changed.") == 1


def test_links_that_obsidian_renamed_are_no_edit(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    (vault / "kb/Dropout.md").rename(vault / "kb/My dropout.md")
    for note in (vault / "kb").glob("*.md"):
        text = re.sub(r"\[\[Dropout(\||\]\])", r"[[My dropout\1", note.read_text("utf-8"))
        note.write_text(text, encoding="utf-8")
    done = export(cards, vault, EN)
    assert "conflict" not in counts(done)
    assert "[[My dropout|" in (vault / "kb/Overfitting.md").read_text("utf-8")
    assert faults(vault) == []


def test_links_to_what_is_not_there_are_text(cards: list[dict[str, Any]], vault: Path) -> None:
    cards[1]["how"] = {"en": "[[nosuch|%% kb:end %%]]\n\n[[<img src=x>]] [[dropout|<b>%]]%]]", "zh": "甲"}
    cards[1]["mind"] = {"en": "[[nosuch|<b>]]", "zh": "甲"}
    export(cards, vault, EN)
    text = (vault / "kb/Adam.md").read_text("utf-8")
    assert not re.search(r"(?<!\\)<(img|b)", text)
    assert counts(export(cards, vault, EN)) == {"unchanged": 11}
    (vault / "kb/Overfitting.md").unlink()
    (vault / "kb/Dropout.md").write_text("All mine.", encoding="utf-8")
    export(cards, vault, EN)
    left = [note.read_text("utf-8") for note in (vault / "kb").glob("*.md")]
    assert not any("[[Overfitting" in text or "[[Dropout" in text for text in left)


def test_untouched_notes_are_pruned_after_any_number_of_updates(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    export(cards, vault, ZH)
    cards[1]["aliases"]["en"] = ["first", *cards[1]["aliases"]["en"]]
    export(changed(cards), vault, EN)
    done = export(cards[2:], vault, PRUNE)
    assert counts(done)["prune"] == 2


def test_a_note_whose_properties_cannot_be_changed_stays_and_links_reach_it(
    cards: list[dict[str, Any]], vault: Path
) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Dropout.md"
    text = note.read_text("utf-8").replace('tags:\n  - "kb', 'tags:\n  - &o "kb', 1)
    note.write_text(text.replace("\n---\n", "\nmine: *o\n---\n", 1), encoding="utf-8")
    for card in cards:
        card["area"] = ["training"]
        card["type"] = "concept"
    done = export(renamed(cards, dropout="Dropping out"), vault, EN)
    (conflict,) = [step for step in done.steps if step.action == "conflict"]
    assert conflict.path == "kb/Dropout.md"
    assert conflict.why is not None
    assert "[[Dropout|" in (vault / "kb/Overfitting.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("mine", "kept"),
    [
        ('type: "optimizer" # why\n  # and more\n', ["# why", "# and more"]),
        ('tags:\n  - "kb/optimizer"\n  # about mine\n  - mine\n', ["  # about mine", "  - mine"]),
        ("tags: [a, # of a\n  b]\n", ["tags: [a, # of a", "  b]"]),
        ('aliases:\n  - "自适应矩估计" # mine\n', ['  - "自适应矩估计" # mine']),
        ('aliases: ["自适应矩估计"] # mine\n', ["aliases: # mine"]),
        ("year: 2014 # mine\n", ["year: 2014 # mine"]),
        ("aliases: >\n  mine\n\n  too\n", ["aliases: >", "  mine", "  too"]),
    ],
)
def test_comments_of_the_user_s_stay_where_we_change_the_rest(
    cards: list[dict[str, Any]], vault: Path, mine: str, kept: list[str]
) -> None:
    export(cards, vault, EN)
    note, key = vault / "kb/Adam.md", mine.partition(":")[0]
    text = re.sub(rf"^{key}:.*\n(?:  .*\n)*", lambda _: mine, note.read_text("utf-8"), flags=re.MULTILINE)
    note.write_text(text, encoding="utf-8")
    cards[1]["type"], cards[1]["aliases"], cards[1]["year"] = "concept", {"en": ["new"], "zh": []}, None
    export(cards, vault, EN)
    assert [line for line in kept if line not in note.read_text("utf-8")] == []
    assert 'concept"' in note.read_text("utf-8")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_in_the_place_of_the_manifest_is_told_before_a_note_is_written(
    cards: list[dict[str, Any]], vault: Path, make: Any
) -> None:
    (vault / "kb").mkdir(parents=True)
    make(vault / "kb" / MANIFEST)
    with pytest.raises(KbError, match=r"kb-manifest"):
        export(cards, vault, EN)
    assert notes_of(vault) == []


def test_any_number_of_names_may_be_taken(cards: list[dict[str, Any]], vault: Path) -> None:
    (vault / "kb").mkdir(parents=True)
    for suffix in ("", " (adam)", *(f" (adam {n})" for n in range(2, 150))):
        (vault / f"kb/Adam{suffix}.md").write_text("mine", encoding="utf-8")
    export(cards, vault, EN)
    assert id_of(vault, "kb/Adam (adam 150).md") == "adam"


def test_odd_paths_in_a_manifest_or_of_a_folder_stop_nothing(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    manifest = vault / "kb" / MANIFEST
    told = json.loads(manifest.read_bytes())
    told["notes"]["gone"] = {"path": "\ud800.md"}
    manifest.write_text(json.dumps(told), encoding="utf-8")
    odd = Path(os.fsdecode(os.fsencode(vault) + b"/caf\xe9"))
    odd.mkdir()
    (vault / "kb/Dropout.md").rename(odd / "Dropout.md")
    (vault / "C# notes").mkdir()
    (vault / "kb/Adam.md").rename(vault / "C# notes/Adam.md")
    for _ in range(2):
        export(cards, vault, EN)
        assert (odd / "Dropout.md").exists()
    text = (vault / "kb/Overfitting.md").read_bytes().decode("utf-8")
    assert "[[Dropout|" in text
    assert counts(export(cards, vault, EN)) == {"unchanged": 11}


@pytest.mark.parametrize("folder", ["", " ", "C#", "a|b", "[x]"])
def test_a_folder_that_no_link_leads_to_is_refused(cards: list[dict[str, Any]], vault: Path, folder: str) -> None:
    with pytest.raises(KbError, match="not a folder inside"):
        export(cards, vault, Options(("en",), folder=folder))


def test_what_a_manifest_says_is_quoted_for_the_shell(cards: list[dict[str, Any]], tmp_path: Path) -> None:
    root = tmp_path / "$(touch x)" / "vault"
    export(cards, root, EN)
    with pytest.raises(KbError) as raised:
        export(cards, root / "kb", EN)
    assert way_out(raised.value).en == f"kb export obsidian '{root}'"


def test_nothing_is_swept_outside_the_folder_that_was_named(cards: list[dict[str, Any]], vault: Path) -> None:
    (vault / ".obsidian").mkdir(parents=True)
    (vault / "in").mkdir()
    outside, inside = vault / ".kb-0123456789abcdef.tmp", vault / "in/.kb-0123456789abcdef.tmp"
    outside.write_bytes(b"")
    inside.write_bytes(b"")
    export(cards, vault / "in", EN)
    assert outside.exists()
    assert not inside.exists()


def test_a_comment_behind_what_goes_stays_and_keeps_the_note(cards: list[dict[str, Any]], vault: Path) -> None:
    export(cards, vault, EN)
    note = vault / "kb/Adam.md"
    text = re.sub(r"^aliases:\n(?:  .*\n)*", 'aliases: ["自适应矩估计"] # mine\n', note.read_text("utf-8"), flags=re.M)
    note.write_text(text, encoding="utf-8")
    cards[1]["aliases"], cards[1]["name"] = {"en": [], "zh": []}, {"en": "Adam", "zh": "Adam"}
    export(cards, vault, EN)
    assert "aliases: [] # mine\n" in note.read_text("utf-8")
    assert counts(export(cards[:1] + cards[2:], vault, PRUNE))["keep"] == 1
