"""What the search needs of an encoder; whatever turns texts into unit vectors is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

Side = Literal["query", "passage"]


class Encoder(Protocol):
    """Anything that turns texts into unit vectors."""

    name: str
    key: str
    """Tells the model from every other, and from other states of itself: what its index is filed under."""
    device: str
    runtime: str
    """The package that computes."""

    def encode(self, texts: Sequence[str], side: Side = "query") -> Matrix:
        """Unit rows, float32: (N, D). A model may treat what is asked and what is searched differently."""
