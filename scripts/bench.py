"""Whole-process times of kb's commands, as ratios to a floor measured in the same interleaved run.

python scripts/bench.py              # 15 rounds; exit 1 where a target is missed
python scripts/bench.py --rounds 31

Every round runs every command once, in turn, so that a machine that slows down slows all of them; what takes seconds
is left out of two rounds in three. A ratio is the median over the rounds of command / floor. Memory is the peak of the
process, in MB. The search also has to take at most a fifteenth of the import of sentence-transformers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Case(NamedTuple):
    """A command line, and the ratio to the floor that it must not exceed."""

    name: str
    arguments: list[str]
    limit: float | None
    every: int = 1
    """Rounds from one run to the next."""


SEARCH, IMPORT = "kb search 梯度消失", "import sentence_transformers"
SHARE = 1 / 15
"""Of the import, that the search may take."""


CASES = (
    Case("floor", [str(ROOT / "scripts" / "floor.py")], None),
    Case("kb explain LSTM", ["-m", "kb", "explain", "LSTM"], 1.2),
    Case("kb list", ["-m", "kb", "list"], 1.3),
    Case(SEARCH, ["-m", "kb", "search", "梯度消失", "--device", "cpu"], 3.5),
    Case("python -c pass", ["-c", "pass"], None),
    Case("import typer, rich", ["-c", "import typer, rich.panel"], None),
    Case("import numpy", ["-c", "import numpy"], None),
    Case("import onnxruntime", ["-c", "import onnxruntime"], None),
    Case(IMPORT, ["-c", "import sentence_transformers"], None, every=3),
)


def run(case: Case, environment: dict[str, str]) -> tuple[float, float]:
    """(seconds, peak MB) of one whole process."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *case.arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{case.name} failed: {complaint.decode()}")
    return seconds, usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "KB_CACHE_DIR": cache, "KB_CONFIG_DIR": cache, "OMP_NUM_THREADS": "1"}
        for case in CASES:  # snapshot, bytecode and the disk's cache are warm when the clock starts
            run(case, environment)
        seen: dict[str, dict[int, tuple[float, float]]] = {case.name: {} for case in CASES}
        for round in range(rounds):
            for case in CASES:
                if round % case.every == 0:
                    seen[case.name][round] = run(case, environment)
    missed = False
    print(f"{'command':<28}{'median ms':>10}{'ratio':>8}{'limit':>8}{'peak MB':>9}   ({rounds} rounds)")
    for case in CASES:
        times = [seconds for seconds, _ in seen[case.name].values()]
        ratio = ratio_of(seen[case.name], seen["floor"])
        verdict = "" if case.limit is None else "  ok" if ratio <= case.limit else "  MISSED"
        missed |= verdict.endswith("MISSED")
        limit = "" if case.limit is None else f"{case.limit:.1f}"
        peak = statistics.median(peak for _, peak in seen[case.name].values())
        print(f"{case.name:<28}{statistics.median(times) * 1000:>10.0f}{ratio:>8.2f}{limit:>8}{peak:>9.0f}{verdict}")
    share = ratio_of(seen[SEARCH], seen[IMPORT])
    verdict = "ok" if share <= SHARE else "MISSED"
    parts = f"1/{1 / share:.0f} of the import of sentence-transformers, at most 1/{1 / SHARE:.0f}"
    print(f"the search takes {parts}  {verdict}")
    sys.exit(missed or share > SHARE)


def ratio_of(case: dict[int, tuple[float, float]], other: dict[int, tuple[float, float]]) -> float:
    """The median, over the rounds that both ran in, of how many times longer one took."""
    return statistics.median(case[round][0] / other[round][0] for round in case.keys() & other.keys())


if __name__ == "__main__":
    main()
