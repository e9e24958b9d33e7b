"""Demos: what they declare, how they run, and whether their claims hold.

A demo is a file in kb/demos that stands alone. Its TITLE and CLAIMS are literals, so that listing hundreds of demos
imports none of them; its `run` is a generator that yields points and returns measurements and figures.
"""

from __future__ import annotations

import ast
import operator
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kb.language.text import Bilingual
from kb.paths import DEMOS

OPERATORS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}
QUICK = 10
"""`--quick` runs a tenth of the steps; only parity is judged then."""

Points = Mapping[str, float]
Listener = Callable[[float, Points], None]


@dataclass(frozen=True, slots=True)
class Claim:
    """A declared statement: `measured[name] op threshold`; by the same rule the control must fail."""

    name: str
    op: str
    threshold: float
    kind: str
    control: str | None
    says: Bilingual

    def met_by(self, value: float) -> bool:
        """Whether a value satisfies the rule; nan never does."""
        return OPERATORS[self.op](value, self.threshold)


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

    @property
    def missing(self) -> list[str]:
        """Commands that install the optional packages which are not here."""
        return [command for package, command in self.needs.items() if find_spec(package) is None]


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

    @property
    def holds(self) -> bool:
        """No claim that was judged failed."""
        return all(verdict.holds is not False for verdict in self.verdicts)

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
                    "holds": v.holds,
                }
                for v in self.verdicts
            ],
            "measured": self.measured,
            "cpu_seconds": round(self.cpu_seconds, 2),
            "wall_seconds": round(self.wall_seconds, 2),
        }


def demo_ids() -> set[str]:
    """The ids of all demos, without opening one."""
    return {path.stem.replace("_", "-") for path in DEMOS.glob("[!_]*.py")}


def read_demo(path: Path) -> Demo:
    """What a demo declares, read from its source without running it.

    Raises:
        ValueError: a declaration is missing or not a literal; a defect of the demo.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    assigned = (node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name))
    values = {node.targets[0].id: node.value for node in assigned}  # type: ignore[attr-defined]  # a Name, see above
    run = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run"), None)
    if run is None or not {"TITLE", "CLAIMS"} <= values.keys():
        raise ValueError(f"{path}: a demo declares TITLE, CLAIMS and run")
    title = ast.literal_eval(values["TITLE"])
    claims = ast.literal_eval(values["CLAIMS"])
    return Demo(
        id=path.stem.replace("_", "-"),
        title=Bilingual(title["en"], title["zh"]),
        claims=tuple(_claim(name, declared) for name, declared in claims.items()),
        steps=int(ast.literal_eval(run.args.defaults[-1])),
        cpu_seconds=float(ast.literal_eval(values["CPU_SECONDS"])) if "CPU_SECONDS" in values else 10.0,
        needs=ast.literal_eval(values["NEEDS"]) if "NEEDS" in values else {},
        path=path,
    )


def _claim(name: str, declared: dict[str, Any]) -> Claim:
    says = Bilingual(declared["en"], declared["zh"])
    return Claim(name, declared["op"], declared["threshold"], declared["kind"], declared.get("control"), says)


def demo_named(id: str) -> Demo:
    """The demo of an id that `demo_ids` lists."""
    return read_demo(DEMOS / f"{id.replace('-', '_')}.py")


def all_demos() -> list[Demo]:
    """Every demo, sorted by id."""
    return [demo_named(id) for id in sorted(demo_ids())]


def run_demo(
    demo: Demo,
    *,
    device: str = "cpu",
    seed: int = 0,
    steps: int | None = None,
    listen: Listener = lambda *_: None,
) -> Report:
    """Run a demo on one thread and judge its claims.

    Args:
        device: A device that is here, as `choose_device` returns it.
        steps: The budget; None for the default. Below the default, trained claims are not judged.
        listen: Called with every point: the share that is done, and the series' values.
    """
    _prepare(device)
    budget = demo.steps if steps is None else steps
    start, wall = time.process_time(), time.perf_counter()
    points = import_module(f"kb.demos.{demo.path.stem}").run(device=device, seed=seed, steps=budget)
    measured, figures = _drain(points, listen)
    spent = time.process_time() - start, time.perf_counter() - wall
    verdicts = tuple(judge(claim, measured, full=budget >= demo.steps) for claim in demo.claims)
    return Report(demo, device, seed, budget, verdicts, measured, figures, *spent)


def _prepare(device: str) -> None:
    """One thread, full precision, the same numbers every time."""
    import os

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, cuBLAS sums in varying order
    import torch

    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = device.startswith("cuda")


def _drain(points: Iterator[tuple[float, Points]], listen: Listener) -> tuple[dict[str, float], dict[str, Any]]:
    while True:
        try:
            listen(*next(points))
        except StopIteration as end:
            measured, figures = end.value
            return {name: float(value) for name, value in measured.items()}, figures


def judge(claim: Claim, measured: Mapping[str, float], *, full: bool = True) -> Verdict:
    """Whether a claim holds: its value meets the rule, and its control, by the same rule, does not.

    Timing is never judged; what is trained, only at the full budget. A value or control that the demo declared and did
    not report is a failure.
    """
    value = measured.get(claim.name)
    control = measured.get(claim.control) if claim.control else None
    if claim.kind == "timing" or (claim.kind == "trained" and not full):
        return Verdict(claim, value, control, None)
    if value is None or control is None or control != control:
        return Verdict(claim, value, control, False)
    return Verdict(claim, value, control, claim.met_by(value) and not claim.met_by(control))
