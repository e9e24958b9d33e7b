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
from kb.cli.ways import way_out
from kb.devices import choose_device
from kb.errors import KbError
from kb.lab.runner import Claim, all_demos, demo_named, judge, read_demo
from kb.language.text import Bilingual

DEMOS = all_demos()
REQUIRED = (
    "transformer lstm gan vanishing-gradient batch-normalization dropout attention adam cnn resnet vae gpt "
    "knowledge-distillation federated-learning object-detection-yolo policy-gradient word2vec metrics "
    "graph-neural-network"
).split()


def claim(op: str = "<=", threshold: float = 1.0, kind: str = "trained", control: str | None = "control") -> Claim:
    return Claim("value", op, threshold, kind, control, Bilingual("a", "甲"))


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
    assert "\nClaim:" in source and "\nSource:" in source and "\nRun:" in source
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
    monkeypatch.setattr(commands, "find_demo", lambda *_: read_demo(path))
    assert run("short", "--quick") == 3
    assert run("short") == 0


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


def test_code_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("lstm", "--code") == 0
    assert capsys.readouterr().out.strip() == (ROOT / "kb" / "demos" / "lstm.py").read_text("utf-8").strip()
