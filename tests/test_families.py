"""Demos beside each other: two of a family in one figure, and one in its larger form beside the CPU."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kb.cli.app import main
from kb.cli.demos.run import Run
from kb.lab.compare import common_figure
from kb.lab.runner import Demo, Report, demo_named


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["demo", *arguments])
    return int(ended.value.code or 0)


@pytest.mark.demo
def test_two_demos_of_a_family_stand_in_one_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "both.png"
    assert run("adam", "--compare", "sgd", "--quick", "--plot", str(target)) == 0
    shown = capsys.readouterr().out
    assert shown.count("loss on a ravine") == 1
    for name in ("Adam", "Adagrad", "SGD, one of two samples a step"):
        assert f" {name} " in shown[shown.index("loss on a ravine") :]
    assert target.read_bytes().startswith(b"\x89PNG")
    assert run("adam", "--compare", "sgd-minibatch", "--quick", "--json") == 0
    assert [report["demo"] for report in json.loads(capsys.readouterr().out)] == ["adam", "sgd-minibatch"]


def test_a_series_that_both_draw_alike_stands_once() -> None:
    def report(id: str, *points: float) -> Report:
        drawn = {"kind": "lines", "series": {"same": ([1], [2.0]), "own": ([1], points)}, "x": "step"}
        return Report(
            replace(demo_named("lstm"), id=id, common="it"),
            "cpu",
            0,
            40,
            (),
            {},
            {"it": drawn, "else": drawn},
            1.0,
            1.0,
        )

    figure = common_figure(report("one", 3.0), report("other", 4.0))
    series = {"same": [[1], [2.0]], "own": [[1], [3.0]], "own (other)": [[1], [4.0]]}
    assert figure == {"it": {"kind": "lines", "series": series, "x": "step"}}


@pytest.mark.demo
def test_a_larger_form_is_not_judged_and_tells_its_pace(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("diffusion-ddpm", "--scale", "2", "--steps", "4") == 3
    shown = capsys.readouterr().out
    assert "HIDDEN = 192, BATCH = 512; cpu (one thread) " in shown
    assert "steps a second" in shown
    assert "holds" not in shown
    assert run("adam", "--scale", "2") == 1
    assert "adam has no larger form" in (said := capsys.readouterr().err)
    assert "transformer" in said


def test_a_larger_form_on_another_device_stands_beside_the_cpu(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    def watched(_: object, demo: Demo, run: Run) -> tuple[Report, None]:
        runs.append((run.device, run.steps_of(demo), dict(run.constants)))
        pace = {"cuda:0": 1234.5, "cpu": 2.5}[run.device]
        return Report(demo, run.device, 0, 400, (), {}, {}, 1.0, 1.0, pace), None

    monkeypatch.setattr("kb.cli.demos.scale.watched", watched)
    assert run("gpt", "--scale", "3", "--device", "cuda:0") == 3
    larger = {"WIDTH": "96", "BATCH": "96"}
    assert runs == [("cuda:0", None, larger), ("cpu", 20, larger)]
    told = " ".join(capsys.readouterr().out.split())
    assert told.endswith("WIDTH = 96, BATCH = 96; cuda:0 1,234 steps a second; cpu (one thread) 2.5 steps a second")


def test_a_device_that_is_full_is_one_line_with_a_way_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 80 GiB")

    monkeypatch.setattr("kb.cli.demos.run.run_demo", full)
    assert run("transformer", "--scale", "64") == 1
    assert capsys.readouterr().err.splitlines() == [
        "kb: transformer ran out of memory on cpu",
        "    a smaller --scale takes less, --device cpu another memory",
    ]
    assert run("lstm") == 1
    assert "--set" in capsys.readouterr().err
