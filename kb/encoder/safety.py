"""Whether a stranger's model may be loaded: decided by what the libraries would read from its folder, before they do.

sentence-transformers is told to trust no code. That is not enough: a folder's own settings can switch off what keeps
the unpickling of weights from running code, name a model that lies elsewhere, or ask for kernels from the hub. So the
modules, weights and settings are looked at here by the rules that the libraries follow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from kb import files
from kb.errors import KbError, Way
from kb.language.text import Bilingual

MOST = 10_000_000
"""Bytes that settings, an index of weights and the head of a weights file may have."""
MODULES = frozenset(
    "Transformer CLIPModel StaticEmbedding BoW Pooling WeightedLayerPooling WordWeights CNN LSTM Dense LayerNorm"
    " Dropout Normalize".split()
)
"""Classes that read settings, a tokenizer and weights from their folder, and nothing else."""
ARGUMENTS = frozenset("model_args model_kwargs tokenizer_args processor_kwargs config_args config_kwargs".split())
"""Settings that are options of the loader,"""
OPTIONS = frozenset(
    "add_pooling_layer attn_implementation dtype is_causal max_length model_max_length padding_side torch_dtype"
    " trust_remote_code unpad_inputs use_cache use_fast use_memory_efficient_attention".split()
)
"""and those that a model may choose; `trust_remote_code` is overruled."""
ELSEWHERE = frozenset(
    "audio_tokenizer_name_or_path configuration_files tokenizer_name_or_path transformers_weights".split()
)
"""Settings that name other files to load."""
PICKLED = frozenset((".bin", ".pt", ".pth", ".pkl", ".ckpt"))


def check(folder: Path) -> None:
    """Refuse a folder from which anything but settings, tokenizers and safetensors would be loaded.

    Of a folder that passes, and for as long as it stays as it is: its modules are of MODULES and lie inside it, through
    links as well. Every weights file that they would load is a safetensors file by its head, not by its name alone, and
    lies inside or in a cache of the hub. Its settings give the loader nothing but OPTIONS, and name no other files, no
    adapter and no kernels. Reading it ends: it has no pipes and devices, and no settings of more than MOST bytes.

    Raises:
        KbError: one of these does not hold, or there is no model at all.
    """
    try:
        if not ((folder / "modules.json").exists() or (folder / "config.json").exists()):
            none = Bilingual(f"{folder} holds no model", f"{folder} 中没有模型")
            raise KbError(none, ways=[Way("models")])
        root = folder.resolve()
        places = _places(root)
        if not sum(_weights(root, place, classes) for place, classes in places.items()):
            raise _unsafe(f"{folder} has no safetensors weights", f"{folder} 中没有 safetensors 权重")
        for path in [path for place in places for path in _files(place)]:
            if "config" in path.name.lower() and path.suffix.lower() == ".json":
                _check_settings(path)
    except OSError as error:  # a folder that may not be looked into, for one
        raise _unreadable(folder) from error


def _places(root: Path) -> dict[Path, set[str]]:
    """The folders of a model's modules, and their classes; its own is a Transformer's where nothing else is said."""
    places = {root: {"Transformer"}}
    listed = root / "modules.json"
    try:
        modules = [(module["type"], module.get("path", "")) for module in _json(listed)] if listed.exists() else []
        for kind, path in modules:
            name = re.fullmatch(r"sentence_transformers(\.\w+)*\.(\w+)", kind)
            if name is None:
                wrong = Bilingual(f"{root} needs code of its own: {kind[:80]}", f"{root} 需要运行自带代码：{kind[:80]}")
                raise KbError(wrong, _ANOTHER)
            if name[2] not in MODULES:
                raise _refused(root, kind)
            place, written = (root / path).resolve(), PureWindowsPath(path)
            if written.anchor or ".." in written.parts or not place.is_relative_to(root):
                raise _refused(root, path)
            places.setdefault(place, set()).add(name[2])
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(listed) from error
    return places


def _weights(root: Path, place: Path, classes: set[str]) -> int:
    """How many safetensors files lie in the folder of a module, once it is known that it loads no others."""
    there = _files(place)
    safe = [path for path in there if path.name.lower().endswith(".safetensors")]
    for path in safe:
        real = path.resolve()
        is_blob = re.fullmatch(r"[0-9a-f]{40,64}", real.name)  # the hub's caches name content by its hash, and link it
        if not (is_blob or real.is_relative_to(root)) or not _is_safetensors(path):
            raise _unsafe(f"{path} is no safetensors file of the model", f"{path} 不是该模型的 safetensors 文件")
    index = place / "model.safetensors.index.json"
    if index.exists() and not set(_indexed(index)) <= {path.name for path in safe}:
        raise _unsafe(f"{index} names other files than safetensors", f"{index} 指向了 safetensors 以外的文件")
    is_whole = (place / "model.safetensors").is_file() or (index.exists() and classes == {"Transformer"})
    if not is_whole and any(path.suffix.lower() in PICKLED for path in there):
        raise _unsafe(f"{place} has no safetensors weights", f"{place} 中没有 safetensors 权重")
    return len(safe)


def _files(place: Path) -> list[Path]:
    """The files of a folder, links to files included; none where there is no such folder."""
    folders = [folder for folder in (place, place / "additional_chat_templates") if folder.is_dir()]
    entries = [path for folder in folders for path in sorted(folder.iterdir())]
    for path in entries:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise _unreadable(path)  # a pipe would be waited for, and a device never ends
    return [path for path in entries if path.is_file()]


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins with eight bytes that say how long its head is, and a head of JSON."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            head = file.read(length) if length <= MOST else b""
        return len(head) == length and isinstance(json.loads(head.decode("utf-8")), dict)
    except (OSError, ValueError, RecursionError):
        return False


def _indexed(index: Path) -> list[str]:
    """The files that an index of weights names."""
    try:
        return [str(name) for name in _json(index)["weight_map"].values()]
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable(index) from error


def _check_settings(path: Path) -> None:
    """Refuse settings that lead beyond the files of the model."""
    if path.name.lower() == "adapter_config.json":
        raise _refused(path.parent, path.name)
    settings = _json(path)
    for key, value in _flat(settings):
        if isinstance(value, dict) and key in ARGUMENTS and (others := value.keys() - OPTIONS):
            raise _refused(path, f"{key}.{min(others)}")
        has_kernel = "kernel" in key and (value is True or isinstance(value, str | dict))
        if value and (key in ELSEWHERE or has_kernel or (key.endswith("implementation") and "/" in str(value))):
            raise _refused(path, f"{key} = {value}")


def _flat(settings: Any) -> Iterator[tuple[str, Any]]:
    """Every value in settings, at any depth, with its key; what stands in a list has that of the list."""
    todo: list[tuple[str, Any]] = [("", settings)]
    while todo:
        key, value = todo.pop()
        yield key, value
        if isinstance(value, dict):
            todo += value.items()
        elif isinstance(value, list):
            todo += [(key, inner) for inner in value]


def _json(path: Path) -> Any:
    try:
        return json.loads(files.read(path, most=MOST).data.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path) from error


_ANOTHER = Bilingual(
    "kb loads safetensors from the model's folder and runs no code from models; choose another one",
    "kb 只从模型文件夹加载 safetensors，不运行模型自带的代码，请换一个模型",
)


def _refused(place: Path, what: str) -> KbError:
    return KbError(
        Bilingual(
            f"{place} asks for what kb does not load: {what[:80]}", f"{place} 要加载 kb 不加载的内容：{what[:80]}"
        ),
        _ANOTHER,
    )


def _unsafe(en: str, zh: str) -> KbError:
    hint = Bilingual(
        "kb loads safetensors only: other formats can run code", "kb 只加载 safetensors：其他格式可能执行代码"
    )
    return KbError(Bilingual(en, zh), hint)


def _unreadable(path: Path) -> KbError:
    return KbError(Bilingual(f"{path} cannot be read", f"{path} 无法读取"), _ANOTHER)
