"""`kb stats`: what the knowledge base holds, counted; and how far it knows a list of terms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.cli.options import FILE, JSON, both
from kb.cli.session import Session
from kb.concepts.vocabulary import AREAS, LABELS, TYPES
from kb.language.text import Bilingual
from kb.show.plain import one_line

if TYPE_CHECKING:
    from kb.concepts.stats import Stats

LANGUAGE = {"en": Bilingual("English", "英文"), "zh": Bilingual("Chinese", "中文")}
DEMO = {
    "measured": Bilingual("with a claim measured", "有实测论断"),
    "nearest": Bilingual("nearest demo only", "只有最接近的演示"),
    "none": Bilingual("without a demo", "没有演示"),
}


def command(
    session: Session,
    terms: Annotated[
        Path | None,
        typer.Option(
            "--terms",
            metavar=FILE,
            help=both(
                "How many terms of a file are known, and which are not: a term a line, other forms of it after tabs.",
                "统计文件中的术语收录了多少，并列出未收录的：每行一个术语，它的其他写法用制表符分隔。",
            ),
            show_default=False,
        ),
    ] = None,
    as_json: JSON = False,
) -> None:
    if terms:
        _show_coverage(session, terms, as_json)
        return
    stats = session.base.stats()
    if as_json:
        session.print_json(stats.to_json())
    elif session.console.is_terminal:
        session.print_rows(
            [
                (topic.of(session.language), session.say(", ", "、").join(f"{name} {n}" for name, n in counts.items()))
                for topic, counts in _topics(session, stats)
            ]
        )
    else:
        session.print_rows(
            [
                (topic.of(session.language), name, str(n))
                for topic, counts in _topics(session, stats)
                for name, n in counts.items()
            ]
        )
    session.note(f"{stats.concepts} concepts", f"共 {stats.concepts} 个概念")


def _topics(session: Session, stats: Stats) -> list[tuple[Bilingual, dict[str, int]]]:
    """What is counted, in the words of the session."""

    def said(counts: Mapping[str, int], words: Mapping[str, Bilingual]) -> dict[str, int]:
        largest_first = sorted(counts, key=lambda key: -counts[key])
        return {words[key].of(session.language): counts[key] for key in largest_first}

    parts = session.say("connected parts", "连通分量"), session.say("concepts in the largest", "最大分量的概念数")
    works = session.say("works cited", "引用文献"), session.say("concepts that cite one", "有引用的概念")
    return [
        (Bilingual("types", "类型"), said(stats.types, TYPES)),
        (Bilingual("areas", "领域"), said(stats.areas, AREAS)),
        (Bilingual("names", "名称"), said(stats.names, LANGUAGE)),
        (Bilingual("questions", "提问"), said(stats.asks, LANGUAGE)),
        (Bilingual("relations", "关系"), said(stats.relations, LABELS)),
        (
            Bilingual("graph", "图"),
            dict(zip(parts, (len(stats.components), max(stats.components, default=0)), strict=True)),
        ),
        (Bilingual("sources", "来源"), dict(zip(works, (stats.sources, stats.sourced), strict=True))),
        (
            Bilingual("demos", "演示"),
            said(stats.demos, DEMO) | {session.say("demos used", "用到的演示"): stats.experiments},
        ),
    ]


def _show_coverage(session: Session, terms: Path, as_json: bool) -> None:
    covered = session.base.coverage(terms)
    if as_json:
        session.print_json(covered.to_json())
        return
    for form in covered.unknown:
        print(one_line(form))
    session.note(
        f"{covered.whole} of {covered.lines} terms are known in every form; {covered.known} of {covered.forms} forms",
        f"{covered.lines} 个术语中 {covered.whole} 个的写法全部收录；{covered.forms} 种写法收录了 {covered.known} 种",
    )
