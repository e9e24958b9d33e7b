"""Which encoder serves: the bundled one, or any sentence-transformers model that lies on this machine.

The bundled one runs on ONNX Runtime, without torch, on the CPU or with the CUDA build of ONNX Runtime; the same
weights run on torch where only torch reaches the GPU. Nothing is fetched here; `kb.search.hub` does, when asked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb.errors import KbError
from kb.paths import cache_dir, shipped_data
from kb.search.encoder import key_of, read_meta
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
    ways = list(_ways(device or "auto"))
    for way in ways[:-1]:
        with suppress(KbError):  # the next one may start, or say better what is missing
            return way()
    return ways[-1]()


def _ways(device: str) -> Iterator[Callable[[], Encoder]]:
    """How the bundled model can be opened on a device, the best first."""
    from kb.search.devices import cuda_devices, torch_gpu
    from kb.search.encoder import OnnxEncoder, available_devices

    folder = shipped_data() / "encoder"
    kind, _, number = device.partition(":")
    here = cuda_devices() if kind in ("auto", "cuda") else 0
    if here and (not number or (number.isdecimal() and int(number) < here)) and "cuda" in available_devices():
        yield lambda: OnnxEncoder(folder, device="cuda" if device == "auto" else device)
    gpu = torch_gpu() if device == "auto" else device
    if gpu not in ("", "cpu"):
        yield lambda: _bundled_on_torch(gpu)
    if device in ("auto", "cpu"):
        yield lambda: OnnxEncoder(folder)


def _bundled_on_torch(device: str) -> Encoder:
    from kb.runner import choose_device

    chosen = choose_device(device)  # before 90 MB are written for it
    return TorchEncoder(expanded(), chosen, BUNDLED)


def expanded() -> Path:
    """The bundled model as a sentence-transformers folder in the cache, made on first use."""
    from kb.search.expand import expand

    return expand(shipped_data() / "encoder", cache_dir() / f"{BUNDLED}-expanded")


def hub_cache() -> Path:
    """Where models that were fetched from the hub lie, by the hub's own rules."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if given := os.environ.get(name):
            return at_home(os.path.expandvars(given))
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return at_home(os.path.expandvars(home)) / "hub"


def fetched() -> dict[str, Path]:
    """The sentence-transformers models in the hub's cache: name -> folder."""
    found = {}
    for place in sorted(hub_cache().glob("models--*")):
        folder = _snapshot(place)
        if folder is not None and _has_modules(folder):
            found[place.name.removeprefix("models--").replace("--", "/")] = folder
    return found


def _snapshot(place: Path) -> Path | None:
    """The snapshot of a model that the hub's cache names, or else the newest; one with weights before one without."""
    heads = [place / "refs" / "main", *sorted(place.glob("refs/*"))]
    named = [place / "snapshots" / head.read_text().strip() for head in heads if head.is_file()]
    others = sorted(place.glob("snapshots/*"), key=lambda path: -path.stat().st_mtime)
    there = [folder for folder in (*named, *others) if folder.is_dir()]
    return next((folder for folder in there if any(folder.rglob("*.safetensors"))), next(iter(there), None))


def locate(model: str) -> Path:
    """The folder of a model: the one that is named, or what was fetched under the name.

    Raises:
        KbError: it is not on this machine, or it is none that is loaded safely.
    """
    folder = at_home(model)
    if not is_folder(folder):
        place = hub_cache() / f"models--{model.replace('/', '--')}"
        short = hub_cache() / f"models--sentence-transformers--{model}"
        try:
            found = _snapshot(place) or _snapshot(short)
        except (OSError, ValueError):  # a name that is too long, for one
            found = None
        if found is None:
            is_name = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model) is not None
            more = Bilingual(f"; kb model use {model} --fetch downloads it", f"；kb model use {model} --fetch 可下载")
            raise KbError(
                Bilingual(f"no model '{model[:80]}' on this machine", f"本机没有模型“{model[:80]}”"),
                Bilingual(_LIST.en + more.en, _LIST.zh + more.zh) if is_name else _LIST,
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
    safe = {path.parent for path in files if path.name in ("model.safetensors", "model.safetensors.index.json")}
    pickled = [path for path in files if path.suffix in _PICKLED and path.parent not in safe]
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
    for path in files:
        if path.name == "config.json" or path.name.startswith("sentence_"):
            foreign += _foreign_code(path)
    if foreign:
        raise KbError(
            Bilingual(f"{folder} needs code of its own: {foreign[0]}", f"{folder} 需要运行自带代码：{foreign[0]}"),
            Bilingual("kb runs no code from models; choose another one", "kb 不运行模型自带的代码，请换一个模型"),
        )


def _foreign_code(path: Path) -> list[str]:
    """Settings in a configuration that make the libraries fetch code: attention kernels from the hub and the like."""

    def walk(value: object, key: str) -> Iterator[str]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from walk(inner, str(name))
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner, key)
        elif (key.endswith("implementation") and "/" in str(value)) or (
            "kernel" in key and (value is True or isinstance(value, str))
        ):
            yield f"{key} = {value}"

    try:
        return list(walk(json.loads(path.read_text(encoding="utf-8")), ""))
    except (OSError, ValueError):
        return []  # the loader will say so


_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


def at_home(path: str | Path) -> Path:
    """A path as a user typed it, `~` expanded where there is such a user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_folder(path: Path) -> bool:
    """Whether there is a folder of this name; False for what cannot be a name."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that is too long, for one
        return False


def _has_modules(folder: Path) -> bool:
    return (folder / "modules.json").exists()


def fingerprint(folder: Path) -> str:
    """What tells one state of a model's folder from another: names, sizes and times of its files."""
    import hashlib

    states = sorted((str(path.relative_to(folder)), path.stat()) for path in folder.rglob("*") if path.is_file())
    text = repr([(name, state.st_size, state.st_mtime_ns) for name, state in states])
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


class TorchEncoder:
    """A sentence-transformers model from a folder; nothing is fetched and none of its code is run.

    Args:
        folder: The model.
        device: auto, cpu, cuda, cuda:N or mps.
        name: What it is called; the bundled model's vectors are near enough on every runtime to share an index.

    Raises:
        KbError: the device is not here, or the model cannot be loaded.
    """

    runtime = "torch"

    def __init__(self, folder: Path, device: str, name: str) -> None:
        from kb.runner import choose_device

        self.device, self.name = choose_device(device or "auto"), name
        self.key = key_of(read_meta(shipped_data() / "encoder")) if name == BUNDLED else f"{name}-{fingerprint(folder)}"
        self.model = _load(folder, self.device)
        is_e5 = re.search(r"(?<![a-z0-9])e5(?![a-z0-9])", Path(name).name.lower())
        if is_e5 and not any(self.model.prompts.values()):
            self.model.prompts = {"query": "query: ", "document": "passage: "}  # which its authors ask for
        one, other = self.encode(["gradient descent 梯度下降", "a picture of 7 cats"])
        if abs(one @ other) > 0.9999:
            raise KbError(
                Bilingual(f"{folder} gives every text the same vector", f"{folder} 对任何文本都给出同一个向量"),
                Bilingual("is its tokenizer there? copy the whole folder", "分词器文件是否齐全？请拷贝整个文件夹"),
            )

    def encode(self, texts: Sequence[str], side: Side = "query") -> NDArray[np.float32]:
        """Unit rows, float32: (N, D)."""
        import numpy as np

        encode = self.model.encode_query if side == "query" else self.model.encode_document
        size = 32 if self.device == "cpu" else 256
        while True:
            try:
                vectors = encode(list(texts), batch_size=size, normalize_embeddings=True, show_progress_bar=False)
                return np.asarray(vectors, dtype=np.float32)
            except RuntimeError as error:  # torch's own kind for this is one, and only newer versions have it
                if "out of memory" not in str(error) or size == 1:
                    raise
                size = max(1, size // 4)


def _load(folder: Path, device: str) -> Any:
    if find_spec("sentence_transformers") is None:
        install = "pip install sentence-transformers"
        missing = Bilingual("sentence-transformers is not installed", "未安装 sentence-transformers")
        raise KbError(missing, Bilingual(install, install))
    with _offline():
        return _load_offline(folder, device)


@contextmanager
def _offline() -> Iterator[None]:
    """The hub's client told to stay offline; afterwards everything is as before."""
    from huggingface_hub import constants

    name, set_before, was = "HF_HUB_OFFLINE", os.environ.get("HF_HUB_OFFLINE"), constants.HF_HUB_OFFLINE
    os.environ[name], constants.HF_HUB_OFFLINE = "1", True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = was
        os.environ.pop(name, None)
        if set_before is not None:
            os.environ[name] = set_before


def _load_offline(folder: Path, device: str) -> Any:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

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
