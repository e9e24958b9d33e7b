"""What leaves the lab: a report in JSON, a demo as one file, and what its figures look like."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import nbformat
import pytest
from rich.console import Console

from kb.demos import _exam
from kb.lab.cells import cells, concept
from kb.lab.eject import LAST, notebook, one_file
from kb.lab.figures import compose
from kb.lab.runner import Demo, Report, demo_named, judge, read_demo, run_demo
from kb.show.report import render_report

DECLARED = """TITLE = {"en": "Short", "zh": "短"}
CLAIMS = {
    "trained loss <= 1 < worse <= 99": {"en": "it learns", "zh": "能学会"},
    "parity same <= 0 < other": {"en": "s", "zh": "同"},
}
"""
RUN = """
def run(device="cpu", seed=0, steps=40):
    yield 0.5, {"loss": 2.0}
    return {"loss": seed, "worse": steps, "same": 0, "other": len(device)}, {"map": {"kind": "table"}}
"""
SITTING = '\nif __name__ == "__main__":\n    from _exam import sit\n\n    sit(run)\n'


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    path = tmp_path / "a_short_one.py"
    path.write_text(DECLARED + RUN + SITTING, encoding="utf-8")
    return read_demo(path)


def test_what_a_demo_leaves_open_has_its_default(demo: Demo) -> None:
    assert (demo.id, demo.steps, demo.cpu_seconds, demo.needs) == ("a-short-one", 40, 10.0, {})
    assert (demo.title.en, demo.title.zh, demo.claims[0].says.zh) == ("Short", "短", "能学会")


def test_what_a_demo_declares_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(DECLARED + 'CPU_SECONDS = 3\nNEEDS = {"x": "pip install x"}\n' + RUN, encoding="utf-8")
    demo = read_demo(path)
    assert (demo.cpu_seconds, demo.needs) == (3.0, {"x": "pip install x"})


@pytest.mark.parametrize("missing", ["TITLE", "CLAIMS", "run"])
def test_each_declaration_is_needed(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text((DECLARED + RUN).replace(f"{missing} = ", "X = ").replace(f"def {missing}(", "def x("), "utf-8")
    with pytest.raises(ValueError, match=r"mine\.py: a demo declares TITLE, CLAIMS and run"):
        read_demo(path)


def test_a_rule_that_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text((DECLARED + RUN).replace("trained loss <=", "sometimes loss"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"mine\.py: .*sometimes"):
        read_demo(path)


def test_a_demo_gets_its_seed_its_steps_and_its_device(demo: Demo) -> None:
    heard: list[Any] = []
    report = run_demo(demo, seed=7, steps=3, listen=lambda *point: heard.append(point))
    assert report.measured == {"loss": 7.0, "worse": 3.0, "same": 0.0, "other": 3.0}
    assert (report.seed, report.steps, report.device) == (7, 3, "cpu")
    assert heard == [(0.5, {"loss": 2.0})]
    usual = run_demo(demo)
    assert (usual.measured["loss"], usual.steps, usual.seed, usual.device) == (0.0, 40, 0, "cpu")


def test_trained_claims_are_judged_from_the_usual_steps_on(demo: Demo) -> None:
    assert [verdict.holds for verdict in run_demo(demo, steps=39).verdicts] == [None, True]
    assert [verdict.holds for verdict in run_demo(demo, steps=40).verdicts] == [True, True]
    assert [verdict.holds for verdict in run_demo(demo, steps=41).verdicts] == [True, True]


def test_a_report_says_in_json_all_that_was_claimed_and_measured(demo: Demo) -> None:
    measured = {"loss": 0.5, "worse": 2.0, "same": 0.0, "other": 4.0}
    verdicts = tuple(judge(claim, measured, full=False) for claim in demo.claims)
    report = Report(demo, "cuda:1", 3, 9, verdicts, measured, {}, 1.23456, 2.34567)
    trained = {
        "name": "loss",
        "says": {"en": "it learns", "zh": "能学会"},
        "kind": "trained",
        "op": "<=",
        "threshold": 1.0,
    }
    parity = {"name": "same", "says": {"en": "s", "zh": "同"}, "kind": "parity", "op": "<=", "threshold": 0.0}
    assert report.to_json() == {
        "demo": "a-short-one",
        "title": {"en": "Short", "zh": "短"},
        "device": "cuda:1",
        "seed": 3,
        "steps": 9,
        "holds": True,
        "claims": [
            trained | {"value": 0.5, "control": "worse", "control_value": 2.0, "floor": 99, "holds": None},
            parity | {"value": 0.0, "control": "other", "control_value": 4.0, "floor": None, "holds": True},
        ],
        "measured": measured,
        "cpu_seconds": 1.23,
        "wall_seconds": 2.35,
        "steps_per_second": None,
    }


def test_a_control_that_was_weakened_stands_beside_the_floor_it_missed(demo: Demo) -> None:
    def shown(worse: float) -> str:
        measured = {"loss": 0.5, "worse": worse, "same": 0.0, "other": 4.0}
        verdicts = tuple(judge(claim, measured) for claim in demo.claims)
        report = Report(demo, "cpu", 0, 40, verdicts, measured, {}, 1.0, 1.0)
        written = StringIO()
        Console(width=100, file=written).print(*render_report(report, "en"))
        return written.getvalue()

    assert "holds" in shown(99) and "FAILS" not in shown(99) and "(>" not in shown(99)
    assert "99.1 (> 99)" in shown(99.1) and "FAILS" in shown(99.1)


def test_an_ejected_demo_holds_its_experiment_and_the_exam_to_the_letter(demo: Demo) -> None:
    text = one_file(demo)
    experiment, _, rest = text.partition("# %% the exam\n\n\ndef _exam():\n")
    assert experiment == DECLARED + RUN + "\n"
    body, _, main = rest.rpartition('\n\nif __name__ == "__main__":\n')
    lines = [line.strip() for line in Path(_exam.__file__).read_text("utf-8").splitlines() if line.strip()]
    assert [line.strip() for line in body.splitlines() if line.strip()] == [*lines, "return sit"]
    assert "\n\n\n" not in body.strip("\n"), "a function has no two empty lines"
    assert main == "    sit = _exam()\n    sit(run)\n"


def test_the_last_main_of_a_demo_is_where_it_sits_its_exam(demo: Demo) -> None:
    quoted = 'EXAMPLE = """\nif __name__ == "__main__":\n    run()\n"""\n'
    demo.path.write_text(DECLARED + quoted + RUN + SITTING, encoding="utf-8")
    assert one_file(demo).startswith(DECLARED + quoted + RUN)


@pytest.mark.parametrize("end", ["", '\nif __name__ == "__main__":\n    run()\n'])
def test_a_demo_that_ends_without_its_exam_is_a_defect(demo: Demo, end: str) -> None:
    demo.path.write_text(DECLARED + RUN + end, encoding="utf-8")
    with pytest.raises(ValueError, match=r"a_short_one\.py: a demo ends with its exam"):
        one_file(demo)


def test_a_notebook_is_the_cells_under_their_titles(demo: Demo) -> None:
    top = '"""A short one — 短.\n\nIt learns.\n"""\n\nimport torch\n\n'
    demo.path.write_text(top + "# %% the concept\n" + DECLARED + RUN + SITTING, encoding="utf-8")
    text = notebook(demo)
    assert text.endswith("}\n") and text.startswith('{\n "nbformat": 4,\n "nbformat_minor": 5,')
    held = json.loads(text)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    assert held.keys() == {"nbformat", "nbformat_minor", "metadata", "cells"}
    assert held["metadata"] == {"kernelspec": kernel}
    kinds, sources = (tuple(cell[key] for cell in held["cells"]) for key in ("cell_type", "source"))
    assert kinds == ("markdown", "code", "markdown", "code", "markdown", "code", "code")
    assert sources[:4] == (
        "# A short one — 短.\n\n```text\nIt learns.\n```",
        "import torch",
        "## the concept",
        (DECLARED + RUN).strip("\n"),
    )
    assert sources[4] == "## the exam" and sources[5].startswith("def _exam():\n")
    assert sources[6] == LAST.strip("\n")
    assert [cell["id"] for cell in held["cells"]] == [f"cell-{i}" for i in range(7)]
    for cell in held["cells"]:
        run = {"outputs", "execution_count"} if cell["cell_type"] == "code" else set()
        assert cell.keys() == {"id", "cell_type", "metadata", "source"} | run
        assert (cell["metadata"], cell.get("outputs"), cell.get("execution_count")) == ({}, [] if run else None, None)


@pytest.mark.demo
def test_a_notebook_holds_the_cells_and_passes_its_exam(tmp_path: Path) -> None:
    demo = demo_named("lstm")
    held = nbformat.reads(notebook(demo), as_version=4)
    nbformat.validate(held)
    source = [(cell.cell_type, cell.source) for cell in held.cells]
    assert source[0][1].startswith("# LSTM — a gated cell state")
    assert [text for kind, text in source if kind == "markdown"][1] == "## the concept"
    code = "\n\n".join(text for kind, text in source if kind == "code")
    assert "class LSTM" in code
    path = tmp_path / "cells.py"
    path.write_text(code.replace('["demo"]', '["demo", "--steps", "2"]'), encoding="utf-8")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "holds: cell_gap" in done.stdout
    assert done.stdout.endswith("exit code 0\n")


@pytest.mark.demo
@pytest.mark.parametrize("id", ["hardware-gpu-tpu", "loss-functions", "metrics", "mlp", "reinforcement-learning"])
def test_a_notebook_runs_from_top_to_bottom(id: str, tmp_path: Path) -> None:
    path = tmp_path / "it.ipynb"
    path.write_text(notebook(demo_named(id)), encoding="utf-8")
    script = (
        "import sys, nbformat, nbclient, jupyter_client\n"
        "held = nbformat.read(sys.argv[1], as_version=4)\n"
        "manager = jupyter_client.AsyncKernelManager(transport='ipc', ip='it')\n"  # no port is opened
        "nbclient.NotebookClient(held, km=manager, timeout=300).execute()\n"
        "print(held.cells[-1].outputs[-1].text)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "FAILS" not in done.stdout
    assert done.stdout.rstrip().endswith("exit code 0")


def test_cells_begin_at_their_marks() -> None:
    source = (
        '"""Doc: what.\n\nMore."""\n\nimport math\n\n# %% the concept\n\n\nX = 1\n\n# %% what is claimed\n\nY = 2\n'
    )
    assert cells(source) == [
        ("", '"""Doc: what.\n\nMore."""\n\nimport math\n'), ("the concept", "X = 1\n"), ("what is claimed", "Y = 2\n")
    ]  # fmt: skip
    assert concept(source) == "# Doc: what.\n\nX = 1\n"
    assert concept("X = 1\n") == "X = 1\n"


def test_every_shipped_demo_can_be_ejected() -> None:
    assert "def _exam():" in one_file(demo_named("lstm"))


# --- figures


def tall(figure: dict[str, Any]) -> float:
    """The height of a picture of one figure, in inches."""
    return float(compose({"title": figure}, "heading").get_size_inches()[1])


def images(count: int, **more: Any) -> dict[str, Any]:
    return {"kind": "images", "images": [[[0, 1, 0], [1, 0, 1]]] * count, **more}


def test_a_picture_is_as_high_as_what_it_shows() -> None:
    table = {"kind": "table", "columns": ["a"]}
    rows = [tall(table | {"rows": [["x"]] * n}) for n in (1, 2, 11)]
    assert rows[1] > rows[0]
    assert rows[2] - rows[0] == pytest.approx(10 * (rows[1] - rows[0]))
    assert tall(images(8)) == tall(images(1, columns=8)) < tall(images(9)) < tall(images(9, columns=2))
    assert tall(images(8)) < tall(images(8, titles="a" * 8)), "a title needs room"
    curves = {"kind": "lines", "series": {"a": ([1], [1])}}
    both = compose({"one": curves, "two": curves}, "heading").get_size_inches()[1]
    assert tall(curves) < both < 2 * tall(curves), "the heading stands once"


def test_images_stand_eight_a_row_where_nothing_else_is_asked() -> None:
    for count, places in ((3, 3), (8, 8), (9, 16)):
        assert len(compose({"title": images(count)}, "").subfigs[0].axes) == places


def test_the_pixels_of_an_image_begin_at_its_corner() -> None:
    (cell,) = compose({"title": images(1)}, "").subfigs[0].axes
    assert cell.images[0].get_extent() == [0, 3, 2, 0]
    assert not cell.axison
    assert cell.get_title() == ""


def test_boxes_of_what_is_true_and_of_what_is_found_differ() -> None:
    boxes = [[(0, 0, 1, 1, "true cat"), (0, 0, 1, 1, "cat 0.9"), (0, 1, 1, 2, "true dog")]]
    (cell,) = compose({"title": images(1, boxes=boxes)}, "").subfigs[0].axes
    true, found, other = (line.get_color() for line in cell.lines)
    assert true == other != found
    assert [text.get_color() for text in cell.texts] == [true, found, true]
    assert [text.get_position() for text in cell.texts] == [(0, 0), (0, 0), (0, 1)]


@pytest.mark.parametrize("kind", ["lines", "scatter"])
def test_tensors_in_a_list_are_drawn_as_numbers(kind: str) -> None:
    import torch

    series = {"a": ((torch.tensor(1.0), torch.tensor(2.0)), [torch.tensor(3.0), 4])}
    drawn = compose({"title": {"kind": kind, "series": series}}, "").subfigs[0].axes[0]
    (made,) = drawn.lines or drawn.collections
    points = made.get_xydata() if kind == "lines" else made.get_offsets()
    assert points.tolist() == [[1, 3], [2, 4]]
    assert not drawn.spines["top"].get_visible() and not drawn.spines["right"].get_visible()
    assert drawn.spines["left"].get_visible()


@pytest.mark.parametrize(
    "figure",
    [
        {"kind": "lines", "series": {"a": ([1], [1])}},
        {"kind": "bars", "values": {"a": 1}},
        {"kind": "heatmap", "values": [[1, 2]]},
    ],
)
def test_an_axis_without_a_name_has_none(figure: dict[str, Any]) -> None:
    drawn = compose({"title": figure}, "").subfigs[0].axes[0]
    assert (drawn.get_xlabel(), drawn.get_ylabel()) == ("", "")


def test_the_axes_of_a_heatmap_have_their_names() -> None:
    drawn = compose({"t": {"kind": "heatmap", "values": [[1, 2]], "x": "key", "y": "query"}}, "").subfigs[0].axes[0]
    assert (drawn.get_xlabel(), drawn.get_ylabel()) == ("key", "query")


def test_bars_stand_in_their_order_from_the_top_with_their_values() -> None:
    drawn = compose({"t": {"kind": "bars", "values": {"a": 0.123456, "b": 2}}}, "").subfigs[0].axes[0]
    assert [label.get_text() for label in drawn.get_yticklabels()] == ["b", "a"]
    assert [text.get_text() for text in drawn.texts] == ["2", "0.123"]
