"""The vectors of every passage in memory, and how near a query is to each concept; `kb.search.kept` has the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Vector = NDArray[np.float32]
    Halves = NDArray[np.float16]
    Places = NDArray[np.int64]

CHUNK = 256
"""Texts between two reports of progress, and concepts that are compared at once."""
BEST = 3
"""Passages of a concept that count; measured with 1 to 6 of them, see docs/search.md."""
LARGE = 100_000
"""Vectors up to which every one is compared with a query in full."""
CELLS, PROBED = 1024, 48
"""More lie in cells of near vectors, of which a query looks into a few; scripts/bench_scale.py says what that loses."""
COARSE = 128
"""Dimensions in which what lies there is compared first."""
CANDIDATES = 400
"""Passages whose concepts are then compared in full, at least."""
SAMPLE = 400
"""Concepts that stand for all others then."""
BLOCK = 20_000
"""Vectors that are worked on at once where all of a large index are."""
CHINESE, QUESTION = 1, 2
"""Bits of a passage's kind."""

Notify = Callable[[int, int], None]
"""Called with how many texts are embedded, of how many."""


class Found(NamedTuple):
    """Concepts compared with a query: where each stands in the index, and how near it is."""

    concepts: Places
    scores: Vector
    mean: float
    """Of the scores of all concepts, those that were not compared included."""
    spread: float
    """Their standard deviation; never 0."""


class Index:
    """Vectors in the order of the passages; those of one concept stand together.

    Every vector is seen from the centre of its language, a query from that of the questions: what only tells languages
    and questions apart no longer counts. A concept is as near as its BEST nearest passages are on average.

    Args:
        ids: One a concept: N of them.
        starts: Where each concept's vectors begin: (N,).
        vectors: One a passage, float16: (P, D).
        hashes: Of the passages' texts: (P,).
        kinds: CHINESE and QUESTION of each passage: (P,).
    """

    def __init__(
        self,
        ids: list[str],
        starts: NDArray[np.int32],
        vectors: Halves,
        hashes: NDArray[np.uint64],
        kinds: NDArray[np.uint8],
    ) -> None:
        self.ids, self.starts, self.vectors, self.hashes, self.kinds = ids, starts, vectors, hashes, kinds

    @cached_property
    def position(self) -> dict[str, int]:
        """Where each id stands in `ids`."""
        return {id: i for i, id in enumerate(self.ids)}

    def find(self, query: Vector, *, chinese: bool, k: int = 10, also: Sequence[int] = ()) -> Found:
        """Compare a unit vector with every concept: (D,).

        Of more than LARGE vectors, only the concepts of the nearest passages in the nearest cells are compared, enough
        for the k nearest, and those in `also`; the mean and the spread come from a sample then.
        """
        import numpy as np

        if not self.ids:
            return Found(np.zeros(0, np.int64), np.zeros(0, np.float32), 0.0, 1.0)
        query = _unit(query - self._centres[CHINESE * chinese + QUESTION])
        everything = np.arange(len(self.ids))
        if len(self.vectors) <= LARGE:
            scores = self._near(everything, (self._full @ query)[self._table])
            return Found(everything, scores, *_spread(scores))
        axes, coarse = self._coarse
        probed = np.argsort(-(self._cell_centres @ query))[:PROBED]
        slices = [slice(self._bounds[cell], self._bounds[cell + 1]) for cell in probed]
        rough = np.concatenate([coarse[part] @ (query @ axes) for part in slices])
        passages = np.concatenate([self._by_cell[part] for part in slices])
        nearest = passages[np.argsort(-rough)[: max(CANDIDATES, 10 * k)]]
        concepts = np.unique(np.concatenate([self._owners[nearest], np.array(also, dtype=np.int64)]))
        rows = self._rows(concepts)
        scores = self._near(concepts, self._cosines(rows.ravel(), query).reshape(rows.shape))
        sample, seen = self._sample
        others = self._near(sample, (seen @ query).reshape(len(sample), -1))
        return Found(concepts, scores, *_spread(others))

    def similar(self, concept: int) -> Vector:
        """How near every concept is to one, by its place: (N,).

        For each passage of either, the cosine of the other's nearest one; their mean over the one's passages and over
        the other's count alike. Of a dozen ways to compare, this one ranks the links that curators wrote highest.
        """
        import numpy as np

        own = self._seen(np.arange(self.starts[concept], self._ends[concept]))
        near = np.empty(len(self.ids), np.float32)
        for start in range(0, len(self.ids), CHUNK):
            part = slice(start, start + CHUNK)
            rows = np.arange(self.starts[part][0], self._ends[part][-1])
            cosines = own @ (self._seen(rows) if len(self.vectors) > LARGE else self._full[rows]).T
            bounds = self.starts[part] - rows[0]
            there = np.maximum.reduceat(cosines, bounds, axis=1).mean(0)
            back = np.add.reduceat(cosines.max(0), bounds) / (self._ends[part] - self.starts[part])
            near[part] = (there + back) / 2
        return near

    @cached_property
    def _ends(self) -> Places:
        import numpy as np

        return np.append(self.starts[1:], len(self.vectors)).astype(np.int64)

    @cached_property
    def _centres(self) -> dict[int, Vector]:
        """By kind: the mean of a language's passages, and of its questions, or of all its passages without these."""
        centres: dict[int, Vector] = {}
        for language in (0, CHINESE):
            spoken, questions = (self.kinds & CHINESE) == language, self.kinds == language + QUESTION
            centres[language] = self._mean(spoken)
            centres[language + QUESTION] = self._mean(questions if questions.any() else spoken)
        return centres

    def _mean(self, wanted: NDArray[np.bool_]) -> Vector:
        import numpy as np

        zero = np.zeros(self.vectors.shape[1], np.float32)
        return self.vectors[wanted].mean(0, dtype=np.float32) if wanted.any() else zero

    @cached_property
    def _full(self) -> Matrix:
        import numpy as np

        return self._seen(np.arange(len(self.vectors)))

    def _seen(self, rows: Places) -> Matrix:
        """Passages seen from the centre of their language: (n,) -> (n, D), unit rows."""
        import numpy as np

        seen = self.vectors[rows].astype(np.float32)
        is_chinese = (self.kinds[rows] & CHINESE) == CHINESE
        for language, chosen in ((CHINESE, is_chinese), (0, ~is_chinese)):
            seen[chosen] -= self._centres[language]
        return _unit(seen)

    @cached_property
    def _table(self) -> Places:
        """The `_rows` of all concepts."""
        import numpy as np

        return self._rows(np.arange(len(self.ids)))

    def _rows(self, concepts: Places) -> Places:
        """The passages of concepts, each row filled up with its last one: (n,) -> (n, most passages of one)."""
        import numpy as np

        starts, ends = self.starts[concepts].astype(np.int64), self._ends[concepts]
        return np.minimum(starts[:, None] + np.arange((ends - starts).max()), ends[:, None] - 1)

    def _near(self, concepts: Places, cosines: Matrix) -> Vector:
        """The mean of the best cosines of each concept: (n,), those of its `_rows` -> (n,)."""
        import numpy as np

        counts = (self._ends - self.starts)[concepts][:, None]
        cosines = np.where(np.arange(cosines.shape[1]) < counts, cosines, -np.inf)
        best = -np.partition(-cosines, min(BEST, cosines.shape[1]) - 1, axis=1)[:, :BEST]
        near: Vector = np.where(np.isfinite(best), best, 0).sum(1) / np.minimum(counts[:, 0], BEST)
        return near.astype(np.float32)

    def _cosines(self, rows: Places, query: Vector) -> Vector:
        """What `_seen(rows) @ query` is, without making these: (n,)."""
        import numpy as np

        plain = self.vectors[rows].astype(np.float32) @ query
        centre = np.where(
            (self.kinds[rows] & CHINESE) == CHINESE, self._centres[CHINESE] @ query, self._centres[0] @ query
        )
        cosines: Vector = (plain - centre) * self._scales[rows]
        return cosines

    def _blocks(self) -> Iterator[Places]:
        """All passages, some at a time."""
        import numpy as np

        for start in range(0, len(self.vectors), BLOCK):
            yield np.arange(start, min(start + BLOCK, len(self.vectors)))

    @cached_property
    def _scales(self) -> Vector:
        """What makes a passage, seen from its centre, as long as 1: (P,)."""
        import numpy as np

        lengths = []
        for rows in self._blocks():
            seen = self.vectors[rows].astype(np.float32)
            for language in (0, CHINESE):
                seen[(self.kinds[rows] & CHINESE) == language] -= self._centres[language]
            lengths.append(np.linalg.norm(seen, axis=1))
        scales: Vector = 1 / np.maximum(np.concatenate(lengths), 1e-6)
        return scales

    @cached_property
    def _owners(self) -> Places:
        """The concept of each passage: (P,)."""
        import numpy as np

        return np.repeat(np.arange(len(self.ids)), self._ends - self.starts)

    @cached_property
    def cells(self) -> NDArray[np.int16]:
        """The cell of each passage: (P,). Made by k-means on a sample; kept in the file of a large index."""
        import numpy as np

        draw = np.random.default_rng(0)
        some = self._seen(draw.choice(len(self.vectors), min(len(self.vectors), 30 * CELLS), replace=False))
        centres = some[:CELLS]
        for _ in range(5):
            centres = _means(some, (some @ centres.T).argmax(1), centres)
        found = [(self._seen(rows) @ centres.T).argmax(1).astype(np.int16) for rows in self._blocks()]
        return np.concatenate(found)

    @cached_property
    def _by_cell(self) -> Places:
        """The passages in the order of their cells: (P,)."""
        import numpy as np

        return np.argsort(self.cells, kind="stable")

    @cached_property
    def _bounds(self) -> Places:
        """Where each cell begins in `_by_cell`, and where the last one ends."""
        import numpy as np

        return np.searchsorted(self.cells[self._by_cell], np.arange(CELLS + 1))

    @cached_property
    def _coarse(self) -> tuple[Matrix, Matrix]:
        """The main axes of the vectors, and the passages in these, by cell: (D, C), (P, C)."""
        import numpy as np

        sample = self._sample[1]
        axes = np.linalg.eigh(sample.T @ sample)[1][:, -COARSE:]  # eigenvalues ascend
        coarse = np.empty((len(self.vectors), axes.shape[1]), np.float32)
        for rows in self._blocks():
            coarse[rows] = self._seen(self._by_cell[rows]) @ axes
        return axes, coarse

    @cached_property
    def _cell_centres(self) -> Matrix:
        import numpy as np

        some = self._by_cell[:: max(1, len(self.vectors) // (30 * CELLS))]
        return _means(self._seen(some), self.cells[some], np.zeros((CELLS, self.vectors.shape[1]), np.float32))

    @cached_property
    def _sample(self) -> tuple[Places, Matrix]:
        """Concepts that stand for all, and their passages, as `_rows` has them."""
        import numpy as np

        concepts = np.unique(np.linspace(0, len(self.ids) - 1, SAMPLE).astype(np.int64))
        return concepts, self._seen(self._rows(concepts).ravel())


def _unit(vectors: Matrix) -> Matrix:
    """Rows of length 1, in place."""
    import numpy as np

    vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
    return vectors


def _means(vectors: Matrix, groups: Places | NDArray[np.int16], before: Matrix) -> Matrix:
    """The direction of the mean of each group, or what it was before where nothing is left in it: (n, D) -> (G, D)."""
    import numpy as np

    order = np.argsort(groups, kind="stable")
    there, starts = np.unique(groups[order], return_index=True)
    means = before.copy()
    means[there] = _unit(np.add.reduceat(vectors[order], starts, axis=0))
    return means


def _spread(scores: Vector) -> tuple[float, float]:
    """Mean and standard deviation; 1 for the latter where all are alike but for rounding."""
    mean, spread = float(scores.mean(dtype="f8")), float(scores.std(dtype="f8"))
    return mean, spread if spread > 1e-6 else 1.0
