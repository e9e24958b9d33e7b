"""Shell sessions, replayed through `main()`: what a person types, and what they see.

`$ kb …` is run on the sample knowledge base; lines after it are standard output, `2> ` standard error, `exit N` the
code where it is not 0. A line `...` stands for any lines. `KB_UPDATE=1 pytest tests/test_transcripts.py` rewrites what
was seen, to be read before it is committed; sections with `...` are left alone.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

from kb.cli.app import main

TERMS = "# Ours\nLSTM\t长短期记忆网络\nGradient\t梯度\t斜坡\n\nflux capacitor\n"
"""The file terms.txt of the sessions."""
TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


class Step(NamedTuple):
    comments: list[str]
    command: str
    expected: list[str]


def read_steps(path: Path) -> list[Step]:
    steps: list[Step] = []
    comments: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("$ "):
            steps.append(Step(comments, line[2:], []))
            comments = []
        elif line.startswith("#") or not steps:
            comments.append(line)
        else:
            steps[-1].expected.append(line)
    return steps


def run(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of a transcript that a command produces: paths of this test as {tmp}, a demo's seconds as {seconds}."""
    words = shlex.split(command.replace("{tmp}", str(tmp_path)))
    with monkeypatch.context() as patch:
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            patch.setenv(name, value)
        assert words.pop(0) == "kb"
        with pytest.raises(SystemExit) as ended:
            main(words)
    shown = capsys.readouterr()
    lines = shown.out.splitlines() + [f"2> {line}" for line in shown.err.splitlines()]
    lines += [f"exit {ended.value.code}"] if ended.value.code else []
    lines = [re.sub(r"(kb demo \S+) \(\d+ s\)", r"\1 ({seconds} s)", line) for line in lines]
    return [line.replace(str(tmp_path), "{tmp}").rstrip() for line in lines]


def matches(expected: list[str], seen: list[str]) -> bool:
    """Whether the lines agree, `...` standing for any run of lines."""
    if not expected:
        return not seen
    if expected[0] == "...":
        return any(matches(expected[1:], seen[i:]) for i in range(len(seen) + 1))
    return bool(seen) and expected[0].rstrip() == seen[0] and matches(expected[1:], seen[1:])


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_session_reads_as_it_was_written(
    path: Path,
    sample: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KB_DATA", str(sample))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "terms.txt").write_text(TERMS, encoding="utf-8")
    written: list[str] = []
    failures: list[str] = []
    for step in read_steps(path):
        seen = run(step.command, tmp_path, capsys, monkeypatch)
        expected = [line for line in step.expected if line.strip() or "..." in step.expected]
        wanted = "\n".join(step.expected).strip("\n").splitlines()
        if not matches(wanted, "\n".join(seen).strip("\n").splitlines()):
            failures.append(f"$ {step.command}\n" + "\n".join(seen))
        kept = wanted if "..." in expected else "\n".join(seen).strip("\n").splitlines()
        written += [*step.comments, f"$ {step.command}", *kept, ""]
    if os.environ.get("KB_UPDATE"):
        path.write_text("\n".join(written).rstrip() + "\n", encoding="utf-8")
    else:
        assert not failures, "\n\n".join(failures)


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) >= 5


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_no_step_expects_anything_whatever(path: Path) -> None:
    for step in read_steps(path):
        said = [line for line in step.expected if line.strip()]
        assert said != ["..."] * max(len(said), 1), f"$ {step.command} guards nothing"
