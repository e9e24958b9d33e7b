"""The one door: every face asks here. Values come back; nothing is printed, and no command is named."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kb import SCHEMA_VERSION
from kb.errors import KbError
from kb.language.text import Bilingual
from kb.paths import cache_dir
from kb.settings import Settings, load_settings, sources
from kb.snapshot.lookup import Match
from kb.snapshot.store import Row, Store, open_store

if TYPE_CHECKING:
    import networkx as nx

    from kb.concepts.card import Card
    from kb.concepts.lint import Linted
    from kb.concepts.model import Concept
    from kb.concepts.stats import Coverage, Stats
    from kb.formats.obsidian.export import Exported, Options
    from kb.search.hybrid import Answer, Mode, Semantic
    from kb.search.index import Notify
    from kb.search.similar import Near


def open(path: str | Path | None = None) -> KnowledgeBase:
    """Open a knowledge base.

    Args:
        path: A concepts file; by default the user's (KB_DATA, config.toml) or the shipped one, with the overlay.

    Raises:
        KbError: the file is not there, cannot be read or is wrong in structure.
    """
    settings = load_settings()
    return KnowledgeBase.of(settings if path is None else settings._replace(data=str(path)))


def lint(settings: Settings) -> Linted:
    """Check the files that settings name against the curation standard; they need not load.

    Raises:
        KbError: a file cannot be read at all.
    """
    from kb.concepts.lint import lint
    from kb.lab.runner import claims_by_demo

    return lint(sources(settings), claims_by_demo())


class KnowledgeBase:
    """Concepts by name, by meaning, and as a graph; iterating yields every concept, by id.

    It may be used from several threads, and in a `with` statement, which closes it. Where a method takes a model or a
    device, nothing means the user's choice.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.settings = store, settings
        self._sides: dict[tuple[str, str, str], Semantic] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> KnowledgeBase:
        """The knowledge base that settings name.

        Raises:
            KbError: a file is not there, cannot be read or is wrong in structure.
        """
        return cls(open_store(sources(settings), cache_dir()), settings)

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
        return len(self.store)

    def __getitem__(self, id: str) -> Concept:
        """The concept of an id.

        Raises:
            KeyError: no such id.
        """
        return self.store.concept(id)

    @property
    def snapshot(self) -> Path | None:
        """The file that it is read from; None where it lives in memory."""
        return self.store.path

    def find(self, name: str) -> Match:
        """The one concept that a name means, and by which of its names.

        Raises:
            KbError: no concept has the name (the hint names neighbours), or several have (they are the ways out).
        """
        return self.store.find(name)

    def resolve(self, name: str) -> Concept:
        """The concept of a name: English, Chinese, an abbreviation, an alias or an id; case and spacing are free.

        Raises:
            KbError: as `find`.
        """
        return self[self.find(name).id]

    def has(self, name: str) -> bool:
        """Whether a concept, or several, have a name."""
        return bool(self.store.resolve(name))

    def names_from(self, start: str, limit: int, *, demos: bool = False) -> list[str]:
        """Ids, names and aliases whose key begins so; the ids and names first, short before long ones.

        Args:
            demos: Only of concepts that have a demo.
        """
        return self.store.names_from(start, limit, demos=demos)

    def stats(self) -> Stats:
        """What the knowledge base holds, counted."""
        from kb.concepts.stats import count

        return count(self.graph)

    def coverage(self, terms: Path) -> Coverage:
        """How far the terms of a text file are known: a term a line, or several forms of one between tabs.

        Raises:
            KbError: the file cannot be read, or holds no term.
        """
        from kb import files
        from kb.concepts.stats import cover

        covered = cover(files.read_named(terms).data.decode("utf-8-sig", "replace"), self.has)
        if not covered.lines:
            raise KbError(Bilingual(f"no term in {terms}", f"{terms} 中没有术语"))
        return covered

    def card(self, id: str, *, paths: bool = True) -> Card:
        """The card of a concept: its entry, its neighbours with their names, and what its claim gave.

        Args:
            paths: With all that is to be learnt before it, which may be long.

        Raises:
            KeyError: no such id.
        """
        from kb.lab.measured import shown

        card = self.store.card(id, paths=paths)
        card["measured"] = shown(card["demo"], card["claim"])
        card["schema_version"] = SCHEMA_VERSION
        return card

    def rows(self, *, kind: str = "", area: str = "") -> list[Row]:
        """Every concept, or those of a type and an area, by id, as a list shows it."""
        return [row for row in self.store.rows() if kind in ("", row.type) and (not area or area in row.areas)]

    def row(self, id: str) -> Row:
        """What a list shows of a concept.

        Raises:
            KeyError: no such id.
        """
        for row in self.store.rows([id]):
            return row
        raise KeyError(id)

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        mode: Mode = "hybrid",
        model: str = "",
        device: str = "",
        notify: Notify | None = None,
    ) -> Answer:
        """What a query means, the best concepts first; the answer says what it was read as and who served it.

        Args:
            notify: Called with how many texts are embedded, of how many, where some are new.

        Raises:
            KbError: the encoder or its device is not here.
        """
        return next(self.search_all([query], k=k, mode=mode, model=model, device=device, notify=notify))

    def search_all(
        self,
        queries: Sequence[str],
        *,
        k: int = 10,
        mode: Mode = "hybrid",
        model: str = "",
        device: str = "",
        notify: Notify | None = None,
    ) -> Iterator[Answer]:
        """What `search` answers to each of many queries, in order; they are encoded in batches.

        Raises:
            KbError: the encoder or its device is not here.
        """
        from kb.search.hybrid import search_all

        return search_all(self.store, queries, k=k, mode=mode, semantic=lambda: self._semantic(model, device, notify))

    def similar(
        self,
        name: str,
        *,
        k: int = 10,
        linked: bool = False,
        model: str = "",
        device: str = "",
        notify: Notify | None = None,
    ) -> Near:
        """The concepts nearest in meaning to one, best first; those linked with it only where `linked` is true.

        Raises:
            KbError: the name means none or several concepts, or the encoder is not here.
        """
        from kb.search.similar import near

        match = self.find(name)
        return near(self.store, self._semantic(model, device, notify), match, k, linked=linked)

    def unlinked(self, k: int = 20, *, notify: Notify | None = None) -> list[tuple[str, str, float]]:
        """The k nearest pairs of concepts that are not linked: (id, id, similarity), best first.

        Raises:
            KbError: the encoder or its device is not here.
        """
        from kb.search.similar import suggest_links

        return suggest_links(self.store, self._semantic("", "", notify).index, k)

    def export(self, folder: Path, options: Options) -> Exported:
        """Write every concept into an Obsidian vault.

        Raises:
            KbError: the folder is none, or cannot be written.
        """
        from kb.formats.obsidian.export import export

        return export([self.card(row.id, paths=False) for row in self.store.rows()], folder, options)

    @cached_property
    def graph(self) -> nx.MultiDiGraph:
        """Every concept (node attribute `concept`) and relation (edge key and attribute `rel`), inverses included."""
        from kb.concepts.graph import build_graph

        return build_graph(self)

    def _semantic(self, model: str, device: str, notify: Notify | None) -> Semantic:
        """The encoder and its vectors, opened once for each model, device and state of the entries."""
        from kb.search.side import open_semantic

        model, device = model or self.settings.model, device or self.settings.device
        with self._lock:
            asked = model, device, self.store.meta("passages")
            if asked not in self._sides:
                self._sides[asked] = open_semantic(self.store, model, device, notify or (lambda done, total: None))
            return self._sides[asked]
