"""The snapshot: fresh when it should be, rebuilt when it must be, never in the way."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from build_snapshot import make

import kb.files
import kb.snapshot.life
from kb.cli.ways import way_out
from kb.errors import KbError
from kb.files import Content
from kb.snapshot.life import KEPT
from kb.snapshot.store import Store, open_store
from kb.snapshot.tables import SCHEMA, TABLES


@pytest.fixture
def own(sample: Path, tmp_path: Path) -> Path:
    """A copy of the sample that a test may change."""
    path = tmp_path / "own.yaml"
    path.write_bytes(sample.read_bytes())
    return path


@pytest.fixture
def opened(own: Path, tmp_path: Path) -> Callable[[], Store]:
    return lambda: open_store([own], tmp_path / "cache")


def built(store: Store) -> int:
    """A number that changes when the snapshot is built anew."""
    assert store.path is not None
    return store.path.stat().st_ino


def test_a_second_opening_builds_nothing(opened: Callable[[], Store]) -> None:
    assert built(opened()) == built(opened())


def test_a_changed_source_is_seen_at_once(opened: Callable[[], Store], own: Path) -> None:
    assert opened().find("Adam").name.zh == "Adam"
    own.write_text(own.read_text("utf-8").replace('zh: "Adam"', 'zh: "亚当"'), encoding="utf-8")
    assert opened().find("亚当").id == "adam"


def test_a_touched_but_equal_source_is_not_compiled_again(
    opened: Callable[[], Store], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = opened().meta("passages")
    os.utime(own, (1, 1))
    monkeypatch.setattr("kb.snapshot.update.update", None)
    assert opened().meta("passages") == before
    monkeypatch.setattr("kb.snapshot.life.SETTLED", 0)
    stamp = json.loads(opened().meta("stamp"))
    assert stamp[0][2] == 1_000_000_000
    monkeypatch.setattr("kb.snapshot.life._read", None)  # and from then on it is not even read
    assert opened().find("GRU")


@pytest.mark.parametrize("damage", [b"", b"not a database", b"SQLite format 3\0" + b"\0" * 5000])
def test_a_damaged_snapshot_is_built_anew(opened: Callable[[], Store], damage: bytes) -> None:
    path = opened().path
    assert path is not None
    path.write_bytes(damage)
    assert opened().find("GRU").id == "gated-recurrent-unit"


def test_a_snapshot_damaged_inside_is_built_anew(opened: Callable[[], Store]) -> None:
    path = opened().path
    assert path is not None
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = b"\xff" * (len(content) - 4096 * 3)  # the head still looks like a database
    path.write_bytes(bytes(content))
    store = opened()
    assert store.card("adam")["id"] == "adam"
    assert len(store.rows()) == 11


def test_a_snapshot_of_another_version_is_built_anew(opened: Callable[[], Store]) -> None:
    path = opened().path
    assert path is not None
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = 'older' WHERE key = 'schema'")
    connection.close()
    assert opened().meta("schema") == SCHEMA


def test_after_a_change_the_older_snapshot_is_used(
    opened: Callable[[], Store], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened()
    before = own.read_text("utf-8")
    monkeypatch.setattr("kb.snapshot.life._compiled", None)
    own.write_text(before.replace('zh: "Adam"', 'zh: "亚当"'), encoding="utf-8")
    assert opened().find("亚当").id == "adam"
    own.write_text(before, encoding="utf-8")
    assert not opened().resolve("亚当")


def test_the_first_command_after_an_installation_compiles_nothing(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    own.rename(shipped / "concepts.yaml")
    make(shipped / "concepts.yaml", shipped / "concepts.sqlite")
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("- id: adam\n  aliases: {zh: [亚当]}\n", encoding="utf-8")
    monkeypatch.setattr("kb.snapshot.life.shipped_data", lambda: shipped)
    monkeypatch.setattr("kb.snapshot.life._compiled", None)
    with monkeypatch.context() as nothing_changed:
        nothing_changed.setattr("kb.snapshot.life._build", None)
        first = open_store([shipped / "concepts.yaml"], tmp_path / "cache")
        assert len(first) == 11
        assert first.path is not None
        assert first.meta("where") in first.path.name
        assert open_store([shipped / "concepts.yaml"], tmp_path / "cache").path == first.path
        assert open_store([shipped / "concepts.yaml"], Path("/dev/null/none")).path is None
    assert open_store([shipped / "concepts.yaml", overlay], tmp_path / "cache").find("亚当").id == "adam"
    with pytest.raises(TypeError):  # it is of no use to another knowledge base
        open_store([overlay], tmp_path / "cache")


def test_other_tables_have_another_number() -> None:
    """Where this fails, the tables have changed: count SCHEMA up, and write both down here."""
    assert (SCHEMA.partition("-")[0], f"{zlib.crc32(TABLES.encode()):08x}") == ("12", "f2df24ca")


def test_an_older_snapshot_of_another_version_is_not_used(opened: Callable[[], Store], own: Path) -> None:
    path = opened().path
    assert path is not None
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = 'older' WHERE key = 'schema'")
        connection.execute("UPDATE card SET json = replace(json, 'GRU', 'OLD')")
    connection.close()
    own.write_text(own.read_text("utf-8").replace('zh: "Adam"', 'zh: "亚当"'), encoding="utf-8")
    assert "OLD" not in str(opened().card("gated-recurrent-unit"))


def test_a_cache_that_cannot_be_written_means_memory(own: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    store = open_store([own], blocked / "cache")
    assert store.path is None
    assert store.find("LSTM").id == "long-short-term-memory"


def test_an_overlay_adds_and_extends(own: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        """
- id: adam
  aliases: {zh: [亚当]}
- id: house-norm
  type: technique
  name: {en: House norm, zh: 自家归一化}
  summary: {en: What we do here., zh: 我们的做法。}
""",
        encoding="utf-8",
    )
    store = open_store([own, overlay], tmp_path / "cache")
    assert store.find("亚当").id == "adam"
    assert store.find("自适应矩估计").id == "adam"
    assert store.card("house-norm")["demo"] is None


def test_an_ambiguous_name_lists_its_candidates(own: Path, tmp_path: Path) -> None:
    text = own.read_text("utf-8").replace('en: ["grad"]', 'en: ["grad", "GRU"]')
    own.write_text(text, encoding="utf-8")
    with pytest.raises(KbError) as raised:
        open_store([own], tmp_path / "cache").find("gru")
    assert "2 concepts" in raised.value.message.en
    assert "kb explain gradient" in way_out(raised.value).en


def test_every_surface_form_resolves_in_any_dress(opened: Callable[[], Store]) -> None:
    store = opened()
    dresses = "lstm|ＬＳＴＭ| L S T M |Long-Short-Term-Memory|《长短期记忆网络》|長短期記憶網絡|long_short term memory"
    for dressed in dresses.split("|"):
        assert store.find(dressed).id == "long-short-term-memory", dressed


def test_a_title_is_told_from_its_subject(own: Path, tmp_path: Path) -> None:
    text = own.read_text("utf-8").replace('["正确率"]', '["《梯度》", "《图书》"]')
    own.write_text(text, encoding="utf-8")
    store = open_store([own], tmp_path / "cache")
    assert store.find("梯度").id == "gradient"
    assert store.find("《梯度》").id == "accuracy"
    assert store.find("图书").id == "accuracy"
    assert store.find("《随机失活》").id == "dropout"


@pytest.mark.parametrize("way", ["in place", "by renaming"])
def test_a_change_that_keeps_size_and_time_is_seen(opened: Callable[[], Store], own: Path, way: str) -> None:
    before = own.stat()
    opened()
    changed = own.read_bytes().replace(b"Adam", b"Eden")
    target = own if way == "in place" else own.with_name("other")
    target.write_bytes(changed)
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    target.replace(own)
    assert (own.stat().st_size, own.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert opened().find("adam").name.en == "Eden"


def test_a_file_is_read_once_for_its_hash_and_its_content(
    opened: Callable[[], Store], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes as soon as it was read, and changes back: the snapshot must not hold what its hash does not."""
    before, changed = own.read_bytes(), own.read_bytes().replace(b"Adam", b"Eden")
    read = kb.snapshot.life.read_named

    def racing(path: Path) -> Content:
        content = read(path)
        own.write_bytes(changed)
        return content

    monkeypatch.setattr("kb.snapshot.life.read_named", racing)
    opened()
    monkeypatch.setattr("kb.snapshot.life.read_named", read)
    own.write_bytes(before)
    assert opened().find("adam").name.en == "Adam"


def test_a_young_file_is_not_trusted_by_its_times(opened: Callable[[], Store], own: Path) -> None:
    assert opened().meta("stamp") == ""
    state = own.stat()
    own.write_bytes(own.read_bytes().replace(b"Adam", b"Eden"))
    os.utime(own, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert opened().find("adam").name.en == "Eden"


def test_a_journal_beside_a_snapshot_counts_for_nothing(opened: Callable[[], Store], own: Path) -> None:
    path = opened().path
    assert path is not None
    journal = path.with_name(path.name + "-journal")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = 1; BEGIN; UPDATE card SET json = json || 'x'")
    left = journal.read_bytes()  # what a writer that is killed now would leave
    writer.rollback()
    writer.close()
    journal.write_bytes(left)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True).execute("SELECT * FROM meta")
    before = path.stat().st_ino
    assert built(opened()) == before
    own.write_bytes(own.read_bytes() + b"\n")
    assert opened().find("GRU").id == "gated-recurrent-unit"
    assert not journal.exists()


def test_what_crashes_left_and_old_snapshots_go(own: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in (".kb-0123456789abcdef.tmp", f"concepts-{SCHEMA}-0.sqlite.77.tmp", "concepts-5-0.0.9-1.sqlite-journal"):
        (cache / name).write_bytes(b"x")
    for i in range(KEPT + 3):
        (cache / f"concepts-5-0.0.9-{i}.sqlite").write_bytes(b"x")
        os.utime(cache / f"concepts-5-0.0.9-{i}.sqlite", (i, i))
    (cache / "mine.tmp").write_bytes(b"x")
    store = open_store([own], cache)
    kept = {f"concepts-5-0.0.9-{i}.sqlite" for i in range(3, KEPT + 3)}
    assert store.path is not None
    assert {path.name for path in cache.iterdir()} == {store.path.name, "mine.tmp"} | kept


def test_a_temporary_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    path, descriptor = kb.files._temporary(tmp_path)
    assert kb.files.sweep(tmp_path) == 0
    os.close(descriptor)
    assert kb.files.sweep(tmp_path) == 1
    assert not path.exists()


def test_any_thread_may_ask(opened: Callable[[], Store]) -> None:
    store = opened()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: store.find("LSTM").id, range(400)))
    assert set(found) == {"long-short-term-memory"}


def test_a_wrong_query_is_an_error_and_rebuilds_nothing(opened: Callable[[], Store]) -> None:
    store = opened()
    before = built(store)
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        store.query("SELECT nonsense FROM card")
    assert built(store) == before
    store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        store.rows()


def test_an_exact_id_wins_over_an_alias(own: Path, tmp_path: Path) -> None:
    text = own.read_text("utf-8").replace('en: ["grad"]', 'en: ["grad", "dropout"]')
    own.write_text(text, encoding="utf-8")
    store = open_store([own], tmp_path / "cache")
    assert store.find("dropout").id == "dropout"
    assert store.find(" dropout ").id == "dropout"
    with pytest.raises(KbError) as raised:
        store.find("Dropout")
    assert "kb explain dropout " in way_out(raised.value).en


def test_half_a_character_is_a_name_like_any_other(opened: Callable[[], Store]) -> None:
    with pytest.raises(KbError, match="no concept"):
        opened().find("\ud83d")


def test_a_snapshot_with_any_page_wiped_out_is_built_anew(opened: Callable[[], Store], own: Path) -> None:
    path = opened().path
    assert path is not None
    content = path.read_bytes()
    right = [opened().card(row.id) for row in opened().rows()]
    for page in range(1, len(content) // 4096):
        path.write_bytes(content[: page * 4096] + bytes(4096) + content[(page + 1) * 4096 :])
        store = opened()
        assert [store.card(id) for id in (card["id"] for card in right)] == right
        assert len(list(store.concepts())) == 11


def test_a_pipe_in_the_place_of_a_snapshot_is_not_waited_for(opened: Callable[[], Store]) -> None:
    path = opened().path
    assert path is not None
    path.unlink()
    os.mkfifo(path)
    store = opened()
    assert store.path is None
    assert store.find("GRU").id == "gated-recurrent-unit"


def test_an_id_of_half_a_character_is_no_id(opened: Callable[[], Store]) -> None:
    with pytest.raises(KeyError):
        opened().card("\ud800")


def test_a_folder_that_is_gone_is_told_of(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(KbError, match="the current folder is gone"):
        open_store([Path("own.yaml")], tmp_path / "cache")
    with pytest.raises(KbError, match="the current folder is gone"):
        open_store([own], Path("cache"))
    monkeypatch.chdir(tmp_path)
