"""A demo as one file, or one notebook, that runs alone: its exam is in it, as a function, which keeps names apart."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from pathlib import Path

from kb.demos import _exam
from kb.lab.cells import cells
from kb.lab.runner import Demo

_MAIN = 'if __name__ == "__main__":\n'
_IMPORT = "    from _exam import sit\n\n"


def one_file(demo: Demo) -> str:
    """The source of a demo with its exam in it.

    Raises:
        ValueError: the demo does not end as demos do; a defect of it.
    """
    experiment, main, sitting = demo.path.read_text(encoding="utf-8").rpartition(_MAIN)
    if not main or not sitting.startswith(_IMPORT):
        raise ValueError(f"{demo.path}: a demo ends with its exam")
    return f"{experiment}{_exam_cell()}\n\n{main}    sit = _exam()\n{sitting.removeprefix(_IMPORT)}"


def _exam_cell() -> str:
    """The exam in a function that returns `sit`, as a cell."""
    exam = re.sub(r"\n{3,}", "\n\n", Path(_exam.__file__).read_text(encoding="utf-8")).rstrip()
    inside = textwrap.indent(f"{exam}\n\nreturn sit\n", "    ")
    return f"# %% the exam\n\n\ndef _exam():\n{inside}"


LAST = """# what was measured, and whether each claim holds
import sys

sys.argv = ["demo"]
try:
    _exam()(run, CLAIMS)
except SystemExit as done:
    print("exit code", done.code)
"""


def notebook(demo: Demo) -> str:
    """The cells of a demo as a notebook (nbformat 4.5), the exam at its end.

    Raises:
        ValueError: the demo does not end as demos do; a defect of it.
    """
    source = one_file(demo).partition(_MAIN)[0]
    docstring = ast.get_docstring(ast.parse(source)) or ""
    first, *rest = cells(source)
    imports = re.sub(r'\A(?s:""".*?""")\n*', "", first.code)
    title, _, text = docstring.partition("\n")
    parts = [("markdown", f"# {title}\n\n```text\n{text.strip()}\n```"), ("code", imports)]
    for cell in rest:
        parts += [("markdown", f"## {cell.title}"), ("code", cell.code)]
    held = [_held(i, kind, part.strip("\n")) for i, (kind, part) in enumerate([*parts, ("code", LAST)])]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": held}, indent=1) + "\n"


def _held(number: int, kind: str, text: str) -> dict[str, object]:
    """A cell of a notebook."""
    cell: dict[str, object] = {"id": f"cell-{number}", "cell_type": kind, "metadata": {}, "source": text}
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})
