"""The calls on the cards: Python that compiles, names that exist, and arguments that these take."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest

import kb

KNOWN = {"torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "np": "numpy", "optim": "torch.optim"}
"""What a reader of a call takes for imported."""
OPTIONAL = {"transformers", "torch_geometric", "tensorflow", "keras", "torchvision", "peft", "torchao", "datasets"}
OPTIONAL |= {
    "cv2",
    "gensim",
    "ultralytics",
    "sacrebleu",
    "jiwer",
    "pandas",
    "optuna",
    "xgboost",
    "nltk",
    "torchaudio",
    "evaluate",
    "timm",
    "diffusers",
    "trl",
    "gymnasium",
    "opacus",
    "fastapi",
}
"""Packages that a reader may have and kb does not need: their names are looked up by hand."""


def calls() -> list[Any]:
    with kb.open() as base:
        return [pytest.param(concept.code.call, id=concept.id) for concept in base if concept.code]


@cache
def scikit() -> Mapping[str, Any]:
    """Every public name of scikit-learn, as its estimators and measures are written without their modules."""
    from sklearn.utils.discovery import all_estimators, all_functions

    return dict([*all_estimators(), *all_functions()])


def imported(tree: ast.Module) -> dict[str, Any]:
    """What the lines import, but for packages that are not here."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            if str(module).partition(".")[0] not in OPTIONAL:
                exec(compile(ast.Module([node], []), "call", "exec"), found)
    return found


def dotted(node: ast.expr) -> str:
    """`torch.nn.Linear` of the expression that says so; nothing of others."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def resolved(name: str, known: Mapping[str, Any]) -> Any:
    """What a dotted name means; None where its first part is a value of the reader's.

    Raises:
        AttributeError: there is no such name.
    """
    first, *rest = name.split(".")
    if first in known:
        found = known[first]
    elif first in KNOWN:
        found = importlib.import_module(KNOWN[first])
    elif first in scikit() and not rest:
        return scikit()[first]
    else:
        return None
    for part in rest:
        found = getattr(found, part)
    return found


def bound(tree: ast.Module) -> Iterator[str]:
    """The calls whose function is known and takes what it is given.

    Raises:
        AttributeError, TypeError: there is no such name, or it takes no such argument.
    """
    known = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (name := dotted(node)):
            resolved(name, known)
        if not isinstance(node, ast.Call) or not (name := dotted(node.func)):
            continue
        function = resolved(name, known)
        starred = any(isinstance(arg, ast.Starred) for arg in node.args) or any(not k.arg for k in node.keywords)
        if function is None or starred:
            continue
        try:
            signature = inspect.signature(function)
        except ValueError:  # written in C
            continue
        signature.bind(*[None] * len(node.args), **{str(keyword.arg): None for keyword in node.keywords})
        yield name


@pytest.mark.parametrize("call", calls())
def test_a_call_is_python_and_its_names_and_arguments_exist(call: str) -> None:
    list(bound(ast.parse(call)))


def test_most_calls_are_checked() -> None:
    """So that the test above does not pass because nothing is known."""
    checked = [param.id for param in calls() if list(bound(ast.parse(param.values[0])))]
    assert len(checked) > 0.6 * len(calls())


@pytest.mark.parametrize(
    "call", ["nn.Linaer(2, 1)", "nn.Linear(2, size=1)", "F.softmax(x, 1, 2, 3, 4)", "from torch import adam", "a = ("]
)
def test_a_wrong_call_is_noticed(call: str) -> None:
    with pytest.raises((AttributeError, ImportError, SyntaxError, TypeError)):
        list(bound(ast.parse(call)))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_names_in_the_traps_exist(language: str) -> None:
    with kb.open() as base:
        traps = {c.id: getattr(c.code.trap, language) for c in base if c.code and c.code.trap}
    wrong = []
    for id, trap in traps.items():
        for name in re.findall(r"(?<![\w.])(?:torch|nn|F)(?:\.[A-Za-z_]\w*)+", trap):
            try:
                resolved(name, {})
            except AttributeError:
                wrong.append((id, name))
    assert wrong == []
