"""Whole-process times of kb's commands as ratios to a floor, and how a knowledge base's size tells.

python scripts/bench.py              # 15 rounds; exit 1 where a limit is exceeded
python scripts/bench.py --rounds 31 --tldr /tmp/venv/bin/tldr
python scripts/bench.py --no-growth  # the commands alone

Every round runs every command once, in turn, so that a machine that slows down slows all of them; what takes seconds
is left out of two rounds in three. A ratio is the median over the rounds of command / floor. Memory is the peak of the
process, in MB. All of it runs from bytecode, as an installed package does, whatever this shell says of writing it.

The floor is `scripts/floor.py`; tldr, where its Python client is installed, shows a page that lies in its cache.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from big import ROOT, make
from build_snapshot import make as make_snapshot

ENTRY = ["-c", "from kb.cli.entry import run; run()"]
"""What the installed command does; `python -m kb` would load runpy as well."""
EXPLAIN, SEARCH, TLDR, IMPORT = "kb explain LSTM", "kb search 梯度消失", "tldr lstm", "import sentence_transformers"
TYPED = {"_KB_COMPLETE": "complete_bash", "COMP_WORDS": "kb explain drop", "COMP_CWORD": "2"}
PAGE = "# lstm\n\n> A recurrent network with a gated memory.\n\n- Read a sequence:\n\n`lstm {{path/to/sequence}}`\n"


class Case(NamedTuple):
    """A command line, and the ratio to the floor that it must not exceed."""

    name: str
    command: list[str]
    limit: float | None = None
    every: int = 1
    """Rounds from one run to the next."""
    environment: dict[str, str] | None = None
    folder: Path = ROOT
    """Where it runs; the kb of that folder is imported."""


class Limit(NamedTuple):
    """A ratio that is no command's to the floor."""

    name: str
    ratio: float
    most: float


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


CASES = (
    Case("floor", python(str(ROOT / "scripts" / "floor.py"))),
    Case(EXPLAIN, python(*ENTRY, "explain", "LSTM"), 1.05),
    Case("kb list", python(*ENTRY, "list"), 1.1),
    Case("kb --help", python(*ENTRY, "--help"), 1.25),
    Case("kb explain drop<Tab>", python(*ENTRY), 1.3, environment=TYPED),
    Case(SEARCH, python(*ENTRY, "search", "梯度消失", "--device", "cpu"), 2.6),
    Case("python -c pass", python("-c", "pass")),
    Case("import typer, rich", python("-c", "import typer, rich.panel")),
    Case("import numpy", python("-c", "import numpy")),
    Case("import onnxruntime", python("-c", "import onnxruntime")),
    Case(IMPORT, python("-c", "import sentence_transformers"), every=3),
)


class Run(NamedTuple):
    """One whole process."""

    seconds: float
    peak: float
    """Of its memory, in MB."""


Runs = dict[int, Run]
"""Of one case, by the round."""


def run(case: Case, environment: dict[str, str]) -> Run:
    """Time a whole process; end where it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(
        case.command,
        cwd=case.folder,
        env=environment | (case.environment or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    with process.stderr as pipe:
        complaint = pipe.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{case.name} failed: {complaint.decode()}")
    return Run(seconds, usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2))


def world(folder: Path) -> dict[str, str]:
    """An environment in which nothing of the user's counts, and bytecode is written, into a folder."""
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "KB_"))}
    ours = {"KB_CACHE_DIR": folder / "cache", "KB_CONFIG_DIR": folder, "PYTHONPYCACHEPREFIX": folder / "bytecode"}
    return theirs | {name: str(path) for name, path in ours.items()} | {"OMP_NUM_THREADS": "1"}


def tldr_case(given: str, folder: Path) -> list[Case]:
    """The Python client of tldr with a page in its cache, where it is installed."""
    path = given or shutil.which("tldr") or ""
    if not path or b"python" not in Path(path).read_bytes()[:100]:  # there are clients in other languages
        return []
    page = folder / "tldr" / "pages" / "common" / "lstm.md"
    page.parent.mkdir(parents=True)
    page.write_text(PAGE, encoding="utf-8")
    offline = {"XDG_CACHE_HOME": str(folder), "TLDR_NETWORK_ENABLED": "0", "TLDR_LANGUAGE": "en"}
    return [Case(TLDR, [path, "lstm"], environment=offline)]


def measure(cases: Sequence[Case], rounds: int, environment: dict[str, str]) -> dict[str, Runs]:
    """Run all cases in turn, after once for the snapshot, the bytecode and the disk's cache."""
    for case in cases:
        run(case, environment)
    seen: dict[str, Runs] = {case.name: {} for case in cases}
    for round in range(rounds):
        for case in cases:
            if round % case.every == 0:
                seen[case.name][round] = run(case, environment)
    return seen


def ratio_of(case: Runs, other: Runs) -> float:
    """The median, over the rounds that both ran in, of how many times longer one took."""
    return statistics.median(case[round].seconds / other[round].seconds for round in case.keys() & other.keys())


def show(cases: Sequence[Case], seen: dict[str, Runs]) -> bool:
    """Print a line for each command; whether all keep their limits."""
    is_kept = True
    print(f"{'command':<28}{'median ms':>10}{'ratio':>8}{'limit':>8}{'peak MB':>9}   ({len(seen['floor'])} rounds)")
    for case in cases:
        runs = seen[case.name].values()
        seconds, peak = (statistics.median(part) for part in zip(*runs, strict=True))
        ratio = ratio_of(seen[case.name], seen["floor"])
        limit = "" if case.limit is None else f"{case.limit:.2f}"
        print(
            f"{case.name:<28}{seconds * 1000:>10.0f}{ratio:>8.2f}{limit:>8}{peak:>9.0f}  {verdict(ratio, case.limit)}"
        )
        is_kept &= case.limit is None or ratio <= case.limit
    return is_kept


def verdict(ratio: float, most: float | None) -> str:
    return "" if most is None else "ok" if ratio <= most else "MISSED"


def show_limits(limits: Sequence[Limit]) -> bool:
    """Print a line for each ratio; whether all keep their limits."""
    for name, ratio, most in limits:
        print(f"{name:<66}{ratio:>8.3g}{most:>8.3g}  {verdict(ratio, most)}")
    return all(limit.ratio <= limit.most for limit in limits)


def compared(seen: dict[str, Runs]) -> list[Limit]:
    """Commands beside what others take for the like."""
    limits = [Limit(f"{SEARCH} / {IMPORT}", ratio_of(seen[SEARCH], seen[IMPORT]), 1 / 15)]
    if TLDR in seen:
        return [Limit(f"{EXPLAIN} / {TLDR}", ratio_of(seen[EXPLAIN], seen[TLDR]), 1.15), *limits]
    print(f"{EXPLAIN} / {TLDR}: the Python client of tldr is not installed")
    return limits


# How the size tells. Each size is compiled in a process of its own, which has compiled a small one before: the imports
# do not count.

COMPILE = """
import os, sys, tempfile, time
import kb, yaml
def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
def opened(path):
    with tempfile.TemporaryDirectory() as os.environ["KB_CACHE_DIR"]:
        return timed(lambda: kb.open(path))
small, large = sys.argv[1:]
opened(small)
text = open(large, encoding="utf-8").read()
print(opened(large), timed(lambda: yaml.load(text, yaml.CSafeLoader)))
"""
SHIPPED, SOME, MANY, MOST = 160, 800, 1_000, 3_200
ROUNDS = 3


class Size(NamedTuple):
    """Seconds of one size, in process: compiling it, and loading its YAML with the C loader alone."""

    compile: float
    load: float


def growth(folder: Path, environment: dict[str, str]) -> list[Limit]:
    """Measure how the number of entries tells, and print the times."""
    paths = {n: folder / f"{n}.yaml" for n in (10, SHIPPED, SOME, MANY, MOST)}
    for n, path in paths.items():
        path.write_text(make(n), encoding="utf-8")
    sizes = {n: size_of(paths[10], path, environment) for n, path in paths.items() if n >= SHIPPED}
    for n, (compile, load) in sizes.items():
        print(f"{n:>5,} entries: compiled in {compile * 1000:>6.0f} ms, their YAML loaded in {load * 1000:>5.0f} ms")
    large, load = paths[MANY], sizes[MANY].load
    floor = median_of(lambda _: run(CASES[0], environment).seconds)
    installed = installation(large, folder / "installed")
    first = median_of(lambda _: first_command(installed, environment))
    changed = median_of(lambda round: next_command(large, round, environment))
    print(f"{MANY:>5,} entries: first command {first * 1000:.0f} ms, after a change {changed * 1000:.0f} ms")
    return [
        Limit("compile: time(3,200) / time(800)", sizes[MOST].compile / sizes[SOME].compile, 4.4),
        Limit("compile 1,000 / the C YAML loader alone", sizes[MANY].compile / load, 3.0),
        Limit("next command after 1 entry of 1,000 changed / the C YAML loader", changed / load, 1.0),
        Limit("first command after an installation, 1,000 entries / floor", first / floor, 15.0),
    ]


def median_of(work: Callable[[int], float]) -> float:
    return statistics.median(work(round) for round in range(ROUNDS))


def size_of(small: Path, large: Path, environment: dict[str, str]) -> Size:
    """Medians, each of processes of their own."""
    times = []
    for _ in range(ROUNDS):
        command = python("-c", COMPILE, str(small), str(large))
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        times.append([float(seconds) for seconds in done.stdout.split()])
    return Size(*(statistics.median(part) for part in zip(*times, strict=True)))


def listing(path: Path, cache: str | Path) -> Case:
    """`kb list` on a knowledge base of one's own."""
    return Case("kb list", python(*ENTRY, "list"), environment={"KB_DATA": str(path), "KB_CACHE_DIR": str(cache)})


def installation(concepts: Path, folder: Path) -> Path:
    """A folder with the package as a wheel brings it, and such concepts."""
    shutil.copytree(ROOT / "kb", folder / "kb", ignore=shutil.ignore_patterns("__pycache__"))
    data = folder / "kb" / "data"
    data.mkdir()
    shutil.copy(concepts, data / "concepts.yaml")
    make_snapshot(data / "concepts.yaml", data / "concepts.sqlite")
    return folder


def first_command(installed: Path, environment: dict[str, str]) -> float:
    """Seconds of the first command after an installation: it has bytecode, and no cache."""
    times = []
    for _ in range(2):  # the first writes the bytecode
        with tempfile.TemporaryDirectory() as cache:
            case = Case("kb list", python(*ENTRY, "list"), environment={"KB_CACHE_DIR": cache}, folder=installed)
            times.append(run(case, environment).seconds)
    return times[-1]


def next_command(path: Path, round: int, environment: dict[str, str]) -> float:
    """Seconds of a command after the text of one entry has changed."""
    case = listing(path, path.parent / "cache")
    run(case, environment)
    before = path.read_text("utf-8")
    path.write_text(re.sub(r'(  summary:\n    en: "?)', rf"\g<1>{round} ", before, count=1), encoding="utf-8")
    assert path.read_text("utf-8") != before
    return run(case, environment).seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tldr", default="", help="the Python client of tldr, where it is not on the path")
    parser.add_argument("--growth", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = world(folder)
        cases = [*CASES, *tldr_case(given.tldr, folder)]
        seen = measure(cases, given.rounds, environment)
        is_kept = show(cases, seen) & show_limits(compared(seen))
        is_kept &= not given.growth or show_limits(growth(folder, environment))
    sys.exit(not is_kept)


if __name__ == "__main__":
    main()
