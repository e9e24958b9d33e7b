"""The semantic side of the search, opened: an encoder, and the index of the store for it."""

from __future__ import annotations

from kb.encoder.models import open_encoder
from kb.paths import cache_dir, shipped_data
from kb.search.hybrid import Semantic
from kb.search.index import Notify
from kb.search.kept import can_keep, open_index
from kb.snapshot.store import Store


def open_semantic(
    store: Store,
    model: str = "",
    device: str = "auto",
    notify: Notify = lambda done, total: None,
) -> Semantic:
    """The encoder of a name on a device, and its vectors; texts that are new are embedded now.

    Args:
        notify: Called with how many texts are embedded, of how many.

    Raises:
        KbError: the model or the device is not here.
    """
    encoder = open_encoder(model, device)
    index = open_index(store, encoder, shipped_data() / "index", cache_dir() / "index", notify)
    return Semantic(encoder, index)


def keeps_vectors() -> bool:
    """Whether texts that are embedded now are embedded once: False where the cache cannot be written."""
    return can_keep(cache_dir() / "index")
