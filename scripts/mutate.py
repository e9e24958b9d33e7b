"""How much of the code the tests hold: mutants of five rooms, and a table of those that no test notices.

pip install -e .[dev,mutation]
python scripts/mutate.py /tmp/mutants                            # all of them: hours on two cores
python scripts/mutate.py /tmp/mutants --each 60                  # at most 60 a module, drawn with a seed
python scripts/mutate.py /tmp/mutants --only kb.lab. --name      # one room, and the names of what survives

It works in a copy of the tree, made where the folder is empty; a second run goes on where the first one stopped. In
there, `mutmut show NAME` prints a mutant. What survives, and why, is in docs/testing.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SURVIVED = (0, 33)
"""What mutmut keeps of a mutant that passes all of its tests, and of one that no test reaches."""
FIRST = "kb.concepts.route.*"
"""Mutmut makes all mutants, and learns which test calls what, before it runs any: here those of one module."""
MUTMUT = """
from contextlib import suppress
from mutmut.core import MutmutCallStack
from mutmut.__main__ import cli
reset = MutmutCallStack.reset
def forgiving(token):
    with suppress(LookupError):  # now and then a context of 3.11 has forgotten the variable that it is to reset
        reset(token)
MutmutCallStack.reset = staticmethod(forgiving)
cli()
"""
AT_IMPORT = """
import importlib, os, pathlib, sys
import mutmut.mutation.trampoline as trampoline
os.environ["MUTANT_UNDER_TEST"] = "stats"
called = set()
trampoline.record_trampoline_hit = lambda name, caller=None: called.add(name)
sys.path.insert(0, "mutants")
for path in sorted(pathlib.Path("mutants").rglob("*.meta")):
    importlib.import_module(path.relative_to("mutants").as_posix().removesuffix(".py.meta").replace("/", "."))
print(*called)
"""
"""The functions that are called while the rooms are imported: a fork of a process that has done so comes too late."""
QUICK_FIRST = "source lint concepts_places graph look data store update kept vault export".split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="a folder outside the tree")
    parser.add_argument("--only", default="kb.", help="mutants whose name begins so")
    parser.add_argument("--each", type=int, help="at most so many a module; all, where it is left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--children", type=int, default=2)
    parser.add_argument("--name", action="store_true", help="name the mutants that survive")
    asked = parser.parse_args()
    work = asked.work.resolve()
    if not (work / "mutants").exists():
        _copy(work)
        _mutmut(work, [FIRST], asked.children)
    names = [name for name in _drawn(work, asked.each, asked.seed) if name.startswith(asked.only)]
    results = _results(work)
    _mutmut(work, [name for name in names if results[name] is None], asked.children)
    _again(work, names)
    _tell(names, _results(work), asked.name)


def _copy(work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True).stdout
    packed = subprocess.run(["tar", "-C", ROOT, "--null", "-T", "-", "-cf", "-"], input=names, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-C", work, "-xf", "-"], input=packed.stdout, check=True)


def _mutmut(work: Path, names: list[str], children: int) -> None:
    for at in range(0, len(names), 2000):  # a command line has an end
        command = [sys.executable, "-c", MUTMUT, "run", "--max-children", str(children), *names[at : at + 2000]]
        subprocess.run(command, cwd=work, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)


def _metas(work: Path) -> list[Path]:
    return sorted((work / "mutants").rglob("*.meta"))


def _results(work: Path) -> dict[str, int | None]:
    """What the tests of each mutant ended with; None where it was not run."""
    return {name: code for meta in _metas(work) for name, code in json.loads(meta.read_text())[CODES].items()}


CODES = "exit_code_by_key"


def _drawn(work: Path, each: int | None, seed: int) -> list[str]:
    drawn = []
    for meta in _metas(work):
        names = sorted(json.loads(meta.read_text())[CODES])
        random.Random(f"{seed} {meta.relative_to(work)}").shuffle(names)
        drawn += names[:each]
    return drawn


def _again(work: Path, names: list[str]) -> None:
    """Those that survive in functions that are called at import, once more, each in a process of its own."""
    called = subprocess.run([sys.executable, "-c", AT_IMPORT], cwd=work, check=True, capture_output=True, text=True)
    early = set(called.stdout.split())
    for meta in _metas(work):
        held = json.loads(meta.read_text())
        for name in held[CODES].keys() & set(names):
            if held[CODES][name] in SURVIVED and name.partition("__mutmut_")[0] in early:
                held[CODES][name] = _alone(work / "mutants", name)
                meta.write_text(json.dumps(held))


def _alone(folder: Path, name: str) -> int:
    command = [sys.executable, "-m", "pytest", "-qx", "-m", "not demo and not slow", "-p", "no:cacheprovider"]
    command += [f"tests/test_{tests}.py" for tests in QUICK_FIRST]
    world = os.environ | {"MUTANT_UNDER_TEST": name, "OMP_NUM_THREADS": "1"}
    try:
        return subprocess.run(command, cwd=folder, env=world, capture_output=True, timeout=300).returncode
    except subprocess.TimeoutExpired:
        return 36  # what mutmut keeps of those that never end


def _tell(names: list[str], results: dict[str, int | None], named: bool) -> None:
    living = [name for name in names if results[name] in SURVIVED]
    survive = Counter(name.rpartition(".")[0] for name in living)
    for module, made in Counter(name.rpartition(".")[0] for name in names).items():
        print(f"{module:34}{made:6} mutants{survive[module]:6} survive{1 - survive[module] / made:8.1%} killed")
    print(f"{'all':34}{len(names):6} mutants{len(living):6} survive{1 - len(living) / len(names):8.1%} killed")
    if named:
        print(*living, sep="\n")


if __name__ == "__main__":
    main()
