"""The arithmetic of the examples: what it works out, what it refuses, and that it always ends."""

from __future__ import annotations

import pytest

from kb.concepts.compute import compute, disagrees, stands_in


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 / (1 - 0.5)", 4),
        ("-log(0.5) / log(2)", 1),
        ("softmax([1, 1, 1, 1])[0]", 0.25),
        ("sum([1, 2, 3] * 2)", 12),
        ("sum([1, 2] - [3, 5])", -5),
        ("10 - [4, 1][1]", 9),
        ("sum(10 - [4, 1])", 15),
        ("max(1, 2, 3) + min([4, 5])", 7),
        ("std([10, 12, 14, 16]) ** 2", 5),
        ("dot([1, 2], [3, 4])", 11),
        ("round(2.567, 1) + round(2.6)", 5.6),
        ("relu(-1) + sigmoid(0) + tanh(0)", 0.5),
        ("7 // 2 + 7 % 4 + factorial(3)", 12),
        ("mean(exp([0, 0])) + pi - pi", 1),
    ],
)
def test_what_an_expression_comes_to(expression: str, value: float) -> None:
    assert compute(expression) == pytest.approx(value)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("__import__('os').system('true')", "is none of"),
        ("(1).real", "is none of"),
        ("'a' * 9", "is none of"),
        ("True", "is none of"),
        ("lambda: 0", "is none of"),
        ("open(1)", "is none of"),
        ("log(1, base=2)", "is none of"),
        ("[1, 2]", "a list, not a number"),
        ("[[1], [2]][0]", "a list within a list"),
        ("3[0]", "only a list has parts"),
        ("[1][5]", "index out of range"),
        ("1 / 0", "division by zero"),
        ("(-1) ** 0.5", "not a real number"),
        ("1e200 * 1e200", "too large"),
        ("9 ** 9 ** 9 ** 9", "."),
        ("9e999", "."),
        ("+".join("1" * 500), "too long"),
        ("(" * 300, "not arithmetic"),
        ("1 +", "not arithmetic"),
        ("[1, 2] + [1]", "."),
        ("round(1, [2])", "digits are one number"),
        ("dot(1, 2)", "two lists"),
    ],
)
def test_what_is_no_arithmetic_is_refused(expression: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        compute(expression)


@pytest.mark.parametrize(
    ("shown", "expression", "right"),
    [
        ("0.84", "softmax([3, 1, 0])[0]", ""),
        ("0.85", "softmax([3, 1, 0])[0]", "0.84"),
        ("1,792", "64 * 28", ""),
        ("1,791", "64 * 28", "1792"),
        ("8.3e7", "1.2 ** 100", ""),
        ("9e7", "1.2 ** 100", "8e7"),
        ("-0.45", "(12 - 13) / sqrt(5)", ""),
        ("3", "2.6", ""),
        ("2", "2.6", "3"),
        ("####", "3.6", ""),
        ("###", "3.6", "4 of #"),
    ],
)
def test_a_shown_number_is_compared_as_it_is_rounded(shown: str, expression: str, right: str) -> None:
    assert disagrees(shown, expression) == right


def test_what_is_shown_must_be_a_number() -> None:
    with pytest.raises(ValueError, match="not a number"):
        disagrees("four", "4")


@pytest.mark.parametrize(
    ("shown", "text", "does"),
    [
        ("4", "a 4 b", True),
        ("4", "a 14 b", False),
        ("4", "a 4.5 b", False),
        ("4", "0.4", False),
        ("4", "it is 4.", True),
        ("##", "a ## b", True),
        ("##", "a ### b", False),
    ],
)
def test_a_number_stands_by_itself_in_a_text(shown: str, text: str, does: bool) -> None:
    assert stands_in(shown, text) is does
