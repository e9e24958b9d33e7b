"""Which encoder serves: the bundled one, or any sentence-transformers model that lies on this machine.

The bundled one runs on ONNX Runtime, without torch, on the CPU, or on a GPU with its CUDA build or its WebGPU plugin;
the same weights run on torch alone where only torch reaches the GPU. Nothing is fetched here; `kb.encoder.hub` does,
when asked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb import files
from kb.encoder.safety import check
from kb.errors import KbError, Way
from kb.language.text import Bilingual
from kb.paths import at_home, cache_dir, shipped_data

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kb.encoder.protocol import Encoder, Side

BUNDLED = "multilingual-e5-small-q4"


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
    from kb.devices import cuda_devices, torch_gpu
    from kb.encoder.onnx import OnnxEncoder, available_devices

    folder = shipped_data() / "encoder"
    kind, _, number = device.partition(":")
    here = cuda_devices() if kind in ("auto", "cuda") else 0
    if here and (not number or (number.isdecimal() and int(number) < here)) and "cuda" in available_devices():
        yield lambda: OnnxEncoder(folder, device="cuda" if device == "auto" else device)
    if device == "webgpu" or (device == "auto" and "webgpu" in available_devices()):
        yield lambda: OnnxEncoder(folder, device="webgpu")
    gpu = torch_gpu() if device == "auto" else device
    if gpu not in ("", "cpu", "webgpu"):
        yield lambda: _bundled_on_torch(gpu)
    if device in ("auto", "cpu"):
        yield lambda: OnnxEncoder(folder)


def _bundled_on_torch(device: str) -> Encoder:
    """The bundled model on torch alone, once it has encoded something: what does not start there says so now."""
    from kb.encoder.lean import LeanEncoder

    try:
        encoder = LeanEncoder(shipped_data() / "encoder", device)
        encoder.encode([""])
    except KbError:
        raise
    except Exception as error:  # whatever torch and a driver raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise KbError(
            Bilingual(f"torch could not be started on {device}: {reason}", f"torch 无法在 {device} 上启动：{reason}"),
            ways=[Way("cpu")],
        ) from error
    return encoder


def expanded() -> Path:
    """The bundled model as a sentence-transformers folder in the cache, for what expects one; made on first use."""
    from kb.encoder.expand import expand

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
    others = sorted(filter(is_folder, place.glob("snapshots/*")), key=lambda path: -path.stat().st_mtime)
    there = [folder for folder in (*_named(place), *others) if is_folder(folder)]
    return next((folder for folder in there if any(folder.rglob("*.safetensors"))), next(iter(there), None))


def _named(place: Path) -> Iterator[Path]:
    """The snapshots of a model that its heads name, `main` first."""
    for head in (place / "refs" / "main", *sorted(place.glob("refs/*"))):
        with suppress(OSError, ValueError):
            if name := files.read(head, most=1000).data.decode("ascii").strip():
                yield place / "snapshots" / name


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
            none = Bilingual(f"no model '{model[:80]}' on this machine", f"本机没有模型“{model[:80]}”")
            raise KbError(none, ways=[Way("models"), *[Way("fetch", model)] * is_name])
        folder = found
    check(folder)
    return folder


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
        name: What it is called.

    Raises:
        KbError: the device is not here, or the model cannot be loaded.
    """

    runtime = "torch"

    def __init__(self, folder: Path, device: str, name: str) -> None:
        from kb.devices import choose_device

        self.device, self.name = choose_device(device or "auto"), name
        self.key = f"{name}-{fingerprint(folder)}"
        self.model = _load(folder, self.device)
        is_e5 = re.search(r"(?<![a-z0-9])e5(?![a-z0-9])", Path(name).name.lower())
        if is_e5 and not any(self.model.prompts.values()):
            self.model.prompts = {"query": "query: ", "document": "passage: "}  # which its authors ask for
        self._try(folder)

    def _try(self, folder: Path) -> None:
        """See that two texts have two directions."""
        with _told(folder):
            one, other = self.encode(["gradient descent 梯度下降", "a picture of 7 cats"])
            is_same = not (one @ one > 0.5 and other @ other > 0.5 and abs(one @ other) <= 0.9999)
        if is_same:
            raise KbError(
                Bilingual(f"{folder} gives every text the same vector", f"{folder} 对任何文本都给出同一个向量"),
                Bilingual("is its tokenizer there? copy the whole folder", "分词器文件是否齐全？请拷贝整个文件夹"),
            )

    def encode(self, texts: Sequence[str], side: Side = "query") -> NDArray[np.float32]:
        """Unit rows, float32: (N, D).

        Raises:
            KbError: a number in them is infinite or none at all: all that is compared with it would be, too.
        """
        import numpy as np

        vectors = np.asarray(self._encode(texts, side), dtype=np.float32)
        if not np.isfinite(vectors).all():
            raise KbError(
                Bilingual(f"{self.name} gives vectors that are not finite", f"{self.name} 给出的向量含有非有限数值"),
                Bilingual("its weights are damaged; choose another model", "其权重已损坏，请换一个模型"),
            )
        return vectors

    def _encode(self, texts: Sequence[str], side: Side) -> Any:
        encode = self.model.encode_query if side == "query" else self.model.encode_document
        size = 32 if self.device == "cpu" else 256
        while True:
            try:
                return encode(list(texts), batch_size=size, normalize_embeddings=True, show_progress_bar=False)
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
    with _told(folder):
        return SentenceTransformer(
            str(folder), device=device, local_files_only=True, trust_remote_code=False, model_kwargs=options
        )


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Whatever the libraries raise of a model, as one clear line."""
    try:
        yield
    except KbError:
        raise
    except Exception as error:  # whatever a damaged or foreign model makes the libraries raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise KbError(
            Bilingual(f"the model in {folder} cannot be loaded: {reason}", f"无法加载 {folder} 中的模型：{reason}"),
            ways=[Way("models")],
        ) from error
