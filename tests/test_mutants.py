"""Mutants of the demos: with a mistake planted in its concept, its gradient or its data, a demo's claims must fail.

Each file in tests/mutants is of one demo; its MUTANTS name each mistake, and the text that it puts in place of another.
A mutant dies where a claim that is judged fails: at the quick budget, or where that does not tell, at the full one.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from kb.lab.runner import QUICK, Demo, Report, demo_ids, demo_named, run_demo

FOLDER = Path(__file__).parent / "mutants"
LEAST = 5
"""Mutants that a demo has."""


def mutants(id: str) -> dict[str, tuple[str, str]]:
    """The mistakes of a demo: what is replaced, and by what."""
    path = FOLDER / f"{id.replace('-', '_')}.py"
    found: dict[str, tuple[str, str]] = runpy.run_path(str(path))["MUTANTS"] if path.exists() else {}
    return found


def planted() -> Iterator[ParameterSet]:
    for id in sorted(demo_ids()):
        for said in mutants(id):
            yield pytest.param(id, said, id=f"{id}: {said}")


def mutated(demo: Demo, old: str, new: str, folder: Path) -> Demo:
    """The demo with a mistake in it."""
    source = demo.path.read_text("utf-8")
    assert source.count(old) == 1, f"stands {source.count(old)} times in {demo.path.name}: {old}"
    path = folder / demo.path.name
    path.write_text(source.replace(old, new), encoding="utf-8")
    return replace(demo, path=path)


def is_caught(report: Report) -> bool:
    return any(verdict.holds is False for verdict in report.verdicts)


def test_every_demo_has_mutants() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} <= {id.replace("-", "_") for id in demo_ids()}
    few = {id: len(mutants(id)) for id in demo_ids() if len(mutants(id)) < LEAST}
    assert few == {}


@pytest.mark.demo
@pytest.mark.parametrize(("id", "said"), list(planted()))
def test_a_mistake_makes_a_claim_fail(id: str, said: str, tmp_path: Path) -> None:
    demo = demo_named(id)
    mutant = mutated(demo, *mutants(id)[said], tmp_path)
    quick = run_demo(mutant, steps=max(1, demo.steps // QUICK))
    assert is_caught(quick) or is_caught(run_demo(mutant)), "no claim noticed it"
