"""Which model and device serve the search: found without torch, loaded without running anything, fetched on request."""

from __future__ import annotations

import json
import os
import types
from collections.abc import Callable, Container, Sequence
from pathlib import Path

import numpy as np
import pytest

from kb import devices
from kb.cli.app import main
from kb.cli.ways import way_out
from kb.encoder import models
from kb.encoder.expand import tokenizer_config, tokenizer_json
from kb.encoder.hub import fetch
from kb.encoder.models import BUNDLED, TorchEncoder, fetched, fingerprint, locate, open_encoder
from kb.encoder.safety import MOST, check
from kb.errors import KbError
from kb.language.text import Bilingual

MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
DENSE = [*MODULES, {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}]
EMPTY = (2).to_bytes(8, "little") + b"{}"
"""The weights of nothing, as safetensors."""
INDEX = "model.safetensors.index.json"


def model_folder(
    folder: Path, modules: Sequence[dict[str, object]] = MODULES, weights: str = "model.safetensors"
) -> Path:
    """What a model's folder looks like, without a model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / weights).write_bytes(EMPTY)
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
    assert "--fetch" in way_out(caught.value).en


# --- what may be loaded


@pytest.mark.parametrize(
    ("modules", "weights", "wrong"),
    [
        (MODULES, "pytorch_model.bin", "no safetensors"),
        (MODULES, "model.onnx", "no safetensors"),
        ([*MODULES, {"type": "os.system"}], "model.safetensors", "needs code of its own: os.system"),
        ([{"type": "custom_st.Transformer", "path": ""}], "model.safetensors", "needs code of its own"),
        ([{"type": 3}], "model.safetensors", "cannot be read"),
        ([{"type": "sentence_transformers.models.Dense", "path": 3}], "model.safetensors", "cannot be read"),
        ([{"type": "sentence_transformers.models.Dense", "path": "\0"}], "model.safetensors", "cannot be read"),
        ([{"kind": "x"}], "model.safetensors", "cannot be read"),
        ("text", "model.safetensors", "cannot be read"),
        ({"type": "x"}, "model.safetensors", "cannot be read"),
        (3, "model.safetensors", "cannot be read"),
    ],
)
def test_what_could_run_code_is_refused(tmp_path: Path, modules: object, weights: str, wrong: str) -> None:
    with pytest.raises(KbError, match=wrong):
        check(model_folder(tmp_path / "model", modules, weights))  # type: ignore[arg-type]  # as a stranger writes it


@pytest.mark.parametrize(
    "kind",
    [
        "sentence_transformers.SentenceTransformer",  # a whole model, loaded by its own rules
        "sentence_transformers.models.Router",  # more modules, which its settings name
        "sentence_transformers.models.WordEmbeddings",  # a tokenizer of a class that its settings name
        "sentence_transformers.base.modules.dense.torch",  # whatever a module of the package has imported
        "sentence_transformers..Transformer",
        "sentence_transformers.Transformer.load",
    ],
)
def test_only_modules_that_read_their_own_folder_are_loaded(tmp_path: Path, kind: str) -> None:
    with pytest.raises(KbError, match=r"what kb does not load|code of its own"):
        check(model_folder(tmp_path / "model", [{"type": kind, "path": ""}]))


def test_modules_are_known_by_every_path_that_versions_wrote(tmp_path: Path) -> None:
    for number, path in enumerate(("models", "base.modules.dense", "sentence_transformer.modules")):
        check(model_folder(tmp_path / str(number), [{"type": f"sentence_transformers.{path}.Dense", "path": ""}]))


def test_a_pickle_beside_safe_weights_is_refused_in_a_module_of_its_own(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", DENSE)
    (folder / "pytorch_model.bin").write_bytes(b"never read: the safetensors are")
    (folder / "openvino").mkdir()
    (folder / "openvino" / "openvino_model.bin").write_bytes(b"in no module's folder")
    check(folder)
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"would be unpickled")
    with pytest.raises(KbError, match="no safetensors"):
        check(folder)


@pytest.mark.parametrize("decoy", ["decoy.safetensors", INDEX])
def test_a_decoy_does_not_let_a_pickle_pass(tmp_path: Path, decoy: str) -> None:
    folder = model_folder(tmp_path / "model", DENSE)
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / decoy).write_bytes(EMPTY if decoy != INDEX else b'{"weight_map": {}}')
    check(folder)
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"would be unpickled")
    with pytest.raises(KbError, match="no safetensors"):
        check(folder)


@pytest.mark.parametrize(
    "path", ["..", "../other", "1_Pooling/..", "2_Dense/../../other", "/", "C:/other", "\\\\host\\other", "link"]
)
def test_a_module_lies_in_the_folder_of_its_model(tmp_path: Path, path: str) -> None:
    model_folder(tmp_path / "other")
    folder = model_folder(tmp_path / "model", [*MODULES, {**DENSE[2], "path": path}])
    (folder / "link").symlink_to("../other")
    with pytest.raises(KbError, match="what kb does not load"):
        check(folder)


def test_a_module_that_is_a_link_is_looked_into(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", DENSE)
    (folder / "there").mkdir()
    (folder / "2_Dense").symlink_to("there")
    (folder / "there" / "loop").symlink_to("..")
    check(folder)
    (folder / "there" / "pytorch_model.bin").write_bytes(b"would be unpickled")
    with pytest.raises(KbError, match="no safetensors"):
        check(folder)


def test_links_that_go_round_in_circles_end(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", DENSE)
    (folder / "2_Dense").symlink_to("2_Dense")
    with pytest.raises(KbError):
        check(folder)
    (folder / "2_Dense").unlink()
    (folder / "2_Dense").symlink_to(".")
    check(folder)


@pytest.mark.parametrize(
    "named",
    ["pytorch_model.bin", "../other/model.safetensors", "gone.safetensors", "model.safetensors.bin", "sub", 3],
)
def test_an_index_names_safetensors_of_the_model_alone(tmp_path: Path, named: object) -> None:
    model_folder(tmp_path / "other")
    folder = model_folder(tmp_path / "model", weights="model-1.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"would be unpickled")
    (folder / INDEX).write_text(json.dumps({"weight_map": {"x": "model-1.safetensors"}}))
    check(folder)
    (folder / INDEX).write_text(json.dumps({"weight_map": {"x": "model-1.safetensors", "y": named}}))
    with pytest.raises(KbError, match="other files than safetensors"):
        check(folder)


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": 3}', "[" * 100_000])
def test_an_index_that_is_none_is_refused(tmp_path: Path, index: str) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / INDEX).write_text(index)
    with pytest.raises(KbError, match="cannot be read"):
        check(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 a pickle of torch is a zip archive",
        b"\x80\x02}q\x00.",
        (2).to_bytes(8, "little") + b"[]",
        (3).to_bytes(8, "little") + b"{}",
        (1 << 62).to_bytes(8, "little") + b"{}",
        (MOST + 1).to_bytes(8, "little") + b"{}".ljust(MOST + 1),
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
    ],
    ids=range(8),
)
def test_safetensors_are_told_by_their_head(tmp_path: Path, content: bytes) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(KbError, match="no safetensors file"):
        check(folder)


def test_weights_may_be_links_into_a_cache_of_the_hub_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hub_folder(monkeypatch, tmp_path, "some/model")
    (folder.parents[1] / "blobs").mkdir()
    for name in ("config.json", "modules.json", "model.safetensors"):
        (folder / name).rename(folder.parents[1] / "blobs" / name.encode().hex().ljust(64, "0")[:64])
        (folder / name).symlink_to(f"../../blobs/{name.encode().hex().ljust(64, '0')[:64]}")
    assert locate("some/model") == folder
    (tmp_path / "elsewhere.safetensors").write_bytes(EMPTY)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(KbError, match="no safetensors file of the model"):
        locate("some/model")


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("sentence_bert_config.json", {"model_args": {"attn_implementation": "evil/kernel"}}),
        ("sentence_bert_config.json", {"model_args": {"allow_all_kernels": True}}),
        ("sentence_bert_config.json", {"model_args": {"weights_only": False}}),  # lets a pickle run code
        ("sentence_xlnet_config.json", {"model_kwargs": {"gguf_file": "x.gguf"}}),
        ("sentence_bert_config.json", {"tokenizer_args": {"subfolder": "../other"}}),
        ("sentence_bert_config.json", {"config_kwargs": {"quantization_config": {}}}),
        ("sentence_bert_config.json", {"tokenizer_name_or_path": "../other"}),
        ("processor_config.json", {"audio_tokenizer": {"audio_tokenizer_name_or_path": "../other"}}),
        ("config.json", {"transformers_weights": "adapter_model.bin"}),
        ("config.json", {"configuration_files": ["config.4.0.0.json"]}),
        ("config.json", {"_attn_implementation": "evil/kernel"}),
        ("config.json", {"text_config": {"attn_implementation": "evil/kernel"}}),
        ("config.json", {"encoders": [[{"attn_implementation": "evil/kernel"}]]}),
        ("config.json", {"kernel_config": "evil/kernel"}),
        ("config.json", {"kernel_config": {"RMSNorm": "evil/kernel:RMSNorm"}}),
        ("adapter_config.json", {}),
    ],
)
@pytest.mark.parametrize("place", ["", "2_Dense"])
def test_settings_that_lead_beyond_the_model_are_refused(
    tmp_path: Path, file: str, settings: dict[str, object], place: str
) -> None:
    folder = model_folder(tmp_path / "model", DENSE)
    (folder / "2_Dense").mkdir()
    plain = {"kernel_size": 3, "attn_implementation": "sdpa", "model_args": {"torch_dtype": "float32"}}
    (folder / place / "sentence_bert_config.json").write_text(json.dumps({**plain, "tokenizer_name_or_path": None}))
    check(folder)
    (folder / place / file).write_text(json.dumps(settings))
    with pytest.raises(KbError, match="what kb does not load"):
        check(folder)


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff", b"{}".ljust(MOST + 1)], ids=range(4))
@pytest.mark.parametrize("file", ["config.json", "modules.json", "sentence_bert_config.json"])
def test_settings_that_cannot_be_read_are_refused(tmp_path: Path, file: str, content: bytes) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / file).write_bytes(content)
    with pytest.raises(KbError, match="cannot be read"):
        check(folder)


@pytest.mark.parametrize(
    "file",
    [
        "config.json",
        "modules.json",
        "model.safetensors",
        INDEX,
        "README.md",
        "1_Pooling/config.json",
        "additional_chat_templates/default.jinja",
    ],
)
def test_a_pipe_in_a_model_is_not_waited_for(tmp_path: Path, file: str) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).unlink(missing_ok=True)
    os.mkfifo(folder / file)
    with pytest.raises(KbError, match="cannot be read"):
        check(folder)


def test_a_folder_that_may_not_be_looked_into_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model_folder(tmp_path / "model")

    def denied(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)  # root may look into every folder
    with pytest.raises(KbError, match="cannot be read"):
        check(folder)


# --- names


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
        ("auto", 0, ("cpu", "webgpu"), "", "onnx webgpu"),
        ("auto", 1, ("cpu", "webgpu"), "cuda", "onnx webgpu"),
        ("auto", 1, ("cpu", "cuda", "webgpu"), "cuda", "onnx cuda"),
        ("cpu", 1, ("cpu", "webgpu"), "cuda", "onnx cpu"),
        ("cuda", 1, ("cpu", "webgpu"), "cuda", "torch cuda"),
        ("webgpu", 0, ("cpu",), "cuda", "onnx webgpu"),
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
        (("cpu", "webgpu"), {"onnx webgpu"}, "torch cuda"),
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
            raise KbError(Bilingual(f"no {name}", f"没有 {name}"))
        return name

    monkeypatch.setattr(devices, "cuda_devices", lambda: gpus)
    monkeypatch.setattr(devices, "torch_gpu", lambda: torch)
    monkeypatch.setattr("kb.encoder.onnx.available_devices", lambda: onnx)
    monkeypatch.setattr("kb.encoder.onnx.OnnxEncoder", lambda folder, device="cpu": opened(f"onnx {device}"))
    monkeypatch.setattr(models, "_bundled_on_torch", lambda device: opened(f"torch {device}"))


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


# --- what a model gives


def encoder_of(encode: Callable[[list[str]], object]) -> TorchEncoder:
    """An encoder around a function, without torch."""
    encoder = TorchEncoder.__new__(TorchEncoder)
    encoder.device, encoder.name = "cpu", "strange"
    encoder.model = types.SimpleNamespace(encode_query=lambda texts, **options: encode(texts))
    return encoder


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused_for_any_text(wrong: float) -> None:
    encoder = encoder_of(lambda texts: [[1.0, wrong if text == "odd" else 0.0] for text in texts])
    assert encoder.encode(["even"]).tolist() == [[1, 0]]
    with pytest.raises(KbError, match="not finite"):
        encoder.encode(["even", "odd"])


@pytest.mark.parametrize(
    ("vectors", "wrong"),
    [
        ([[1, 0], [0.6, 0.8]], ""),
        ([[1, 0], [1, 0]], "the same vector"),
        ([[1, 0], [-1, 0]], "the same vector"),
        ([[0, 0], [0, 0]], "the same vector"),
        ([[0, 0], [1, 0]], "the same vector"),
        ([[1, 0], [0, 0]], "the same vector"),
        ([[np.nan, 0], [1, 0]], "not finite"),
        ([[1, 0]], "cannot be loaded"),
        ([["x"], ["y"]], "cannot be loaded"),
        ([[[1, 0]], [[1, 0]]], "cannot be loaded"),
    ],
)
def test_a_model_must_tell_two_texts_apart(vectors: list[list[float]], wrong: str) -> None:
    encoder = encoder_of(lambda texts: vectors)
    if not wrong:
        encoder._try(Path("model"))
        return
    with pytest.raises(KbError, match=wrong):
        encoder._try(Path("model"))


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
    assert "leads nowhere" in capsys.readouterr().err


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
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(SystemExit) as ended:
        main(["search", "abc", "--model", str(folder)])
    assert ended.value.code == 1
    assert "cannot be loaded" in capsys.readouterr().err


@pytest.mark.slow
def test_what_sentence_transformers_writes_is_loaded(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules
    from tokenizers import Tokenizer

    folder = tiny_model(tmp_path / "tiny")
    read = SentenceTransformer(str(folder), device="cpu")
    parts = [*read, modules.Dense(8, 8), modules.LayerNorm(8), modules.Dropout(0.1), modules.Normalize()]
    static = modules.StaticEmbedding(Tokenizer.from_file(str(folder / "tokenizer.json")), embedding_dim=8)
    for name, chosen in (("many", parts), ("static", [static])):
        SentenceTransformer(modules=chosen, device="cpu").save_pretrained(str(tmp_path / name))
        open_encoder(str(tmp_path / name), "cpu")
    read[0].model.save_pretrained(tmp_path / "many", max_shard_size="1KB")
    (tmp_path / "many" / "model.safetensors").unlink(missing_ok=True)
    assert (tmp_path / "many" / INDEX).exists()
    open_encoder(str(tmp_path / "many"), "cpu")


@pytest.mark.slow
def test_a_model_with_broken_weights_is_not_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tiny_model(tmp_path / "tiny")
    weights = load_file(folder / "model.safetensors")
    for broken, wrong in ((np.nan, "not finite"), (np.inf, "not finite"), (0, "the same vector")):
        bad = {name: np.full_like(tensor, broken) for name, tensor in weights.items()}
        save_file(bad, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(SystemExit) as ended:
            main(["model", "use", str(folder)])
        assert ended.value.code == 1
        assert wrong in capsys.readouterr().err
    assert not (tmp_path / "config" / "config.toml").exists()


class Evil:
    """A pickle that runs code: it makes a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.made,)


@pytest.mark.slow
def test_a_pickle_that_settings_let_run_is_not_read(tmp_path: Path) -> None:
    import torch

    folder, made = tiny_model(tmp_path / "tiny"), tmp_path / "made"
    torch.save(Evil(made), folder / "pytorch_model.bin")
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert made.exists(), "the pickle works"
    made.unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if "dtype" not in k}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"model_args": {"weights_only": False}}))
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {"x": "pytorch_model.bin"}}))
    (folder / "model.safetensors").unlink()
    with pytest.raises(KbError):
        open_encoder(str(folder), "cpu")
    assert not made.exists()


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
