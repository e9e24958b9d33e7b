"""Every claim of every demo, at its full budget, on several seeds: it holds, and its control does not."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from _pytest.mark import ParameterSet

from kb.lab.measured import is_as_measured
from kb.lab.runner import Demo, all_demos, judge, run_demo

SEEDS = (0, 1, 2)
"""Of a demo that is not as it was when it was measured; of the others the first, and the survey takes the rest."""


def runs() -> Iterator[ParameterSet]:
    for demo in sorted(all_demos(), key=lambda demo: -demo.cpu_seconds):
        later = [pytest.mark.survey] if is_as_measured(demo) else []
        for seed in SEEDS:
            yield pytest.param(demo, seed, id=f"{demo.id}-{seed}", marks=later if seed else [])


@pytest.mark.demo
@pytest.mark.parametrize(("demo", "seed"), list(runs()))
def test_the_claims_hold_and_the_controls_fail(demo: Demo, seed: int) -> None:
    if demo.missing:
        pytest.fail(f"install what it needs: {demo.missing}")
    shares: list[float] = []
    report = run_demo(demo, seed=seed, listen=lambda done, _: shares.append(done))
    for verdict in report.verdicts:
        claim, wanted = verdict.claim, True if verdict.claim.kind in ("parity", "trained") else None
        assert verdict.holds is wanted, (claim.name, verdict.value, claim.threshold, verdict.control)
        if wanted:  # fed its own control, the claim must fail
            fooled = {claim.name: verdict.control, claim.control: verdict.control}
            assert judge(claim, fooled).holds is False
    assert report.outcome is True
    assert shares
    assert shares == sorted(shares)
    assert math.isclose(shares[-1], 1.0, abs_tol=0.05)
    assert torch.get_num_threads() == 1


def test_a_claim_says_what_it_measured_and_then_what_its_control_is() -> None:
    """So that a card can put each number behind what it is of."""
    for demo in all_demos():
        for claim in demo.claims:
            if claim.control:
                assert "control" in claim.says.en.partition("; ")[2], (demo.id, claim.says.en)
                assert "对照" in claim.says.zh.partition("；")[2], (demo.id, claim.says.zh)
