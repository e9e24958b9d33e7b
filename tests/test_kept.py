"""The index on disk: what stops its making costs little, and what stands in its place is neither followed nor read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from kb import files
from kb.search.index import CHUNK, Index
from kb.search.kept import build_index, can_keep, open_index
from kb.search.side import keeps_vectors

TEXTS = 3 * CHUNK


class Passages:
    """As much of a store as an index is made of: so many texts, a concept each."""

    def __init__(self, count: int) -> None:
        self.rows = [(f"c{i}", "body", "en", f"text {i}") for i in range(count)]

    def passages(self) -> list[tuple[str, str, str, str]]:
        return self.rows

    def meta(self, key: str) -> str:
        return f"{key}{len(self.rows)}"


class Counter:
    """An encoder that notes what it is given; it hangs when it has had so many texts."""

    name = key = "counter"
    device, runtime = "cpu", "python"

    def __init__(self, most: int = sys.maxsize) -> None:
        self.seen: list[str] = []
        self.most = most

    def encode(self, texts: Sequence[str], side: str = "query") -> np.ndarray:
        self.seen += texts
        if len(self.seen) > self.most:
            print("hangs", flush=True)
            time.sleep(600)
        return np.array([[1, len(text)] for text in texts], np.float32)


def opened(folder: Path, encoder: Counter, count: int = TEXTS) -> Index:
    return open_index(Passages(count), encoder, folder / "shipped", folder / "kept", lambda done, total: None)  # type: ignore[arg-type]  # as much of a store as it takes


def embed_and_hang(folder: str, most: str) -> None:
    """What the process to be killed does."""
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):  # a job in the background inherits deafness
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    opened(Path(folder), Counter(int(most)))


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_costs_the_last_texts_alone(tmp_path: Path, name: str) -> None:
    done = TEXTS - CHUNK // 2
    code = "import sys, test_kept; test_kept.embed_and_hang(*sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}
    command = [sys.executable, "-c", code, str(tmp_path), str(done)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"hangs\n"
        process.send_signal(getattr(signal, name))
    again = Counter()
    opened(tmp_path, again)
    assert TEXTS - done <= len(again.seen) <= TEXTS - done + CHUNK
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".npz"], "the parts are gone when it is whole"
    once = Counter()
    opened(tmp_path, once)
    assert once.seen == []


def test_what_is_kept_on_the_way_grows_no_faster_than_the_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = files.write

    def counted(path: Path, content: bytes, *, durable: bool) -> None:
        assert not durable, "it can be made again"
        written.append(len(content))
        write(path, content, durable=durable)

    monkeypatch.setattr(files, "write", counted)
    sizes = []
    for count in (4 * CHUNK, 32 * CHUNK):
        written.clear()
        opened(tmp_path, Counter(), count)
        sizes.append(sum(written))
    assert sizes[1] / sizes[0] < 9


def test_parts_stay_until_the_whole_index_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = files.write

    def full(path: Path, content: bytes, *, durable: bool) -> None:
        if path.suffix == ".npz":
            raise OSError(28, "No space left on device")
        write(path, content, durable=durable)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", full)
        index = opened(tmp_path, Counter())
    assert len(index.vectors) == TEXTS
    again = Counter()
    opened(tmp_path, again)
    assert again.seen == []


def test_a_build_that_is_stopped_leaves_the_index_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "vectors-x.npz"
    built: list[int] = []

    def build(count: int, encoder: Counter) -> None:
        index = build_index(Passages(count), encoder, path, [path], lambda done, total: built.append(done))  # type: ignore[arg-type]
        assert len(index.vectors) == count

    build(10, Counter())
    before = path.read_bytes()

    class Stopped(Counter):
        def encode(self, texts: Sequence[str], side: str = "query") -> np.ndarray:
            if len(self.seen) >= 2 * CHUNK:
                raise KeyboardInterrupt
            return super().encode(texts, side)

    with pytest.raises(KeyboardInterrupt):
        build(TEXTS, Stopped())
    assert path.read_bytes() == before
    rest = Counter()
    build(TEXTS, rest)
    assert len(rest.seen) == TEXTS - 10 - 2 * CHUNK


# --- what stands in the place of a file


def own(folder: Path) -> Path:
    """Where the index of ten passages lies."""
    opened(folder, Counter(), 10)
    (path,) = (folder / "kept").iterdir()
    path.unlink()
    return path


def test_a_link_in_the_place_of_an_index_is_not_followed(tmp_path: Path) -> None:
    path, victim = own(tmp_path), tmp_path / "victim"
    opened(tmp_path, Counter(), 10)
    path.rename(victim)
    for content, embedded in ((victim.read_bytes(), 10), (b"mine", 0)):  # what cannot be kept whole is kept in parts
        victim.write_bytes(content)
        path.unlink(missing_ok=True)
        path.symlink_to(victim)
        encoder = Counter()
        opened(tmp_path, encoder, 10)
        assert len(encoder.seen) == embedded
        assert victim.read_bytes() == content
        assert path.is_symlink()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("suffix", [".npz", "_1.npz", "_1.part"], ids=["its own", "another", "a part"])
def test_what_is_no_file_in_the_place_of_an_index_is_passed_over(
    tmp_path: Path, make: Callable[[Path], None], suffix: str
) -> None:
    path = own(tmp_path)
    place = path.with_name(path.stem + suffix)
    make(place)
    encoder = Counter()
    opened(tmp_path, encoder, 10)
    assert len(encoder.seen) == 10
    assert path.is_file() == (place != path)


def test_a_shipped_index_is_used_through_a_link(tmp_path: Path) -> None:
    path = own(tmp_path)
    opened(tmp_path, Counter(), 10)
    (tmp_path / "shipped").mkdir()
    path.rename(tmp_path / "shipped" / "real.npz")
    (tmp_path / "shipped" / "vectors-counter.npz").symlink_to("real.npz")
    encoder = Counter()
    opened(tmp_path, encoder, 10)
    assert encoder.seen == []
    assert list((tmp_path / "kept").iterdir()) == []


def test_what_a_dead_writer_left_is_swept_when_an_index_is_built(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    left = tmp_path / "kept" / ".kb-0123456789abcdef.tmp"
    left.write_bytes(b"half")
    opened(tmp_path, Counter(), 10)
    assert not left.exists()


def test_whether_vectors_can_be_kept_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_keep(tmp_path / "new" / "index")
    assert list((tmp_path / "new" / "index").iterdir()) == []
    assert keeps_vectors()
    (tmp_path / "file").touch()
    assert not can_keep(tmp_path / "file" / "index")
    monkeypatch.setenv("KB_CACHE_DIR", str(tmp_path / "file"))
    assert not keeps_vectors()
