"""The Python API: a knowledge base as an object; the command line is a thin layer over the same parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kb.concepts.model import Concept
from kb.paths import cache_dir
from kb.settings import Settings, data_file, load_settings, overlay_file
from kb.snapshot.store import Store, open_store

if TYPE_CHECKING:
    import networkx as nx

    from kb.search.hybrid import Hit, Mode, Semantic
    from kb.search.similar import Neighbour


def open(path: str | Path | None = None) -> KnowledgeBase:
    """Open a knowledge base.

    Args:
        path: A concepts file; by default the user's (KB_DATA, config.toml) or the shipped one, with the overlay.

    Raises:
        KbError: the file is not there, cannot be read or is wrong in structure.
    """
    settings = load_settings()
    if path is not None:
        settings = settings._replace(data=str(path))
    return KnowledgeBase(open_store(data_file(settings), overlay_file(settings), cache_dir()), settings)


class KnowledgeBase:
    """Concepts by name, by meaning, and as a graph; iterating yields every concept, by id.

    It may be used from several threads, and in a `with` statement, which closes it.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.settings = store, settings

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the snapshot."""
        self.store.close()

    def __iter__(self) -> Iterator[Concept]:
        return self.store.concepts()

    def __len__(self) -> int:
        return len(self.store.rows())

    def __getitem__(self, id: str) -> Concept:
        """The concept of an id.

        Raises:
            KeyError: no such id.
        """
        return Concept.from_json(self.store.card(id))

    def resolve(self, name: str) -> Concept:
        """The concept of a name: English, Chinese, an abbreviation, an alias or an id; case and spacing are free.

        Raises:
            KbError: no concept has the name (the hint names neighbours), or several have (the hint lists them).
        """
        return self[self.store.find(name).id]

    def search(self, query: str, *, k: int = 10, mode: Mode = "hybrid") -> list[Hit]:
        """The concepts that a query means, best first; nothing leaves the machine.

        Raises:
            KbError: the encoder or its device is not here.
        """
        from kb.search.hybrid import search

        return search(self.store, query, k=k, mode=mode, semantic=lambda: self._semantic).hits

    def search_all(self, queries: Sequence[str], *, k: int = 10, mode: Mode = "hybrid") -> list[list[Hit]]:
        """What `search` finds for each of many queries, in order; they are encoded in batches.

        Raises:
            KbError: the encoder or its device is not here.
        """
        from kb.search.hybrid import search_all

        answers = search_all(self.store, queries, k=k, mode=mode, semantic=lambda: self._semantic)
        return [answer.hits for answer in answers]

    def similar(self, name: str, *, k: int = 10, linked: bool = False) -> list[Neighbour]:
        """The concepts nearest in meaning to one, best first; those linked with it only where `linked` is true.

        Raises:
            KbError: the name means none or several concepts, or the encoder is not here.
        """
        from kb.search.similar import similar

        return similar(self.store, self._semantic.index, self.store.find(name).id, k, linked=linked)

    @cached_property
    def graph(self) -> nx.MultiDiGraph:
        """Every concept (node attribute `concept`) and relation (edge key and attribute `rel`), inverses included."""
        from kb.concepts.graph import build_graph

        return build_graph(self)

    @cached_property
    def _semantic(self) -> Semantic:
        from kb.search.side import open_semantic

        return open_semantic(self.store, self.settings.model, self.settings.device)
