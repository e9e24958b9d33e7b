"""The process around a command line: quick to start, and quick to leave.

Starting up makes many objects and no garbage, and taking the interpreter apart at the end serves nobody. Leaving both
out saves a quarter of `kb explain`.
"""

from __future__ import annotations

import gc

gc.disable()  # until the command runs, see `kb.cli.app`

import os  # noqa: E402  (the collector rests while these are loaded)
import sys  # noqa: E402
from io import TextIOWrapper  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import NoReturn, TextIO  # noqa: E402

from kb.cli.app import main  # noqa: E402


def run() -> NoReturn:
    """Run the command line of this process; what the console script calls."""
    sys.stdout, sys.stderr = _open(sys.stdout), _open(sys.stderr)
    try:
        main()
    except SystemExit as ended:
        if "torch" in sys.modules or not isinstance(ended.code, int):
            raise  # threads and worker processes are taken down in order
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code)


def _open(stream: TextIO | None) -> TextIO:
    """A standard stream that takes any text: closed ones swallow it, narrow encodings replace what they lack."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
        stream.reconfigure(errors="replace")
    return stream
