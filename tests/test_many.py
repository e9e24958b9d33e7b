"""Many at once: processes that start together on one cache, threads that share one knowledge base."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE

import kb
from kb import KnowledgeBase
from kb.cli.app import main

pytestmark = pytest.mark.slow

COMMANDS = [["explain", "LSTM", "--json"], ["search", "--mode", "lexical", "gradient", "--json"], ["list", "--json"]]
TOGETHER = 16
_FORKS = """
import json, os, sys
import kb.cli.app, kb.search.hybrid, kb.show.card, kb.snapshot.compile, networkx, pypinyin, rich.console, yaml
commands, folder = json.loads(sys.argv[1]), sys.argv[2]
barrier, gate = os.pipe()
running = []
for i, command in enumerate(commands):
    if not (child := os.fork()):
        os.close(gate)
        for stream, end in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{folder}/{i}.{end}", os.O_WRONLY | os.O_CREAT), stream)
        os.read(barrier, 1)  # until all are there
        kb.cli.app.main(command)
    running.append(child)
os.close(gate)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in running])
"""


def together(commands: list[list[str]], data: Path, cache: Path, folder: Path) -> list[str]:
    """The answers of commands that begin in the same moment; they are forked, so that nothing is imported between."""
    folder.mkdir()
    environment = {**os.environ, "KB_DATA": str(data), "KB_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _FORKS, json.dumps(commands), str(folder)],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    said = "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.err")))
    assert json.loads(done.stdout or "[]") == [0] * len(commands), done.stderr + said
    assert "Traceback" not in said
    return [(folder / f"{i}.out").read_text("utf-8") for i in range(len(commands))]


def alone(command: list[str], data: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The answer of a command that has everything to itself."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setenv("KB_DATA", str(data))
        patch.setenv("KB_CACHE_DIR", str(cache))
        main(command)
    return capsys.readouterr().out


def nothing(data: Path, snapshot: Path) -> None:
    snapshot.unlink()


def edited(data: Path, snapshot: Path) -> None:
    data.write_text(data.read_text("utf-8").replace("gradient", "slope"), encoding="utf-8")


def wiped_out_inside(data: Path, snapshot: Path) -> None:
    content = snapshot.read_bytes()
    snapshot.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.parametrize("state", [nothing, edited, wiped_out_inside])
def test_processes_that_start_together_agree_and_leave_one_snapshot(
    state: Callable[[Path, Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, cache = tmp_path / "own.yaml", tmp_path / "cache"
    data.write_bytes(SAMPLE.read_bytes())
    alone(COMMANDS[0], data, cache, capsys)
    (snapshot,) = cache.iterdir()
    state(data, snapshot)
    answers = together([COMMANDS[i % 3] for i in range(TOGETHER)], data, cache, tmp_path / "together")
    assert list(cache.iterdir()) == [snapshot]
    right = [alone(command, data, tmp_path / "other", capsys) for command in COMMANDS]
    assert answers == [right[i % 3] for i in range(TOGETHER)]
    assert ("slope" in right[0]) == (state is edited)


def test_processes_that_search_together_on_an_empty_cache_find_the_same(tmp_path: Path) -> None:
    data = tmp_path / "own.yaml"
    data.write_text("- id: ".join(SAMPLE.read_text("utf-8").split("- id: ")[:6]), encoding="utf-8")
    world = {**os.environ, "KB_DATA": str(data), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "kb", "search", "which way is downhill", "-n", "1", "--json"]
    running = [
        subprocess.Popen(command, env=world, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(TOGETHER)
    ]
    said = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0] * TOGETHER, said
    assert {json.loads(out)["hits"][0]["id"] for out, _ in said} == {"gradient"}
    left = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(left) == 2, left


QUERIES = ("梯度消失", "my network forgets the start", "dropuot", "loss is nan", "GRU", "过拟合怎么办")
NAMES = ("LSTM", "长短期记忆网络", "Adam", "dropout", "ｂｎ", "注意力机制")


def asked(base: KnowledgeBase, turn: int) -> list[object]:
    """What a knowledge base answers to a bit of everything, begun at another place each turn."""
    jobs: list[Callable[[], object]] = [
        *(lambda query=query: [hit.to_json() for hit in base.search(query, k=5)] for query in QUERIES),
        *(lambda name=name: base.resolve(name) for name in NAMES),
        *(lambda name=name: base.similar(name, k=3) for name in NAMES[:3]),
        lambda: list(base),
        lambda: len(base),
        lambda: sorted(base.graph.edges(keys=True)),
    ]
    order = [*range(turn % len(jobs), len(jobs)), *range(turn % len(jobs))]
    return [answer for _, answer in sorted((i, jobs[i]()) for i in order)]


def test_threads_that_share_a_knowledge_base_get_what_one_gets(
    shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KB_CACHE_DIR", str(shared_cache))
    with kb.open() as base:
        right = asked(base, 0)
    with kb.open() as base, ThreadPoolExecutor(8) as pool:
        begin = threading.Barrier(8)

        def turn(i: int) -> bool:
            begin.wait(60)
            return asked(base, 3 * i) == right

        assert list(pool.map(turn, range(8))) == [True] * 8
