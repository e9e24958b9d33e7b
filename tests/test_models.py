"""Which model and device serve the search: found without torch, loaded without running anything, fetched on request."""

from __future__ import annotations

import json
import types
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
import pytest

from kb.cli.app import main
from kb.errors import KbError
from kb.search import devices, models
from kb.search.expand import tokenizer_config, tokenizer_json
from kb.search.hub import fetch
from kb.search.models import BUNDLED, check, fetched, fingerprint, locate, open_encoder

MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def model_folder(
    folder: Path, modules: Sequence[dict[str, object]] = MODULES, weights: str = "model.safetensors"
) -> Path:
    """What a model's folder looks like, without a model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / weights).write_bytes(b"weights")
    return folder


def hub_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> Path:
    """A model in the hub's cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    place = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc123")
    return model_folder(place / "snapshots" / "abc123")


# --- models on this machine


def test_a_model_is_a_folder_or_what_was_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model_folder(tmp_path / "mine")
    assert locate(str(folder)) == folder
    there = hub_folder(monkeypatch, tmp_path, "sentence-transformers/small")
    assert locate("sentence-transformers/small") == there
    assert locate("small") == there, "the short name of that organization"
    assert fetched() == {"sentence-transformers/small": there}
    with pytest.raises(KbError, match="no model 'other' on this machine") as caught:
        locate("other")
    assert caught.value.hint is not None
    assert "--fetch" in caught.value.hint.en


@pytest.mark.parametrize(
    ("modules", "weights", "wrong"),
    [
        (MODULES, "pytorch_model.bin", "no safetensors"),
        ([*MODULES, {"type": "os.system"}], "model.safetensors", "needs code of its own: os.system"),
        ([{"type": 3}], "model.safetensors", "cannot be read"),
        ([{"kind": "x"}], "model.safetensors", "cannot be read"),
        ("text", "model.safetensors", "cannot be read"),
    ],
)
def test_what_could_run_code_is_refused(tmp_path: Path, modules: object, weights: str, wrong: str) -> None:
    with pytest.raises(KbError, match=wrong):
        check(model_folder(tmp_path / "model", modules, weights))  # type: ignore[arg-type]  # as a stranger writes it


def test_a_pickle_beside_safe_weights_is_refused_in_a_module_of_its_own(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / "pytorch_model.bin").write_bytes(b"never read: the safetensors are")
    check(folder)
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"would be unpickled")
    with pytest.raises(KbError, match="no safetensors"):
        check(folder)


def test_a_decoy_does_not_let_a_pickle_pass(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "decoy.safetensors").write_bytes(b"")
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"would be unpickled")
    with pytest.raises(KbError, match="no safetensors"):
        check(folder)


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("sentence_bert_config.json", {"model_args": {"attn_implementation": "evil/kernel"}}),
        ("sentence_bert_config.json", {"model_args": {"allow_all_kernels": True}}),
        ("config.json", {"_attn_implementation": "evil/kernel"}),
        ("config.json", {"text_config": {"attn_implementation": "evil/kernel"}}),
        ("config.json", {"kernel_config": "evil/kernel"}),
    ],
)
def test_kernels_from_the_hub_are_refused(tmp_path: Path, file: str, settings: dict[str, object]) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / file).write_text(json.dumps({"kernel_size": 3, "attn_implementation": "sdpa"}))
    check(folder)
    (folder / file).write_text(json.dumps(settings))
    with pytest.raises(KbError, match="needs code of its own"):
        check(folder)


def test_a_half_fetched_update_does_not_hide_the_whole_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = hub_folder(monkeypatch, tmp_path, "some/model")
    (there.parents[1] / "refs" / "main").write_text("new")
    (there.parent / "new").mkdir()
    (there.parent / "new" / "config.json").write_text("{}")
    assert locate("some/model") == there


@pytest.mark.parametrize("name", ["~nobody-at-all/x", "x" * 300, "a\0b", ""])
def test_odd_names_are_told_of(name: str) -> None:
    with pytest.raises(KbError):
        locate(name)


def test_a_folder_without_a_model_is_refused_before_it_is_walked(tmp_path: Path) -> None:
    with pytest.raises(KbError, match="holds no model"):
        locate(str(tmp_path))


def test_another_state_of_a_model_has_another_index(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert fingerprint(folder) != before


# --- devices


def test_no_driver_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_DRIVERS", ("libnothing.so",))
    assert devices.cuda_devices() == 0


def test_a_driver_is_asked_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(pointer: object) -> int:
        pointer._obj.value = 2  # type: ignore[attr-defined]  # a reference of ctypes
        return 0

    driver = types.SimpleNamespace(cuInit=lambda flags: 0, cuDeviceGetCount=count)
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda name: driver)
    assert devices.cuda_devices() == 2
    driver.cuInit = lambda flags: 999
    assert devices.cuda_devices() == 0


@pytest.mark.parametrize(
    ("version", "gpus", "found"),
    [
        ("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None", 1, "cuda"),
        ("cuda: Optional[str] = '13.0'", 0, ""),
        ("cuda: Optional[str] = None", 1, ""),
        ("cuda = '12.1'", 1, "cuda"),
    ],
)
def test_torch_is_asked_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, gpus: int, found: str
) -> None:
    (tmp_path / "version.py").write_text(version)
    spec = types.SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(devices, "find_spec", lambda name: spec)
    monkeypatch.setattr(devices, "cuda_devices", lambda: gpus)
    monkeypatch.setattr(devices.sys, "platform", "linux")
    assert devices.torch_gpu() == found


@pytest.mark.parametrize(
    ("device", "gpus", "onnx", "torch", "opened"),
    [
        ("auto", 0, ("cpu",), "", "onnx cpu"),
        ("auto", 1, ("cpu", "cuda"), "cuda", "onnx cuda"),
        ("auto", 1, ("cpu",), "cuda", "torch cuda"),
        ("auto", 1, ("cpu",), "", "onnx cpu"),
        ("auto", 0, ("cpu", "cuda"), "", "onnx cpu"),
        ("", 0, ("cpu",), "", "onnx cpu"),
        ("cuda:7", 1, ("cpu", "cuda"), "cuda", "torch cuda:7"),
        ("auto", 0, ("cpu",), "mps", "torch mps"),
        ("cpu", 1, ("cpu", "cuda"), "cuda", "onnx cpu"),
        ("cuda", 1, ("cpu", "cuda"), "cuda", "onnx cuda"),
        ("cuda:1", 2, ("cpu", "cuda"), "cuda", "onnx cuda:1"),
        ("cuda:1", 2, ("cpu",), "cuda", "torch cuda:1"),
        ("cuda", 0, ("cpu",), "", "torch cuda"),
        ("mps", 0, ("cpu",), "mps", "torch mps"),
    ],
)
def test_the_device_that_serves(
    monkeypatch: pytest.MonkeyPatch, device: str, gpus: int, onnx: tuple[str, ...], torch: str, opened: str
) -> None:
    stub_runtimes(monkeypatch, gpus, onnx, torch)
    assert open_encoder("", device) == opened


@pytest.mark.parametrize(
    ("onnx", "broken", "opened"),
    [
        (("cpu",), {"torch cuda"}, "onnx cpu"),
        (("cpu", "cuda"), {"onnx cuda"}, "torch cuda"),
        (("cpu", "cuda"), {"onnx cuda", "torch cuda"}, "onnx cpu"),
    ],
)
def test_auto_goes_on_where_a_gpu_does_not_start(
    monkeypatch: pytest.MonkeyPatch, onnx: tuple[str, ...], broken: set[str], opened: str
) -> None:
    stub_runtimes(monkeypatch, 1, onnx, "cuda", broken)
    assert open_encoder("", "auto") == opened
    if "torch cuda" in broken:
        with pytest.raises(KbError):
            open_encoder("", "cuda")


def stub_runtimes(
    monkeypatch: pytest.MonkeyPatch, gpus: int, onnx: tuple[str, ...], torch: str, broken: Container[str] = ()
) -> None:
    """A machine with these GPUs and builds; opening an encoder gives the words that name it."""

    def opened(name: str) -> str:
        if name in broken:
            raise KbError(models._LIST)
        return name

    monkeypatch.setattr(devices, "cuda_devices", lambda: gpus)
    monkeypatch.setattr(devices, "torch_gpu", lambda: torch)
    monkeypatch.setattr("kb.search.encoder.available_devices", lambda: onnx)
    monkeypatch.setattr("kb.search.encoder.OnnxEncoder", lambda folder, device="cpu": opened(f"onnx {device}"))
    monkeypatch.setattr(models, "TorchEncoder", lambda folder, device, name: opened(f"torch {device}"))
    monkeypatch.setattr(models, "expanded", lambda: Path("expanded"))
    monkeypatch.setattr("kb.runner.choose_device", lambda device: device)


# --- the hub


def test_an_unreachable_hub_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stub_hub(monkeypatch, ConnectionError("no route"))
    with pytest.raises(SystemExit) as ended:
        main(["model", "use", "some/model", "--fetch"])
    assert ended.value.code == 1
    said = capsys.readouterr().err.splitlines()
    assert said[1:] == [
        "kb: nothing could be fetched from the hub: ConnectionError",
        "    copy the model's folder here and name it: kb model use FOLDER",
    ]


def test_weights_that_are_no_safetensors_are_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_hub(monkeypatch, ["config.json", "pytorch_model.bin"])
    with pytest.raises(KbError, match="no safetensors weights"):
        fetch("some/model")


def test_what_is_fetched_is_configuration_and_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = hub_folder(monkeypatch, tmp_path, "some/model")
    asked = stub_hub(monkeypatch, ["config.json", "model.safetensors", "modeling_x.py"], there)
    assert fetch("some/model") == there
    assert "*.py" in asked["ignore_patterns"]
    assert not any(pattern.endswith((".bin", ".py", ".pkl")) for pattern in asked["allow_patterns"])


def stub_hub(
    monkeypatch: pytest.MonkeyPatch, answer: list[str] | Exception, folder: Path | None = None
) -> dict[str, Sequence[str]]:
    """A hub that lists these files, or fails so; what a download was asked for is noted."""
    asked: dict[str, Sequence[str]] = {}

    class Api:
        def model_info(self, model: str, timeout: float) -> object:
            assert timeout <= 30
            if isinstance(answer, Exception):
                raise answer
            return types.SimpleNamespace(siblings=[types.SimpleNamespace(rfilename=name) for name in answer])

    def download(model: str, **options: Sequence[str]) -> str:
        asked.update(options)
        return str(folder)

    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return asked


# --- choosing one


def test_a_choice_is_kept_and_every_other_line_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config" / "config.toml"
    config.parent.mkdir()
    config.write_text('# mine\nlanguage = "en"\nmodel = "old"  # why\npager = false\n')
    with pytest.raises(SystemExit) as ended:
        main(["model", "use", "bundled"])
    assert ended.value.code == 0
    assert config.read_text() == '# mine\nlanguage = "en"\nmodel = ""  # why\npager = false\n'
    assert BUNDLED in capsys.readouterr().err


def test_a_choice_keeps_the_mode_of_the_file_and_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    real = tmp_path / "real.toml"
    real.write_text('language = "en"\n')
    real.chmod(0o600)
    (tmp_path / "config" / "config.toml").symlink_to(real)
    with pytest.raises(SystemExit):
        main(["model", "use", "bundled"])
    assert real.read_text() == 'language = "en"\nmodel = ""\n'
    assert real.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "config" / "config.toml").is_symlink()


def test_a_configuration_that_links_to_itself_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").symlink_to("config.toml")
    with pytest.raises(SystemExit) as ended:
        main(["model", "use", "bundled"])
    assert ended.value.code == 1
    assert "cannot write" in capsys.readouterr().err


def test_a_model_that_does_not_load_is_not_chosen(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["model", "use", str(tmp_path / "nothing")])
    assert not (tmp_path / "config" / "config.toml").exists()


# --- a whole model, small


@pytest.mark.slow
def test_any_sentence_transformers_model_serves(
    tmp_path: Path, sample: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_model(tmp_path / "tiny-e5")
    encoder = open_encoder(str(folder), "cpu")
    asked, told = encoder.encode(["abc"], "query"), encoder.encode(["abc"], "passage")
    assert asked.shape == (1, 8)
    assert np.linalg.norm(asked) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(asked, told), "an E5 model is told which side a text is on"
    monkeypatch.setenv("KB_DATA", str(sample))
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main(["search", "abc", "--model", str(folder), "--device", "cpu", "--json"])
        assert ended.value.code == 0
        answer = json.loads(capsys.readouterr().out)
        assert (answer["model"], answer["device"], answer["runtime"]) == (str(folder), "cpu", "torch")
    (index,) = (tmp_path / "cache" / "index").iterdir()
    assert "tiny-e5" in index.name
    monkeypatch.setattr(models.TorchEncoder, "encode", lambda self, texts, side="query": np.ones((2, 1)))
    with pytest.raises(KbError, match="the same vector"):
        open_encoder(str(folder), "cpu")
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(SystemExit) as ended:
        main(["search", "abc", "--model", str(folder)])
    assert ended.value.code == 1
    assert "cannot be loaded" in capsys.readouterr().err


def tiny_model(folder: Path) -> Path:
    """A sentence-transformers model with 8 random dimensions."""
    import torch
    from transformers import BertConfig, BertModel

    vocabulary = [(piece, 0.0) for piece in ("<s>", "<pad>", "</s>", "<unk>")]
    vocabulary += [(chr(i), -5.0) for i in range(33, 127)] + [("▁", -4.0), ("<mask>", 0.0)]
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder, safe_serialization=True)
    (folder / "1_Pooling").mkdir()
    files = {
        "modules.json": MODULES,
        "1_Pooling/config.json": {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True},
        "tokenizer.json": tokenizer_json(vocabulary),
        "tokenizer_config.json": tokenizer_config(vocabulary),
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder
