"""Measure a demo over several seeds and say where its thresholds belong.

python scripts/measure_demo.py lstm                # five seeds
python scripts/measure_demo.py lstm --seeds 8

A threshold is the worst value over the seeds, moved half-way to the best control (for parity: a fixed tolerance).
The margin printed is the distance from the worst value to the declared threshold, as a share of the distance from
the worst value to the best control: 0.5 is ideal, below 0.15 is too tight. CPU seconds are for one thread.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that it runs in a checkout with nothing installed

from kb.lab.runner import Claim, Report, demo_named, run_demo


def show(claim: Claim, reports: list[Report]) -> None:
    """One claim: what was measured for it by seed, and where its threshold would stand."""
    print(f"  {claim.name} {claim.op} {claim.threshold:g} ({claim.kind}): ", end="")
    values = [report.measured[claim.name] for report in reports]
    if claim.control is None:
        print(f"no control\n    values   {numbers(values)}")
        return
    controls = [report.measured[claim.control] for report in reports]
    worst, best = (max, min) if claim.op == "<=" else (min, max)
    value, control = worst(values), best(controls)
    margin = (claim.threshold - value) / (control - value) if control != value else float("nan")
    print(f"half-way {(value + control) / 2:.4g}, margin {margin:.2f}")
    print(f"    values   {numbers(values)}\n    controls {numbers(controls)}")


def numbers(values: list[float]) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    for name in options.names:
        demo = demo_named(name)
        reports = [run_demo(demo, seed=seed, device=options.device) for seed in range(options.seeds)]
        print(f"{name}: CPU s {' '.join(f'{report.cpu_seconds:.1f}' for report in reports)}")
        for claim in demo.claims:
            show(claim, reports)


if __name__ == "__main__":
    main()
