"""At a terminal: the pager, the curves of a running demo, tables that keep inside the edge, colours and none."""

from __future__ import annotations

import re
import shutil
import sys
import termios
import unicodedata
from pathlib import Path

import pytest
from conftest import ROOT
from terminal import Terminal, at_terminal, needs_terminal, program

from kb.show.pictures import ROWS

pytestmark = [needs_terminal, pytest.mark.usefixtures("warm")]
SHIPPED = str(ROOT / "data" / "concepts.yaml")
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x1b\x07]*(?:\x1b\\|\x07)|\x1b[=>]")
COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:[349][0-7]|10[0-7]|[34]8;[0-9;]+)(?:;\d+)*m")


def lines_of(terminal: Terminal) -> list[str]:
    """What was shown, line by line, without the codes; of a line that was written over, what it came to."""
    shown = CODES.sub("", terminal.seen.decode()).split("\n")
    return [line.rstrip("\r").rpartition("\r")[2] for line in shown]


def cells(line: str) -> int:
    """The columns of a line: 汉字 and full-width signs take two, combining marks none."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in line)


@pytest.mark.skipif(shutil.which("less") is None, reason="less is not installed")
def test_a_long_card_goes_through_less_and_q_leaves_it_cleanly(tmp_path: Path) -> None:
    with at_terminal("kb explain LSTM; echo CODE $?", tmp_path) as terminal:
        before = termios.tcgetattr(terminal.end)
        assert terminal.wait(lambda: lines_of(terminal)[-1].startswith(":")), terminal.seen
        assert "demo  kb demo lstm" not in CODES.sub("", terminal.seen.decode()), "the end is a page further"
        terminal.type("q")
        assert terminal.finish() == 0
        assert termios.tcgetattr(terminal.end) == before
        assert lines_of(terminal)[-2:] == ["CODE 0", ""]
        assert b"Traceback" not in terminal.seen


def test_a_short_card_needs_no_pager(tmp_path: Path) -> None:
    program("less", tmp_path, "echo PAGED; exec cat")
    with at_terminal("kb explain LSTM --brief; kb explain LSTM", tmp_path) as terminal:
        terminal.finish()
        brief, paged, _ = CODES.sub("", terminal.seen.decode()).partition("PAGED")
        assert paged
        assert "Long short-term memory" in brief
        assert len(brief.splitlines()) < 24


@pytest.mark.demo
def test_a_running_demo_draws_its_curves_and_leaves_the_cursor_shown(tmp_path: Path) -> None:
    with at_terminal("kb demo loss-functions --quick; echo CODE $?", tmp_path, lines=60) as terminal:
        assert terminal.finish() == 0
        before, hidden, after = terminal.seen.partition(HIDE)
        assert hidden
        assert SHOW not in before
        live, _, left = after.rpartition(SHOW)
        assert HIDE not in left
        assert "100%" in live.decode()
        for part in (live, left):
            shown = CODES.sub("", part.decode())
            assert "━ cross-entropy" in shown
            assert " │" in shown
        assert lines_of(terminal)[-2:] == ["CODE 0", ""]
        rows = CODES.sub("", left.decode()).splitlines()
        plot = [i for i, row in enumerate(rows) if "│" in row]
        starts = [i for i in plot if i - 1 not in plot]
        assert plot == [i for start in starts for i in range(start, start + ROWS)], "no line of a plot is broken"
        assert any("━ cross-entropy" in row for row in rows[plot[-1] + 1 :])
        assert max(map(cells, rows)) <= 80


def test_ctrl_c_stops_a_running_demo_and_shows_the_cursor(tmp_path: Path) -> None:
    with at_terminal("kb demo gpt; echo CODE $?", tmp_path) as terminal:
        assert terminal.wait(lambda: HIDE in terminal.seen), terminal.seen
        terminal.type("\x03")
        assert terminal.finish() == 0
        assert terminal.seen.rfind(SHOW) > terminal.seen.rfind(HIDE)
        assert lines_of(terminal)[-2].endswith("CODE 130")
        assert b"Traceback" not in terminal.seen


STOPPED_AS_IT_BEGINS = """
import _signal, sys
from rich.live import Live
from kb.cli.entry import run
def start(live, refresh=False):
    live.console.show_cursor(False)
    _signal.raise_signal(_signal.SIGINT)
Live.start = start
sys.argv = ["kb", "demo", "gpt"]
run()
"""


def test_ctrl_c_while_the_progress_bar_begins_shows_the_cursor_too(tmp_path: Path) -> None:
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED_AS_IT_BEGINS)
    with at_terminal(f"{sys.executable} {script}; echo CODE $?", tmp_path) as terminal:
        assert terminal.finish() == 0
        assert HIDE in terminal.seen, terminal.seen
        assert terminal.seen.rfind(SHOW) > terminal.seen.rfind(HIDE), terminal.seen
        assert lines_of(terminal)[-2].endswith("CODE 130")


@pytest.mark.parametrize(("columns", "last"), [(50, "model info"), (80, "doctor -L zh"), (120, "doctor")])
def test_no_table_reaches_past_the_edge(columns: int, last: str, tmp_path: Path, shared_cache: Path) -> None:
    tables = ["list", "list -L zh", "demo --list", "demo --list -L zh", "model list", "model list -L zh", last]
    line = "; ".join(f"kb {table} 2>/dev/null; echo END {table}" for table in tables)
    world = {"KB_DATA": SHIPPED, "KB_CACHE_DIR": str(shared_cache), "PAGER": "cat"}
    with at_terminal(line, tmp_path, columns=columns, **world) as terminal:
        assert terminal.finish() == 0
        shown = lines_of(terminal)
    wide = [line for line in shown if cells(line) > columns]
    assert not wide, "\n".join(wide)
    ends = [shown.index(f"END {table}") for table in tables]
    rows = [end - begin - 1 for begin, end in zip([-1, *ends], ends, strict=False)]
    concepts = (ROOT / "data" / "concepts.yaml").read_text(encoding="utf-8").count("\n- id: ")
    assert rows[:2] == [concepts, concepts], "a row a concept"
    demos = len(list((ROOT / "kb" / "demos").glob("[!_]*.py")))
    assert min(rows[2:4]) >= demos
    assert min(rows[4:]) >= 1


@pytest.mark.parametrize(
    ("line", "world", "coloured"),
    [
        ("kb list", {}, True),
        ("kb list", {"NO_COLOR": ""}, True),
        ("kb list", {"NO_COLOR": "1"}, False),
        ("kb list --color never", {}, False),
        ("kb list 2>/dev/null", {"TERM": "dumb"}, False),
        ("kb list 2>/dev/null | cat", {}, False),
        ("kb list --color always | cat", {}, True),
        ("kb explain LSTM --no-pager", {}, True),
        ("kb explain LSTM --no-pager", {"NO_COLOR": "1"}, False),
        ("kb --help", {"NO_COLOR": "1"}, False),
        ("kb explain nothing-like-it", {"NO_COLOR": "1"}, False),
        ("kb search --mode lexical gradient", {"NO_COLOR": "1"}, False),
        ("kb demo --list", {"NO_COLOR": "1"}, False),
    ],
)
def test_colours_are_shown_where_they_are_wanted(
    line: str, world: dict[str, str], coloured: bool, tmp_path: Path
) -> None:
    with at_terminal(line, tmp_path, lines=1000, **world) as terminal:  # no list is so long that a pager opens
        terminal.finish()
        assert len(terminal.seen) > 50
        assert bool(COLOUR.search(terminal.seen)) == coloured, terminal.seen
        if world.get("TERM") == "dumb" or line.endswith("2>/dev/null | cat"):
            assert b"\x1b" not in terminal.seen
