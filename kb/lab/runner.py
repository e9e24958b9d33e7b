"""Demos: what they declare, how they run, and whether their claims hold.

A demo is a file in kb/demos that stands alone. Its TITLE and CLAIMS are literals, so that listing hundreds of demos
imports none of them; its `run` is a generator that yields points and returns measurements and figures. Its claims are
read and judged by the exam that it sits when it runs alone.
"""

from __future__ import annotations

import ast
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from kb.demos import _exam
from kb.language.text import Bilingual
from kb.paths import DEMOS

QUICK = 10
"""`--quick` runs a tenth of the steps; only parity is judged then."""
DECLARED = ("TITLE", "CURVES", "COMMON", "SCALE", "CLAIMS", "CPU_SECONDS", "NEEDS", "ZH")
"""What a demo says of itself; its other upper-case names are constants of the experiment."""
Constant = float | int | str | bool


@dataclass(frozen=True, slots=True)
class Claim(_exam.Rule):
    """A rule, and what a value that meets it shows."""

    says: Bilingual = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Demo:
    """What a demo's file declares."""

    id: str
    title: Bilingual
    claims: tuple[Claim, ...]
    steps: int
    cpu_seconds: float
    needs: dict[str, str]
    path: Path
    curves: str = ""
    """What the points of a run are: "squared error"."""
    common: str = ""
    """The title of a figure that other demos of its family draw too, on the same axes."""
    scale: tuple[str, ...] = ()
    """The constants that make it so much larger that a GPU is worthwhile."""
    zh: dict[str, str] = field(default_factory=dict)
    """The Chinese of what its curves and figures say."""
    constants: dict[str, Constant] = field(default_factory=dict)
    """What may be set to another value: the size of a layer, a rate."""

    @property
    def missing(self) -> list[str]:
        """Commands that install the optional packages which are not here."""
        return _exam.lacking(self.needs)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim, what was measured for it, and whether it holds; None where it was not judged."""

    claim: Claim
    value: float | None
    control: float | None
    holds: bool | None


@dataclass(frozen=True, slots=True)
class Report:
    """One finished run."""

    demo: Demo
    device: str
    seed: int
    steps: int
    verdicts: tuple[Verdict, ...]
    measured: dict[str, float]
    figures: dict[str, dict[str, Any]]
    cpu_seconds: float
    wall_seconds: float
    steps_per_second: float | None = None
    """Between the first and the last but one of the points that were heard; the last may wait for the run's end."""

    @property
    def outcome(self) -> bool | None:
        """Whether all that was judged holds; None where nothing was."""
        return _exam.outcome(verdict.holds for verdict in self.verdicts)

    @property
    def holds(self) -> bool:
        """Something was judged, and all of it holds."""
        return self.outcome is True

    @property
    def exit_code(self) -> int:
        """What a process ends with that ran this demo alone."""
        return _exam.EXIT_CODES[self.outcome]

    def to_json(self) -> dict[str, Any]:
        """The stable form of `kb demo --json`."""
        return {
            "demo": self.demo.id,
            "title": self.demo.title._asdict(),
            "device": self.device,
            "seed": self.seed,
            "steps": self.steps,
            "holds": self.holds,
            "claims": [
                {
                    "name": v.claim.name,
                    "says": v.claim.says._asdict(),
                    "kind": v.claim.kind,
                    "op": v.claim.op,
                    "threshold": v.claim.threshold,
                    "value": v.value,
                    "control": v.claim.control,
                    "control_value": v.control,
                    "floor": v.claim.floor,
                    "holds": v.holds,
                }
                for v in self.verdicts
            ],
            "measured": self.measured,
            "cpu_seconds": round(self.cpu_seconds, 2),
            "wall_seconds": round(self.wall_seconds, 2),
            "steps_per_second": self.steps_per_second and float(f"{self.steps_per_second:.4g}"),
        }


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A demo that has no report: it lacks a package, or it raised."""

    demo: Demo
    why: Literal["skipped", "error"]
    detail: str

    @property
    def exit_code(self) -> int:
        """What `kb demo` ends with for it alone."""
        return 3 if self.why == "skipped" else 1

    def to_json(self) -> dict[str, str]:
        """The stable form of `kb demo --all --json`."""
        return {"demo": self.demo.id, self.why: self.detail}


Result = Report | Unfinished
"""What a demo came to."""


def demo_ids() -> set[str]:
    """The ids of all demos, without opening one."""
    return {path.stem.replace("_", "-") for path in DEMOS.glob("[!_]*.py")}


def read_demo(path: Path) -> Demo:
    """What a demo declares, read from its source without running it.

    Raises:
        ValueError: a declaration is missing, not a literal, or no claim; a defect of the demo.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    assigned = (node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name))
    values = {node.targets[0].id: node.value for node in assigned}  # type: ignore[attr-defined]  # a Name, see above

    def literal(name: str, otherwise: Any) -> Any:
        return ast.literal_eval(values[name]) if name in values else otherwise

    run = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run"), None)
    if run is None or not {"TITLE", "CLAIMS"} <= values.keys():
        raise ValueError(f"{path}: a demo declares TITLE, CLAIMS and run")
    title = ast.literal_eval(values["TITLE"])
    return Demo(
        id=path.stem.replace("_", "-"),
        title=Bilingual(title["en"], title["zh"]),
        claims=_claims(path, ast.literal_eval(values["CLAIMS"])),
        steps=int(ast.literal_eval(run.args.defaults[-1])),
        cpu_seconds=float(literal("CPU_SECONDS", 10.0)),
        needs=literal("NEEDS", {}),
        path=path,
        curves=literal("CURVES", ""),
        common=literal("COMMON", ""),
        scale=literal("SCALE", ()),
        zh=literal("ZH", {}),
        constants={name: value for name, node in _constants(tree) if (value := _plain_value(node)) is not None},
    )


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """(name, value) of every upper-case name that is given one at the top of a file, of several in a line, too."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            is_several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = zip(target.elts, value.elts, strict=False) if is_several else [(target, value)]  # type: ignore[attr-defined]
            for name, part in pairs:
                if isinstance(name, ast.Name) and name.id.isupper() and name.id not in DECLARED:
                    yield name.id, part


def _plain_value(node: ast.expr) -> Constant | None:
    """One number, text or truth value; None for anything else."""
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return value if isinstance(value, (bool, int, float, str)) else None


def _claims(path: Path, declared: Mapping[str, Mapping[str, str]]) -> tuple[Claim, ...]:
    try:
        rules = {_exam.read_rule(chain): says for chain, says in declared.items()}
    except ValueError as fault:
        raise ValueError(f"{path}: {fault}") from None
    return tuple(Claim(**asdict(rule), says=Bilingual(says["en"], says["zh"])) for rule, says in rules.items())


def demo_named(id: str) -> Demo:
    """The demo of an id that `demo_ids` lists."""
    return read_demo(DEMOS / f"{id.replace('-', '_')}.py")


def all_demos() -> list[Demo]:
    """Every demo, sorted by id."""
    return [demo_named(id) for id in sorted(demo_ids())]


def claims_by_demo() -> dict[str, list[str]]:
    """The names of the claims of every demo."""
    return {demo.id: [claim.name for claim in demo.claims] for demo in all_demos()}


def run_demo(
    demo: Demo,
    *,
    device: str = "cpu",
    seed: int = 0,
    steps: int | None = None,
    listen: _exam.Listener = lambda *_: None,
    constants: Mapping[str, Constant] | None = None,
) -> Report:
    """Run a demo on one thread and judge its claims.

    Args:
        device: A device that is here, as `choose_device` returns it.
        steps: The budget; None for the default. Below the default, trained claims are not judged.
        listen: Called with a hundred points or so: the share that is done, and the series' values.
        constants: Other values of the demo's own constants; then nothing is judged.
    """
    _exam.prepare(device)
    budget = demo.steps if steps is None else steps
    start, wall = time.process_time(), time.perf_counter()
    marks: list[tuple[float, float]] = []

    def heard(done: float, values: Mapping[str, float]) -> None:
        marks.append((time.perf_counter(), done))
        listen(done, values)

    points = _module(demo, constants or {}).run(device=device, seed=seed, steps=budget)
    returned, figures = _exam.drain(points, heard)
    measured = {name: float(value) for name, value in returned.items()}
    spent = time.process_time() - start, time.perf_counter() - wall
    verdicts = tuple(judge(claim, measured, full=budget >= demo.steps) for claim in demo.claims)
    if constants:
        verdicts = tuple(replace(verdict, holds=None) for verdict in verdicts)
    return Report(demo, device, seed, budget, verdicts, measured, figures, *spent, _pace(marks, budget))


def _pace(marks: Sequence[tuple[float, float]], steps: int) -> float | None:
    """Steps a second, of (time, share done) of the points that were heard."""
    if len(marks) < 3:
        return None
    (start, before), (end, after) = marks[0], marks[-2]
    return steps * (after - before) / (end - start) if end > start else None


def _module(demo: Demo, constants: Mapping[str, Constant]) -> ModuleType:
    """The demo's file, run as a module, its constants as they are asked for."""
    tree = ast.parse(demo.path.read_text(encoding="utf-8"), str(demo.path))
    for name, node in list(_constants(tree)):
        if name in constants:
            _put(tree, node, ast.copy_location(ast.Constant(constants[name]), node))
    module = ModuleType(f"kb_demo_{demo.path.stem}")
    module.__file__ = str(demo.path)
    sys.modules[module.__name__] = module  # a dataclass looks for its module there
    exec(compile(tree, str(demo.path), "exec"), module.__dict__)
    return module


def _put(tree: ast.Module, old: ast.expr, new: ast.expr) -> None:
    """Put a value into the place of another."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            if node.value is old:
                node.value = new
            elif isinstance(node.value, ast.Tuple):
                node.value.elts = [new if part is old else part for part in node.value.elts]


def judge(claim: Claim, measured: Mapping[str, float], *, full: bool = True) -> Verdict:
    """A claim with what was measured for it, and the exam's verdict."""
    control = measured.get(claim.control) if claim.control else None
    return Verdict(claim, measured.get(claim.name), control, _exam.judge(claim, measured, full=full))
