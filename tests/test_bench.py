"""What the benchmark measures: installed code in a world of its own, and large knowledge bases that are sound."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from bench import Case, Run, python, ratio_of, run, tldr_case, world
from big import make
from conftest import ROOT

SHIPPED = (ROOT / "data" / "concepts.yaml").read_text("utf-8").count("\n- id: ")


def test_commands_are_measured_from_bytecode_whatever_the_shell_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    run(Case("kb", python("-c", "import kb.errors")), world(tmp_path))
    assert list(tmp_path.rglob("kb/errors.*.pyc"))


def test_what_the_user_chose_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_DATA", "/mine.yaml")
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    assert not {"KB_DATA", "PYTHONUNBUFFERED"} & world(tmp_path).keys()


def test_a_command_that_fails_ends_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="broken failed: why"):
        run(Case("broken", python("-c", "import sys; sys.exit('why')")), world(tmp_path))


def test_a_ratio_is_that_of_the_rounds_that_both_ran_in() -> None:
    some, all_rounds = {3: Run(8, 0)}, {1: Run(1, 0), 3: Run(2, 0)}
    assert ratio_of(some, all_rounds) == 4


@pytest.mark.parametrize(("line", "counts"), [("#!/usr/bin/python3\n", True), ("\x7fELF", False)])
def test_only_the_python_client_of_tldr_is_compared(line: str, counts: bool, tmp_path: Path) -> None:
    (tmp_path / "client").write_text(line)
    assert bool(tldr_case(str(tmp_path / "client"), tmp_path)) == counts


def test_a_large_knowledge_base_repeats_the_shipped_one_under_new_ids_and_names() -> None:
    text = make(2 * SHIPPED + 10)
    entries = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    ids = [entry["id"] for entry in entries]
    assert len(set(ids)) == len(ids) == 2 * SHIPPED + 10
    assert ids == sorted(ids)
    assert set(Counter(entry["name"][language] for entry in entries for language in ("en", "zh")).values()) <= {1, 2}
    for entry in entries:
        in_text = re.findall(r"\[\[([a-z][^]|]+)", str(entry))  # code has [[0.5]]
        links = {link["to"] for link in entry.get("links", [])} | set(in_text)
        round = re.search(r"(-round\d)?$", entry["id"])
        assert round
        assert all(re.search(r"(-round\d)?$", link)[0] == round[0] for link in links)  # type: ignore[index]  # it may be empty
        if round[0] != "-round2":
            assert links <= set(ids)


def test_a_small_knowledge_base_is_a_part_of_the_shipped_one() -> None:
    shipped = (ROOT / "data" / "concepts.yaml").read_text("utf-8")
    assert make(3) in shipped
    assert make(3).count("\n- id: ") == 2
