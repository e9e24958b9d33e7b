"""What the cards show as measured is what the demos give: of the files as they are, within what five seeds spread."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from kb.lab.measured import Margin, _file, hash_of, margins, of_demo, shown, summary
from kb.lab.runner import Claim, Demo, Report, Verdict, demo_ids, demo_named, run_demo
from kb.language.text import Bilingual

KEPT = json.loads((ROOT / "data" / "measured.json").read_text("utf-8"))
THIRDS = 3
"""One demo of each third is run again, another each time."""


def test_the_gallery_shows_every_demo_as_it_is() -> None:
    """Where this fails: python scripts/build_gallery.py."""
    command = [sys.executable, str(ROOT / "scripts" / "build_gallery.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    pictures = list((ROOT / "docs" / "gallery").glob("*.png"))
    assert {path.stem for path in pictures} == set(demo_ids())
    assert max(path.stat().st_size for path in pictures) <= 60_000


def test_every_demo_that_was_measured_is_as_it_was_then() -> None:
    """Where this fails: python scripts/measure.py."""
    changed = [id for id, of_it in KEPT["demos"].items() if of_it["hash"] != hash_of(demo_named(id).path)]
    assert changed == []


def test_no_claim_failed_when_it_was_measured() -> None:
    """Values are kept to four digits, so a threshold that is met to the unit is met to a thousandth here."""
    for id, of_it in KEPT["demos"].items():
        for name, claim in of_it["claims"].items():
            if claim["kind"] in ("parity", "trained"):
                sign, slack = (1 if claim["op"] == "<=" else -1), 1e-3 * abs(claim["threshold"])
                assert all(sign * (value - claim["threshold"]) <= slack for value in claim["values"]), (id, name)
                assert all(sign * (value - claim["threshold"]) > -slack for value in claim["controls"]), (id, name)


@pytest.mark.demo
@pytest.mark.parametrize("third", range(THIRDS))
def test_a_demo_measures_again_what_was_kept(third: int) -> None:
    id = random.Random().choice(sorted(KEPT["demos"])[third::THIRDS])  # drawn here: all workers collect the same tests
    seed = random.Random().randrange(KEPT["seeds"])
    report = run_demo(demo_named(id), seed=seed)
    for verdict in report.verdicts:
        kept = KEPT["demos"][id]["claims"][verdict.claim.name]
        if verdict.claim.kind == "trained" and verdict.value is not None:
            spread = max(kept["values"]) - min(kept["values"])
            near = max(spread, 0.05 * abs(kept["values"][seed]), 1e-6)
            assert abs(verdict.value - kept["values"][seed]) <= near, (id, verdict.claim.name, seed)
        assert verdict.holds is not False, (id, verdict.claim.name, seed)


def report(value: float, control: float, seed: int) -> Report:
    """A run with one claim, value <= 1 < control."""
    claim = Claim("x", "<=", 1.0, "trained", "y", says=Bilingual("it is small", "很小"))
    demo = Demo("short", Bilingual("S", "短"), (claim,), 9, 1.0, {}, demo_named("lstm").path)
    verdict = Verdict(claim, value, control, value <= 1 < control)
    return Report(demo, "cpu", seed, 9, (verdict,), {"x": value, "y": control}, {}, 1.0 + seed, 1.0)


def test_a_margin_is_the_shorter_way_of_the_worst_runs() -> None:
    runs = [report(0.2, 3.0, 0), report(0.6, 5.0, 1), report(0.4, 2.6, 2)]
    assert margins(runs) == [Margin("x", pytest.approx(0.2))]
    assert margins([report(0.6, 1.2, 0)]) == [Margin("x", pytest.approx(1 / 3))]
    assert margins([]) == []


def test_a_card_shows_the_middle_and_the_worst_of_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = summary([report(0.2, 3.0, 0), report(0.61234, 5.0, 1), report(0.4, 2.6, 2)])
    assert kept["seconds"] == 2.0
    assert kept["claims"]["x"]["values"] == [0.2, 0.6123, 0.4]
    monkeypatch.setattr("kb.lab.measured.of_demo", {"short": kept}.__getitem__)
    told = shown("short", "x")
    assert told is not None
    assert (told["value"], told["worst"], told["control"], told["seeds"]) == (0.4, 0.6123, 3.0, 3)
    assert shown("short", "z") is None
    assert shown(None, None) is None


def test_a_demo_is_known_by_its_file_and_the_exam(tmp_path: Path) -> None:
    def state(demo: str, exam: str) -> str:
        (tmp_path / "it.py").write_text(demo)
        (tmp_path / "_exam.py").write_text(exam)
        return hash_of(tmp_path / "it.py")

    found = [state("a", "b"), state("a", "c"), state("d", "b")]
    assert found[0] == hashlib.sha256(b"ab").hexdigest()[:16]
    assert len(set(found)) == 3


def test_a_demo_is_found_in_the_file_by_its_line() -> None:
    assert {id: of_demo(id) for id in KEPT["demos"]} == KEPT["demos"]
    assert of_demo("no-such") == of_demo('"') == of_demo("") == {}


def test_without_the_file_nothing_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    _file.cache_clear()
    monkeypatch.setattr("kb.lab.measured.shipped_data", lambda: Path("/nowhere"))
    assert of_demo("lstm") == {}
    _file.cache_clear()
