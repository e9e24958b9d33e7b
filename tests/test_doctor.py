"""What the doctor says of devices: which one serves what, and why; the machine is made up."""

from __future__ import annotations

import json
import types

import pytest
from conftest import SAMPLE

from kb.cli.app import main
from kb.encoder.models import BUNDLED
from kb.errors import KbError, Way
from kb.language.text import Bilingual


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, str]]:
    """The findings, by topic; this one of theirs is read by people and by issues that quote it."""
    with pytest.raises(SystemExit):
        main([*arguments, "doctor", "--json"])
    return {finding["topic"]: finding for finding in json.loads(capsys.readouterr().out)}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_DATA", str(SAMPLE))


@pytest.mark.parametrize(
    ("device", "runtime", "gpus", "said"),
    [
        ("cpu", "onnxruntime", 0, "cpu, onnxruntime: no GPU found"),
        ("cpu", "onnxruntime", 1, "cpu, onnxruntime: neither ONNX Runtime nor torch reaches the GPU"),
        (
            "cuda",
            "torch",
            1,
            "cuda, torch: ONNX Runtime does not reach the GPU; with pip install onnxruntime-ep-webgpu",
        ),
        ("mps", "torch", 0, "mps, torch: ONNX Runtime does not reach the GPU"),
        ("cuda", "onnxruntime", 1, "cuda, onnxruntime: without torch"),
        ("webgpu", "onnxruntime", 1, "webgpu, onnxruntime: without torch"),
    ],
)
def test_the_doctor_says_what_serves_a_search_and_why(
    device: str, runtime: str, gpus: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    encoder = types.SimpleNamespace(name=BUNDLED, device=device, runtime=runtime)
    monkeypatch.setattr("kb.encoder.models.open_encoder", lambda *names: asked.append(names) or encoder)
    monkeypatch.setattr("kb.devices.cuda_devices", lambda: gpus)
    found = doctor(capsys)["device, search"]
    assert found["found"].startswith(said)
    assert found["mend"] is None
    assert asked == [("", "auto")]
    monkeypatch.setenv("KB_DEVICE", device)
    assert doctor(capsys)["device, search"]["found"] == f'{device}, {runtime}: device = "{device}" is set'
    assert asked[1:] == [("", device)]


def test_another_model_runs_where_its_library_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = types.SimpleNamespace(name="other", device="cuda", runtime="torch")
    monkeypatch.setattr("kb.encoder.models.open_encoder", lambda model, device: encoder)
    assert doctor(capsys)["device, search"]["found"] == "cuda, torch: where sentence-transformers runs"
    assert doctor(capsys, "--lang", "zh")["device, search"]["found"] == "cuda, torch: 由 sentence-transformers 运行"


def test_a_device_that_does_not_serve_is_a_finding_with_its_way_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*names: str) -> None:
        raise KbError(Bilingual("no such device", "没有此设备"), ways=[Way("cpu")])

    monkeypatch.setattr("kb.encoder.models.open_encoder", fail)
    monkeypatch.setattr("kb.devices.choose_device", fail)
    for topic in ("device, search", "device, demos"):
        found = doctor(capsys)[topic]
        assert found["found"] == "no such device"
        assert "--device cpu" in found["mend"]["en"]  # type: ignore[index]  # a pair of languages


@pytest.mark.parametrize(
    ("setting", "chosen", "said"),
    [
        ("", "cpu", "cpu, torch: torch sees no GPU"),
        ("", "cuda", "cuda, torch: a GPU"),
        ("cpu", "cpu", 'cpu, torch: device = "cpu" is set'),
    ],
)
def test_the_doctor_says_where_demos_run_and_why(
    setting: str, chosen: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb.devices.choose_device", lambda device: chosen)
    monkeypatch.setenv("KB_DEVICE", setting)
    assert doctor(capsys)["device, demos"]["found"] == said


def test_the_doctor_lists_the_shipped_index(capsys: pytest.CaptureFixture[str]) -> None:
    found = doctor(capsys)
    assert found["index, shipped"]["found"].startswith(BUNDLED)
    assert found["index, cache"]["found"] == "none"
