"""The process as a shell sees it: closed and broken streams, narrow encodings, odd bytes, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE


def shell(line: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """A line of bash, `kb` being this checkout on the sample."""
    environment = {**os.environ, "KB_DATA": str(SAMPLE), "PYTHONPATH": str(ROOT), **extra}
    script = f"set -o pipefail; kb() {{ '{sys.executable}' -m kb \"$@\"; }}; {line}"
    return subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("kb", 2, ""),
        ("kb list | head -1", 0, ""),
        ("kb list --json | head -1", 0, ""),
        ("kb --help | head -1", 0, ""),
        ("kb list >&-", 0, ""),
        ("kb explain LSTM 2>&-", 0, ""),
        ("kb explain nothing-like-it 2>&-", 1, ""),
        ("kb list > /dev/full", 1, "cannot write the answer"),
        (r"kb explain $'\xff\xfe'", 1, "no concept named"),
        ("kb explain ''", 1, "an empty name"),
        ("kb list --data /tmp", 1, "is a folder"),
        ("kb -L zh", 2, ""),
        ("kb demo dropout --seed 99999999999999999999", 2, "is not in the range"),
        ("kb demo lstm --plot /nowhere/x.png", 1, "cannot write"),
    ],
)
def test_a_shell_gets_its_code_and_no_traceback(line: str, code: int, said: str) -> None:
    done = shell(line)
    assert "Traceback" not in done.stderr
    assert said in done.stderr
    assert done.returncode == code, done.stderr


@pytest.mark.parametrize("encoding", ["gbk", "ascii", "latin-1"])
def test_a_narrow_encoding_loses_characters_not_the_answer(encoding: str) -> None:
    done = shell("kb explain LSTM --lang both | wc -l", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_an_empty_knowledge_base_answers_with_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("[]", encoding="utf-8")
    for command, code in (
        ("list", 0),
        ("search x", 1),
        ("explain x", 1),
        ("export obsidian " + str(tmp_path / "v"), 0),
    ):
        done = shell(f"kb {command}", KB_DATA=str(empty))
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def test_a_broken_configuration_leaves_help_and_speaks_the_users_language(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("x =", encoding="utf-8")
    world = {"KB_CONFIG_DIR": str(tmp_path), "LANG": "zh_CN.UTF-8"}
    assert shell("kb --help", **world).returncode == 0
    done = shell("kb list", **world)
    assert done.returncode == 1
    assert "请修正该文件" in done.stderr


def test_json_holds_nothing_that_a_terminal_would_act_on() -> None:
    done = shell("kb search --mode lexical --json $'x\\u202e\\u009bgradient'")
    assert not set(done.stdout) & set("\u202e\u009b\x1b")
    assert "\\u202e" in done.stdout
