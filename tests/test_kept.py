"""The index on disk: what stops its making costs little, and what stands in its place is neither followed nor read."""

from __future__ import annotations

import mmap
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
from kb.search.index import CHINESE, CHUNK, QUESTION, Index
from kb.search.kept import build_index, can_keep, index_file, index_files, open_index, quantize, read_index
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
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".bin"], "the parts are gone when it is whole"
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
        if path.suffix == ".bin":
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
    path = tmp_path / "kept" / "vectors-x.bin"
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
@pytest.mark.parametrize("suffix", [".bin", "_1.bin", "_1.part"], ids=["its own", "another", "a part"])
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
    path.rename(tmp_path / "shipped" / "real.bin")
    (tmp_path / "shipped" / "vectors-counter.bin").symlink_to("real.bin")
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


# --- the file


def test_vectors_are_used_where_they_lie(tmp_path: Path) -> None:
    opened(tmp_path, Counter(), 10)
    codes = opened(tmp_path, Counter(), 10).codes
    assert not codes.flags.owndata
    assert not codes.flags.writeable
    while isinstance(codes, np.ndarray):
        codes = codes.base  # type: ignore[assignment]  # what an array lies in
    assert isinstance(getattr(codes, "obj", codes), mmap.mmap)


def test_what_is_mapped_stays_when_another_process_replaces_the_file(tmp_path: Path) -> None:
    opened(tmp_path, Counter(), TEXTS)
    index = opened(tmp_path, Counter(), TEXTS)
    before = index.codes.copy()
    (path,) = (tmp_path / "kept").iterdir()
    replace = f"from kb import files; from pathlib import Path; files.write(Path({str(path)!r}), b'', durable=False)"
    subprocess.run([sys.executable, "-c", replace], cwd=ROOT, check=True)
    assert path.stat().st_size == 0
    np.testing.assert_array_equal(index.codes, before)


def test_a_changed_byte_is_seen_wherever_it_is(tmp_path: Path) -> None:
    opened(tmp_path, Counter(), 10)
    (path,) = (tmp_path / "kept").iterdir()
    whole = path.read_bytes()
    assert read_index(path, None) is not None
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 64]) + whole[at + 1 :])
        assert read_index(path, None) is None, at
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert read_index(path, None) is None, size


def test_the_cells_of_a_large_index_are_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb.search.kept.LARGE", 5)
    cells = opened(tmp_path, Counter(), 10).cells
    again = opened(tmp_path, Counter(), 10)
    assert "cells" in vars(again), "it is read, not made"
    np.testing.assert_array_equal(again.cells, cells)


@pytest.mark.parametrize("dimensions", [2, 384])
def test_a_byte_a_number_keeps_the_direction(dimensions: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(1000, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codes = quantize(vectors)
    assert codes.dtype == np.int8
    assert (np.abs(codes.astype(int)).max(1) == 127).all(), "each row uses the whole range"
    rows = np.arange(0, 1000, 10, dtype=np.int32), codes, np.arange(1000, dtype=np.uint64), np.zeros(1000, np.uint8)
    index = Index([str(i) for i in range(100)], *rows)
    np.testing.assert_allclose(np.linalg.norm(index.vectors, axis=1), 1, atol=1e-6)
    assert (index.vectors * vectors).sum(1).min() > 0.9999
    np.testing.assert_array_equal(quantize(np.zeros((1, dimensions), np.float32)), np.zeros((1, dimensions)))


def test_a_language_has_a_centre_and_its_questions_have_their_own() -> None:
    codes = np.array([[127, 0], [0, 50], [0, 127], [-3, 0], [0, 9]], np.int8)
    kinds = np.array([0, QUESTION, CHINESE, CHINESE, CHINESE], np.uint8)
    index = Index(["a"], np.zeros(1, np.int32), codes, np.arange(5, dtype=np.uint64), kinds)
    centres = {kind: centre.round(4).tolist() for kind, centre in index._centres.items()}
    third = [-0.3333, 0.6667]
    assert centres == {
        0: [0.5, 0.5],
        QUESTION: [0, 1],
        CHINESE: pytest.approx(third),
        CHINESE + QUESTION: pytest.approx(third),
    }
    assert {centre.dtype.name for centre in index._centres.values()} == {"float32"}


def test_what_a_former_version_kept_goes_when_an_index_is_built(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    old, mine = tmp_path / "kept" / "vectors-counter_1.npz", tmp_path / "kept" / "mine.npz"
    for path in (old, mine):
        path.write_bytes(b"PK\x03\x04")
    opened(tmp_path, Counter(), 10)
    assert not old.exists()
    assert mine.exists()


def test_indexes_are_listed_by_their_encoder(tmp_path: Path) -> None:
    for name in ("vectors-a.bin", "vectors-a_1.bin", "vectors-a-b_1.bin", "vectors-a_1_f.part", "other.bin"):
        (tmp_path / name).touch()
    assert [path.name for path in index_files(tmp_path, "a")] == ["vectors-a.bin", "vectors-a_1.bin"]
    assert [path.name for path in index_files(tmp_path)] == ["vectors-a-b_1.bin", "vectors-a.bin", "vectors-a_1.bin"]
    assert index_file(tmp_path, "a") in index_files(tmp_path, "a")
    assert index_file(tmp_path, "a", "1") in index_files(tmp_path, "a")


def test_the_check_of_the_shipped_index_names_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from build_index import stale

    path = index_file(tmp_path, "counter")
    build_index(Passages(10), Counter(), path, [], lambda done, total: None)  # type: ignore[arg-type]  # as above
    assert stale(path, "passages10") is None
    assert "build_index.py" in (stale(path, "passages11") or "")
    (tmp_path / "vectors-old.npz").touch()
    assert "vectors-old.npz" in (stale(path, "passages10") or "")
