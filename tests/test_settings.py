"""Options, environment, configuration and locale, in that order; and the Python API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE

import kb
from kb.cli.app import main
from kb.cli.session import Session
from kb.errors import KbError
from kb.settings import load_settings


def write_config(text: str, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir(exist_ok=True)
    (tmp_path / "config" / "config.toml").write_text(text, encoding="utf-8")


def test_the_order_is_option_environment_config_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Session.start().language == "en"
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert Session.start().language == "zh"
    write_config('language = "en"', tmp_path)
    assert Session.start().language == "en"
    monkeypatch.setenv("KB_LANG", "zh")
    assert Session.start().language == "zh"
    assert Session.start(lang="en").language == "en"
    assert Session.start(lang="both").languages == ("zh", "en")


@pytest.mark.parametrize(
    ("text", "said"),
    [("colour = 'red'", "unknown key 'colour'"), ("pager = 3", "pager must be true or false"), ("= 1", "config.toml"),
     ("language = 'fr'", "'fr' is not one of en, zh, both")],
)  # fmt: skip
def test_a_wrong_configuration_is_a_clear_error(text: str, said: str, tmp_path: Path) -> None:
    write_config(text, tmp_path)
    with pytest.raises(KbError) as raised:
        load_settings()
    assert said in raised.value.message.en


def test_a_wrong_configuration_stops_every_command_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config("x = 1", tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["list"])
    assert ended.value.code == 1
    assert "unknown key 'x'" in capsys.readouterr().err


def test_an_overlay_in_the_config_folder_is_used(tmp_path: Path) -> None:
    write_config("", tmp_path)
    entry = "- id: adam\n  aliases: {zh: [亚当优化器]}\n"
    (tmp_path / "config" / "overlay.yaml").write_text(entry, encoding="utf-8")
    assert kb.open().resolve("亚当优化器").id == "adam"
    with pytest.raises(KbError):
        kb.open(SAMPLE).resolve("亚当优化器")


def test_the_api_is_what_its_docstring_says() -> None:
    base = kb.open(SAMPLE)
    assert base.resolve("长短期记忆网络").name.en == "Long short-term memory"
    assert len(base) == len(list(base)) == 11
    assert base["adam"].year == 2014
    assert base.graph.has_edge("vanishing-gradient", "long-short-term-memory", key="mitigated_by")
    assert base.search("GRU", mode="lexical", k=1)[0].row.id == "gated-recurrent-unit"
    with pytest.raises(KbError, match="no concept named"):
        base.resolve("nothing")
    with pytest.raises(KeyError):
        base["nothing"]
    with pytest.raises(AttributeError):
        _ = kb.nothing
    assert set(kb.__all__) <= set(dir(kb)) | set(kb._HOMES)


def test_the_doctor_names_everything(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_DATA", str(SAMPLE))
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--json"])
    assert ended.value.code == 0
    found = {finding["topic"]: finding["found"] for finding in json.loads(capsys.readouterr().out)}
    assert {"kb", "python", "torch", "cpu", "data", "config", "cache", "snapshot", "encoder", "demos"} <= found.keys()
    assert found["data"] == str(SAMPLE)
    assert found["snapshot"].startswith("11 concepts")


def test_the_doctor_says_what_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KB_DATA", str(tmp_path / "none.yaml"))
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 1
    assert "no knowledge base at" in capsys.readouterr().out


def test_names_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    from kb.cli.names import complete_names

    monkeypatch.setenv("KB_DATA", str(SAMPLE))
    assert "Long short-term memory" in complete_names("long")
    assert "长短期记忆网络" in complete_names("长短")
    assert complete_names("zzz") == []
    monkeypatch.setenv("KB_DATA", "/nowhere")
    assert complete_names("a") == []


def test_nothing_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        with pytest.raises(SystemExit):
            main(arguments)
        shown = capsys.readouterr()
        assert "explain" in shown.out + shown.err
        assert "Traceback" not in shown.err


def test_the_help_is_in_the_users_language() -> None:
    environment = {**os.environ, "LANG": "zh_CN.UTF-8", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kb", "explain", "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "解释一个概念" in done.stdout


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
