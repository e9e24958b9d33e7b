"""`kb list`: the concepts, by type, area or all; or those that lack a demo."""

from __future__ import annotations

from typing import Annotated

import typer

from kb.cli.names import among
from kb.cli.options import JSON, both
from kb.cli.session import Session
from kb.concepts.vocabulary import AREAS, TYPES
from kb.errors import KbError
from kb.language.text import LANGUAGES, Bilingual
from kb.snapshot.store import Row


def command(
    session: Session,
    kind: Annotated[
        str,
        typer.Option(
            "--type",
            "-t",
            help=both("Only of this type.", "只列此类型。"),
            show_default=False,
            autocompletion=among(TYPES, (said.zh for said in TYPES.values())),
        ),
    ] = "",
    area: Annotated[
        str,
        typer.Option(
            "--area",
            "-a",
            help=both("Only of this area.", "只列此领域。"),
            show_default=False,
            autocompletion=among(AREAS, (said.zh for said in AREAS.values())),
        ),
    ] = "",
    lacking: Annotated[
        bool, typer.Option("--without-demo", help=both("Only those without a demo.", "只列没有演示的概念。"))
    ] = False,
    as_json: JSON = False,
) -> None:
    kind, area = (
        _known(kind, TYPES, Bilingual("type", "类型")),
        _known(area, AREAS, Bilingual("area", "领域")),
    )
    rows = [row for row in session.base.rows(kind=kind, area=area) if not (lacking and row.demo)]
    if as_json:
        session.print_json([_record(row) for row in rows])
        return
    from kb.show.rows import plain_rows, render_rows

    if session.console.is_terminal:
        session.print(render_rows(rows, session.languages, session.console))
    elif rows:
        chosen = session.settings.language
        print(plain_rows(rows, session.languages if chosen in LANGUAGES else LANGUAGES))
    session.note(f"{len(rows)} concepts", f"共 {len(rows)} 个概念")


def _known(given: str, names: dict[str, Bilingual], what: Bilingual) -> str:
    """The key that a word in either language means; part of a word will do where only one key has it."""
    word = given.casefold()
    for key, said in names.items():
        if word in (key, said.en, said.zh):
            return key
    near = [key for key, said in names.items() if word and any(word in text for text in (key, *said))]
    if len(near) == 1:
        return near[0]
    if given:
        en, zh = ", ".join(names), "、".join(f"{key}（{said.zh}）" for key, said in names.items())
        raise KbError(
            Bilingual(f"no {what.en} '{given}'", f"没有{what.zh}“{given}”"),
            Bilingual(f"known: {en}", f"可用：{zh}"),
        )
    return ""


def _record(row: Row) -> dict[str, object]:
    return {
        "id": row.id,
        "type": row.type,
        "area": list(row.areas),
        "name": row.name._asdict(),
        "summary": row.summary._asdict(),
        "demo": row.demo,
    }
