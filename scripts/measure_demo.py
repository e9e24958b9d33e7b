"""Measure a demo over several seeds and say where its thresholds belong.

python scripts/measure_demo.py lstm                # five seeds
python scripts/measure_demo.py lstm --seeds 8

A threshold is the worst value over the seeds, moved half-way to the best control (for parity: a fixed tolerance).
The margin printed is the distance from the worst value to the declared threshold, as a share of the distance from
the worst value to the best control: 0.5 is ideal, below 0.15 is too tight. CPU seconds are for one thread.
"""

from __future__ import annotations

import argparse
import runpy
import time
from pathlib import Path

import torch

DEMOS = Path(__file__).parent.parent / "kb" / "demos"


def measure(name: str, seed: int, device: str) -> tuple[dict, dict[str, float], float]:
    """(claims, measured values, CPU seconds) of one full run."""
    demo = runpy.run_path(str(DEMOS / f"{name.replace('-', '_')}.py"))
    start, points = time.process_time(), demo["run"](device=device, seed=seed)
    while True:
        try:
            next(points)
        except StopIteration as end:
            return demo["CLAIMS"], end.value[0], time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.names:
        runs = [measure(name, seed, options.device) for seed in range(options.seeds)]
        print(f"{name}: CPU s {' '.join(f'{seconds:.1f}' for _, _, seconds in runs)}")
        for key, claim in runs[0][0].items():
            values = [measured[key] for _, measured, _ in runs]
            controls = [measured[claim["control"]] for _, measured, _ in runs]
            worst, best = (max, min) if claim["op"] == "<=" else (min, max)
            value, control, threshold = worst(values), best(controls), claim["threshold"]
            margin = (threshold - value) / (control - value) if control != value else float("nan")
            print(
                f"  {key} {claim['op']} {threshold:g} ({claim['kind']}): "
                f"half-way {(value + control) / 2:.4g}, margin {margin:.2f}"
            )
            print(f"    values   {' '.join(f'{v:.4g}' for v in values)}")
            print(f"    controls {' '.join(f'{v:.4g}' for v in controls)}")


if __name__ == "__main__":
    main()
