"""`kb lint`: check a knowledge base against the curation standard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kb.cli.app import both
from kb.cli.plain import printable
from kb.cli.session import Session


def command(
    session: Session,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help=both("A concepts file; the one in use by default.", "概念文件，默认为当前使用的。"),
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=both("Print JSON.", "输出 JSON。"))] = False,
) -> int:
    from kb.lint import lint
    from kb.runner import demo_ids
    from kb.settings import data_file, overlay_file
    from kb.source import read_entries

    path = file or data_file(session.settings)
    problems = lint(path, demo_ids(), None if file else overlay_file(session.settings))
    if as_json:
        session.print_json(
            [
                {"file": p.file, "line": p.line, "id": p.id, "field": p.field, "message": p.message._asdict()}
                for p in problems
            ]
        )
        return 1 if problems else 0
    for problem in problems:
        print(printable(problem.said(session.language)))
    entries, n = len(read_entries(path)[0]), len(problems)
    session.note(f"{entries} entries, {n} problems", f"{entries} 个条目，{n} 处问题")
    return 1 if problems else 0
