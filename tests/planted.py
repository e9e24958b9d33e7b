"""Mistakes that are planted in the demos: each file in tests/mutants names those of one.

MUTANTS gives each mistake a name, and the text that it puts in place of another; FULL holds the names of those that
only a run at the full budget notices.
"""

from __future__ import annotations

import runpy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from kb.lab.runner import Demo, Report

FOLDER = Path(__file__).parent / "mutants"


@cache
def _declared(id: str) -> dict[str, Any]:
    path = FOLDER / f"{id.replace('-', '_')}.py"
    return runpy.run_path(str(path)) if path.exists() else {}


def mutants(id: str) -> dict[str, tuple[str, str]]:
    """The mistakes of a demo: what is replaced, and by what."""
    found: dict[str, tuple[str, str]] = _declared(id).get("MUTANTS", {})
    return found


def full_ones(id: str) -> set[str]:
    """The mistakes of a demo that the quick budget does not tell."""
    return set(_declared(id).get("FULL", ()))


def mutated(demo: Demo, old: str, new: str, folder: Path) -> Demo:
    """The demo with a mistake in it."""
    source = demo.path.read_text("utf-8")
    assert source.count(old) == 1, f"stands {source.count(old)} times in {demo.path.name}: {old}"
    path = folder / demo.path.name
    path.write_text(source.replace(old, new), encoding="utf-8")
    return replace(demo, path=path)


def is_caught(report: Report) -> bool:
    """Whether a claim failed."""
    return any(verdict.holds is False for verdict in report.verdicts)
