"""A demo as one file that runs alone: its exam is written into it, as a function, which keeps their names apart."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from kb.demos import _exam
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
    exam = re.sub(r"\n{3,}", "\n\n", Path(_exam.__file__).read_text(encoding="utf-8")).rstrip()
    inside = textwrap.indent(f"{exam}\n\nreturn sit\n", "    ")
    experiment += f"# %% the exam\n\n\ndef _exam():\n{inside}\n\n"
    return f"{experiment}{main}    sit = _exam()\n{sitting.removeprefix(_IMPORT)}"
