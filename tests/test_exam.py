"""The exam: chains are read, claims judged, and a demo that runs alone says what kb says of it."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from kb.cli.app import main
from kb.cli.demos import every
from kb.demos import _exam
from kb.demos._exam import KINDS, OPERATORS, Rule, judge, outcome, read_rule
from kb.lab.eject import one_file
from kb.lab.runner import Report, all_demos, read_demo, run_demo

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**20), 10**20)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Any rule; some with a floor for the control, beyond the threshold."""
    op, threshold, away = draw(st.sampled_from(sorted(OPERATORS))), draw(NUMBERS), draw(st.none() | NUMBERS)
    if away is not None and (away == threshold or (away > threshold) != (op == "<=")):
        away = None
    names = draw(NAMES.map("v".__add__)), draw(NAMES.map("c".__add__))
    return Rule(names[0], op, threshold, draw(st.sampled_from(KINDS)), names[1], away)


RULES = rules()


def chain(rule: Rule) -> str:
    """The rule as a demo writes it."""
    beside = f" {rule.op[0]} {rule.control}" if rule.control else ""
    floor = "" if rule.floor is None else f" {rule.op} {rule.floor}"
    return f"{rule.kind} {rule.name} {rule.op} {rule.threshold}{beside}{floor}"


@given(RULES)
def test_a_chain_reads_back_as_its_rule(rule: Rule) -> None:
    read = read_rule(chain(rule))
    assert read == rule
    assert type(read.threshold) is type(rule.threshold)


WORDS = st.sampled_from([*KINDS, *OPERATORS, "<", ">", "x", "y", "1", "-0.5", "1e-10", "nan", "inf", "1e999", "１", ""])


@given(st.text() | st.lists(WORDS | st.text(), min_size=3, max_size=9).map(" ".join))
def test_any_text_is_a_rule_or_said_to_be_none(text: str) -> None:
    try:
        rule = read_rule(text)
    except ValueError as fault:
        assert repr(text) in str(fault)
    else:
        assert read_rule(chain(rule)) == rule
        assert math.isfinite(rule.threshold)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lstm_mse <= 0.01", "is no claim: write 'kind value <= threshold < control'"),
        ("learned x <= 1 < y", "the kind 'learned' is none of parity, trained, constant, timing"),
        ("trained x < 1 <= y", "'<' is neither <= nor >="),
        ("trained x <= 1 > y", "<= goes on with <, then <=, not with >"),
        ("trained x >= 1 >= y", ">= goes on with >, then >=, not with >="),
        ("trained x >= 3 > y > 1", ">= goes on with >, then >=, not with > and >"),
        ("trained x >= 1 > y >= 3", "a control at 3 keeps the rule"),
        ("trained x >= 1 > y >= z", "'z' is no number"),
        ("trained x >= 1 > y >=", "is no claim: write 'kind value <= threshold < control'"),
        ("trained x <= one < y", "'one' is no number"),
        ("trained x <= 1e999 < y", "'1e999' is no number"),
        ("trained x <= 1 < x", "x is its own control"),
        ("trained x-y <= 1 < z", "are not both names"),
        ("trained x <= 1 < 2", "are not both names"),
        ("trained x <= 1", "what is trained needs a control"),
        ("parity x <= 1", "what is parity needs a control"),
    ],
)
def test_what_is_wrong_with_a_chain_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError) as raised:
        read_rule(text)
    assert said in str(raised.value)
    assert repr(text) in str(raised.value)


def test_what_is_never_judged_needs_no_control() -> None:
    assert read_rule("constant cycles <= 46") == Rule("cycles", "<=", 46, "constant", None)
    assert read_rule("timing speedup >= 20 > again").control == "again"


ANY = st.none() | st.floats() | st.just(1.0)


@given(RULES, ANY, ANY, st.booleans())
def test_a_claim_holds_where_its_value_meets_the_rule_and_its_control_does_not(
    rule: Rule, value: float | None, control: float | None, full: bool
) -> None:
    given = {rule.name: value, rule.control: control}
    measured = {name: number for name, number in given.items() if name is not None and number is not None}
    holds = judge(rule, measured, full=full)
    assert (holds is None) == (rule.kind in ("constant", "timing") or (rule.kind == "trained" and not full))
    if holds is None:
        return
    if value is None or control is None:
        assert not holds
        return
    sign = 1 if rule.op == "<=" else -1
    floor = math.inf if rule.floor is None else sign * rule.floor
    assert holds == (sign * value <= sign * rule.threshold < sign * control <= floor)


def test_a_control_has_to_reach_its_floor() -> None:
    rule = read_rule("trained error <= 0.1 < rival <= 0.5")
    assert judge(rule, {"error": 0.1, "rival": 0.5})
    assert not judge(rule, {"error": 0.1, "rival": 0.51})
    assert judge(read_rule("trained error <= 0.1 < rival"), {"error": 0.1, "rival": 0.51})
    rising = read_rule("trained right >= 0.9 > rival >= 0.5")
    assert judge(rising, {"right": 0.9, "rival": 0.5})
    assert not judge(rising, {"right": 0.9, "rival": 0.49})


@pytest.mark.parametrize(
    ("judged", "comes_to"),
    [([True, None], True), ([True, False], False), ([None, False], False), ([None, None], None), ([], None)],
)
def test_a_run_in_which_nothing_was_judged_does_not_hold(judged: list[bool | None], comes_to: bool | None) -> None:
    assert outcome(judged) is comes_to


def test_runs_are_prepared_to_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    _exam.prepare("cuda:1")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cudnn.benchmark
    _exam.prepare("cpu")
    assert torch.get_num_threads() == 1


# Demos as processes of their own

DEMO = '''"""Small — what a demo is made of."""

TITLE = {"en": "Small", "zh": "小"}
CPU_SECONDS = 1
CLAIMS = {
    "trained error <= 0.5 < guess": {"en": "the error", "zh": "误差"},
    "parity gap <= 1e-10 < swapped": {"en": "the gap", "zh": "差距"},
    "constant cells <= 4": {"en": "the cells", "zh": "单元数"},
    "timing speed >= 20 > again": {"en": "the speed", "zh": "速度"},
}


def judge(steps):  # a name that the exam has too
    return 1 / steps


def run(device="cpu", seed=0, steps=4):
    for step in range(steps):
        yield (step + 1) / steps, {"loss": judge(step + 1)}
    measured = {"error": judge(steps), "guess": 2, "gap": 0.0, "swapped": 1.0, "cells": 4.0, "speed": 9.0}
    return measured, {}


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
'''
BROKEN = {
    "the value": ('"error": judge(steps)', '"error": 0.6', 1),
    "the control": ('"guess": 2', '"guess": 0.5', 1),
    "no value": ('"gap": 0.0, ', "", 1),
    "no control": (', "swapped": 1.0', "", 1),
    "a control that is nan": ('"guess": 2', '"guess": float("nan")', 1),
    "a parity in a short run": ('"gap": 0.0', '"gap": 1.0', 1),
    "a package that is not here": ("CPU_SECONDS", 'NEEDS = {"no_such": "pip install no-such"}\nCPU_SECONDS', 3),
}


def sits(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A demo run alone, where kb is not to be found."""
    command = [sys.executable, str(path), *arguments]
    world = {"PATH": "", "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=path.anchor, env=world, capture_output=True, text=True, timeout=120)


def small(folder: Path, name: str = "small", old: str = "", new: str = "") -> Path:
    """A small demo beside its exam, with a text in it replaced."""
    assert old in DEMO
    folder.mkdir(exist_ok=True)
    shutil.copy(_exam.__file__, folder)
    path = folder / f"{name}.py"
    path.write_text(DEMO.replace(old, new, 1), encoding="utf-8")
    return path


def lines(path: Path, steps: int) -> list[str]:
    """What the exam is to say, from what kb judges."""
    said = {True: "holds", False: "FAILS", None: "not judged"}
    return [
        f"{said[verdict.holds]}: {verdict.claim.name} = " for verdict in run_demo(read_demo(path), steps=steps).verdicts
    ]


def test_a_good_demo_passes_alone_from_any_folder(tmp_path: Path) -> None:
    done = sits(small(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        " 25% {'loss': 1.0}",
        " 50% {'loss': 0.5}",
        " 75% {'loss': 0.3333333333333333}",
        "100% {'loss': 0.25}",
        "holds: error = 0.25 <= 0.5, control 2 (the error)",
        "holds: gap = 0 <= 1e-10, control 1 (the gap)",
        "not judged: cells = 4 <= 4 (the cells)",
        "not judged: speed = 9 >= 20, control missing (the speed)",
    ]


def test_a_run_is_prepared_alone_and_in_kb(tmp_path: Path) -> None:
    import torch

    path = small(tmp_path, "small", '"gap": 0.0', '"gap": __import__("torch").backends.cudnn.allow_tf32')
    torch.backends.cudnn.allow_tf32 = True
    assert run_demo(read_demo(path)).measured["gap"] == 0
    assert "holds: gap = 0 " in sits(path).stdout


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_demo_fails_alone_and_in_kb_alike(what: str, tmp_path: Path) -> None:
    old, new, code = BROKEN[what]
    path, steps = small(tmp_path, "small", old, new), 3 if "short run" in what else 4
    done = sits(path, "--steps", str(steps))
    assert done.returncode == code, done.stderr
    if code == 3:
        assert "it needs: pip install no-such" in done.stderr
        assert read_demo(path).missing == ["pip install no-such"]
        return
    told = [line for line in done.stdout.splitlines() if "%" not in line]
    assert all(line.startswith(start) for line, start in zip(told, lines(path, steps), strict=True)), done.stdout


def test_a_short_run_without_identities_is_no_pass(tmp_path: Path) -> None:
    path = small(tmp_path, "small", "parity gap", "trained gap")
    done = sits(path, "--steps", "3")
    assert done.returncode == 3
    assert "holds" not in done.stdout
    report = run_demo(read_demo(path), steps=3)
    assert (report.outcome, report.holds, report.exit_code) == (None, False, 3)
    assert run_demo(read_demo(path)).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [("--steps", "0"), ("--seed", "-1"), ("--seed", str(2**31)), ("--device", "banana"), ("--epochs", "3")],
    ids=" ".join,
)
def test_what_an_exam_cannot_do_is_a_usage_error(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = sits(small(tmp_path), *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_what_is_trained_is_judged_at_the_full_budget(tmp_path: Path) -> None:
    demo = read_demo(small(tmp_path))
    assert [verdict.holds for verdict in run_demo(demo).verdicts] == [True, True, None, None]
    assert [verdict.holds for verdict in run_demo(demo, steps=9).verdicts] == [True, True, None, None]
    assert [verdict.holds for verdict in run_demo(demo, steps=3).verdicts] == [None, True, None, None]


def test_a_demo_says_where_its_claim_is_none(tmp_path: Path) -> None:
    path = small(tmp_path, "small", "trained error", "learned error")
    with pytest.raises(ValueError, match=r"small\.py: .*the kind 'learned' is none of"):
        read_demo(path)


# Ejected: one file


@pytest.mark.slow
def test_an_ejected_demo_runs_with_nothing_beside_it(tmp_path: Path) -> None:
    path = small(tmp_path / "demos")
    alone = tmp_path / "alone" / "mine.py"
    alone.parent.mkdir()
    alone.write_text(one_file(read_demo(path)), encoding="utf-8")
    for arguments in ([], ["--steps", "3"], ["--steps", "1", "--seed", "x"]):
        here, there = sits(alone, *arguments), sits(path, *arguments)
        assert (here.returncode, here.stdout) == (there.returncode, there.stdout)


@pytest.mark.parametrize("demo", all_demos(), ids=lambda demo: demo.id)
def test_every_demo_can_be_written_to_one_file(demo) -> None:  # type: ignore[no-untyped-def]  # a Demo
    source = one_file(demo)
    compile(source, demo.id, "exec")
    assert "import sit" not in source
    assert source.startswith(demo.path.read_text("utf-8").partition('if __name__ == "__main__"')[0])
    assert max(map(len, source.splitlines())) <= 120


def test_a_demo_that_does_not_end_with_its_exam_is_a_defect(tmp_path: Path) -> None:
    path = small(tmp_path, "small", "    from _exam import sit\n\n    sit(run, CLAIMS)\n", "    run()\n")
    with pytest.raises(ValueError, match="ends with its exam"):
        one_file(read_demo(path))


# All at once

DRIVER = """
import signal
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run in the background, where it is ignored
from kb.cli.demos import every
from kb.lab.runner import read_demo
every.all_demos = lambda: [read_demo(path) for path in Path(__file__).with_name("demos").glob("[!_]*.py")]
if __name__ == "__main__":
    from kb.cli.entry import run
    run()
"""


@contextmanager
def all_of(tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`kb demo --all` begun, with the demos in a folder of the test's own; whatever happens, it ends."""
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER, encoding="utf-8")
    command = [sys.executable, str(driver), "demo", "--all", *arguments]
    world = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    running = subprocess.Popen(command, cwd=tmp_path, env=world, stdout=pipe, stderr=pipe, encoding="utf-8")
    try:
        yield running
    finally:
        running.kill()


@pytest.mark.demo
def test_a_demo_that_raises_is_a_row_and_the_others_go_on(tmp_path: Path) -> None:
    demos = tmp_path / "demos"
    small(demos, "good")
    small(demos, "raises", "    for step", '    raise ValueError("no [/such]\\nluck")\n    for step')
    small(demos, "leaves", "    for step", "    raise SystemExit(0)\n    for step")
    small(demos, "fails", '"guess": 2', '"guess": 0.5')
    small(demos, "lacks", "CPU_SECONDS", 'NEEDS = {"no_such": "pip install no-such"}\nCPU_SECONDS')
    with all_of(tmp_path, "-j", "1", "--json") as running:
        out, err = running.communicate(timeout=180)
    assert running.returncode == 1, err
    rows = {row["demo"]: row for row in json.loads(out)}
    assert list(rows) == ["fails", "good", "lacks", "leaves", "raises"]
    assert rows["good"]["holds"] is True
    assert rows["fails"]["holds"] is False
    assert rows["lacks"] == {"demo": "lacks", "skipped": "pip install no-such"}
    assert rows["leaves"] == {"demo": "leaves", "error": "SystemExit: 0"}
    assert rows["raises"] == {"demo": "raises", "error": "ValueError: no [/such]\nluck"}
    assert "/4] raises: error" in err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("demos", "arguments", "code", "said"),
    [
        ({"good": ("", ""), "lacks": ("CPU_SEC", 'NEEDS = {"no_such": "pip"}\nCPU_SEC')}, [], 0, ("成立", "跳过")),
        ({"good": ("", ""), "fails": ('"guess": 2', '"guess": 0.5')}, [], 1, ("不成立", "成立", "error")),
        (
            {"good": ("", ""), "raises": ("return", 'raise ValueError("[/luck]")\n    return')},
            [],
            1,
            ("出错", "[/luck]"),
        ),
        ({"short": ("parity gap", "trained gap")}, ["--quick"], 3, ("未判定",)),
        ({"short": ("parity gap", "trained gap"), "good": ("", "")}, ["--quick"], 0, ("未判定", "成立")),
    ],
    ids=["holds", "fails", "raises", "not judged", "some judged"],
)
def test_all_demos_pass_where_none_fails_and_something_holds(
    demos: dict[str, tuple[str, str]], arguments: list[str], code: int, said: tuple[str, ...], tmp_path: Path
) -> None:
    for name, (old, new) in demos.items():
        small(tmp_path / "demos", name, old, new)
    with all_of(tmp_path, "--lang", "zh", *arguments) as running:
        out, err = running.communicate(timeout=180)
    assert running.returncode == code, err
    rows = [line for line in out.splitlines() if line.split()[:1] and line.split()[0] in demos]
    assert len(rows) == len(demos)
    assert all(word in out for word in said)


@pytest.mark.demo
def test_ctrl_c_shows_what_is_done(tmp_path: Path) -> None:
    small(tmp_path / "demos", "quick", "CPU_SECONDS = 1", "CPU_SECONDS = 9")
    small(tmp_path / "demos", "endless", "    for step", "    import time\n    time.sleep(90)\n    for step")
    with all_of(tmp_path, "-j", "1") as running:
        assert running.stderr is not None
        assert "[1/2] quick: holds" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert [line.split()[0] for line in out.splitlines() if line.strip()][-1] == "quick"
    assert "endless" not in out
    assert "Traceback" not in err


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_ctrl_c_before_anything_is_done_says_nothing(
    form: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> Iterator[Report]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(every, "_reports", interrupted)
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--all", "--device", "cpu", *form])
    assert ended.value.code == 130
    assert capsys.readouterr() == ("", "")
