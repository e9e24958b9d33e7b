"""`kb search`: find a concept by describing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, get_args

import typer

from kb.cli.app import both
from kb.cli.session import Session
from kb.errors import KbError
from kb.search.hybrid import Hit, Mode, Semantic, search
from kb.text import Bilingual


def command(
    session: Session,
    query: Annotated[
        list[str],
        typer.Argument(
            metavar="QUERY…",
            help=both("What you are looking for, in your own words.", "用自己的话描述要找的内容。"),
        ),
    ],
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help=both("How many.", "显示几条。"))] = 5,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            metavar="hybrid|lexical|semantic",
            help=both("Words, meaning, or both.", "按词、按义或两者结合。"),
        ),
    ] = "hybrid",
    device: Annotated[
        str,
        typer.Option("--device", help=both("auto, cpu, cuda, cuda:N or mps.", "auto、cpu、cuda、cuda:N 或 mps。")),
    ] = "",
    model: Annotated[
        str,
        typer.Option(
            "--model",
            help=both("A sentence-transformers model on this machine.", "本机的 sentence-transformers 模型。"),
            show_default=False,
        ),
    ] = "",
    explain: Annotated[
        bool, typer.Option("--explain", help=both("Show why each was found.", "显示每条结果的得分来源。"))
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=both("Print JSON.", "输出 JSON。"))] = False,
) -> int:
    if mode not in get_args(Mode):
        raise typer.BadParameter(f"{mode!r} is not one of {', '.join(get_args(Mode))}", param_hint="--mode")
    text = " ".join(query).strip()
    if not text:
        raise KbError(
            Bilingual("an empty query", "查询为空"),
            Bilingual('kb search "vanishing gradient"', 'kb search "梯度消失"'),
        )
    loaded: list[Semantic] = []

    def load() -> Semantic:
        from kb.search.side import open_semantic

        settings = session.settings
        loaded.append(
            open_semantic(session.store, model or settings.model, device or settings.device, _notify(session))
        )
        return loaded[0]

    answer = search(session.store, text, k=n, mode=mode, semantic=load)  # type: ignore[arg-type]  # checked above
    hits, reading = answer.hits, answer.reading
    served = loaded[0].encoder if loaded else None
    if as_json:
        about = {
            "query": text,
            "mode": mode,
            "model": served and served.name,
            "device": served and served.device,
        }
        session.print_json({**about, "hits": [hit.to_json() for hit in hits]})
        return 0 if hits else 1
    if reading.changed:
        session.note(f"read as: {reading.text}", f"理解为：{reading.text}", style="yellow")
    _show(session, hits, text, explain)
    by = f"{served.name}, {served.device}" if served else "BM25"
    session.note(f"{mode} search, {by}", f"{mode} 检索，{by}")
    return 0 if hits else 1


def _notify(session: Session) -> Callable[[int, int], None]:
    """Progress of embedding, on a terminal's standard error."""

    def notify(done: int, total: int) -> None:
        if session.notes.is_terminal and total > 64:
            end = "\n" if done == total else ""
            session.notes.print(session.say(f"\rindexing {done}/{total}", f"\r建立索引 {done}/{total}"), end=end)

    return notify


def _show(session: Session, hits: list[Hit], query: str, explain: bool) -> None:
    from kb.cli.hits import render_hits

    if not hits or all(hit.weak for hit in hits):
        session.note(f"nothing fits '{query}' well", f"没有与“{query}”很匹配的概念", style="yellow")
    session.print(*render_hits(hits, session.languages, session.console, explain=explain))
