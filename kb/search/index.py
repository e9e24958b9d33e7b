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
    Codes = NDArray[np.int8]
    Places = NDArray[np.int64]

CHUNK = 256
"""Texts between two reports of progress, and concepts that are compared at once."""
SHARE = 1 / 7
"""Of a concept's passages, the nearest that count: a fixed number would favour concepts with many questions."""
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
BLOCK = 1000
"""Vectors that are worked on at once where all are: what is made on the way stays in the processor's cache."""
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
    and questions apart no longer counts. A concept is as near as the nearest SHARE of its passages is on average.

    Args:
        ids: One a concept: N of them.
        starts: Where each concept's vectors begin: (N,).
        codes: One row a passage, whose direction is the passage's vector: (P, D). It may lie in a file.
        hashes: Of the passages' texts: (P,).
        kinds: CHINESE and QUESTION of each passage: (P,).
    """

    def __init__(
        self,
        ids: list[str],
        starts: NDArray[np.int32],
        codes: Codes,
        hashes: NDArray[np.uint64],
        kinds: NDArray[np.uint8],
    ) -> None:
        self.ids, self.starts, self.codes, self.hashes, self.kinds = ids, starts, codes, hashes, kinds

    @cached_property
    def position(self) -> dict[str, int]:
        """Where each id stands in `ids`."""
        return {id: i for i, id in enumerate(self.ids)}

    @property
    def vectors(self) -> Matrix:
        """The passages as unit vectors: (P, D), made anew."""
        return self._units(slice(None))

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
        if len(self.codes) <= LARGE:
            scores = self._near(everything, self._cosines(slice(None), query)[self._table])
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
            cosines = self._cosines(rows, own)
            bounds = self.starts[part] - rows[0]
            there = np.maximum.reduceat(cosines, bounds, axis=1).mean(0)
            back = np.add.reduceat(cosines.max(0), bounds) / (self._ends[part] - self.starts[part])
            near[part] = (there + back) / 2
        return near

    @cached_property
    def _ends(self) -> Places:
        import numpy as np

        return np.append(self.starts[1:], len(self.codes)).astype(np.int64)

    @cached_property
    def _centres(self) -> dict[int, Vector]:
        """By kind: the mean of a language's passages, and of its questions, or of all its passages without these."""
        centres: dict[int, Vector] = {}
        sums, counts = self._sums
        for language in (0, CHINESE):
            questions = language + QUESTION
            spoken = sums[language] + sums[questions], counts[language] + counts[questions]
            asked = (sums[questions], counts[questions]) if counts[questions] else spoken
            centres[language], centres[questions] = (total / max(count, 1) for total, count in (spoken, asked))
        return centres

    @cached_property
    def _sums(self) -> tuple[Matrix, list[int]]:
        """Of each kind, the sum of the unit vectors and how many there are: (4, D), 4."""
        import numpy as np

        sums = np.zeros((4, self.codes.shape[1]), np.float32)
        for rows in self._blocks():
            weights = (np.arange(4)[:, None] == self.kinds[rows]) * self._inverse[rows]
            sums += weights @ self._floats(rows)
        return sums, np.bincount(self.kinds, minlength=4).tolist()

    @cached_property
    def _all(self) -> Matrix:
        """The codes of an index that is not large: (P, D)."""
        import numpy as np

        return self.codes.astype(np.float32)

    def _floats(self, rows: Places | slice) -> Matrix:
        """Codes that can be multiplied: (n,) -> (n, D)."""
        import numpy as np

        return self._all[rows] if len(self.codes) <= LARGE else self.codes[rows].astype(np.float32)

    @cached_property
    def _inverse(self) -> Vector:
        """What makes the codes of a passage as long as 1: (P,)."""
        import numpy as np

        lengths = np.concatenate([_lengths(self._floats(rows)) for rows in self._blocks()])
        inverse: Vector = np.reciprocal(np.maximum(lengths, 1e-6))
        return inverse

    @cached_property
    def _origins(self) -> Matrix:
        """The centres of the languages, from which passages are seen: (2, D)."""
        import numpy as np

        return np.stack([self._centres[0], self._centres[CHINESE]])

    def _units(self, rows: Places | slice) -> Matrix:
        """Passages as unit vectors: (n,) -> (n, D)."""
        import numpy as np

        return _unit(self.codes[rows].astype(np.float32))

    def _seen(self, rows: Places | slice) -> Matrix:
        """Passages seen from the centre of their language: (n,) -> (n, D), unit rows."""
        return _unit(self._units(rows) - self._origins[self.kinds[rows] & CHINESE])

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
        kept = np.maximum(np.rint(counts * SHARE).astype(int), 1)
        most = int(kept.max())
        best = -np.sort(np.partition(-cosines, most - 1, axis=1)[:, :most], axis=1)
        near: Vector = np.where(np.arange(most) < kept, best, 0).sum(1) / kept[:, 0]
        return near.astype(np.float32)

    def _cosines(self, rows: Places | slice, vectors: Matrix | Vector) -> Matrix:
        """What `vectors @ _seen(rows).T` is, without making these: (n,), (…, D) -> (…, n)."""
        import numpy as np

        plain = vectors @ self._floats(rows).T * self._inverse[rows]
        origins = np.take(vectors @ self._origins.T, self.kinds[rows] & CHINESE, axis=-1)
        cosines: Matrix = (plain - origins) * self._scales[rows]
        return cosines

    def _blocks(self) -> Iterator[slice]:
        """All passages, some at a time."""
        for start in range(0, len(self.codes), BLOCK):
            yield slice(start, start + BLOCK)

    @cached_property
    def _scales(self) -> Vector:
        """What makes a passage, seen from its centre, as long as 1: (P,); 0 for one that lies there."""
        import numpy as np

        squares = np.empty(len(self.codes), np.float32)
        for rows in self._blocks():
            cosines = self._floats(rows) @ self._origins.T * self._inverse[rows, None]
            spoken = self.kinds[rows] & CHINESE
            own = np.take_along_axis(cosines, spoken[:, None].astype(np.int64), axis=1)[:, 0]
            squares[rows] = 1 - 2 * own + (self._origins**2).sum(1)[spoken]
        scales: Vector = np.where(squares > 1e-5, np.maximum(squares, 1e-5) ** -0.5, 0)
        return scales.astype(np.float32)

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
        some = self._seen(draw.choice(len(self.codes), min(len(self.codes), 30 * CELLS), replace=False))
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
        coarse = np.empty((len(self.codes), axes.shape[1]), np.float32)
        for rows in self._blocks():
            coarse[rows] = self._seen(self._by_cell[rows]) @ axes
        return axes, coarse

    @cached_property
    def _cell_centres(self) -> Matrix:
        import numpy as np

        some = self._by_cell[:: max(1, len(self.codes) // (30 * CELLS))]
        return _means(self._seen(some), self.cells[some], np.zeros((CELLS, self.codes.shape[1]), np.float32))

    @cached_property
    def _sample(self) -> tuple[Places, Matrix]:
        """Concepts that stand for all, and their passages, as `_rows` has them."""
        import numpy as np

        concepts = np.unique(np.linspace(0, len(self.ids) - 1, SAMPLE).astype(np.int64))
        return concepts, self._seen(self._rows(concepts).ravel())


def _unit(vectors: Matrix) -> Matrix:
    """Rows of length 1, in place."""
    import numpy as np

    vectors /= np.maximum(_lengths(vectors), 1e-6)[..., None]
    return vectors


def _lengths(vectors: Matrix) -> Vector:
    """Of rows; without the copy that np.linalg.norm makes."""
    import numpy as np

    lengths: Vector = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))
    return lengths


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
