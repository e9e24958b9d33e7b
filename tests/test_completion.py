"""Completion of names in the shells themselves: what is offered is what was meant, and nothing of it is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE
from terminal import Terminal

from kb.cli.names import LONGEST, complete_names, is_plain

SIGNS = "zeta good-x_y.z+a/b,c:d·e@f#g–h 《深度》 é ２"
"""A name with every sign that may be offered."""
HOSTILE = [
    r"zeta \$(touch RAN)", "zeta $(touch RAN)", "zeta `touch RAN`", r"zeta \`touch RAN`", "zeta ';touch RAN;'",
    'zeta ";touch RAN;"', "zeta ; touch RAN", "zeta & touch RAN", "zeta | touch RAN", "zeta > RAN", "zeta < RAN",
    "zeta\ntouch RAN", "zeta\ttouch RAN", "zeta (touch RAN)", "zeta {touch,RAN}", "zeta !touch", "zeta * RAN",
    "zeta ? RAN", "zeta [R]AN", "zeta ~ RAN", "zeta --data=RAN", "zeta -L zh", "zeta #RAN", "zeta @RAN", "zeta =RAN",
    "zeta %RAN", "zeta ^RAN", "zeta\x1b[2J", "zeta\0RAN", "zeta\x9bRAN", "zeta\u202eRAN", "zeta\u200bRAN",
    "zeta\u2028RAN", "zeta\u00a0RAN", "zeta  RAN", "zeta ‘;touch RAN;‘", "zeta “$(touch RAN)”", "zeta\ud800",
    "-zeta", "--data", " zeta", "zeta ", "", "#zeta", "~zeta", "=zeta", "/zeta", "zeta's",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_that_a_shell_could_read_is_not_plain(name: str) -> None:
    assert not is_plain(name)


@pytest.mark.parametrize(
    "name",
    [SIGNS, "Long short-term memory", "长短期记忆网络", "《动手学深度学习》", "C++", "k-means++", "precision@k", "L2",
     "Kullback–Leibler", "ns:my-array", "наивный Байес", "सदिश", "e\u0301tat", "a" * LONGEST],
)  # fmt: skip
def test_a_name_of_letters_digits_and_few_signs_is_plain(name: str) -> None:
    assert is_plain(name)


def test_a_name_too_long_for_a_command_line_is_not_plain() -> None:
    assert not is_plain("a" * (LONGEST + 1))


def knowledge(tmp_path: Path, aliases: list[str]) -> Path:
    """A knowledge base of one concept with such aliases."""
    path = tmp_path / "names.yaml"
    entry = {"id": "one", "type": "model", "name": {"en": "One", "zh": "一"}, "summary": {"en": "O.", "zh": "一。"}}
    path.write_text(json.dumps([entry | {"aliases": {"en": aliases}}]), encoding="utf-8")
    return path


def test_names_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_DATA", str(SAMPLE))
    assert "Long short-term memory" in complete_names("long")
    assert "长短期记忆网络" in complete_names("长短")
    assert complete_names("zzz") == []
    monkeypatch.setenv("KB_DATA", "/nowhere")
    assert complete_names("a") == []


def test_of_the_names_in_a_knowledge_base_only_the_plain_ones_are_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = [r"zeta \$(touch RAN)", "zeta `touch RAN`", "zeta; touch RAN", "zeta (x)", "zeta --data=x"]
    monkeypatch.setenv("KB_DATA", str(knowledge(tmp_path, [*hostile, SIGNS])))
    assert complete_names("zeta") == [SIGNS]


def test_plain_names_are_found_behind_any_number_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "KB_DATA", str(knowledge(tmp_path, [*(f"zeta;{i}" for i in range(300)), "zeta with a long name"]))
    )
    assert complete_names("zeta") == ["zeta with a long name"]


def test_a_title_is_completed_from_its_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "《动手学深度学习》" in complete_names("《动")


def test_completion_is_silent_where_the_knowledge_base_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for broken in (str(tmp_path), "~nobody-there/x"):
        monkeypatch.setenv("KB_DATA", broken)
        assert complete_names("a") == []


def shell_with_kb(name: str, home: Path, data: Path) -> Terminal:
    """An interactive shell with kb's completion installed; what it runs as `kb` writes its arguments to `home/ran`."""
    kb = home / "bin" / "kb"
    kb.parent.mkdir()
    kb.write_text(
        f'#!/bin/sh\n[ -n "$_KB_COMPLETE" ] && exec "{sys.executable}" -m kb "$@"\n'
        f"printf '%s' \"$*\" > '{home}/part'; mv '{home}/part' '{home}/ran'\n"
    )
    kb.chmod(0o755)
    unwanted = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR")
    world = {name: value for name, value in os.environ.items() if name not in unwanted}
    world |= {"HOME": str(home), "PATH": f"{kb.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    world |= {"TERM": "xterm", "LC_ALL": "C.UTF-8", "KB_DATA": str(data)}
    ask = {**world, "_KB_COMPLETE": f"source_{name}"}
    script = subprocess.run([str(kb)], env=ask, capture_output=True, text=True, check=True).stdout
    return Terminal(install(name, home, script), world, home, columns=200)


def install(name: str, home: Path, script: str) -> list[str]:
    """Put a completion where a shell looks for it; the command that starts the shell."""
    if name == "bash":
        (home / ".bashrc").write_text(f"PS1='READY> '\n{script}\n")
        return ["bash", "--rcfile", str(home / ".bashrc"), "-i"]
    if name == "zsh":
        (home / ".zshrc").write_text(f"PS1='READY> '\nautoload -Uz compinit; compinit -u -D\n{script}\n")
        return ["zsh", "-i"]
    settings = home / ".config" / "fish"
    (settings / "completions").mkdir(parents=True)
    (settings / "completions" / "kb.fish").write_text(script + "\n")
    (settings / "config.fish").write_text("function fish_prompt; echo -n 'READY> '; end\n")
    return ["fish", "-i"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_shell_completes_the_plain_name_whole_and_runs_nothing_of_the_others(name: str, tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    home = tmp_path / "home"
    home.mkdir()
    shell = shell_with_kb(name, home, knowledge(tmp_path, [r"zeta \$(touch RAN)", "zeta $(touch RAN)", SIGNS]))
    try:
        assert shell.wait(lambda: b"READY> " in shell.seen), shell.seen
        shell.read(0.5)
        shell.type("kb explain zeta\t")
        assert shell.wait(lambda: "《".encode() in shell.seen), shell.seen
        shell.read(0.5)
        shell.type("\r")
        assert shell.wait((home / "ran").exists), shell.seen
    finally:
        shell.close()
    assert (home / "ran").read_text(encoding="utf-8") == f"explain {SIGNS}"
    assert not list(home.rglob("RAN")), "a name was run"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("kb ex", "explain"), ("kb explain long", "long-short-term-memory"), ("kb explain 随机", "随机失活")],
)
def test_the_shell_completes(typed: str, offered: str) -> None:
    asked = {"_KB_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    environment = {**os.environ, **asked, "KB_DATA": str(SAMPLE), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "import sys; sys.argv = ['kb']; from kb.cli.entry import run; run()"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert offered in done.stdout, done.stderr
