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
    from kb.settings import Settings


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
    from kb.base import lint

    settings = session.settings._replace(data=str(file)) if file else session.settings
    entries, problems, nearest = lint(settings)
    pairs = _suggested(session, settings, has_problems=bool(problems)) if suggest else []
    if as_json:
        found: Any = [_record(problem) for problem in problems]
        if suggest:
            found = {"problems": found, "suggestions": [{"id": a, "to": b, "score": round(s, 4)} for a, b, s in pairs]}
        session.print_json(found)
        return 1 if problems else 0
    by_id = {entry.id: entry for entry in entries}
    wishes = [by_id[id].problem("links", _wish(other, score)) for id, other, score in pairs]
    for problem in [*problems, *wishes]:
        print(one_line(problem.said(session.language)))
    if nearest:
        ids = ", ".join(nearest)
        session.note(
            f"{len(nearest)} link to the nearest demo, which measures no claim of theirs: {ids}",
            f"{len(nearest)} 个条目所链接的只是最接近的演示，其中没有为它们测量的论断：{ids}",
        )
    n = len(problems)
    session.note(f"{len(entries)} entries, {n} problems", f"{len(entries)} 个条目，{n} 处问题")
    return 1 if problems else 0


def _wish(other: str, score: float) -> Bilingual:
    return Bilingual(f"near {other} ({score:.2f}), not linked", f"与 {other} 含义相近（{score:.2f}），尚无链接")


def _record(problem: Problem) -> dict[str, Any]:
    return {**problem._asdict(), "message": problem.message._asdict()}


def _suggested(session: Session, settings: Settings, *, has_problems: bool) -> list[tuple[str, str, float]]:
    """The pairs that may want a link; none where the files have problems that keep them from being loaded."""
    from kb.base import KnowledgeBase
    from kb.cli.progress import embedding

    try:
        with KnowledgeBase.of(settings) as base, embedding(session) as notify:
            return base.unlinked(notify=notify)
    except KbError:
        if has_problems:  # they say what is wrong
            return []
        raise
