"""Arithmetic of the examples: an expression worked out by its own small evaluator, which can neither call nor hang.

`softmax([3, 1, 0])[0]`, `round(6 * 0.5 / (1 - 0.5))`, `sum((x - mean) ** 2)` without the names: numbers, lists of
numbers, + - * / // % **, and the functions of `FUNCTIONS`.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

MOST_NODES = 400
"""Parts of an expression that is worked out."""
LARGEST = 1e300
"""A number beyond this is refused: powers of powers would take for ever."""

Number = float
Value = float | list[float]

_BINARY: dict[type, Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def _mean(values: Sequence[Number]) -> Number:
    return math.fsum(values) / len(values)


def _var(values: Sequence[Number]) -> Number:
    """The variance over all of them, divided by their number."""
    middle = _mean(values)
    return _mean([(value - middle) ** 2 for value in values])


def _softmax(values: Sequence[Number]) -> list[Number]:
    top = max(values)
    powers = [math.exp(value - top) for value in values]
    return [power / math.fsum(powers) for power in powers]


def _dot(one: Sequence[Number], other: Sequence[Number]) -> Number:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


_OF_NUMBERS: dict[str, Callable[..., Number]] = {
    "exp": math.exp,
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "erf": math.erf,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "relu": lambda x: max(x, 0.0),
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "factorial": lambda n: math.gamma(n + 1),
}
_OF_LISTS: dict[str, Callable[..., Value]] = {
    "sum": math.fsum,
    "mean": _mean,
    "var": _var,
    "std": lambda values: math.sqrt(_var(values)),
    "max": max,
    "min": min,
    "len": len,
    "softmax": _softmax,
}
FUNCTIONS = (*_OF_NUMBERS, *_OF_LISTS, "dot", "round")
"""What an expression may call: of numbers, which work on each of a list, of lists, and two of several."""
_CONSTANTS = {"pi": math.pi, "e": math.e}


def compute(expression: str) -> float:
    """The number that an expression comes to.

    Raises:
        ValueError: it is no arithmetic, or comes to no number; the message says why.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
            raise ValueError("too long")
        value = _value(tree.body)
        if isinstance(value, list):
            raise ValueError("a list, not a number")
        number = float(value)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("not arithmetic") from None
    except (ArithmeticError, TypeError, IndexError) as fault:
        raise ValueError(str(fault)) from None
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _value(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_number(part) for part in parts]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _each(operator.neg, _value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _pairwise(_BINARY[type(op)], _value(left), _value(right))
        case ast.Subscript(value=of, slice=index):
            values = _value(of)
            if not isinstance(values, list):
                raise ValueError("only a list has parts")
            return values[int(_number(index))]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            return _called(name, [_value(argument) for argument in arguments])
    raise ValueError(f"'{ast.unparse(node)[:40]}' is none of + - * / // % **, a list or {', '.join(FUNCTIONS)}")


def _called(name: str, arguments: list[Value]) -> Value:
    if name == "dot":
        one, other = arguments
        if not isinstance(one, list) or not isinstance(other, list):
            raise ValueError("dot takes two lists")
        return _bounded(_dot(one, other))
    if name == "round":
        value, digits = arguments if len(arguments) == 2 else (arguments[0], 0.0)
        if isinstance(digits, list):
            raise ValueError("digits are one number")
        return _each(lambda x: round(x, int(digits)), value)
    if name in _OF_LISTS:
        first = arguments[0] if len(arguments) == 1 else arguments
        result = _OF_LISTS[name](first)
        return result if isinstance(result, list) else _bounded(result)
    (argument,) = arguments
    return _each(_OF_NUMBERS[name], argument)


def _each(function: Callable[[Number], Number], value: Value) -> Value:
    return [_bounded(function(one)) for one in value] if isinstance(value, list) else _bounded(function(value))


def _pairwise(function: Callable[[Number, Number], Number], one: Value, other: Value) -> Value:
    """Of two numbers, of a list and a number, or of two lists of one length, place by place."""
    if isinstance(one, list) and isinstance(other, list):
        return [_bounded(function(a, b)) for a, b in zip(one, other, strict=True)]
    if isinstance(one, list):
        return [_bounded(function(a, other)) for a in one]  # type: ignore[arg-type]  # a number, see above
    if isinstance(other, list):
        return [_bounded(function(one, b)) for b in other]
    return _bounded(function(one, other))


def _number(node: ast.expr) -> Number:
    value = _value(node)
    if isinstance(value, list):
        raise ValueError("a list within a list")
    return value


def _bounded(number: Any) -> Number:
    if isinstance(number, complex):
        raise ValueError("not a real number")
    value = float(number)  # of floats, powers overflow and do not grow
    if abs(value) > LARGEST:
        raise ValueError("too large")
    return value


_SHOWN = re.compile(r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?(?:e([-+]?\d+))?")
_BAR = re.compile(r"#+")


def disagrees(shown: str, expression: str) -> str:
    """How a shown number differs from what an expression comes to, rounded as it is shown; "" where it does not.

    A bar of `#` is compared by its length.

    Raises:
        ValueError: the shown text is no number, or the expression no arithmetic.
    """
    value = compute(expression)
    if _BAR.fullmatch(shown):
        return "" if len(shown) == round(value) else f"{round(value)} of #"
    match = _SHOWN.fullmatch(shown)
    if match is None:
        raise ValueError("not a number")
    decimals, exponent = len(match[1] or ""), int(match[2] or 0)
    said = float(shown.replace(",", "").replace("−", "-"))
    half = 0.5 * 10.0 ** (exponent - decimals)
    if abs(said - value) <= half * (1 + 1e-9):
        return ""
    return f"{value / 10.0**exponent:.{decimals}f}" + (f"e{exponent}" if exponent else "")


def stands_in(shown: str, text: str) -> bool:
    """Whether a number or a bar stands in a text by itself, not as a part of a longer one."""
    around = "#" if _BAR.fullmatch(shown) else r"[\d.]"
    after = "#" if _BAR.fullmatch(shown) else r"\d|[.,]\d"
    return re.search(rf"(?<!{around}){re.escape(shown)}(?!{after})", text) is not None
