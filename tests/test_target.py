"""Places that a user names for a file: files, streams, and what must not be touched."""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from kb.cli.target import check_target, is_stdout, is_stream, write_to
from kb.errors import KbError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other streams")


def test_a_file_is_written_whole_and_keeps_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    for content in (b"first", b"second"):
        check_target(path)
        write_to(path, content)
        path.chmod(0o640)
    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    path, got = tmp_path / "pipe", bytearray()
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: got.extend(path.read_bytes()), daemon=True)
    reader.start()
    check_target(path)
    write_to(path, b"x" * 200_000)
    reader.join(60)
    assert got == b"x" * 200_000
    assert stat.S_ISFIFO(path.lstat().st_mode)


def test_a_device_is_written_to_and_stays_one() -> None:
    inside, outside = os.openpty()
    path = Path(os.ttyname(outside))
    before = path.stat()
    try:
        check_target(path)
        write_to(path, b"seen")
        assert os.read(inside, 100) == b"seen"
        assert os.path.samestat(before, path.stat())
    finally:
        os.close(inside)
        os.close(outside)


def test_a_link_to_a_stream_is_that_stream(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to(os.devnull)
    check_target(tmp_path / "null")
    write_to(tmp_path / "null", b"x")
    assert (tmp_path / "null").is_symlink()
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@pytest.mark.parametrize("what", ["link", "dangling", "loop", "folder", "socket", "no/folder", "file/below", "x" * 300])
def test_what_is_no_file_is_refused_before_and_after_the_work(what: str, tmp_path: Path) -> None:
    import socket

    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "socket"))
    before = {path.name: path.lstat() for path in tmp_path.iterdir()}
    for refuse in (check_target, lambda path: write_to(path, b"theirs")):
        with pytest.raises(KbError, match="cannot write"):
            refuse(tmp_path / what)
    after = {path.name: path.lstat() for path in tmp_path.iterdir()}
    assert before.keys() == after.keys()
    assert all(os.path.samestat(before[name], after[name]) for name in before)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_refused_before_the_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(KbError, match="cannot be written to"):
            check_target(tmp_path / "x.png")
    finally:
        tmp_path.chmod(0o700)


def test_standard_output_is_known_by_the_file_that_it_goes_to(tmp_path: Path) -> None:
    before = os.dup(1)
    with (tmp_path / "out").open("wb") as file:
        os.dup2(file.fileno(), 1)
        try:
            found = [is_stdout(path) for path in (tmp_path / "out", Path("/dev/stdout"), tmp_path / "other")]
            assert is_stream(tmp_path / "out")
        finally:
            os.dup2(before, 1)
            os.close(before)
    assert found == [True, True, False]
