"""Options, environment, configuration and locale, in that order; and the Python API."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import platformdirs
import pytest
from conftest import ROOT, SAMPLE
from typer.exceptions import TyperException

import kb
from kb.cli.app import main
from kb.cli.complain import usage
from kb.cli.progress import embedding
from kb.cli.session import LONGEST, Session, shortened
from kb.errors import KbError
from kb.paths import cache_dir, config_dir
from kb.settings import Settings, load_settings, overlay_file, save_setting


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
    "world",
    [{}, {"XDG_CACHE_HOME": "/caches", "XDG_CONFIG_HOME": "/configs"}, {"XDG_CACHE_HOME": "here"},
     {"XDG_CONFIG_HOME": " "}, {"XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "~/x"}, {"HOME": "/"}, {"HOME": "here"}],
)  # fmt: skip
def test_folders_are_those_of_the_platform(world: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KB_CACHE_DIR", "KB_CONFIG_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in world.items():
        monkeypatch.setenv(name, value)
    assert cache_dir() == platformdirs.user_cache_path("kb-deep-learning", appauthor=False)
    assert config_dir() == platformdirs.user_config_path("kb-deep-learning", appauthor=False)


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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'data = "a\\u0000b"', "data holds a NUL character"),
        (b"x = " + b"[" * 5000, "nested too deeply"),
        (b"x = " + b"1" * 5000, "config.toml: "),
        (b"\xff\xfe", "config.toml: "),
        (b"#" * 1_000_001, "File too large"),
    ],
    ids=["NUL", "nested", "digits", "bytes", "large"],
)
def test_an_odd_configuration_is_a_clear_error(content: bytes, said: str, tmp_path: Path) -> None:
    write_config("", tmp_path)
    (tmp_path / "config" / "config.toml").write_bytes(content)
    with pytest.raises(KbError) as raised:
        load_settings()
    assert said in raised.value.message.en
    assert raised.value.hint is not None


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes with a name in a folder")
def test_a_pipe_or_a_folder_in_the_place_of_the_configuration_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "config" / "config.toml"
    path.mkdir(parents=True)
    with pytest.raises(KbError, match="it is a folder, not a file"):
        load_settings()
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(KbError, match="it is a pipe, not a file"):  # and no waiting for somebody to write
        load_settings()


def test_an_editors_mark_before_the_configuration_is_no_part_of_it(tmp_path: Path) -> None:
    write_config("\ufefflanguage = 'zh'", tmp_path)
    assert load_settings().language == "zh"
    save_setting("model", "x")
    assert load_settings() == Settings(language="zh", model="x")


@pytest.mark.parametrize("name", ["config.toml", "overlay.yaml"])
def test_a_link_that_leads_nowhere_is_told_of(name: str, tmp_path: Path) -> None:
    write_config("", tmp_path)
    path = tmp_path / "config" / name
    path.unlink(missing_ok=True)
    for target in ("nowhere", name):
        path.symlink_to(target)
        with pytest.raises(KbError, match=f"{name} is a link that leads nowhere"):
            overlay_file(load_settings())
        path.unlink()
    assert overlay_file(load_settings()) is None


def test_a_dangling_overlay_is_a_finding_of_the_doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_config("", tmp_path)
    (tmp_path / "config" / "overlay.yaml").symlink_to("nowhere")
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 1
    assert "✗\toverlay\t" in capsys.readouterr().out


def test_a_setting_is_changed_and_every_other_character_stays(tmp_path: Path) -> None:
    before = "# mine\r\n\n  device = 'cpu'  # why\u2028not\n\"model\" = 'old'   # this one\npager=false"
    write_config("", tmp_path)
    path = tmp_path / "config" / "config.toml"
    path.write_bytes(before.encode())
    save_setting("model", "new")
    assert path.read_bytes().decode() == before.replace("\"model\" = 'old'", 'model = "new"') + "\n"


def test_a_setting_is_not_written_over_what_cannot_be_read(tmp_path: Path) -> None:
    write_config("model = [", tmp_path)
    with pytest.raises(KbError):
        save_setting("model", "new")
    write_config("model = 'a'\nmodel2 = 1", tmp_path)
    with pytest.raises(KbError, match="unknown key"):
        save_setting("model", "new")
    assert (tmp_path / "config" / "config.toml").read_text(encoding="utf-8") == "model = 'a'\nmodel2 = 1"


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


@pytest.mark.parametrize(("is_kept", "said"), [(True, "embedding 1000 texts, once"), (False, "cannot be kept")])
def test_embedding_is_announced_once_and_so_is_that_it_is_in_vain(
    is_kept: bool, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb.search.side.keeps_vectors", lambda: is_kept)
    with embedding(Session.start()) as listen:
        for done in range(0, 1001, 100):
            listen(done, 1000)
    shown = capsys.readouterr().err
    assert shown.count(said) == 1
    assert ("once" in shown) is is_kept


def test_little_to_embed_is_not_worth_a_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb.search.side.keeps_vectors", lambda: False)
    with embedding(Session.start()) as listen:
        listen(0, 3)
    assert capsys.readouterr().err == ""


def test_a_long_line_loses_its_middle(capsys: pytest.CaptureFixture[str]) -> None:
    Session.start().note("x" * 10_000, "")
    assert len(capsys.readouterr().err) == LONGEST + 1
    line = "begin " + "x" * 10_000 + " end"
    assert len(shortened(line)) == LONGEST
    assert shortened(line).startswith("begin x")
    assert shortened(line).endswith("x end")
    assert shortened("x" * LONGEST) == "x" * LONGEST


def test_a_usage_error_is_translated_in_time_that_does_not_grow_with_what_was_typed() -> None:
    def work(n: int) -> float:
        error, spent = TyperException(f"Invalid value for --mode: '{'0' * n}' is not one of a, b"), []
        for _ in range(3):
            start = time.process_time()
            for _ in range(20):
                said, _ = usage(error, [], "zh")
            spent.append(time.process_time() - start)
        assert "的值无效" in said
        return min(spent)

    assert work(8000) <= 2.5**3 * max(work(1000), 0.001)


@pytest.mark.parametrize(
    ("content", "queries"),
    [
        ("dropout\n梯度\n".encode("utf-16"), ["dropout", "梯度"]),
        ("dropout\r\n梯度".encode("utf-16-be"), None),
        (b"\xfe\xff" + "dropout\r\n梯度".encode("utf-16-be"), ["dropout", "梯度"]),
        ("dropout\n梯度".encode("utf-32"), ["dropout", "梯度"]),
        ("dropout\n梯度".encode("utf-8-sig"), ["dropout", "梯度"]),
        (b"a\0b\ndropout\n\n", ["a\0b", "dropout", ""]),
        (b"", []),
        (b"\xff\xfea", "is not UTF-16"),
        ("梯度".encode("gbk"), "iconv -f gbk"),
        ("dropout gradient".encode("utf-16-le"), "iconv -f utf-16le"),
    ],
)  # fmt: skip
def test_a_file_of_queries_is_read_in_the_encoding_that_it_begins_with(
    content: bytes, queries: list[str] | str | None, tmp_path: Path
) -> None:
    from kb.cli.commands.search import _lines

    path = tmp_path / "queries.txt"
    path.write_bytes(content)
    if isinstance(queries, list):
        assert _lines(str(path)) == queries
        return
    with pytest.raises(KbError) as raised:
        _lines(str(path))
    assert (queries or "") in f"{raised.value.message.en} {raised.value.hint and raised.value.hint.en}"


def test_a_query_without_a_word_finds_nothing_among_others_that_find(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KB_DATA", str(SAMPLE))
    lines = ["%", "gradient", "", "-1", "⭐️", "？！"]
    (tmp_path / "queries.txt").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["search", "--queries", str(tmp_path / "queries.txt")])
    assert ended.value.code == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(answer["query"], answer["read_as"]) for answer in answers] == [(line, line) for line in lines]
    assert [bool(answer["hits"]) for answer in answers] == [False, True, False, False, False, False]
    assert all(answer["weak"] for answer in answers if not answer["hits"])


def test_a_sign_that_is_a_name_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {
        "id": "nabla",
        "type": "concept",
        "name": {"en": "Nabla", "zh": "算子"},
        "summary": {"en": "O.", "zh": "一。"},
    }
    (tmp_path / "one.yaml").write_text(json.dumps([entry | {"aliases": {"en": ["∇"]}}]), encoding="utf-8")
    monkeypatch.setenv("KB_DATA", str(tmp_path / "one.yaml"))
    with pytest.raises(SystemExit) as ended:
        main(["search", "--mode", "lexical", "--json", "∇"])
    assert ended.value.code == 0
    assert [hit["id"] for hit in json.loads(capsys.readouterr().out)["hits"]] == ["nabla"]


@pytest.mark.parametrize("demo", ["lstm", "dropout", "gcn"])
def test_an_ejected_demo_says_what_it_imports(demo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"{demo}.py"
    with pytest.raises(SystemExit) as ended:
        main(["demo", demo, "--eject", str(path)])
    assert ended.value.code == 0
    said = capsys.readouterr().err.strip()
    source = path.read_text(encoding="utf-8")
    known = {"torch": "torch", "sklearn": "scikit-learn", "networkx": "networkx", "numpy": "numpy"}
    imported = [name for module, name in known.items() if re.search(rf"^\s*(from|import) {module}\b", source, re.M)]
    assert said.endswith("it needs " + ", ".join(sorted(imported, key=lambda name: (name != "torch", name))))


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
    ("set", "model", "asked", "threads"),
    [
        ("", "", "", "1"),
        ("", "bundled", "", "1"),
        ("", "", "minilm", None),
        ("", "minilm", "", None),
        ("4", "", "", "4"),
    ],
)
def test_numpy_gets_one_thread_for_the_model_that_ships(
    set: str, model: str, asked: str, threads: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", set)
    if not set:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    with embedding(Session(load_settings()._replace(model=model)), asked):
        assert os.environ.get("OPENBLAS_NUM_THREADS") == threads
