"""The bundled 4-bit encoder as an ordinary sentence-transformers folder, for GPUs and for other programs.

The weights are the same numbers in fp16 and the tokenizer holds the same pieces, so that
`SentenceTransformer(str(folder), device="cuda")` needs no code of this project and no network. The
folder is three times the size of what ships; it is made once, in the user's cache.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb import files
from kb.encoder.onnx import PREFIX, read_meta, verify
from kb.encoder.tokenizer import BOS, DROPPED, EOS, MAX_TOKENS, PAD, SPACE, SPACED, UNKNOWN, UnigramTokenizer
from kb.errors import KbError
from kb.language.text import Bilingual

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Tensors = dict[str, Array]

# `encode_query`, `encode_document` and `prompt_name="query"` prefix a text; plain `encode` does not, as
# everyone expects of an E5 model.
PROMPTS = {"prompts": {"query": PREFIX, "document": PREFIX}, "default_prompt_name": None}
LAYOUT = 1
"""Counts the changes of what is written here, so that older expansions are made anew."""
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def expand(folder: Path, target: Path) -> Path:
    """Write the encoder as a sentence-transformers model; a target of the same encoder is kept.

    Args:
        folder: The shipped files: meta.json, model.safetensors, tokenizer.bin.
        target: The folder to make. It appears whole or not at all; another encoder's is replaced.

    Returns:
        The target.

    Raises:
        KbError: a shipped file is missing or damaged, or the target cannot be written.
    """
    meta = read_meta(folder)
    if _is_made(target, meta):
        return target
    verify(folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with files.locked(target.parent):
            if not _is_made(target, meta):  # another process may have done it while this one waited
                _make(folder, meta, target)
    except OSError as error:
        if _is_made(target, meta):
            return target  # where nothing can be locked, another process was faster
        message = Bilingual(f"cannot write {target}: {error}", f"无法写入 {target}：{error}")
        raise KbError(message) from error
    return target


def _make(folder: Path, meta: dict[str, Any], target: Path) -> None:
    """Make the target in a scratch folder beside it; its parent is locked, so that others found there are dead ones."""
    prefix = f".{target.name}-"
    for beside in target.parent.iterdir():
        if beside.name.startswith(prefix):
            shutil.rmtree(beside, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as scratch:
        made = Path(scratch) / "model"
        _write_model(folder, meta, made)
        _replace(made, target, Path(scratch) / "old")


def _is_made(target: Path, meta: dict[str, Any]) -> bool:
    """Whether a target holds every file that `_write_model` made of this encoder, in this layout."""
    try:
        made = json.loads(files.read(target / "made.json").data)
        there = all((target / name).stat().st_size == size for name, size in made["files"].items())
        return there and (made["layout"], made["source"]) == (LAYOUT, meta["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _replace(made: Path, target: Path, old: Path) -> None:
    """Move a finished folder to its place; what stood there moves aside first."""
    if target.exists():
        target.rename(old)
    made.rename(target)


def _write_model(folder: Path, meta: dict[str, Any], target: Path) -> None:
    """Write every file of the model into a new folder."""
    from safetensors.numpy import load_file, save_file

    vocabulary = UnigramTokenizer(folder / "tokenizer.bin").vocabulary()
    pooling = {"word_embedding_dimension": meta["dim"], "pooling_mode_mean_tokens": True}
    (target / "1_Pooling").mkdir(parents=True)
    (target / "2_Normalize").mkdir()
    tensors = bert_tensors(load_file(folder / "model.safetensors"), meta["layers"])
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    content = {
        "config.json": bert_config(meta),
        "modules.json": MODULES,
        "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
        "config_sentence_transformers.json": PROMPTS,
        "1_Pooling/config.json": pooling,
        "tokenizer.json": tokenizer_json(vocabulary),
        "tokenizer_config.json": tokenizer_config(vocabulary),
    }
    for name, value in content.items():
        _write_json(target / name, value)
    sizes = {str(path.relative_to(target)): path.stat().st_size for path in target.rglob("*") if path.is_file()}
    _write_json(target / "made.json", {"layout": LAYOUT, "source": meta["files"], "files": sizes})


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def bert_tensors(packed: Tensors, layers: int) -> Tensors:
    """The weights under BERT's names, in fp16."""
    import numpy as np

    embeddings = "embeddings."
    position = packed["position"].astype("f2")
    tensors: Tensors = {
        f"{embeddings}word_embeddings.weight": dequantize(packed["word.q4"] ^ 0x88, packed["word.scale"]),
        f"{embeddings}position_embeddings.weight": position,
        f"{embeddings}token_type_embeddings.weight": 0 * position[:1],  # added to the positions already
        f"{embeddings}LayerNorm.weight": packed["embed.norm.weight"].astype("f2"),
        f"{embeddings}LayerNorm.bias": packed["embed.norm.bias"].astype("f2"),
    }
    pooler = np.zeros((len(position.T), len(position.T)), "f2")  # unused, but BertModel asks for it
    tensors |= {"pooler.dense.weight": pooler, "pooler.dense.bias": pooler[0]}
    for layer in range(layers):
        for name, (source, part, parts) in MATRICES.items():
            there, here = f"encoder.layer.{layer}.{name}", f"{layer}.{source}"
            weight = dequantize(packed[f"{here}.q4"], packed[f"{here}.scale"])
            rows = len(weight) // parts
            tensors[f"{there}.weight"] = weight[part * rows : (part + 1) * rows]
            tensors[f"{there}.bias"] = packed[f"{here}.bias"][part * rows : (part + 1) * rows].astype("f2")
        for name, source in NORMS.items():
            for kind in ("weight", "bias"):
                there = f"encoder.layer.{layer}.{name}.{kind}"
                tensors[there] = packed[f"{layer}.{source}.{kind}"].astype("f2")
    return tensors


# BERT's name -> the shipped matrix, and which of its parts: query, key and value are stacked.
MATRICES = {
    "attention.self.query": ("qkv", 0, 3),
    "attention.self.key": ("qkv", 1, 3),
    "attention.self.value": ("qkv", 2, 3),
    "attention.output.dense": ("out", 0, 1),
    "intermediate.dense": ("up", 0, 1),
    "output.dense": ("down", 0, 1),
}
NORMS = {"attention.output.LayerNorm": "attention.norm", "output.LayerNorm": "output.norm"}


def dequantize(packed: Array, scales: Array) -> Array:
    """(q - 8) * scale, for q two to a byte with the low half first: blocks of 16 bytes -> fp16 (R, K)."""
    import numpy as np

    rows, blocks = scales.shape
    packed = packed.reshape(rows, blocks, -1)
    values = np.stack([packed & 15, packed >> 4], axis=-1).reshape(rows, blocks, -1)  # (R, K / 32, 32)
    weights: Array = (values - np.float32(8)) * scales[..., None].astype("f4")
    return weights.astype("f2").reshape(rows, -1)


def bert_config(meta: dict[str, Any]) -> dict[str, Any]:
    """config.json of a BERT encoder of this size."""
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": meta["vocabulary"],
        "hidden_size": meta["dim"],
        "num_hidden_layers": meta["layers"],
        "num_attention_heads": meta["heads"],
        "intermediate_size": 4 * meta["dim"],
        "max_position_embeddings": meta["max_tokens"],
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
        "pad_token_id": PAD,
        "torch_dtype": "float32",  # computed in fp32: fp16 only halves the file
    }


def tokenizer_json(vocabulary: list[tuple[str, float]]) -> dict[str, Any]:
    """The tokenizer in the format of the package `tokenizers`; normalisation as in tokenizer.normalize."""
    normalizers = [
        {"type": "Replace", "pattern": {"Regex": _any_of(DROPPED)}, "content": ""},
        {"type": "Replace", "pattern": {"Regex": _any_of(SPACED)}, "content": " "},
        {"type": "NFKC"},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        {"type": "Strip", "strip_left": True, "strip_right": True},
    ]
    space = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special(token, index) for token, index in specials(vocabulary).items()],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": space,
        "post_processor": _surround(vocabulary[BOS][0], vocabulary[EOS][0]),
        "decoder": space,
        "model": {"type": "Unigram", "unk_id": UNKNOWN, "byte_fallback": False, "vocab": vocabulary},
    }


def specials(vocabulary: list[tuple[str, float]]) -> dict[str, int]:
    """The special tokens with their ids; <mask> is the last piece, wherever that is after trimming."""
    return {vocabulary[index][0]: index for index in (BOS, PAD, EOS, UNKNOWN, len(vocabulary) - 1)}


def tokenizer_config(vocabulary: list[tuple[str, float]]) -> dict[str, Any]:
    """tokenizer_config.json: the roles of the special tokens."""
    bos, pad, eos, unknown, mask = specials(vocabulary)
    roles = {"bos_token": bos, "cls_token": bos, "eos_token": eos, "sep_token": eos}
    roles |= {"pad_token": pad, "unk_token": unknown, "mask_token": mask}
    return {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": MAX_TOKENS, **roles}


def _any_of(codepoints: tuple[int, ...]) -> str:
    """A regular expression for one of these characters."""
    return "[" + "".join(f"\\x{{{codepoint:x}}}" for codepoint in codepoints) + "]"


def _special(token: str, index: int) -> dict[str, Any]:
    """An entry of added_tokens."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": index, "content": token, **flags}


def _surround(bos: str, eos: str) -> dict[str, Any]:
    """A post-processor: <s> text </s>, and <s> text </s> </s> other </s> for a pair."""
    first, last = ({"SpecialToken": {"id": token, "type_id": 0}} for token in (bos, eos))
    text, other = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    ids = {bos: BOS, eos: EOS}
    table = {name: {"id": name, "ids": [index], "tokens": [name]} for name, index in ids.items()}
    return {
        "type": "TemplateProcessing",
        "single": [first, text, last],
        "pair": [first, text, last, last, other, last],
        "special_tokens": table,
    }
