"""The bundled encoder on torch alone, for a GPU that ONNX Runtime does not reach: text to unit vectors.

sentence-transformers takes three times as long to import as torch itself, and this model needs nothing of it.

Source: Devlin et al., BERT, NAACL 2019 (the network); Wang et al., Multilingual E5 Text Embeddings, 2024 (its weights).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kb.encoder.onnx import PREFIX, key_of, read_meta
from kb.encoder.tokenizer import PAD, UnigramTokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

BATCH = {"cpu": 32}
"""Texts that are encoded together; 256 on any other device."""
EPSILON = 1e-12


class LeanEncoder:
    """multilingual-e5-small in 4 bits, run by torch: text -> unit vectors of 384.

    Its vectors are near enough to those of ONNX Runtime to share an index with them.

    Args:
        folder: Holds model.safetensors, tokenizer.bin and meta.json.
        device: auto, cpu, cuda, cuda:N or mps.

    Raises:
        KbError: a file is missing or damaged, or the device is not here.
    """

    runtime = "torch"

    def __init__(self, folder: Path, device: str) -> None:
        from kb.devices import choose_device

        meta = read_meta(folder)
        self.device, self.name, self.key = choose_device(device), str(meta["name"]), key_of(meta)
        self.dim, self.layers, self.heads = int(meta["dim"]), int(meta["layers"]), int(meta["heads"])
        self._tokenizer = UnigramTokenizer(folder / "tokenizer.bin")
        self._weights = _load(folder / "model.safetensors", self.device)

    def encode(self, texts: Sequence[str], side: str = "query") -> NDArray[np.float32]:
        """Unit rows, float32, in order: (N, 384). Both sides are treated alike."""
        import numpy as np

        ids = [self._tokenizer.encode(PREFIX + text) for text in texts]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))  # a batch of like lengths holds little padding
        vectors = np.empty((len(ids), self.dim), np.float32)
        size = BATCH.get(self.device, 256)
        while order:
            batch = order[:size]
            try:
                vectors[batch] = self._run([ids[i] for i in batch])
            except RuntimeError as error:  # torch's own kind for this is one, and only newer versions have it
                if "out of memory" not in str(error) or size == 1:
                    raise
                size = max(1, size // 4)
            else:
                del order[:size]
        return vectors

    def _run(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Token ids, padded to the first (longest) text: B lists -> (B, 384)."""
        import torch

        width = len(batch[0])
        ids = torch.tensor([[*tokens, *[PAD] * (width - len(tokens))] for tokens in batch], device=self.device)
        lengths = torch.tensor([len(tokens) for tokens in batch], device=self.device)
        mask = torch.arange(width, device=self.device) < lengths[:, None]  # (B, T)
        with torch.inference_mode():
            x = self._embed(ids)
            for layer in range(self.layers):
                x = self._layer(x, mask[:, None, None], f"{layer}.")
            means = (x * mask[..., None]).sum(1) / lengths[:, None]
            vectors: NDArray[np.float32] = torch.nn.functional.normalize(means).cpu().numpy()
        return vectors

    def _embed(self, ids: Tensor) -> Tensor:
        """The words, looked up in their 4 bits, and their places: (B, T) -> (B, T, D)."""
        words, scales = self._weights["word.q4"][ids], self._weights["word.scale"][ids]
        x = _dequantize(words.view(*scales.shape, -1), scales)
        return self._norm(x + self._weights["position"][: ids.shape[1]], "embed.norm")

    def _layer(self, x: Tensor, mask: Tensor, name: str) -> Tensor:
        """Attention and the feed-forward net, each with its residual: (B, T, D) -> (B, T, D)."""
        from torch.nn import functional as F

        heads = self._linear(x, name + "qkv").view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], mask).transpose(1, 2).flatten(2)
        x = self._norm(x + self._linear(mixed, name + "out"), name + "attention.norm")
        return self._norm(x + self._linear(F.gelu(self._linear(x, name + "up")), name + "down"), name + "output.norm")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        from torch.nn import functional as F

        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        from torch.nn import functional as F

        return F.layer_norm(x, x.shape[-1:], self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], EPSILON)


def _load(path: Path, device: str) -> dict[str, Tensor]:
    """The weights on a device, the matrices in float32; the table of words, which is half of all, stays in 4 bits."""
    from safetensors.torch import load_file

    weights: dict[str, Tensor] = load_file(path, device)
    weights["word.q4"] ^= 0x88  # its halves are signed
    for name in [name for name in weights if name.endswith(".q4") and name != "word.q4"]:
        scales = weights.pop(f"{name.removesuffix('.q4')}.scale")
        weights[f"{name.removesuffix('.q4')}.weight"] = _dequantize(weights.pop(name), scales)
    return weights


def _dequantize(packed: Tensor, scales: Tensor) -> Tensor:
    """(q - 8) * scale, for q two to a byte with the low half first: (…, K, 16), (…, K) -> (…, 32 K)."""
    import torch

    values = torch.stack((packed & 15, packed >> 4), dim=-1).flatten(-2)
    return ((values.float() - 8) * scales.float()[..., None]).flatten(-2)
