"""`kb demo --code` and `--eject`: what a demo is written like, and a copy that runs alone."""

from __future__ import annotations

import ast
import shlex
import sys
from pathlib import Path

from kb.cli.session import Session
from kb.cli.target import check_target, is_stream, write_to
from kb.errors import KbError
from kb.lab.runner import Demo
from kb.language.text import Bilingual


def show_code(session: Session, demo: Demo, *, whole: bool) -> int:
    """Print the concept's cell of a demo, or all of it."""
    from kb.lab.cells import concept

    source = demo.path.read_text(encoding="utf-8")
    shown = source if whole else concept(source)
    if session.console.is_terminal:
        from rich.syntax import Syntax

        session.print(Syntax(shown, "python", background_color="default"))
    else:
        print(shown, end="")
    if shown != source:
        session.note(
            f"the concept alone; kb demo {demo.id} --code --all shows the experiment too",
            f"仅概念部分；kb demo {demo.id} --code --all 显示整个实验",
        )
    return 0


def eject(session: Session, demo: Demo, target: Path) -> int:
    """Write a demo and its exam to one file, or to a stream; to a notebook where the name ends so."""
    from kb.lab.eject import notebook, one_file

    check_target(target)
    source = one_file(demo)
    is_notebook = target.suffix == ".ipynb"
    content = notebook(demo) if is_notebook else source
    if is_stream(target):
        write_to(target, content.encode())
        return 0
    if target.exists():
        raise KbError(
            Bilingual(f"{target} exists", f"{target} 已存在"),
            Bilingual("name another file", "请换一个文件名"),
        )
    write_to(target, content.encode())
    name, needed = shlex.quote(str(target)), _packages(source)
    how = f"jupyter lab {name}" if is_notebook else f"python {name}"
    needed += ["jupyterlab"] * is_notebook
    session.note(f"{how} runs it; it needs {', '.join(needed)}", f"{how} 即可运行，需要 {'、'.join(needed)}")
    return 0


def _packages(source: str) -> list[str]:
    """What is to be installed for the imports of a file, torch first."""
    roots: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            roots.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
    named = {"scikit-learn" if root == "sklearn" else root for root in roots - sys.stdlib_module_names}
    return sorted(named, key=lambda name: (name != "torch", name))
