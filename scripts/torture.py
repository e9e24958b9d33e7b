"""Kill kb at random moments, run it many times at once, and count what that costs: nothing is lost, the next run heals.

python scripts/torture.py                # some 650 kills, a quarter of an hour on two cores
python scripts/torture.py --short        # a part of it, in about two minutes
python scripts/torture.py --seed 7 --only export

Every scenario starts a command, kills it at a random moment of its life (a hit, where it still lived), and lets the
next run show what is left: the right answer, no litter, every word that a user wrote, one note a concept. Exit code 1
where any count is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
DATA = ROOT / "data" / "concepts.yaml"
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass
class Tally:
    """What was done, and what it cost."""

    kills: int = 0
    hits: int = 0
    heals: int = 0
    litter: int = 0
    lost: int = 0
    doubles: int = 0
    wrong: list[str] = field(default_factory=list)


class World:
    """A knowledge base, a cache and a vault of their own, and kb run in them."""

    def __init__(self, folder: Path, entries: int) -> None:
        self.pace = 1.0
        self.data, self.cache, self.vault = folder / "own.yaml", folder / "cache", folder / "vault"
        blocks = re.split(r"(?m)^(?=- id: )", DATA.read_text("utf-8"))[1 : entries + 1]
        self.data.write_text("".join(blocks), encoding="utf-8")  # links to entries that are not there do no harm
        self.environment = {
            **os.environ,
            "KB_DATA": str(self.data), "KB_CACHE_DIR": str(self.cache), "KB_CONFIG_DIR": str(folder / "config"),
            "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8",
        }  # fmt: skip

        code, said = self.run("list")
        assert code == 0, said

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "kb", *arguments]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *arguments: str) -> tuple[int, str]:
        """The exit code, and what was said on either stream."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        return process.returncode, (out + err).decode("utf-8", "replace")

    def kill(self, duration: float, *arguments: str, after: float = 0) -> bool:
        """Start a command and kill it at a random moment of its usual life, or of a part of it; whether it lived."""
        process = self.start(*arguments)
        time.sleep(random.uniform(after, 1.05) * duration * self.pace)
        is_alive = process.poll() is None
        self.pace *= 1.01 if is_alive else 0.95  # the machine is slower or faster now than when it was timed
        process.send_signal(random.choice(SIGNALS))
        process.communicate(timeout=60)
        return is_alive

    def litter(self) -> int:
        """Temporaries anywhere, parts of an index, and snapshots too many."""
        files = [path for folder in (self.cache, self.vault) for path in folder.rglob("*") if path.is_file()]
        odd = [path for path in files if re.search(r"\.tmp$|\.part$|-journal$|-wal$", path.name)]
        return len(odd)


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes, the longer of two."""

    def once() -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    return max(once(), once())


def judge(tally: Tally, heals: bool, litter: int, said: str) -> None:
    tally.heals += heals
    tally.litter += litter
    if not heals or litter:
        tally.wrong.append(f"litter {litter}: {said.strip()[-300:]}")


def compile_cold(folder: Path, kills: int) -> Tally:
    """The first command, killed while it compiles."""
    world, tally = World(folder, 40), Tally()

    def cold() -> None:
        shutil.rmtree(world.cache, ignore_errors=True)
        world.run("list")

    duration, right = timed(cold), world.run("list", "--json")
    for _ in range(kills):
        shutil.rmtree(world.cache, ignore_errors=True)
        tally.kills, tally.hits = tally.kills + 1, tally.hits + world.kill(duration, "list")
        said = world.run("list", "--json")
        judge(tally, said == right, world.litter(), said[1])
    return tally


def compile_changed(folder: Path, kills: int) -> Tally:
    """A source that was touched or changed a moment ago: the snapshot is stamped or compiled anew."""
    world, tally, text = World(folder, 12), Tally(), ""
    first = world.data.read_text("utf-8").partition("\n")[0].removeprefix("- id: ")
    base = world.data.read_text("utf-8")

    def touch() -> None:
        os.utime(world.data, (0, time.time()))
        world.run("list")

    duration = timed(touch)
    for i in range(kills):
        if i % 2:
            text = f"Said for the {i}th time."
            world.data.write_text(
                re.sub(r"(?m)^  summary:\n    en: .*$", f"  summary:\n    en: {text}", base, count=1), "utf-8"
            )
        else:
            os.utime(world.data, (i, i))
        tally.kills, tally.hits = tally.kills + 1, tally.hits + world.kill(duration, "explain", first)
        code, said = world.run("explain", first, "--json")
        judge(tally, code == 0 and text in said and "Traceback" not in said, world.litter(), said)
    return tally


def export(folder: Path, kills: int) -> Tally:
    """A vault in which every note holds the user's words, while names and languages change."""
    world, tally = World(folder, 40), Tally()
    base, written = world.data.read_text("utf-8"), defaultdict(list)
    options = ["export", "obsidian", str(world.vault)]
    world.run(*options)
    duration = timed(lambda: (world.data.write_text(_renamed(base, 1), "utf-8"), world.run(*options)))
    for i in range(kills):
        _write_in_every_note(world.vault, written, i)
        world.data.write_text(_renamed(base, i), "utf-8")
        language = random.choice(("en", "en", "zh"))
        tally.kills, tally.hits = (
            tally.kills + 1,
            tally.hits + world.kill(duration, *options, "-L", language, after=0.6 * (i % 4 > 0)),
        )
        code, said = world.run(*options, "-L", random.choice(("en", language)))
        lost, doubles = _damage(world.vault, written)
        tally.lost, tally.doubles = tally.lost + lost, tally.doubles + doubles
        judge(
            tally,
            code == 0 and not lost and not doubles,
            world.litter(),
            f"{i}: {lost} lost, {doubles} doubles: {said}",
        )
    return tally


NAME = re.compile(r"(?m)^  name: \{en: (.*?), zh:")


def _renamed(base: str, round: int) -> str:
    """The entries with a fifth of the names changed; in two rounds of three these change places."""
    names = NAME.findall(base)
    some = random.sample(names, k=len(names) // 5)
    turned = some[1:] + some[:1] if round % 3 else [f"Concept {round} {i}" for i in range(len(some))]
    new = dict(zip(some, turned, strict=True))
    return NAME.sub(lambda match: f"  name: {{en: {new.get(match[1], match[1])}, zh:", base)


def _notes(vault: Path) -> Iterator[tuple[str, str]]:
    for path in vault.rglob("*.md"):
        text = path.read_text("utf-8")
        if match := re.search(r'^kb-id: "(.*)"$', text, re.MULTILINE):
            yield match[1], text


def _write_in_every_note(vault: Path, written: dict[str, list[str]], round: int) -> None:
    for path in sorted(vault.rglob("*.md")):
        text = path.read_text("utf-8")
        if match := re.search(r'^kb-id: "(.*)"$', text, re.MULTILINE):
            line = f"Word {round} of {match[1]}."
            mine = f"mine-{round}: {match[1]} # {round}"
            path.write_text(text.replace("\n---\n", f"\n{mine}\n---\n", 1) + line + "\n", "utf-8")
            written[match[1]] += [line, mine]


def _damage(vault: Path, written: dict[str, list[str]]) -> tuple[int, int]:
    """Lines of the user's that are gone, and notes too many of a concept or none."""
    texts: dict[str, list[str]] = defaultdict(list)
    for id, text in _notes(vault):
        texts[id].append(text)
    lost = sum(f"\n{line}\n" not in "\n".join(["", *texts[id]]) for id, lines in written.items() for line in lines)
    return lost, sum(len(texts[id]) != 1 for id in written)


def embed(folder: Path, kills: int) -> Tally:
    """The first search of a knowledge base of one's own, killed while it embeds."""
    world, tally = World(folder, 8), Tally()
    base = world.data.read_text("utf-8")
    question = ("search", "--json", "how does it learn")

    def fresh(i: int) -> None:
        """Texts that no index has yet."""
        world.data.write_text(base.replace("?\n", f" {i}?\n").replace("？\n", f" {i}？\n"), "utf-8")

    def first(i: int = 0) -> None:
        shutil.rmtree(world.cache, ignore_errors=True)
        fresh(next(count))
        world.run(*question)

    count = iter(range(10**6, 10**7))
    duration = timed(first)
    for i in range(kills):
        if i % 4 == 0:
            shutil.rmtree(world.cache, ignore_errors=True)
        fresh(i)
        world.run("list")
        tally.kills, tally.hits = tally.kills + 1, tally.hits + world.kill(duration, *question)
        healed = world.run(*question)
        shutil.copytree(world.cache, folder / "kept", dirs_exist_ok=True)
        litter = world.litter()
        shutil.rmtree(world.cache)
        judge(tally, healed[0] == 0 and _answer(healed) == _answer(world.run(*question)), litter, healed[1])
        shutil.rmtree(folder / "kept")
    return tally


def _answer(said: tuple[int, str]) -> list[tuple[str, float]]:
    """Ids and scores; texts that were embedded in other batches may differ in the last digits."""
    start = said[1].find("{")
    try:
        told = json.JSONDecoder().raw_decode(said[1][start:])[0] if start >= 0 else {"hits": []}
    except ValueError:
        return []
    return [(hit["id"], round(hit["score"], 2)) for hit in told["hits"]]


def at_once(folder: Path, rounds: int) -> Tally:
    """Sixteen first commands together, then eight exports into one vault in two languages."""
    world, tally = World(folder, 40), Tally()
    written: dict[str, list[str]] = defaultdict(list)
    right = world.run("list", "--json")[1]
    for i in range(rounds):
        shutil.rmtree(world.cache)
        running = [world.start("list", "--json") for _ in range(16)]
        said = [process.communicate(timeout=300) for process in running]
        is_right = all((out + err).decode() == right for out, err in said)
        judge(tally, is_right, world.litter(), "sixteen at once")
        if world.vault.exists():
            _write_in_every_note(world.vault, written, i)
        running = [world.start("export", "obsidian", str(world.vault), "-L", language) for language in ("en", "zh") * 4]
        said = [process.communicate(timeout=300) for process in running]
        failed = [err.decode()[-200:] for process, (_, err) in zip(running, said, strict=True) if process.returncode]
        lost, doubles = _damage(world.vault, written)
        tally.lost, tally.doubles = tally.lost + lost, tally.doubles + doubles
        judge(tally, not failed and not lost and not doubles, world.litter(), f"eight exports: {failed}")
        tally.kills += 2
        tally.hits += 2
    return tally


SCENARIOS: dict[str, tuple[Callable[[Path, int], Tally], int, int]] = {
    "compile": (compile_cold, 200, 24),
    "changed": (compile_changed, 180, 40),
    "export": (export, 200, 40),
    "embed": (embed, 60, 8),
    "at once": (at_once, 8, 1),
}
"""What runs, how often in the long form and how often in the short one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=SCENARIOS)
    options = parser.parse_args()
    random.seed(options.seed)
    total: Counter[str] = Counter()
    print(f"{'':<10}{'runs':>6}{'hits':>6}{'heals':>7}{'litter':>8}{'lost':>6}{'doubles':>9}{'s':>6}")
    for name, (scenario, long, short) in SCENARIOS.items():
        if options.only not in (None, name):
            continue
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            tally = scenario(Path(folder), short if options.short else long)
        counted = {key: getattr(tally, key) for key in ("kills", "hits", "heals", "litter", "lost", "doubles")}
        total.update(counted)
        columns = "".join(f"{n:>{w}}" for n, w in zip(counted.values(), (6, 6, 7, 8, 6, 9), strict=True))
        print(f"{name:<10}{columns}{time.perf_counter() - start:>6.0f}", flush=True)
        for wrong in tally.wrong[:5]:
            print(f"    {wrong}")
    bad = total["lost"] + total["litter"] + total["doubles"] + (total["kills"] - total["heals"])
    cost = ", ".join(f"{key} {total[key]}" for key in ("lost", "litter", "doubles"))
    print(f"{total['hits']} hits of {total['kills']}, {total['heals']} healed: {cost}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
