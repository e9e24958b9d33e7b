"""Run demos on seeds 0 to 4 and write what their claims gave to data/measured.json, which the cards show.

python scripts/measure.py                       # what changed since it was measured
python scripts/measure.py --all                 # every demo
python scripts/measure.py lstm gru --print      # these, and nothing is written: values, controls and margins
python scripts/measure.py lstm --print --seeds 15

Exit 1 where a claim fails on a seed; the last line names the demos.

A margin is the shorter of two ways, from the worst value to the threshold and from there to the best control, as a
share of both: 0.5 is in the middle. CPU seconds are for one thread.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that it runs in a checkout with nothing installed

import torch

from kb import files
from kb.lab.measured import is_as_measured, margins, summary
from kb.lab.runner import Demo, Report, all_demos, run_demo

TARGET = Path(__file__).parent.parent / "data" / "measured.json"
SEEDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="demos; those that changed, where none is named")
    parser.add_argument("--all", action="store_true", help="every demo")
    parser.add_argument("--print", action="store_true", help="print what was measured, write nothing")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    kept, failed = _kept(), list[str]()
    for demo in all_demos():
        if _is_due(demo, asked):
            seeds = range(asked.first, asked.first + asked.seeds)
            reports = [run_demo(demo, seed=seed, device=asked.device) for seed in seeds]
            _tell(demo, reports)
            kept["demos"][demo.id] = summary(reports)
            if not asked.print:
                _write(kept)
            failed += [demo.id] * any(verdict.holds is False for report in reports for verdict in report.verdicts)
    if failed:
        sys.exit(f"claims that fail: {', '.join(failed)}")


def _kept() -> dict[str, Any]:
    held: dict[str, Any] = json.loads(TARGET.read_text("utf-8")) if TARGET.exists() else {"demos": {}}
    return held


def _is_due(demo: Demo, asked: argparse.Namespace) -> bool:
    if asked.names or asked.all:
        return asked.all or demo.id in asked.names
    return not is_as_measured(demo)


def _tell(demo: Demo, reports: list[Report]) -> None:
    """One line a claim: what was measured for it by seed."""
    print(f"{demo.id}: CPU s {' '.join(f'{report.cpu_seconds:.1f}' for report in reports)}")
    shares = {margin.claim: margin.share for margin in margins(reports)}
    for i, claim in enumerate(demo.claims):
        verdicts = [report.verdicts[i] for report in reports]
        failed = [report.seed for report, verdict in zip(reports, verdicts, strict=True) if verdict.holds is False]
        margin = f", margin {shares[claim.name]:.2f}" if claim.name in shares else ""
        print(
            f"  {claim.kind} {claim.name} {claim.op} {claim.threshold:g}{margin}"
            + f", FAILS at {failed}" * bool(failed)
        )
        print("    values  ", *(f"{verdict.value:.4g}" for verdict in verdicts if verdict.value is not None))
        print("    controls", *(f"{verdict.control:.4g}" for verdict in verdicts if verdict.control is not None))


def _write(kept: dict[str, Any]) -> None:
    """One line a demo, sorted: hands that work at once change different lines."""
    ids = {demo.id for demo in all_demos()}
    made = {"on": str(date.today()), "torch": torch.__version__, "python": platform.python_version()}
    head = {"seeds": SEEDS, "device": "cpu", "machine": platform.machine(), **made}
    lines = [
        f"  {json.dumps(id)}: {json.dumps(of_it, ensure_ascii=False)}"
        for id, of_it in sorted(kept["demos"].items())
        if id in ids
    ]
    text = json.dumps(head, ensure_ascii=False)[:-1] + ', "demos": {\n' + ",\n".join(lines) + "\n}}\n"
    files.write(TARGET, text.encode())


if __name__ == "__main__":
    main()
