"""`kb similar`: the concepts nearest in meaning to one, which it is not yet linked with."""

from __future__ import annotations

from typing import Annotated

import typer

from kb.cli.options import COUNT, DEVICE, JSON, MODEL, NAME, both
from kb.cli.session import Session
from kb.show.plain import one_line


def command(
    session: Session,
    name: NAME,
    n: COUNT = 5,
    linked: Annotated[
        bool, typer.Option("--all", help=both("Those already linked, too.", "也显示已有链接的概念。"))
    ] = False,
    device: DEVICE = "",
    model: MODEL = "",
    as_json: JSON = False,
) -> None:
    from kb.cli.progress import embedding

    with embedding(session, model) as notify:
        found = session.base.similar(" ".join(name), k=n, linked=linked, model=model, device=device, notify=notify)
    if as_json:
        session.print_json(found.to_json())
        return
    from kb.show.hits import render_near

    session.print(*render_near(found, session.languages, session.console))
    en = "near, and not linked yet" if not linked else "near"
    zh = "含义相近、尚无链接" if not linked else "含义相近"
    called = found.match.name
    session.note(f"{one_line(called.en)}: {en}", f"{one_line(called.zh)}：{zh}")
