"""The exam that every demo sits: what a claim says, when it holds, and a demo as a command of its own.

A claim is a chain, "trained lstm_mse <= 0.01 < rnn_mse <= 0.3": a kind, the value that is measured, its rule, a
control that breaks the rule, and a floor for that control (it may be left out), so that it stays worth beating. kb
judges by these functions too, so a demo says the same alone and in `kb demo`. They need only torch and the standard
library, and nothing from `__future__`: `--eject` writes them into a demo.
"""

import math
import operator
import re
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import FunctionType
from typing import Any, NoReturn

KINDS = ("parity", "trained", "constant", "timing")
"""An identity with a reference; what the full budget brings; a figure that no run changes; the machine's speed."""

OPERATORS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}
EXIT_CODES = {True: 0, False: 1, None: 3}
"""What a run that `outcome` sums up ends with; 2 is a usage error."""

SPACE = 0.00999
"""Share of a run between two points that are heard."""
Points = Mapping[str, float]
Listener = Callable[[float, Points], object]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a claim demands: `measured[name] op threshold`; by the same rule the control must fail.

    A `floor` is what the control has to reach all the same, by the same operator: a rival that was weakened proves
    nothing.
    """

    name: str
    op: str
    threshold: float
    kind: str
    control: str | None
    floor: float | None = None

    def __post_init__(self) -> None:
        names = (self.name, self.control or self.name)
        faults = {
            f"the kind {self.kind!r} is none of {', '.join(KINDS)}": self.kind not in KINDS,
            f"{self.op!r} is neither <= nor >=": self.op not in OPERATORS,
            f"{names} are not both names": not all(map(str.isidentifier, names)),
            f"{self.name} is its own control": self.name == self.control,
            f"what is {self.kind} needs a control": self.is_judged and self.control is None,
            f"a control at {self.floor} keeps the rule": self.floor is not None and self.met_by(self.floor),
        }
        for fault, is_there in faults.items():
            if is_there:
                raise ValueError(fault)

    @property
    def is_judged(self) -> bool:
        """Whether some run judges it; constants and timing are only shown."""
        return self.kind in ("parity", "trained")

    def met_by(self, value: float) -> bool:
        """Whether a value satisfies the rule; nan never does."""
        return OPERATORS[self.op](value, self.threshold)

    def falls_short(self, control: float) -> bool:
        """Whether a control stays behind the floor, so that nothing is proved by beating it; nan always does."""
        return not OPERATORS[self.op](control, control if self.floor is None else self.floor)


def read_rule(chain: str) -> Rule:
    """The rule that a chain states: "kind value <= threshold < control <= floor", or with >= and >.

    The floor may be left out; where nothing is ever judged, the control as well.

    Raises:
        ValueError: it states none; a defect of the demo.
    """
    words = chain.split()
    if len(words) not in (4, 6, 8):
        raise ValueError(f"{chain!r} is no claim: write 'kind value <= threshold < control'")
    kind, name, op, bound, *rest = words
    signs, beside = rest[::2], rest[1::2]
    try:
        floor = _number(beside[1]) if beside[1:] else None
        rule = Rule(name, op, _number(bound), kind, beside[0] if beside else None, floor)
    except ValueError as fault:
        raise ValueError(f"{chain!r}: {fault}") from None
    if signs != [op[:1], op][: len(signs)]:
        raise ValueError(f"{chain!r}: {op} goes on with {op[:1]}, then {op}, not with {' and '.join(signs)}")
    return rule


def _number(text: str) -> float:
    """A finite number; a whole one stays whole."""
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?", text) or math.isinf(float(text)):
        raise ValueError(f"{text!r} is no number")
    return float(text) if set(text) & set(".e") else int(text)


def judge(rule: Rule, measured: Mapping[str, float], *, full: bool = True) -> bool | None:
    """Whether a claim holds: its value meets the rule, and its control, by the same rule, does not, yet its floor.

    None where it is not judged: what is trained at less than the full budget; constants and timing always. A value
    or control that is missing or nan is a failure.
    """
    if not rule.is_judged or (rule.kind == "trained" and not full):
        return None
    value, control = measured.get(rule.name), measured.get(rule.control or "")
    if value is None or control is None:
        return False
    return rule.met_by(value) and not rule.met_by(control) and not rule.falls_short(control)


def outcome(judged: Iterable[bool | None]) -> bool | None:
    """What the claims of a run come to: all that were judged hold, one fails, or (None) not one was judged."""
    known = [holds for holds in judged if holds is not None]
    return all(known) if known else None


def lacking(needs: Mapping[str, str]) -> list[str]:
    """The commands that install what is not here, of optional packages and the command for each."""
    return [command for package, command in needs.items() if find_spec(package) is None]


def prepare(device: str) -> None:
    """One thread, full precision, the same numbers every time."""
    import os

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, cuBLAS sums in varying order
    import torch

    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = device.startswith("cuda")


def drain(points: Generator[tuple[float, Points], None, Any], listen: Listener = lambda *_: None) -> Any:
    """Take a run's points to their end; what it returns, which is its measurements and figures.

    A point is heard a hundredth of the run after the one before it; the last is heard always.
    """
    heard, waiting = -1.0, None
    while True:
        try:
            done, values = next(points)
        except StopIteration as end:
            if waiting:
                listen(*waiting)
            return end.value
        waiting = (done, values)
        if done >= heard + SPACE:
            listen(done, values)
            heard, waiting = done, None


def sit(run: FunctionType, claims: Mapping[str, Mapping[str, str]]) -> NoReturn:
    """Run a demo as a command: print its points and each claim beside its control, exit with what they come to."""
    rules = {read_rule(chain): says["en"] for chain, says in claims.items()}
    options, is_full = _options(run)
    needed = lacking(run.__globals__.get("NEEDS", {}))
    if needed:
        print("skipped; it needs:", "; ".join(needed), file=sys.stderr)
        sys.exit(EXIT_CODES[None])
    prepare(options["device"])
    returned, _ = drain(run(**options), lambda done, points: print(f"{done:4.0%} {points}"))
    measured = {name: float(value) for name, value in returned.items()}
    verdicts = {rule: judge(rule, measured, full=is_full) for rule in rules}
    for rule, holds in verdicts.items():
        print(_line(rule, measured, holds), f"({rules[rule]})")
    sys.exit(EXIT_CODES[outcome(verdicts.values())])


def _line(rule: Rule, measured: Mapping[str, float], holds: bool | None) -> str:
    """Such as "holds: lstm_mse = 0.0003 <= 0.01, control 0.17"."""
    said = "not judged" if holds is None else "holds" if holds else "FAILS"
    told = {name: f"{value:.4g}" for name, value in measured.items()}
    value, control = (told.get(name, "missing") for name in (rule.name, rule.control or ""))
    line = f"{said}: {rule.name} = {value} {rule.op} {rule.threshold}"
    if rule.floor is not None:
        control += f" {rule.op} {rule.floor}"
    return f"{line}, control {control}" if rule.control else line


def _options(run: FunctionType) -> tuple[dict[str, Any], bool]:
    """The command line, whose options are the parameters of `run`, and whether it asks for the full budget."""
    import argparse

    import torch

    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=run.__globals__["__doc__"], formatter_class=as_written)
    for name, default in zip(("device", "seed", "steps"), run.__defaults__ or (), strict=True):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    options = parser.parse_args()
    if not 0 <= options.seed < 2**31 or options.steps < 1:
        parser.error("a seed is between 0 and 2147483647, and steps are at least 1")
    try:
        torch.empty(0, device=options.device)
    except (RuntimeError, AssertionError):
        parser.error(f"no device {options.device!r} here")
    return vars(options), options.steps >= parser.get_default("steps")
