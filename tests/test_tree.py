"""The tree of commands: what is loaded, said and shared; in which language, and where on the line options may stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer
from conftest import ROOT, SAMPLE
from typer import rich_utils
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from kb.cli.app import language_of, main
from kb.cli.help import write_help
from kb.cli.options import BREAK
from kb.cli.tree import Group, Line, root
from kb.language.text import LANGUAGES, Language


def tree(language: Language) -> Iterator[tuple[typer.Context, TyperCommand | TyperGroup]]:
    """Every command and group, as it is loaded to be run."""
    group = root(language)
    top = typer.Context(group, info_name="kb", obj=Line(language, {}))
    yield top, group
    yield from below(top, group)


def below(context: typer.Context, group: Group) -> Iterator[tuple[typer.Context, TyperCommand | TyperGroup]]:
    for name in group.list_commands(context):
        _, command, _ = group.resolve_command(context, [name])
        assert isinstance(command, TyperCommand | TyperGroup)
        inner = typer.Context(command, info_name=name, parent=context)
        yield inner, command
        if isinstance(command, Group):
            yield from below(inner, command)


def is_chinese(text: str) -> bool:
    return bool(re.search(r"[一-鿿]", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_help_is_in_one_language(language: Language) -> None:
    said = [(context.command_path, command.help or "") for context, command in tree(language)]
    for context, command in tree(language):
        for param in command.params:
            assert isinstance(param, TyperOption | TyperArgument)
            said.append((f"{context.command_path} {param.name}", param.help or ""))
    assert len(said) > 90
    for where, text in said:
        assert BREAK not in text, where
        is_technical = text.startswith("auto")
        assert is_chinese(text) == (language == "zh") or is_technical, f"{where}: {text}"


def test_no_english_word_stands_for_a_value_in_chinese() -> None:
    for context, command in tree("zh"):
        for param in command.params:
            shown = param.make_metavar(context)
            is_closed = "|" in shown or "bool" in shown  # words to be typed, and flags, which show none
            assert is_chinese(shown) or is_closed, f"{context.command_path} {param.name}: {shown}"


def test_a_chinese_help_text_may_be_broken_and_ends_where_it_ends() -> None:
    for context, command in tree("zh"):
        for param in command.params:
            assert isinstance(param, TyperOption | TyperArgument)
            assert param.help == (param.help or "").strip(), f"{context.command_path} {param.name}"


@pytest.mark.parametrize("arguments", [["--help"], ["explain", "-h"], ["model", "-h"], ["search", "-h"]], ids=" ".join)
def test_typers_own_words_are_chinese_for_one_help_only(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    own = ("Usage", "Arguments", "Options", "Commands", "OPTIONS", "COMMAND", "required", "default", "exit", "Install")
    shown = {}
    for line in (arguments, [*arguments, "-Lzh"], arguments):
        with pytest.raises(SystemExit) as ended:
            main(line)
        assert ended.value.code == 0
        shown[line is arguments, len(shown)] = capsys.readouterr().out
    before, chinese, after = shown.values()
    assert before == after
    assert "Usage" in before
    assert not [word for word in own if word in chinese]


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("explain x -Lzh", "zh"),
        ("-Lzh explain x", "zh"),
        ("-L zh explain x", "zh"),
        ("--lang zh explain x", "zh"),
        ("explain --lang=zh x", "zh"),
        ("explain -bLzh x", "zh"),
        ("-Lzh explain x -Len", "en"),
        ("explain x -Lboth", "en"),
        ("explain x --lang", "en"),
        ("explain x --lang fr", "en"),
        ("explain -- x -Lzh", "en"),
        ("explain Lzh", "en"),
        ("", "en"),
    ],
)
def test_the_language_is_known_however_it_is_written(line: str, language: Language) -> None:
    assert language_of(line.split()) == language


@pytest.mark.parametrize(
    "line",
    ["-Lzh explain qqqqqqqq", "--lang zh explain qqqqqqqq", "--lang=zh explain qqqqqqqq", "explain qqqqqqqq -Lzh",
     "explain -L zh qqqqqqqq", "explain -bLzh qqqqqqqq", "-Len explain qqqqqqqq --lang zh", "export x -Lzh",
     "export -Lzh x", "-Lzh export x", "explain -Lzh", "list --type -Lzh --nosuch", "qqqqqqqq -Lzh",
     "list --json=1 -Lzh", "search x -n many -Lzh", "demo --steps 0 -Lzh"],
)  # fmt: skip
def test_a_complaint_is_in_the_language_that_the_line_asks_for(
    line: str, sample: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KB_DATA", str(sample))
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code in (1, 2)
    first = capsys.readouterr().err.splitlines()[0]
    assert is_chinese(first), first
    assert not re.search(r"\b(no|not|valid|named|option|such)\b", first, re.IGNORECASE), first


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_shared_options_stand_before_between_and_behind(
    place: int, tmp_path: Path, sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", "obsidian", str(tmp_path / "vault")]
    words[place:place] = ["--data", str(sample), "--color=never", "-Lzh", "--no-pager"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert capsys.readouterr().err.endswith("11 新建\n")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("model", 0, ""),
        ("model --json", 0, '"in_use"'),
        ("model --json list", 0, '"in_use"'),
        ("model list --json", 0, '"in_use"'),
        ("model -Lzh --json", 0, '"in_use"'),
        ("export --dry-run obsidian {tmp}", 0, "create"),
        ("export --folder obsidian obsidian {tmp} --dry-run", 0, "create\tobsidian/"),
        ("export --folder notes --lang zh obsidian --dry-run {tmp}", 0, "create\tnotes/"),
        ("export --dry-run", 2, "kb export needs a command; known: obsidian"),
        ("export anki {tmp}", 2, "kb export has no 'anki'; known: obsidian"),
        ("export", 2, "obsidian"),
        ("model choose", 2, "kb model has no 'choose'; known: list, use, info"),
        ("model --nosuch", 2, "No such option: --nosuch"),
        ("model use --nosuch", 2, "No such option: --nosuch"),
        ("-L zh dropout x", 2, "kb explain dropout x 可查看"),
        ("--data list lst", 2, "kb explain lst explains"),
        ("--nosuch list", 2, "No such option: --nosuch"),
    ],
)
def test_what_was_typed_to_a_group_finds_its_command(
    line: str,
    code: int,
    said: str,
    tmp_path: Path,
    sample: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KB_DATA", str(sample))
    with pytest.raises(SystemExit) as ended:
        main(line.replace("{tmp}", str(tmp_path)).split())
    shown = capsys.readouterr()
    assert said in shown.out + shown.err
    assert ended.value.code == code


def test_a_group_names_its_modules_and_no_others() -> None:
    def check(package: ModuleType) -> None:
        from importlib import import_module

        folder = Path(str(package.__file__)).parent
        there = {path.stem for path in folder.glob("[!_]*.py")} | {
            path.parent.name for path in folder.glob("*/__init__.py")
        }
        assert there == package.COMMANDS.keys(), package.__name__
        for name in there:
            module = import_module(f"{package.__name__}.{name}")
            if hasattr(module, "COMMANDS"):
                check(module)
            else:
                assert callable(module.command)

    from kb.cli import commands

    check(commands)


@pytest.mark.parametrize("is_coloured", [False, True])
@pytest.mark.parametrize("width", [30, 80, 140])
def test_an_english_help_looks_as_typer_itself_would_show_it(
    width: int, is_coloured: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"COLUMNS": str(width), "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    if is_coloured:
        monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(rich_utils, "FORCE_TERMINAL", is_coloured or None)
    for context, command in tree("en"):
        write_help(command, context)
        ours = capsys.readouterr().out
        rich_utils.rich_format_help(obj=command, ctx=context, markup_mode="rich")
        assert ours == capsys.readouterr().out, context.command_path
        assert ("\x1b[" in ours) == is_coloured


@pytest.mark.parametrize("option", ["--json", "--device", "--model", "-n", "--lang", "--data"])
def test_an_option_of_several_commands_is_declared_once(option: str) -> None:
    declared = re.compile(rf'(?:Option|_shared)\((?:\s*"[^"]*",)*\s*"{option}"')
    files = [path for path in (ROOT / "kb" / "cli").rglob("*.py") if declared.search(path.read_text("utf-8"))]
    assert [path.name for path in files if path.name != "app.py"] == ["options.py"]


@pytest.mark.parametrize(
    ("line", "modules"),
    [
        ("", []),
        ("--help", []),
        ("--version", []),
        ("-Lzh --help", []),
        ("nosuch", []),
        ("explain LSTM", ["explain"]),
        ("-L zh list", ["list"]),
        ("list --lang zh", ["list"]),
        ("search --mode lexical x", ["search"]),
        ("similar --help", ["similar"]),
        ("demo --list", ["demo"]),
        ("lint --help", ["lint"]),
        ("doctor --help", ["doctor"]),
        ("export --help", ["export"]),
        ("export obsidian --help", ["export", "export.obsidian"]),
        ("model", ["model", "model.list"]),
        ("model use --help", ["model", "model.use"]),
        ("model info --help", ["model", "model.info"]),
    ],
)
def test_a_command_loads_its_own_module_alone(line: str, modules: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom kb.cli.app import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print(*(name for name in sys.modules if name.startswith('kb.cli.commands.')))"
    )
    world = {**os.environ, "KB_DATA": str(SAMPLE), "KB_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *line.split()]
    done = subprocess.run(command, capture_output=True, text=True, env=world, check=True)
    assert done.stdout.splitlines()[-1].split() == [f"kb.cli.commands.{name}" for name in modules]
