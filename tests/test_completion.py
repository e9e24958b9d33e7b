"""Completion of names in the shells themselves: what is offered is what was meant, and nothing of it is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE
from hypothesis import given, settings
from hypothesis import strategies as st
from terminal import Terminal
from test_layers import SLOW
from typer.completion import get_completion_script

from kb.cli.app import main
from kb.cli.names import LONGEST, _offered, complete_names, is_plain
from kb.cli.tree import root
from kb.language.surface import fold
from kb.snapshot.store import Store, open_store

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


Ask = Callable[..., list[str]]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """What the words of a command line are completed to, the last of which may be a part of one."""

    def offered(*line: str, data: Path | None = SAMPLE) -> list[str]:
        with monkeypatch.context() as patch:
            patch.setenv("_KB_COMPLETE", "complete_bash")
            patch.setenv("COMP_WORDS", "kb " + " ".join(line))
            patch.setenv("COMP_CWORD", str(len(line)))
            if data:
                patch.setenv("KB_DATA", str(data))
            with pytest.raises(SystemExit):
                main([])
        return capsys.readouterr().out.strip("\n").splitlines()

    return offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        (["explain", "lst"], "lstm"),
        (["explain", "LST"], "LSTM"),
        (["explain", "Lst"], "LstM"),
        (["explain", "ＬＳＴ"], "ＬＳＴM"),
        (["explain", "長短"], "長短期记忆网络"),
        (["explain", "long", "short"], "short-term memory"),
        (["explain", "long", ""], "short-term memory"),
        (["similar", "LONG", "Short-term", "m"], "memory"),
        (["explain", '"long sh'], "long short-term memory"),
        (["explain", "long_"], "long_short-term memory"),
        (["explain", "--brief", "gated", "rec"], "recurrent unit"),
        (["demo", "随机失"], "随机失活"),
        (["demo", "activation-f"], "activation-functions"),
        (["explain", "-L", "z"], "zh"),
        (["--lang", "b"], "both"),
        (["--color", "al"], "always"),
        (["search", "--mode", "l"], "lexical"),
        (["search", "--device", "m"], "mps"),
        (["list", "--type", "te"], "technique"),
        (["list", "-t", "模"], "模型"),
        (["list", "--area", "opt"], "optimization"),
        (["model", "use", "multi"], "multilingual-e5-small-q4"),
        (["search", "--model", "multi"], "multilingual-e5-small-q4"),
        (["export", "obs"], "obsidian"),
    ],
)
def test_the_last_word_is_completed(ask: Ask, line: list[str], offered: str) -> None:
    assert offered in ask(*line)


@pytest.mark.parametrize(
    "line",
    [
        ["explain", "LSTM", "drop"],
        ["explain", "short-term"],
        ["explain", "(lo"],
        ["explain", "lo;"],
        ["explain", "《长"],
        ["demo", "精确"],
        ["search", "--mode", "x"],
        ["list", "-t", "x"],
    ],
)
def test_what_fits_no_name_is_not_completed(ask: Ask, line: list[str]) -> None:
    assert ask(*line) == []


def test_a_concept_without_a_demo_is_not_offered_to_be_run(ask: Ask, tmp_path: Path) -> None:
    own = knowledge(tmp_path, ["zeta"])
    assert ask("explain", "zet", data=own) == ["zeta"]
    assert ask("demo", "zet", data=own) == []


def test_names_of_the_other_language_are_not_offered_before_they_are_begun(ask: Ask) -> None:
    assert set(ask("list", "-t", "")) & {"model", "模型"} == {"model"}


def test_names_come_from_the_knowledge_base_that_the_line_names(ask: Ask, tmp_path: Path) -> None:
    other = knowledge(tmp_path, ["zeta"])
    for line in (["--data", str(other), "explain", "zet"], ["explain", f"--data={other}", "-L", "zh", "zet"]):
        assert ask(*line) == ["zeta"]
        assert ask(*line, data=None) == ["zeta"]
    assert ask("explain", "--data", str(tmp_path / "nothing"), "a") == []


@pytest.fixture(scope="module")
def shipped(shared_cache: Path) -> Store:
    return open_store([ROOT / "data" / "concepts.yaml"], shared_cache)


@pytest.fixture(scope="module")
def surfaces(shipped: Store) -> list[str]:
    """The names of the shipped knowledge base that may be offered."""
    return [name for name in shipped.names_from("", 100_000) if is_plain(name)]


@settings(max_examples=300)
@given(st.data())
def test_what_is_offered_begins_as_typed_and_is_a_name(
    shipped: Store, surfaces: list[str], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(surfaces))
    typed = data.draw(st.sampled_from([name, name.lower(), name.upper()]))[: data.draw(st.integers(1, len(name)))]
    *before, last = typed.split(" ")
    offers = _offered(complete_from(shipped, typed), " ".join(before), last)
    assert offers
    for offer in offers:
        assert offer.startswith(last)
        assert shipped.resolve(" ".join([*before, offer])), offer


def complete_from(store: Store, typed: str) -> list[str]:
    """The stored names that begin so."""
    return [name for name in store.names_from(fold(typed, titles=True), 600) if is_plain(name)]


def test_completing_a_name_loads_nothing_slow(tmp_path: Path) -> None:
    asked = {"_KB_COMPLETE": "complete_bash", "COMP_WORDS": "kb explain lst", "COMP_CWORD": "2"}
    environment = {**os.environ, **asked, "KB_DATA": str(SAMPLE), "PYTHONPATH": str(ROOT)}
    loads = []
    for _ in range(2):  # the first one compiles the snapshot
        command = [sys.executable, "-X", "importtime", "-m", "kb"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert "lstm" in done.stdout
        loads.append({line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()})
    assert "yaml" in loads[0]
    assert not loads[1] & {*SLOW, "rapidfuzz", "pypinyin", "onnxruntime"}


def shell_with_kb(name: str, home: Path, data: Path) -> Terminal:
    """An interactive shell with kb's completion installed; what it runs as `kb` writes its arguments to `home/ran`."""
    kb = home / "bin" / "kb"
    kb.parent.mkdir()
    kb.write_text(
        f'#!/bin/sh\nif [ -n "$_KB_COMPLETE" ]; then "{sys.executable}" -m kb "$@"; code=$?; : > {home}/asked; '
        "exit $code; fi\n"
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


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_the_first_tab_in_zsh_completes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    data = knowledge(tmp_path, ["zetaplain"])
    shell_with_kb("zsh", home, data).close()
    (home / ".zshrc").rename(tmp_path / "script")
    functions = home / ".zfunc"
    functions.mkdir()
    (functions / "_kb").write_text((tmp_path / "script").read_text().split("compinit -u -D\n", 1)[1].lstrip())
    root("en")  # which mends what typer installs
    installed = get_completion_script(prog_name="kb", complete_var="_KB_COMPLETE", shell="zsh")
    assert installed.strip() == (functions / "_kb").read_text().strip()
    (home / ".zshrc").write_text(f"PS1='READY> '\nfpath+={functions}\nautoload -Uz compinit; compinit -u -D\n")
    world = {"HOME": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    world |= {"TERM": "xterm", "LC_ALL": "C.UTF-8", "KB_DATA": str(data)}
    shell = Terminal(["zsh", "-i"], world, home, columns=200)
    try:
        assert shell.wait(lambda: b"READY> " in shell.seen), shell.seen
        shell.type("kb explain zetap\t")
        answered(shell, home)
        shell.type("\r")
        assert shell.wait((home / "ran").exists), shell.seen
    finally:
        shell.close()
    assert (home / "ran").read_text(encoding="utf-8") == "explain zetaplain"


def answered(shell: Terminal, home: Path) -> None:
    """Wait until kb has completed something, and the shell shows nothing more; fish asks twice."""
    assert shell.wait((home / "asked").exists), shell.seen
    seen = b""
    while seen != shell.seen:
        seen = shell.seen
        shell.read(1)
    (home / "asked").unlink()


LINES = {
    "kb explain ZETA W\t": "explain ZETA With four words",
    "kb explain zeta with fo\t": "explain zeta with four words",
    'kb explain "zeta wi\t': "explain zeta with four words",
    "kb explain ＺＥＴＡ\t": "explain ＺＥＴＡ With four words",
    "kb explain 《动\t": "explain 《动手学》",
    "kb explain zeta wi\t -L z\t": "explain zeta with four words -L zh",
}
"""What is typed, and what runs then."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_shell_goes_on_from_what_was_typed(name: str, tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    home = tmp_path / "home"
    home.mkdir()
    shell = shell_with_kb(name, home, knowledge(tmp_path, ["Zeta With four words", "《动手学》"]))
    try:
        assert shell.wait(lambda: b"READY> " in shell.seen), shell.seen
        for typed, runs in LINES.items():
            *parts, last = typed.split("\t")
            for part in parts:
                shell.read(0.5)
                shell.type(f"{part}\t")
                answered(shell, home)
            shell.type(f"{last}\r")
            assert shell.wait((home / "ran").exists, 20), (typed, shell.seen)
            assert (home / "ran").read_text(encoding="utf-8") == runs, typed
            (home / "ran").unlink()
    finally:
        shell.close()


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
