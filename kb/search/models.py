"""Which encoder serves: the bundled one, or any sentence-transformers model that lies on this machine.

The bundled one runs on ONNX Runtime, without torch, on the CPU or with the CUDA build of ONNX Runtime; the same
weights run on torch where only torch reaches the GPU. Nothing is fetched here; `kb.search.hub` does, when asked.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb.errors import KbError
from kb.paths import cache_dir, shipped_data
from kb.text import Bilingual

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kb.search.index import Encoder, Side

BUNDLED = "multilingual-e5-small-q4"
_LIST = Bilingual("kb model list shows what is here", "kb model list 列出本机已有的模型")


def is_bundled(model: str) -> bool:
    """Whether a name means the model that ships with kb."""
    return model in ("", "bundled", BUNDLED)


def open_encoder(model: str = "", device: str = "auto") -> Encoder:
    """The encoder of a name (the bundled one by default) on a device.

    `auto` takes a GPU where there is one, ONNX Runtime's before torch's, and else the CPU; torch is imported only to
    serve.

    Raises:
        KbError: the model or the device is not here.
    """
    if not is_bundled(model):
        return TorchEncoder(locate(model), device, model)
    ways = list(_ways(device))
    for way in ways[:-1]:
        try:
            return way()
        except KbError:
            if device != "auto":
                raise
    return ways[-1]()


def _ways(device: str) -> Iterator[Callable[[], Encoder]]:
    """How the bundled model can be opened on a device, the best first."""
    from kb.search.devices import cuda_devices, torch_gpu
    from kb.search.encoder import OnnxEncoder, available_devices

    folder = shipped_data() / "encoder"
    kind, _, number = device.partition(":")
    if kind in ("auto", "cuda") and cuda_devices() and "cuda" in available_devices():
        yield lambda: OnnxEncoder(folder, device=f"cuda:{number}" if number else "cuda")
    elif device == "auto" and (gpu := torch_gpu()):
        yield lambda: TorchEncoder(expanded(), gpu, BUNDLED)
    elif device not in ("auto", "cpu"):
        yield lambda: TorchEncoder(expanded(), device, BUNDLED)
    if device in ("auto", "cpu"):
        yield lambda: OnnxEncoder(folder)


def expanded() -> Path:
    """The bundled model as a sentence-transformers folder in the cache, made on first use."""
    from kb.search.expand import expand

    return expand(shipped_data() / "encoder", cache_dir() / f"{BUNDLED}-expanded")


def hub_cache() -> Path:
    """Where models that were fetched from the hub lie, by the hub's own rules."""
    if given := os.environ.get("HF_HUB_CACHE"):
        return Path(given).expanduser()
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(home).expanduser() / "hub"


def fetched() -> dict[str, Path]:
    """The sentence-transformers models in the hub's cache: name -> folder."""
    found = {}
    for place in sorted(hub_cache().glob("models--*")):
        folder = _snapshot(place)
        if folder is not None and (folder / "modules.json").exists():
            found[place.name.removeprefix("models--").replace("--", "/")] = folder
    return found


def _snapshot(place: Path) -> Path | None:
    """The newest whole snapshot of a model in the hub's cache."""
    heads = [place / "refs" / "main", *sorted(place.glob("refs/*"))]
    names = [head.read_text().strip() for head in heads if head.is_file()]
    return next((place / "snapshots" / name for name in names if (place / "snapshots" / name).is_dir()), None)


def locate(model: str) -> Path:
    """The folder of a model: the one that is named, or what was fetched under the name.

    Raises:
        KbError: it is not on this machine, or it is none that is loaded safely.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        place = hub_cache() / f"models--{model.replace('/', '--')}"
        short = hub_cache() / f"models--sentence-transformers--{model}"
        found = _snapshot(place) or _snapshot(short)
        if found is None:
            raise KbError(
                Bilingual(f"no model '{model}' on this machine", f"本机没有模型“{model}”"),
                Bilingual(
                    f"{_LIST.en}; kb model use {model} --fetch downloads it",
                    f"{_LIST.zh}；kb model use {model} --fetch 可下载",
                ),
            )
        folder = found
    check(folder)
    return folder


def check(folder: Path) -> None:
    """Refuse a folder whose weights are pickled or which brings its own code.

    Raises:
        KbError: one of these, or no model at all.
    """
    if not (_has_modules(folder) or (folder / "config.json").exists()):
        raise KbError(Bilingual(f"{folder} holds no model", f"{folder} 中没有模型"), _LIST)
    files = [path for path in folder.rglob("*") if path.is_file()]
    safe = {path.parent for path in files if path.suffix == ".safetensors"}
    pickled = [path for path in files if path.name == "pytorch_model.bin" and path.parent not in safe]
    if not safe or pickled:
        raise KbError(
            Bilingual(f"{folder} has no safetensors weights", f"{folder} 中没有 safetensors 权重"),
            Bilingual(
                "kb loads safetensors only: other formats can run code", "kb 只加载 safetensors：其他格式可能执行代码"
            ),
        )
    try:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8")) if _has_modules(folder) else []
        foreign = [module["type"] for module in modules if not module["type"].startswith("sentence_transformers.")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        wrong = Bilingual(f"{folder}/modules.json cannot be read", f"{folder}/modules.json 无法读取")
        raise KbError(wrong, _LIST) from error
    if foreign:
        raise KbError(
            Bilingual(f"{folder} needs code of its own: {foreign[0]}", f"{folder} 需要运行自带代码：{foreign[0]}"),
            Bilingual("kb runs no code from models; choose another one", "kb 不运行模型自带的代码，请换一个模型"),
        )


def _has_modules(folder: Path) -> bool:
    return (folder / "modules.json").exists()


def fingerprint(folder: Path) -> str:
    """What tells one state of a model's folder from another: names, sizes and times of its files."""
    states = sorted((str(path.relative_to(folder)), path.stat()) for path in folder.rglob("*") if path.is_file())
    text = repr([(name, state.st_size, state.st_mtime_ns) for name, state in states])
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


class TorchEncoder:
    """A sentence-transformers model from a folder; nothing is fetched and none of its code is run.

    Args:
        folder: The model.
        device: auto, cpu, cuda, cuda:N or mps.
        name: What it is called; the bundled model's vectors are the same on every runtime.

    Raises:
        KbError: the device is not here, or the model cannot be loaded.
    """

    runtime = "torch"

    def __init__(self, folder: Path, device: str, name: str) -> None:
        from kb.runner import choose_device

        self.device, self.name = choose_device(device), name
        self.key = name if name == BUNDLED else f"{name}-{fingerprint(folder)}"
        self.model = _load(folder, self.device)
        if "e5" in name.lower() and not any(self.model.prompts.values()):
            self.model.prompts = {"query": "query: ", "document": "passage: "}  # which its authors ask for

    def encode(self, texts: Sequence[str], side: Side = "query") -> NDArray[np.float32]:
        """Unit rows, float32: (N, D)."""
        import numpy as np

        encode = self.model.encode_query if side == "query" else self.model.encode_document
        size = 32 if self.device == "cpu" else 256
        vectors = encode(list(texts), batch_size=size, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)


def _load(folder: Path, device: str) -> Any:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging
    except ImportError as error:
        install = "pip install sentence-transformers"
        missing = Bilingual("sentence-transformers is not installed", "未安装 sentence-transformers")
        raise KbError(missing, Bilingual(install, install)) from error
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the package's own gap
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    options = {"use_safetensors": True}
    try:
        return SentenceTransformer(
            str(folder), device=device, local_files_only=True, trust_remote_code=False, model_kwargs=options
        )
    except Exception as error:  # whatever a damaged or foreign model makes the libraries raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise KbError(
            Bilingual(f"the model in {folder} cannot be loaded: {reason}", f"无法加载 {folder} 中的模型：{reason}"),
            _LIST,
        ) from error
