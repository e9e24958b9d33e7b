"""The architecture: imports only point down, and commands load only what they need."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE

FLOORS = {
    "demos": 0, "language": 0, "errors": 1, "files": 2, "paths": 2, "devices": 2, "settings": 3, "concepts": 3,
    "snapshot": 4, "lab": 4, "formats": 4, "encoder": 4, "search": 5, "show": 6, "base": 6, "cli": 7,
}  # fmt: skip
SLOW = set("torch networkx numpy yaml sentence_transformers onnxruntime matplotlib pydantic sklearn".split())
SLOW |= {"markdown_it", "pygments"}  # what typer's own help loads, and what colours code


def room(path: Path) -> str:
    """The room that a file belongs to: a folder, or a module beside them."""
    relative = path.relative_to(ROOT / "kb")
    return relative.parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The rooms of this package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "kb":
            modules = [f"kb.{alias.name}" for alias in node.names]
        found |= {module.split(".")[1] for module in modules if module.startswith("kb.")}
    return found - {"__version__", "SCHEMA_VERSION"}


FILES = sorted((ROOT / "kb").rglob("*.py"))
MODULES = [path for path in FILES if path.parent.name != "kb" or not path.stem.startswith("__")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_point_down(path: Path) -> None:
    here = room(path)
    for other in imported(path) - {here}:
        assert FLOORS[other] < FLOORS[here], f"{here} imports {other}"


def test_every_room_has_its_floor_and_its_line_in_the_architecture() -> None:
    rooms = {room(path) for path in MODULES}
    assert rooms == FLOORS.keys()
    told = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d) \| ((?:`[\w./]+` ?)+)\|", told, re.MULTILINE)
    floors = {name: int(floor) for floor, names in rows for name in re.findall(r"`(\w+)[./]", names)}
    assert floors == FLOORS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sql_stands_in_the_snapshot_alone(path: Path) -> None:
    texts = [node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)]
    sql = r"\bSELECT\b.+\bFROM\b|\b(INSERT INTO|DELETE FROM|CREATE (VIRTUAL )?TABLE|UPDATE \w+ SET)\b"
    has_sql = any(re.search(sql, text, re.DOTALL) for text in texts if isinstance(text, str))
    assert not has_sql or room(path) == "snapshot"


VALUES = {"Answer", "Mode", "Reading", "Row", "Match", "Near", "Notify", "CHUNK", "keeps_vectors"}
"""What the command line knows of the rooms behind the base: values that come from there, and when to show progress."""


@pytest.mark.parametrize(
    "path", sorted((ROOT / "kb" / "cli").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_command_line_asks_the_base_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and re.match(
            r"kb\.(snapshot|search|concepts\.(lint|graph))\b", node.module or ""
        ):
            assert {alias.name for alias in node.names} <= VALUES | {"slug_of", "index_files"}, ast.unparse(node)
        assert not (isinstance(node, ast.Attribute) and node.attr == "store"), ast.unparse(node)


_COMMAND = re.compile(r"\bkb (explain|search|similar|demo|list|model|export|lint|doctor)\b|(?<!\w)--[a-z]")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_error_below_the_faces_names_a_command(path: Path) -> None:
    raised = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if is_error(node)]
    texts = [part.value for node in raised for part in ast.walk(node) if isinstance(part, ast.Constant)]
    named = [text for text in texts if isinstance(text, str) and _COMMAND.search(text)]
    assert room(path) == "cli" or not named


def is_error(node: ast.AST) -> bool:
    """Whether a node makes a text for a reader: an error, or what is said in one."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("KbError", "Bilingual")


@pytest.mark.parametrize("path", sorted((ROOT / "kb" / "demos").glob("*.py")), ids=lambda path: path.stem)
def test_a_demo_and_its_exam_import_nothing_of_ours(path: Path) -> None:
    assert not imported(path)


def test_of_the_demos_only_the_exam_is_imported_and_only_by_the_lab() -> None:
    askers = {path for path in MODULES if "demos" in imported(path)}
    assert askers
    for path in askers:
        assert room(path) == "lab", path
        assert set(re.findall(r"kb\.demos\S*(?: import \S+)?", path.read_text("utf-8"))) == {"kb.demos import _exam"}


def loaded(*arguments: str, tmp_path: Path, code: int = 0) -> set[str]:
    """The top-level modules that a command loads, `tmp_path` being its cache."""
    environment = {**os.environ, "KB_DATA": str(SAMPLE), "KB_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-X", "importtime", "-m", "kb", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == code, done.stderr[-500:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "LSTM"),
        ("explain", "LSTM", "--json"),
        ("list",),
        ("--help",),
        ("explain", "--help"),
        ("--version",),
        ("demo", "--list"),
        ("search", "--mode", "lexical", "LSTM"),
    ],
    ids=" ".join,
)
def test_reading_loads_nothing_slow(arguments: tuple[str, ...], sample_cache: Path) -> None:
    assert not loaded(*arguments, tmp_path=sample_cache) & SLOW


def test_the_miss_of_a_name_loads_no_more_than_the_matcher(sample_cache: Path) -> None:
    assert not loaded("explain", "LTSM", tmp_path=sample_cache, code=1) & SLOW


def test_importing_the_package_costs_nothing() -> None:
    code = "import sys; before = set(sys.modules); import kb; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "['__future__', 'kb']"


_WIDE_RANGE = re.compile(r"(?:[^\x00-\x7f]|\\u[0-9a-f]{4})-")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_pattern_ignores_the_case_of_chinese_characters(path: Path) -> None:
    """Compiling one goes through all of a range, one character after the other: 4 ms."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and "IGNORECASE" in ast.unparse(node):
            texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            assert not any(_WIDE_RANGE.search(text) for text in texts if isinstance(text, str))
