"""`kb similar`: the concepts nearest in meaning to one, which it is not yet linked with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from kb.cli.options import COUNT, DEVICE, JSON, MODEL, NAME, both
from kb.cli.session import Session
from kb.concepts.vocabulary import RELATIONS
from kb.search.similar import Near
from kb.show.card import INVERSES, WIDEST, Flow
from kb.show.hits import headline
from kb.show.plain import printable


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

    with embedding(session) as notify:
        found = session.base.similar(" ".join(name), k=n, linked=linked, model=model, device=device, notify=notify)
    if as_json:
        session.print_json(found.to_json())
        return
    session.console.width = min(session.console.width, WIDEST)
    session.print(*_render(found, session))
    en = "near, and not linked yet" if not linked else "near"
    zh = "含义相近、尚无链接" if not linked else "含义相近"
    session.note(f"{found.match.name.en}: {en}", f"{found.match.name.zh}：{zh}")


def _render(found: Near, session: Session) -> Iterator[RenderableType]:
    language = session.languages[0]
    for rank, (row, score, relations) in enumerate(found, 1):
        said = [(RELATIONS[rel].says if rel in RELATIONS else INVERSES[rel]).of(language) for rel in relations]
        yield headline(rank, row, language).append("  " + " · ".join([f"{score:.2f}", *said]), style="dim")
        for shown in session.languages:
            yield Flow(Text(printable(row.summary.of(shown))), indent=4)
