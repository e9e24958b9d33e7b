"""The READMEs: what they show is what the commands print, and both say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT
from test_transcripts import matches, run

READMES = [ROOT / "README.md", ROOT / "README.zh.md"]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_the_sessions_shown_are_real(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = "".join(blocks(path, "console"))
    steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", sessions, re.MULTILINE)
    assert len(steps) >= 2
    for command, expected in steps:
        seen = [line for line in run(command, tmp_path, capsys, monkeypatch) if not line.startswith("2> ")]
        assert matches(expected.rstrip("\n").splitlines(), seen), f"$ {command}\n" + "\n".join(seen)


def test_the_python_shown_runs() -> None:
    for path in READMES:
        for code in blocks(path, "python"):
            exec(code, {})  # our own README, as a reader would run it


def test_both_readmes_name_the_same_commands_and_options() -> None:
    english, chinese = (set(re.findall(r"`(kb \w+|--[a-z-]+)", path.read_text("utf-8"))) for path in READMES)
    assert english == chinese
    assert [blocks(path, "sh") for path in READMES[:1]] == [blocks(path, "sh") for path in READMES[1:]]
