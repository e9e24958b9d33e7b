"""Every demo on several seeds, and every mutant of every demo: what the tests sample, in full.

python scripts/survey.py                    # all: about an hour on two cores
python scripts/survey.py lstm gru           # these
python scripts/survey.py --mutants          # the mutants alone
python scripts/survey.py --jobs 1 --seeds 3

One line a demo: the claims that failed on some seed, the smallest margin, how many mutants were planted, how many died
at the quick budget and how many at the full one, and which survived. Those that only the full budget notices are to
stand in the FULL of the demo's file in tests/mutants. Exit 1 where a claim fails or a mutant survives.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from planted import full_ones, is_caught, mutants, mutated

from kb.lab.measured import margins
from kb.lab.runner import QUICK, demo_ids, demo_named, run_demo


class Found(NamedTuple):
    """What the survey of one demo gave."""

    id: str
    failed: list[str]
    margin: str
    quick: list[str]
    full: list[str]
    alive: list[str]

    @property
    def line(self) -> str:
        planted = len(self.quick) + len(self.full) + len(self.alive)
        faults = [f"FAILS {name}" for name in self.failed] + [f"ALIVE {name}" for name in self.alive]
        return "  ".join(
            [
                f"{self.id:28} {self.margin:32} {planted:3} planted {len(self.quick):3} quick {len(self.full):3} full",
                *faults,
            ]
        )


def survey(id: str, seeds: int) -> Found:
    """Run a demo on some seeds, and with each of its mutants."""
    demo = demo_named(id)
    reports = [run_demo(demo, seed=seed) for seed in range(seeds)]
    failed = [
        f"{verdict.claim.name} at {report.seed}"
        for report in reports
        for verdict in report.verdicts
        if verdict.holds is False
    ]
    near = min(margins(reports), key=lambda margin: margin.share, default=None)
    deaths: dict[str, list[str]] = {"quick": [], "full": [], "alive": []}
    with tempfile.TemporaryDirectory() as folder:
        for said, (old, new) in mutants(id).items():
            mutant = mutated(demo, old, new, Path(folder))
            if is_caught(run_demo(mutant, steps=max(1, demo.steps // QUICK))):
                deaths["quick"].append(said)
            else:
                deaths["full" if is_caught(run_demo(mutant)) else "alive"].append(said)
    return Found(id, failed, f"{near.share:.0%} {near.claim}" if near else "", **deaths)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="demos; all where none is named")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--mutants", action="store_true", help="the mutants alone")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    found = []
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        names = asked.names or sorted(demo_ids())
        for one in pool.map(survey, names, [0 if asked.mutants else asked.seeds] * len(names)):
            found.append(one)
            print(one.line, flush=True)
            if set(one.full) != full_ones(one.id):
                print(f"    FULL = {set(one.full) or '{}'}  # in tests/mutants/{one.id.replace('-', '_')}.py")
    planted = sum(len(one.quick) + len(one.full) + len(one.alive) for one in found)
    alive = sum(len(one.alive) for one in found)
    print(f"{len(found)} demos, {planted} mutants planted, {planted - alive} killed")
    return int(bool(alive or any(one.failed for one in found)))


if __name__ == "__main__":
    sys.exit(main())
