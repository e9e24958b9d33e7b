"""The snapshot: fresh when it should be, rebuilt when it must be, never in the way."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kb.errors import KbError
from kb.store import SCHEMA, Store, open_store


@pytest.fixture
def own(sample: Path, tmp_path: Path) -> Path:
    """A copy of the sample that a test may change."""
    path = tmp_path / "own.yaml"
    path.write_bytes(sample.read_bytes())
    return path


@pytest.fixture
def opened(own: Path, tmp_path: Path) -> Callable[[], Store]:
    return lambda: open_store(own, None, tmp_path / "cache")


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


def test_a_touched_but_equal_source_is_not_compiled_again(opened: Callable[[], Store], own: Path) -> None:
    before = built(opened())
    os.utime(own, (1, 1))
    assert built(opened()) == before
    assert json.loads(opened().meta("stamp"))[0][1] == 1_000_000_000


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


def test_a_cache_that_cannot_be_written_means_memory(own: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    store = open_store(own, None, blocked / "cache")
    assert store.path is None
    assert store.find("LSTM").id == "long-short-term-memory"


def test_many_processes_may_start_at_once(own: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kb.store import open_store;"
        "print(open_store(Path(sys.argv[1]), None, Path(sys.argv[2])).find('LSTM').id)"
    )
    command = [sys.executable, "-c", code, str(own), str(tmp_path / "many")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert [process.communicate(timeout=60)[0].strip() for process in running] == ["long-short-term-memory"] * 6
    assert [path.suffix for path in (tmp_path / "many").iterdir()] == [".sqlite"]


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
    store = open_store(own, overlay, tmp_path / "cache")
    assert store.find("亚当").id == "adam"
    assert store.find("自适应矩估计").id == "adam"
    assert store.card("house-norm")["demo"] is None


def test_an_ambiguous_name_lists_its_candidates(own: Path, tmp_path: Path) -> None:
    text = own.read_text("utf-8").replace('en: ["grad"]', 'en: ["grad", "GRU"]')
    own.write_text(text, encoding="utf-8")
    with pytest.raises(KbError) as raised:
        open_store(own, None, tmp_path / "cache").find("gru")
    assert "2 concepts" in raised.value.message.en
    assert raised.value.hint is not None
    assert "kb explain gradient" in raised.value.hint.en


def test_every_surface_form_resolves_in_any_dress(opened: Callable[[], Store]) -> None:
    store = opened()
    dresses = "lstm|ＬＳＴＭ| L S T M |Long-Short-Term-Memory|《长短期记忆网络》|長短期記憶網絡|long_short term memory"
    for dressed in dresses.split("|"):
        assert store.find(dressed).id == "long-short-term-memory", dressed


def test_a_title_is_told_from_its_subject(own: Path, tmp_path: Path) -> None:
    text = own.read_text("utf-8").replace('["正确率"]', '["《梯度》", "《图书》"]')
    own.write_text(text, encoding="utf-8")
    store = open_store(own, None, tmp_path / "cache")
    assert store.find("梯度").id == "gradient"
    assert store.find("《梯度》").id == "accuracy"
    assert store.find("图书").id == "accuracy"
    assert store.find("《随机失活》").id == "dropout"
