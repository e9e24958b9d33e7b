"""The exam that every demo sits: declarations, verdicts, devices, and the command around it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from kb.cli.app import main
from kb.cli.commands import demo as commands
from kb.cli.demos.run import constants_of
from kb.cli.ways import way_out
from kb.devices import choose_device
from kb.errors import KbError
from kb.lab.runner import Claim, all_demos, demo_named, judge, read_demo, run_demo
from kb.language.text import Bilingual

DEMOS = all_demos()
REQUIRED = (
    "transformer lstm gan vanishing-gradient batch-normalization dropout attention adam cnn resnet vae gpt "
    "knowledge-distillation federated-learning object-detection-yolo policy-gradient word2vec metrics "
    "graph-neural-network"
).split()


def claim(op: str = "<=", threshold: float = 1.0, kind: str = "trained", control: str | None = "control") -> Claim:
    return Claim("value", op, threshold, kind, control, says=Bilingual("a", "甲"))


@pytest.mark.parametrize(
    ("measured", "holds"),
    [
        ({"value": 0.5, "control": 2.0}, True),
        ({"value": 1.0, "control": 2.0}, True),
        ({"value": 1.5, "control": 2.0}, False),
        ({"value": 0.5, "control": 0.9}, False),  # a control that passes proves nothing
        ({"value": float("nan"), "control": 2.0}, False),
        ({"value": 0.5, "control": float("inf")}, True),
        ({"value": 0.5, "control": float("nan")}, False),
        ({"control": 2.0}, False),
        ({"value": 0.5}, False),
    ],
)
def test_a_claim_holds_only_beside_a_control_that_fails(measured: dict[str, float], holds: bool) -> None:
    assert judge(claim(), measured).holds is holds


def test_a_short_run_judges_identities_alone() -> None:
    measured = {"value": 0.5, "control": 2.0}
    assert judge(claim(kind="trained"), measured, full=False).holds is None
    assert judge(claim(kind="parity"), measured, full=False).holds is True
    assert judge(claim(kind="timing", control=None), measured).holds is None


def test_the_promised_demos_are_there() -> None:
    assert set(REQUIRED) <= {demo.id for demo in DEMOS}
    assert len(DEMOS) >= 24


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.id)
def test_what_a_demo_declares_is_complete(demo) -> None:  # type: ignore[no-untyped-def]  # a Demo
    assert demo.claims
    assert demo.title.en and demo.title.zh
    assert demo.steps >= 1
    for claim in demo.claims:
        assert re.search(r"[\u4e00-\u9fff]", claim.says.zh)
        assert not re.search(r"[\u4e00-\u9fff]", claim.says.en)
    assert any(claim.is_judged for claim in demo.claims)
    source = demo.path.read_text("utf-8")
    assert "\nSource:" in source
    assert "CPU_SECONDS" in source


def test_a_demo_without_declarations_is_a_defect(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("TITLE = {}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="declares"):
        read_demo(path)


def test_a_device_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(KbError, match="no device 'cuda:99' here") as raised:
        choose_device("cuda:99")
    assert "cpu" in way_out(raised.value).en
    assert choose_device("cpu") == "cpu"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["demo", *arguments])
    return int(ended.value.code or 0)


def test_a_quick_run_reports_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("LSTM", "--quick", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["demo"] == "lstm"
    assert report["holds"] is True
    assert {verdict["kind"]: verdict["holds"] for verdict in report["claims"]} == {"trained": None, "parity": True}
    assert report["steps"] < demo_named("lstm").steps


def test_a_run_that_judges_nothing_is_no_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "short.py"
    path.write_text(
        "TITLE = {'en': 'Short', 'zh': '短'}\nCLAIMS = {'trained x <= 1 < y': {'en': 'x', 'zh': '值'}}\n"
        "def run(device='cpu', seed=0, steps=9):\n    yield 1.0, {}\n    return {'x': 0, 'y': 2}, {}\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(commands, "find_demo", lambda *_: (read_demo(path), None))
    assert run("short", "--quick") == 3
    assert run("short") == 0


@pytest.mark.demo
def test_two_runs_with_one_seed_measure_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    for _ in range(2):
        run("vanishing-gradient", "--quick", "--seed", "3", "--json")
        seen.append(json.loads(capsys.readouterr().out)["measured"])
    assert seen[0] == seen[1]


def test_a_plot_is_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "lstm.png"
    run("lstm", "--quick", "--plot", str(target))
    assert target.read_bytes().startswith(b"\x89PNG")
    assert run("lstm", "--quick", "--plot", str(tmp_path / "none" / "x.png")) == 1
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.demo
def test_an_ejected_demo_runs_with_torch_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "mine.py"
    assert run("lstm", "--eject", str(target)) == 0
    assert run("lstm", "--eject", str(target)) == 1, "it must not overwrite"
    assert "exists" in capsys.readouterr().err
    command = [sys.executable, str(target), "--steps", "2"]
    world = {"PATH": "", "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=world)
    assert done.returncode == 0, done.stderr
    capsys.readouterr()
    assert run("lstm", "--steps", "2", "--json") == 0
    said = {True: "holds", False: "FAILS", None: "not judged"}
    for claim in json.loads(capsys.readouterr().out)["claims"]:  # kb measures and judges the same
        value = f"{claim['value']:.4g} {claim['op']} {claim['threshold']}, control {claim['control_value']:.4g}"
        assert f"{said[claim['holds']]}: {claim['name']} = {value} " in done.stdout


def test_the_code_is_the_concept_first_and_all_of_it_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    source = (ROOT / "kb" / "demos" / "lstm.py").read_text("utf-8")
    assert run("lstm", "--code") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("# LSTM — a gated cell state")
    assert "class LSTM" in shown.out
    assert "class RNN" not in shown.out
    assert "--code --all" in shown.err
    assert run("lstm", "--code", "--all") == 0
    assert capsys.readouterr().out == source


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["lstm", "--quick", "--steps", "3"], "not together with --quick"),
        (["lstm", "--all"], "not together with NAME"),
        (["--all", "--plot", "x.png"], "not together with --all"),
        (["--all", "--set", "LENGTH=3"], "not together with --all"),
        (["lstm", "--code", "--eject", "x.py"], "not together with --code"),
        (["lstm", "--code", "--plot", "x.png"], "not together with --code"),
        (["lstm", "--eject", "x.py", "--steps", "3"], "not together with --eject"),
        (["lstm", "--list"], "not together with NAME"),
        (["lstm", "--seeds", "3"], "only with --all"),
        (["lstm", "--set", "LENGTH"], "write NAME=VALUE"),
        (["lstm", "--compare", "gru", "--code"], "not together with --code"),
        (["--all", "--compare", "gru"], "not together with --all"),
        (["lstm", "--scale", "2", "--set", "LENGTH=3"], "not together with --set"),
        (["lstm", "--scale", "2", "--compare", "gru"], "not together with --compare"),
    ],
)
def test_options_that_contradict_each_other_are_an_error(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*options) == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_constant_may_be_another_and_then_nothing_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("lstm", "--set", "LENGTH=6", "--set", "BATCH=4", "--steps", "5", "--json") == 3
    report = json.loads(capsys.readouterr().out)
    assert {claim["holds"] for claim in report["claims"]} == {None}
    assert report["measured"]["lstm_mse"] > 0
    run("lstm", "--steps", "5", "--json")
    assert json.loads(capsys.readouterr().out)["measured"]["lstm_mse"] != report["measured"]["lstm_mse"]


@pytest.mark.parametrize(
    ("given", "said", "way"),
    [
        ("DEPTH=3", "lstm has no constant 'DEPTH'", "there are LENGTH=60, HIDDEN=32, BATCH=32"),
        ("LENGTH=long", "LENGTH is a whole number, not 'long'", "by default 60"),
        ("LENGTH=2.5", "LENGTH is a whole number, not '2.5'", "by default 60"),
    ],
)
def test_a_constant_that_is_none_is_told(given: str, said: str, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("lstm", "--set", given) == 1
    told = capsys.readouterr().err
    assert said in told
    assert way in told


def test_constants_keep_their_kind(tmp_path: Path) -> None:
    path = tmp_path / "kinds.py"
    path.write_text(
        "A, B, NAME, ON = 1, 0.5, 'x', True\nPAIR = (1, 2)\nMADE = len('abc')\n"
        "TITLE = {'en': 'Kinds', 'zh': '种'}\nCLAIMS = {'trained x <= 1 < y': {'en': 'x', 'zh': '值'}}\n"
        "def run(device='cpu', seed=0, steps=9):\n    yield 1.0, {}\n"
        "    return {'x': A + B + len(NAME) + ON, 'y': 9}, {}\n",
        encoding="utf-8",
    )
    demo = read_demo(path)
    assert demo.constants == {"A": 1, "B": 0.5, "NAME": "x", "ON": True}
    asked = constants_of(demo, {"A": "3", "B": "1e-1", "NAME": "long", "ON": "False"})
    assert asked == {"A": 3, "B": 0.1, "NAME": "long", "ON": False}
    assert run_demo(demo).measured["x"] == 3.5
    assert run_demo(demo, constants=asked).measured["x"] == pytest.approx(7.1)
    assert run_demo(demo, constants=asked).outcome is None


def test_the_asked_concept_is_told_what_to_look_at(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, is_told in (("recurrent neural network", True), ("lstm", False)):
        run(*name.split(), "--quick", "--device", "cpu", "--data", str(sample))
        assert ("It does not get past guessing." in capsys.readouterr().out) is is_told


def test_a_hundred_points_are_heard_and_the_last_of_them(tmp_path: Path) -> None:
    path = tmp_path / "many.py"
    path.write_text(
        "TITLE = {'en': 'Many', 'zh': '多'}\nCLAIMS = {'trained x <= 1 < y': {'en': 'x', 'zh': '值'}}\n"
        "def run(device='cpu', seed=0, steps=5003):\n    for i in range(steps):\n"
        "        yield (i + 1) / steps, {'i': i}\n    return {'x': 0, 'y': 2}, {}\n",
        encoding="utf-8",
    )
    heard: list[float] = []
    run_demo(read_demo(path), listen=lambda _, points: heard.append(points["i"]))
    assert 95 <= len(heard) <= 103
    assert heard[-1] == 5002
    assert len(set(heard)) == len(heard)
