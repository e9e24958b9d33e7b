"""Fetching a model from the hub: the one place that reaches for the network, and only when a user asks for it."""

from __future__ import annotations

from pathlib import Path

from kb.encoder.models import hub_cache
from kb.encoder.safety import check
from kb.errors import KbError, Way
from kb.language.text import Bilingual

TIMEOUT = 10
"""Seconds that the hub has for each answer."""
WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.jinja"]
UNWANTED = ["onnx/*", "openvino/*", "*.bin", "*.py"]


def fetch(model: str) -> Path:
    """Download a model into the hub's cache: its configuration, tokenizer and safetensors, no code.

    Returns:
        Its folder there.

    Raises:
        KbError: the hub cannot be reached, has no such model, or what it has is not loaded safely.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        files = {file.rfilename for file in HfApi().model_info(model, timeout=TIMEOUT).siblings or ()}
        if not any(name.endswith(".safetensors") for name in files):
            raise KbError(
                Bilingual(f"'{model}' has no safetensors weights", f"模型“{model}”没有 safetensors 权重"),
                Bilingual("kb loads safetensors only", "kb 只加载 safetensors"),
            )
        folder = snapshot_download(
            model, cache_dir=hub_cache(), allow_patterns=WANTED, ignore_patterns=UNWANTED, etag_timeout=TIMEOUT
        )
    except GatedRepoError as error:
        wrong = Bilingual(f"'{model}' is gated", f"模型“{model}”需要授权")
        raise KbError(wrong, Bilingual("log in with: hf auth login", "请先登录：hf auth login")) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        wrong = Bilingual(f"the hub has no model '{model}'", f"模型库中没有“{model}”")
        raise KbError(wrong, _example()) from error
    except KbError:
        raise
    except Exception as error:  # of the hub's client, the network stack, a proxy, the disk: they share no base class
        reason = type(error).__name__
        raise KbError(
            Bilingual(f"nothing could be fetched from the hub: {reason}", f"无法从模型库下载：{reason}"),
            ways=[Way("copy")],
        ) from error
    check(Path(folder))
    return Path(folder)


def _example() -> Bilingual:
    return Bilingual("for example: intfloat/multilingual-e5-base", "例如：intfloat/multilingual-e5-base")
