"""Mutants of the demos: with a mistake planted in its concept, its gradient or its data, a demo's claims must fail.

Those that only the full budget notices are left to the survey, where the demo is as it was when it was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from planted import FOLDER, full_ones, is_caught, mutants, mutated

from kb.lab.measured import is_as_measured
from kb.lab.runner import QUICK, demo_ids, demo_named, run_demo

LEAST = 5
"""Mutants that a demo has."""


def planted() -> Iterator[ParameterSet]:
    for id in sorted(demo_ids()):
        later = [pytest.mark.survey] if is_as_measured(demo_named(id)) else []
        for said in mutants(id):
            yield pytest.param(id, said, id=f"{id}: {said}", marks=later if said in full_ones(id) else [])


def test_every_demo_has_mutants() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} <= {id.replace("-", "_") for id in demo_ids()}
    few = {id: len(mutants(id)) for id in demo_ids() if len(mutants(id)) < LEAST}
    assert few == {}
    assert {id: lost for id in demo_ids() if (lost := full_ones(id) - mutants(id).keys())} == {}


@pytest.mark.demo
@pytest.mark.parametrize(("id", "said"), list(planted()))
def test_a_mistake_makes_a_claim_fail(id: str, said: str, tmp_path: Path) -> None:
    """Where the quick budget does not tell, and the full one does, its name stands in FULL."""
    demo = demo_named(id)
    mutant = mutated(demo, *mutants(id)[said], tmp_path)
    assert is_caught(run_demo(mutant, steps=None if said in full_ones(id) else max(1, demo.steps // QUICK)))
