"""kb as a stranger gets it: wheel and sdist built and compared, installed bare, and run from another folder.

    python scripts/wheel.py

The bare environment holds the wheel and what the wheel declares that it needs, linked from the environment of this
script, so that nothing is fetched twice. The checkout is on no path of it, and neither is what only the tests need.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Sequence, Set
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
OURS = "kb-deep-learning"
LEFT_OUT = {".ci/run"}
"""What the sdist does without."""

RUNS = (
    ("--version", ("kb 0.",)),
    ("explain LSTM", ("Long short-term memory  长短期记忆网络", "kb demo lstm")),
    ("search 梯度消失", (" 1  Vanishing gradient  梯度消失", "hybrid search, multilingual-e5-small-q4")),
    ("search dropuot -n 1", (" 1  Dropout", "read as: dropout")),
    ("demo dropout --quick", ("not judged", "holds")),
    ("export obsidian vault", (" created",)),
    ("doctor", ("✓\tencoder\tmultilingual-e5-small-q4, ", "✓\tindex, shipped\tmultilingual-e5-small-q4")),
)
"""Commands, and what they have to show."""
INSIDE = """
import sqlite3
import sys
import kb
from kb.paths import PACKAGE, shipped_data
from kb.search.reading import read_query
from kb.snapshot.tables import SCHEMA
assert not [path for path in sys.path if path.startswith(sys.argv[1])], sys.path
assert PACKAGE.is_relative_to(sys.prefix), PACKAGE
assert shipped_data() == PACKAGE / "data", shipped_data()
assert (PACKAGE / "py.typed").is_file()
with sqlite3.connect(shipped_data() / "concepts.sqlite") as made:
    assert made.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == (SCHEMA,)
with kb.open() as base:
    assert len(base) > 100, len(base)
    assert base.resolve("LSTM").id == "long-short-term-memory"
    assert "yaml" not in sys.modules, "the first command compiles"
    assert read_query(base.store, "straining").text == "straining"  # an English word, which is data
    print(base.resolve("长短期记忆网络").id, base.search("梯度消失", k=1)[0].row.id)
    print(base.graph.number_of_nodes() == len(base))
"""


def build(folder: Path) -> tuple[Path, Path, Path]:
    """The sdist, the wheel made from it, and the wheel made from the checkout."""
    maker = (sys.executable, "-m", "build", "--no-isolation", "--outdir")
    said((*maker, str(folder / "sdist"), str(ROOT)), ROOT)
    said((*maker, str(folder / "checkout"), "--wheel", str(ROOT)), ROOT)
    (sdist,) = (folder / "sdist").glob("*.tar.gz")
    (through,) = (folder / "sdist").glob("*.whl")
    (direct,) = (folder / "checkout").glob("*.whl")
    return sdist, through, direct


def said(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """What a command that succeeds says."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def check_files(sdist: Path, through: Path, direct: Path) -> None:
    """All that git knows is in the sdist, both wheels are alike, and they hold kb and its data and no more."""
    listed = said(("git", "ls-files", "--cached", "--others", "--exclude-standard"), ROOT).splitlines()
    known = {name for name in listed if (ROOT / name).is_file()}
    with tarfile.open(sdist) as archive:
        packed = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    expect_same("the sdist", packed - {"PKG-INFO"}, known - LEFT_OUT)
    expect_same("the wheel from the sdist", _contents(through), _contents(direct))
    expected = {name for name in known if name.startswith("kb/")}
    expected |= {f"kb/{name}" for name in known if name.startswith("data/")} | {"kb/data/concepts.sqlite"}
    expect_same("the wheel", {name for name, _ in _contents(direct) if ".dist-info/" not in name}, expected)


def _contents(wheel: Path) -> set[tuple[str, int]]:
    """The files of a wheel, each with its checksum."""
    with zipfile.ZipFile(wheel) as archive:
        return {(entry.filename, entry.CRC) for entry in archive.infolist()}


def expect_same(what: str, found: Set[object], expected: Set[object]) -> None:
    if found != expected:
        sys.exit(
            f"{what}: lacks {sorted(map(str, expected - found))}, should not hold {sorted(map(str, found - expected))}"
        )


def install(wheel: Path, folder: Path) -> Path:
    """A bare environment with the wheel and what it declares; its folder of programs."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    said((sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", str(wheel)), folder)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    (ours,) = (Distribution.at(path) for path in site.glob("*.dist-info"))
    for needed in declared(ours).values():
        link(needed, site)
    said((sys.executable, "-m", "pip", "--python", str(python), "check"), folder)
    return folder / "bin"


def declared(ours: Distribution) -> dict[str, Distribution]:
    """What a distribution needs, and what that needs in turn, as it is installed beside this script."""
    found: dict[str, Distribution] = {}
    waiting = [(ours, frozenset[str]())]
    for needing, extras in waiting:
        for requirement in map(Requirement, needing.requires or ()):
            here = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
            )
            if here and (requirement.name not in found or requirement.extras):
                found.setdefault(requirement.name, distribution(requirement.name))
                waiting.append((found[requirement.name], frozenset(requirement.extras)))
    return found


def link(needed: Distribution, site: Path) -> None:
    """Put what belongs to a distribution into another environment."""
    for top in {file.parts[0] for file in needed.files or ()} - {"..", "__pycache__"}:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(needed.locate_file(top))))


def check_runs(programs: Path, world: Path) -> None:
    """Every command shows what it should, where there is no configuration, no cache and no checkout."""
    (world / "home").mkdir(parents=True)
    environment = {"HOME": str(world / "home"), "PATH": f"{programs}:{os.defpath}", "LANG": "C.UTF-8"}
    answer = said((str(programs / "python"), "-c", INSIDE, str(ROOT)), world, environment)  # first: on an empty cache
    if answer.split() != ["long-short-term-memory", "vanishing-gradient", "True"]:
        sys.exit(f"import kb: {answer}")
    for command, shown in RUNS:
        answer = said((str(programs / "kb"), *command.split()), world, environment)
        for text in shown:
            if text not in answer:
                sys.exit(f"kb {command}: {text!r} is not in\n{answer}")
    note = (world / "vault" / "kb" / "Long short-term memory.md").read_text(encoding="utf-8")
    if 'kb-id: "long-short-term-memory"' not in note:
        sys.exit(f"kb export obsidian: {note[:500]}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kb-wheel-") as made:
        folder = Path(made)
        sdist, through, direct = build(folder)
        check_files(sdist, through, direct)
        check_runs(install(through, folder / "bare"), folder / "elsewhere")
    print("wheel: built, installed bare, and right")


if __name__ == "__main__":
    main()
