"""`kb lint`: check a knowledge base against the curation standard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kb.cli.options import JSON, both
from kb.cli.session import Session
from kb.errors import KbError
from kb.language.text import Bilingual
from kb.show.plain import one_line

if TYPE_CHECKING:
    from kb.concepts.source import Problem


def command(
    session: Session,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar=both("[FILE]", "[文件]"),
            help=both("A concepts file; the one in use by default.", "概念文件，默认为当前使用的。"),
        ),
    ] = None,
    suggest: Annotated[
        bool,
        typer.Option(
            "--suggest-links",
            help=both("Name the nearest pairs that are not linked.", "列出含义最近而尚无链接的概念对。"),
        ),
    ] = False,
    as_json: JSON = False,
) -> int:
    from kb.concepts.lint import lint
    from kb.concepts.source import Source, read_all
    from kb.lab.runner import demo_ids
    from kb.settings import data_file, overlay_file

    path = file or data_file(session.settings)
    overlay = None if file else overlay_file(session.settings)
    problems = lint(path, demo_ids(), overlay)
    pairs: list[tuple[str, str, float]] = []
    if suggest:
        try:
            pairs = _suggested(session, path, overlay)
        except KbError:
            if not problems:  # else they say what keeps the file from being loaded
                raise
    if as_json:
        found: Any = [_record(problem) for problem in problems]
        if suggest:
            found = {"problems": found, "suggestions": [{"id": a, "to": b, "score": round(s, 4)} for a, b, s in pairs]}
        session.print_json(found)
        return 1 if problems else 0
    for problem in problems:
        print(one_line(problem.said(session.language)))
    read, _ = read_all([Source.open(file) for file in (path, overlay) if file is not None])
    entries = {entry.id: entry for entry in read}
    for id, other, score in pairs:
        wish = Bilingual(f"near {other} ({score:.2f}), not linked", f"与 {other} 含义相近（{score:.2f}），尚无链接")
        print(one_line(entries[id].problem("links", wish).said(session.language)))
    n = len(problems)
    session.note(f"{len(entries)} entries, {n} problems", f"{len(entries)} 个条目，{n} 处问题")
    return 1 if problems else 0


def _record(problem: Problem) -> dict[str, Any]:
    return {**problem._asdict(), "message": problem.message._asdict()}


def _suggested(session: Session, path: Path, overlay: Path | None) -> list[tuple[str, str, float]]:
    from kb.cli.progress import embedding
    from kb.paths import cache_dir
    from kb.search.side import open_semantic
    from kb.search.similar import suggest_links
    from kb.snapshot.store import open_store

    store = open_store(path, overlay, cache_dir())
    with embedding(session) as notify:
        return suggest_links(store, open_semantic(store, *session.encoder("", ""), notify).index)
