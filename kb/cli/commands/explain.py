"""`kb explain`: one concept on one card."""

from __future__ import annotations

from typing import Annotated

import typer

from kb.cli.options import JSON, NAME, both
from kb.cli.session import Session
from kb.concepts.vocabulary import ALIAS_STATUS
from kb.language.text import Bilingual
from kb.snapshot.lookup import Match


def command(
    session: Session,
    name: NAME,
    brief: Annotated[
        bool,
        typer.Option(
            "--brief", "-b", help=both("Names, summary, idea and example only.", "只显示名称、摘要、直觉与例子。")
        ),
    ] = False,
    as_json: JSON = False,
) -> None:
    match = session.base.find(" ".join(name))
    card = session.base.card(match.id)
    if as_json:
        shown = {key: value for key, value in card.items() if key != "link_names"}
        session.print_json({"schema_version": shown.pop("schema_version"), **shown})
        return
    from kb.show.card import WIDEST, Style, render_brief, render_card

    session.console.width = min(session.console.width, WIDEST)
    render = render_brief if brief else render_card
    session.print(render(card, Style(session.languages, match.text, _note(match), framed=session.console.is_terminal)))


def _note(match: Match) -> Bilingual | None:
    """For a misnomer or an older term: what the standard term is; for a narrower one: what it is a part of."""
    if match.status not in ALIAS_STATUS:
        return None
    if match.status == "narrower":
        return Bilingual(
            f"'{match.text}' is narrower; it is told of here, under {match.name.en}.",
            f"“{match.text}”是更窄的概念，在“{match.name.zh}”条目中一并说明。",
        )
    what = ALIAS_STATUS[match.status]
    article, same = "a" if match.status == "misnomer" else "an", match.name.en == match.name.zh
    en = match.name.en if same else f"{match.name.en} ({match.name.zh})"
    zh = match.name.zh if same else f"{match.name.zh}（{match.name.en}）"
    return Bilingual(
        f"'{match.text}' is {article} {what.en}; the standard term is {en}.",
        f"“{match.text}”是{what.zh}，标准术语：{zh}。",
    )
