"""The bundled sentence encoder: Chinese or English text to unit vectors, offline and without torch.

A command that needs one vector pays for numpy, ONNX Runtime and opening the model, so this module
imports neither until an encoder is made, and the tensors are mapped, not read. scripts/build_encoder.py writes
the files and explains their layout.

Source: Wang et al., Multilingual E5 Text Embeddings, 2024 (the model, and its `query: ` prefix).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kb.encoder.plugin import PROVIDER, plugin_gpus
from kb.encoder.tokenizer import PAD, UnigramTokenizer, damaged, read_file
from kb.errors import KbError, Way
from kb.language.text import Bilingual

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

Provider = str | tuple[str, dict[str, str]]
"""Of ONNX Runtime: its name, and options where it has some."""

PREFIX = "query: "  # on both sides: measured better here than `passage: ` for what is searched
RUN_TOKENS = 4096  # of one run, padding included: long texts in batches of 32 would take a gigabyte
MANY = 64  # texts from which all cores are used: one starts fastest


class OnnxEncoder:
    """multilingual-e5-small in 4 bits, run by ONNX Runtime: text -> unit vectors of 384.

    Args:
        folder: Holds model.onnx, model.safetensors, tokenizer.bin and meta.json.
        device: cpu, cuda or cuda:N, or webgpu. CUDA needs the package onnxruntime-gpu, WebGPU onnxruntime-ep-webgpu
            beside the plain one; operators for which these have no kernel run on the CPU. Not measured on a GPU yet.
        providers: ONNX Runtime's execution providers by name, instead of the device's.

    Raises:
        KbError: a file is missing or damaged, or the device is not available.
    """

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        providers: Sequence[Provider] | None = None,
    ) -> None:
        meta = read_meta(folder)
        self.name: str = meta["name"]
        self.key, self.device, self.runtime = key_of(meta), device, "onnxruntime"
        self.dim: int = meta["dim"]
        self._tokenizer = UnigramTokenizer(folder / "tokenizer.bin")
        self._model, self._providers = folder / "model.onnx", providers or _providers(device)
        self._session = _open(self._model, 1, self._providers)

    def encode(self, texts: Sequence[str], side: str = "query", *, batch_size: int = 32) -> NDArray[np.float32]:
        """Encode texts, in order; those of similar length share a batch. Both sides are treated alike.

        Returns:
            float32 (N, 384), each row of length 1.
        """
        import numpy as np

        ids = [self._tokenizer.encode(PREFIX + text) for text in texts]
        vectors = np.empty((len(ids), self.dim), np.float32)
        session = self._wide if len(ids) >= MANY and self.device == "cpu" else self._session
        for batch in _batches([len(tokens) for tokens in ids], batch_size):
            vectors[batch] = _run(session, [ids[index] for index in batch])
        return vectors

    @cached_property
    def _wide(self) -> InferenceSession:
        """The model on every core."""
        return _open(self._model, 0, self._providers)


def _run(session: InferenceSession, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """Token ids, padded to the first (longest) text: B lists -> (B, 384)."""
    import numpy as np

    ids = np.full((len(batch), len(batch[0])), PAD, np.int64)  # (B, T)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    (vectors,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    return cast("NDArray[np.float32]", vectors)


def _batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Indices in batches, longest first, so that a batch holds little padding and the first run needs most."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    start = 0
    while start < len(order):
        size = min(batch_size, max(1, RUN_TOKENS // lengths[order[start]]))
        yield order[start : start + size]
        start += size


def read_meta(folder: Path) -> dict[str, Any]:
    """meta.json, once every file that it lists is there and has its size.

    Sizes cost nothing; `verify` compares the hashes as well, in about 30 ms.
    """
    import json

    path = folder / "meta.json"
    try:
        meta: dict[str, Any] = json.loads(read_file(path))
        files = {folder / name: entry["bytes"] for name, entry in meta["files"].items()}
        _ = [meta[key] for key in ("name", "dim", "layers", "heads", "vocabulary", "max_tokens")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, Bilingual("it is not the encoder's description", "不是有效的编码器描述文件")) from error
    for file, size in files.items():
        if not file.is_file():
            raise damaged(file, Bilingual("it is missing", "文件不存在"))
        if file.stat().st_size != size:
            raise damaged(file, Bilingual(f"it does not have {size} bytes", f"大小不是 {size} 字节"))
    return meta


def key_of(meta: dict[str, Any]) -> str:
    """What the vectors of an encoder are filed under: its name, and what tells its weights from others."""
    return f"{meta['name']}-{meta['files']['model.safetensors']['sha256'][:8]}"


def verify(folder: Path) -> None:
    """Compare every file with the hash in meta.json; KbError at the first that differs."""
    import hashlib

    for name, entry in read_meta(folder)["files"].items():
        if hashlib.sha256(read_file(folder / name)).hexdigest() != entry["sha256"]:
            raise damaged(folder / name, Bilingual("its hash is wrong", "哈希值不符"))


def available_devices() -> tuple[str, ...]:
    """What the installed ONNX Runtime was built for, or reaches through a plugin; torch is not asked, nor imported."""
    onnxruntime = _runtime()
    cuda = ["cuda"] if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else []
    return ("cpu", *cuda, *(["webgpu"] if plugin_gpus(onnxruntime) else []))


def _runtime() -> Any:
    """ONNX Runtime, told to keep no telemetry and to write no device id."""
    import os

    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def _providers(device: str) -> Sequence[Provider]:
    """Execution providers for a device, the preferred one first."""
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return ["CPUExecutionProvider"]
    if kind == "webgpu":
        return [PROVIDER, "CPUExecutionProvider"]
    if kind not in available_devices():
        raise KbError(
            Bilingual("the installed ONNX Runtime has no CUDA support", "已安装的 ONNX Runtime 不支持 CUDA"),
            Bilingual(
                "pip uninstall onnxruntime && pip install onnxruntime-gpu",
                "pip uninstall onnxruntime && pip install onnxruntime-gpu",
            ),
            [Way("cpu")],
        )
    return [("CUDAExecutionProvider", {"device_id": number or "0"}), "CPUExecutionProvider"]


def _open(path: Path, threads: int, providers: Sequence[Provider]) -> InferenceSession:
    """A session on the model; 0 threads are as many as there are cores.

    The graph is written fused, so optimising it again at each start would only cost time. Weights stay
    prepacked: opening without takes 22 ms less, and the first query then 50 ms more.
    """
    ort = _runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    first = providers[0] if isinstance(providers[0], str) else providers[0][0]
    is_cpu, reason = first == "CPUExecutionProvider", ""
    if first == PROVIDER:
        return _open_plugin(path, options)
    with contextlib.redirect_stdout(sys.stderr):  # ONNX Runtime prints its complaints among the answers
        if not is_cpu and hasattr(ort, "preload_dlls"):
            ort.preload_dlls()  # CUDA and cuDNN from their pip packages; without it torch must come first
        try:
            session = ort.InferenceSession(path, options, providers=list(providers), enable_fallback=0)
            if session.get_providers()[0] == first:
                return session
        except Exception as error:  # ONNX Runtime's errors share no base class
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            if is_cpu:
                raise damaged(path, Bilingual(reason, reason)) from error
    raise KbError(
        Bilingual(f"{first} could not be started: {reason}", f"{first} 无法启动：{reason}"),
        Bilingual("check CUDA and cuDNN", "请检查 CUDA 与 cuDNN"),
        [Way("cpu")],
    )


def _open_plugin(path: Path, options: Any) -> InferenceSession:
    """A session on the first GPU that the plugin offers; it has no options of its own."""
    ort, reason = _runtime(), "no GPU is offered"
    with contextlib.redirect_stdout(sys.stderr):
        try:
            if gpus := plugin_gpus(ort):
                options.add_provider_for_devices(gpus[:1], {})
                return ort.InferenceSession(path, options, enable_fallback=0)
        except Exception as error:  # ONNX Runtime's errors share no base class
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    raise KbError(
        Bilingual(f"{PROVIDER} could not be started: {reason}", f"{PROVIDER} 无法启动：{reason}"),
        Bilingual(
            "pip install onnxruntime-ep-webgpu; on Linux it also needs libvulkan.so.1",
            "pip install onnxruntime-ep-webgpu；Linux 上还需要 libvulkan.so.1",
        ),
        [Way("cpu")],
    )
