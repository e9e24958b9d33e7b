"""What the demos measured, on several seeds: margins of their claims, and data/measured.json, which cards show.

A card reads this file, so nothing heavy is imported here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from kb.paths import shipped_data

if TYPE_CHECKING:
    from kb.concepts.card import Measured, Texts
    from kb.lab.runner import Demo, Report

DIGITS = 4
"""Of the values that are kept."""


class Kept(TypedDict):
    """What a claim gave on every seed."""

    says: Texts
    kind: str
    op: str
    threshold: float
    values: list[float]
    controls: list[float]


class Margin(NamedTuple):
    """How near a claim came to failing: the smaller way to its threshold, of its worst value or of its best control."""

    claim: str
    share: float
    """Of the distance between the worst value and the best control; 0.5 is in the middle."""


def margins(reports: Sequence[Report]) -> list[Margin]:
    """The margin of every claim that was judged in each of some runs of one demo."""
    found = []
    for claim in reports[0].demo.claims if reports else ():
        verdicts = [verdict for report in reports for verdict in report.verdicts if verdict.claim.name == claim.name]
        if all(verdict.holds is not None for verdict in verdicts) and claim.kind == "trained":
            values = [verdict.value for verdict in verdicts if verdict.value is not None]
            controls = [verdict.control for verdict in verdicts if verdict.control is not None]
            worst, best = (max(values), min(controls)) if claim.op == "<=" else (min(values), max(controls))
            way = best - worst
            shares = [(claim.threshold - worst) / way, (best - claim.threshold) / way] if way else [0.0]
            found.append(Margin(claim.name, min(shares) or 0.0))  # no minus before a zero
    return found


def summary(reports: Sequence[Report]) -> dict[str, Any]:
    """What data/measured.json keeps of the runs of one demo, one a seed."""
    demo = reports[0].demo
    claims: dict[str, Kept] = {}
    for i, claim in enumerate(demo.claims):
        verdicts = [report.verdicts[i] for report in reports]
        claims[claim.name] = {
            "says": {"en": claim.says.en, "zh": claim.says.zh},
            "kind": claim.kind,
            "op": claim.op,
            "threshold": claim.threshold,
            "values": [_rounded(verdict.value) for verdict in verdicts if verdict.value is not None],
            "controls": [_rounded(verdict.control) for verdict in verdicts if verdict.control is not None],
        }
    seconds = round(median([report.cpu_seconds for report in reports]), 1)
    return {"hash": hash_of(demo.path), "seconds": seconds, "claims": claims}


def median(values: Sequence[float]) -> float:
    """The value in the middle, the upper one of two; `statistics` takes long to import."""
    return sorted(values)[len(values) // 2]


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def hash_of(path: Path) -> str:
    """What tells a demo from its earlier states: its file and the exam."""
    import hashlib

    exam = path.parent / "_exam.py"
    return hashlib.sha256(path.read_bytes() + exam.read_bytes()).hexdigest()[:16]


def of_demo(id: str) -> dict[str, Any]:
    """What the shipped file holds of one demo: its line, for the whole grows with the demos and every card asks."""
    line = _file().partition(f"\n  {json.dumps(id)}: ".encode())[2].partition(b"\n")[0]
    try:
        held: dict[str, Any] = json.loads(line.rstrip(b","))
    except ValueError:
        return {}
    return held


def is_as_measured(demo: Demo) -> bool:
    """Whether a demo's file is the one whose runs are kept."""
    return bool(of_demo(demo.id).get("hash") == hash_of(demo.path))


@cache
def _file() -> bytes:
    try:
        return (shipped_data() / "measured.json").read_bytes()
    except OSError:
        return b""


def shown(demo: str | None, claim: str | None) -> Measured | None:
    """What a card says of a claim; None where it was not measured."""
    held = of_demo(demo) if demo else {}
    kept: Kept | None = held.get("claims", {}).get(claim)
    if not kept or not kept["values"]:
        return None
    values, controls = kept["values"], kept["controls"]
    return {
        "says": kept["says"],
        "kind": kept["kind"],
        "op": kept["op"],
        "threshold": kept["threshold"],
        "value": median(values),
        "worst": max(values) if kept["op"] == "<=" else min(values),
        "control": median(controls) if controls else None,
        "seeds": len(values),
        "seconds": held["seconds"],
    }
