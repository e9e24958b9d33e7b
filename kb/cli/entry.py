"""The process around a command line: quick to start, quick to leave, and quiet where it is interrupted.

Starting up makes many objects and no garbage, and taking the interpreter apart at the end serves nobody. Leaving both
out saves a quarter of `kb explain`.
"""

from __future__ import annotations

import gc

gc.disable()  # until the command runs, see `kb.cli.tree`

import _signal as signal  # type: ignore[import-not-found]  # noqa: E402  (signal itself loads nine modules first)
import os  # noqa: E402  (the collector rests while these are loaded, and Ctrl-C is looked after before most are)
import sys  # noqa: E402

is_interrupted = False


def leave(*_: object) -> NoReturn:
    """End the process as one that was interrupted."""
    try:
        _show_cursor()
    finally:
        os._exit(130)


def _show_cursor() -> None:
    """A progress bar has hidden it; one that was stopped while it began does not bring it back."""
    if "rich.live" in sys.modules and os.isatty(2):
        os.write(2, b"\x1b[?25h")


def _interrupt(_: int, frame: FrameType | None) -> None:
    """Ctrl-C is a KeyboardInterrupt only where a command may have something to put away.

    An import that it stops may make any error of it, or swallow it; extension modules even abort.
    """
    global is_interrupted
    if is_interrupted or not gc.isenabled() or _is_importing(frame):
        leave()
    is_interrupted = True
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job in the background ignores it
    signal.signal(signal.SIGINT, _interrupt)

from contextlib import suppress  # noqa: E402  (these and what follows: after Ctrl-C is looked after)
from io import TextIOWrapper  # noqa: E402
from pathlib import Path  # noqa: E402
from types import FrameType  # noqa: E402
from typing import NoReturn, TextIO  # noqa: E402

from kb.cli.app import main  # noqa: E402


def run() -> NoReturn:
    """Run the command line of this process; what the console script calls."""
    sys.unraisablehook = _unraisable
    _open_streams()
    try:
        main()
    except SystemExit as ended:
        _end(ended.code)
    except BaseException:
        if not is_interrupted:
            raise
        _end(130)


def _end(code: str | int | None) -> NoReturn:
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, leave)
    if is_interrupted:
        code = 130  # whatever has become of the KeyboardInterrupt on its way
        with suppress(OSError):
            _show_cursor()
    with suppress(OSError):  # `main` has told of it
        sys.stdout.flush()
    if "torch" in sys.modules or not isinstance(code, int):
        sys.exit(code)  # threads and worker processes are taken down in order
    sys.stderr.flush()
    os._exit(code)


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    """A Ctrl-C that came where Python can only report it, in `__del__` for one, is a Ctrl-C."""
    if lost.exc_type is KeyboardInterrupt:
        leave()
    sys.__unraisablehook__(lost)


class _Notes(TextIOWrapper):
    """Standard error that swallows what it cannot write, on a full disk for one: the answer counts."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            return self._mute(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            self._mute()

    def _mute(self, text: str = "") -> int:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
        return len(text)


def _open_streams() -> None:
    """Make standard output and standard error ones that take any text; closed ones swallow it."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (free := os.open(os.devnull, os.O_RDWR)) <= 2:  # else a file of ours would get the number
            pass
        os.close(free)
    sys.stdout = _open(sys.stdout)
    notes = sys.stderr
    if isinstance(notes, TextIOWrapper):
        notes = _Notes(notes.buffer, notes.encoding, notes.errors, line_buffering=True)
    sys.stderr = _open(notes)


def _open(stream: TextIO | None) -> TextIO:
    """A standard stream that takes any text: a closed one swallows it, a narrow encoding writes it otherwise."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
        from kb.show.narrow import install

        install(stream)
    return stream
