"""A command at a pseudo-terminal, as a person would run it."""

from __future__ import annotations

import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE

needs_terminal = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
_START = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A terminal of some size with one command in it; `seen` is all that was shown, as bytes."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], folder: Path, *, columns: int = 80, lines: int = 24
    ) -> None:
        import fcntl
        import pty
        import termios

        self.seen = b""
        self.end, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        start = [sys.executable, "-S", "-c", _START, *command]
        world = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(start, stdin=inside, stdout=inside, stderr=inside, env=world, cwd=folder)
        os.close(inside)

    def read(self, seconds: float) -> None:
        """Take what is shown for so long, and answer what a shell asks its terminal."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not select.select([self.end], [], [], 0.05)[0]:
                continue
            try:
                shown = os.read(self.end, 65536)
            except OSError:  # the last one who had it open has closed it
                return
            self.seen += shown
            if b"\x1b[c" in shown:
                os.write(self.end, b"\x1b[?62c")

    def wait(self, is_so: Callable[[], bool], most: float = 60) -> bool:
        """Read until something is so; whether it came to be."""
        until = time.monotonic() + most
        while not is_so() and time.monotonic() < until:
            self.read(0.1)
        return is_so()

    def type(self, keys: str) -> None:
        os.write(self.end, keys.encode())

    def finish(self, most: float = 60) -> int:
        """Read until the command has ended; its exit code. One that waits (in a pager, say) is a failure."""
        self.wait(lambda: self.process.poll() is not None, most)
        self.read(0.1)
        code = self.process.poll()
        assert code is not None, f"still running after {most} s: {self.seen[-300:]!r}"
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.end)


@contextmanager
def at_terminal(line: str, tmp_path: Path, *, columns: int = 80, lines: int = 24, **extra: str) -> Iterator[Terminal]:
    """A line of bash at a terminal, `kb` being this checkout on the sample; programs in `tmp_path/bin` come first."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    environment = {**os.environ, "KB_DATA": str(SAMPLE), "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **extra}
    environment["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    for unwanted in {"NO_COLOR", "LESS", "PAGER"} - extra.keys():
        environment.pop(unwanted, None)
    script = f"kb() {{ '{sys.executable}' -m kb \"$@\"; }}; {line}"
    terminal = Terminal(["bash", "-c", script], environment, tmp_path, columns=columns, lines=lines)
    try:
        yield terminal
    finally:
        terminal.close()


def program(name: str, tmp_path: Path, script: str) -> None:
    """An executable that comes first on the path of `at_terminal`."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    path = tmp_path / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
