"""What to learn before a concept, and in which order. Every card asks, so nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def learning_path(needs: Mapping[str, Sequence[str]], id: str) -> dict[str, int]:
    """Everything to learn before a concept, the most basic first, each with its distance from the concept.

    Args:
        needs: The prerequisites of each concept; those of a concept without any may be missing. A cycle is cut where
            it closes.
    """
    distance, waiting = {id: 0}, [id]
    for node in waiting:
        for needed in needs.get(node, ()):
            if needed not in distance:
                distance[needed] = distance[node] + 1
                waiting.append(needed)
    return {node: distance[node] for node in _basic_first(needs, id) if node != id}


def _basic_first(needs: Mapping[str, Sequence[str]], id: str) -> list[str]:
    """A depth-first walk, each concept after what it needs; without recursion, for chains may be long."""
    order, seen, path = [], {id}, [(id, iter(needs.get(id, ())))]
    while path:
        node, rest = path[-1]
        needed = next((other for other in rest if other not in seen), None)
        if needed is None:
            order.append(node)
            path.pop()
        else:
            seen.add(needed)
            path.append((needed, iter(needs.get(needed, ()))))
    return order
