"""Which encoder serves: the bundled one on ONNX Runtime, or any sentence-transformers model on any device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb.errors import KbError
from kb.paths import cache_dir, shipped_data
from kb.text import Bilingual

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kb.search.index import Encoder

BUNDLED = "multilingual-e5-small-q4"


def open_encoder(model: str = "", device: str = "auto") -> Encoder:
    """The encoder of a name (the bundled one by default) on a device.

    `auto` takes the CPU, without torch, for the bundled model: one query is answered before torch would be imported.

    Raises:
        KbError: the model or the device is not here.
    """
    if model in ("", BUNDLED):
        if device in ("auto", "cpu"):
            from kb.search.encoder import OnnxEncoder

            return OnnxEncoder(shipped_data() / "encoder")
        return TorchEncoder(str(expanded()), device, BUNDLED)
    return TorchEncoder(model, device, model)


def expanded() -> Path:
    """The bundled model as a sentence-transformers folder in the cache, made on first use."""
    from kb.search.expand import expand

    return expand(shipped_data() / "encoder", cache_dir() / f"{BUNDLED}-expanded")


class TorchEncoder:
    """A sentence-transformers model that lies on this machine; nothing is fetched."""

    def __init__(self, model: str, device: str, name: str) -> None:
        from kb.runner import choose_device

        self.device, self.name = choose_device(device), name
        self.prefix = "query: " if name == BUNDLED else ""
        self.model = _load(model, self.device)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows, float32: (N, D)."""
        import numpy as np

        prefixed = [self.prefix + text for text in texts]
        vectors = self.model.encode(prefixed, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)


def _load(model: str, device: str) -> Any:
    import os

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        from sentence_transformers import SentenceTransformer

        options = {"use_safetensors": True}
        return SentenceTransformer(
            model, device=device, local_files_only=True, trust_remote_code=False, model_kwargs=options
        )
    except ImportError as error:
        raise KbError(
            Bilingual("sentence-transformers is not installed", "未安装 sentence-transformers"),
            Bilingual("pip install sentence-transformers", "pip install sentence-transformers"),
        ) from error
    except (OSError, ValueError) as error:
        raise KbError(
            Bilingual(f"no model '{model}' on this machine", f"本机没有模型“{model}”"),
            Bilingual(
                "name a sentence-transformers folder, or leave --model out",
                "请指定 sentence-transformers 模型文件夹，或不带 --model",
            ),
        ) from error
