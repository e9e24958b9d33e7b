"""`kb export obsidian`: the notes of an Obsidian vault."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kb.cli.options import JSON, both
from kb.cli.session import Session
from kb.language.text import LANGUAGES, Bilingual
from kb.show.plain import one_line

if TYPE_CHECKING:
    from kb.formats.obsidian.export import Exported, Step

SAID = {
    "create": Bilingual("created", "新建"),
    "update": Bilingual("updated", "更新"),
    "rename": Bilingual("renamed", "改名"),
    "unchanged": Bilingual("unchanged", "未变"),
    "conflict": Bilingual("in conflict", "冲突"),
    "deleted": Bilingual("deleted by you, left so", "已被你删除，保持不变"),
    "prune": Bilingual("pruned", "清除"),
    "keep": Bilingual("kept, for you wrote in them", "因含有你写的内容而保留"),
    "copy": Bilingual("second notes of a concept, left alone", "同一概念的另一份笔记，未改动"),
    "skip": Bilingual("skipped", "跳过"),
}
LISTED = ("conflict", "copy", "skip")
"""What is always named, note by note."""


def command(
    session: Session,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar=both("DIR", "文件夹"),
            help=both(
                "The vault; notes go to a folder of their own in it.", "仓库文件夹，笔记写入其中的专用子文件夹。"
            ),
        ),
    ],
    home: Annotated[
        str | None,
        typer.Option(
            "--folder",
            metavar=both("NAME", "名称"),
            help=both("The folder of the notes; kb by default.", "存放笔记的子文件夹，默认为 kb。"),
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help=both("Overwrite what you edited; restore what you deleted.", "覆盖你改过的内容，恢复你删除的笔记。"),
        ),
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help=both("Remove untouched notes of concepts that are gone.", "清除已不存在的概念的笔记。"),
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=both("Only say what would be done.", "只显示将要做什么。"))
    ] = False,
    as_json: JSON = False,
) -> int:
    from kb.formats.obsidian.export import Options

    asked = session.languages if session.settings.language else None  # else those of the last export
    options = Options(asked, force=force, prune=prune, dry_run=dry_run, folder=home, otherwise=session.languages)
    done = session.base.export(folder, options)
    if as_json:
        session.print_json([_record(step) for step in done.steps])
    else:
        _show(session, done, dry_run)
    return 1 if any(step.action == "conflict" for step in done.steps) else 0


def _show(session: Session, done: Exported, dry_run: bool) -> None:
    for step in done.steps:
        if step.action in LISTED or (dry_run and step.action != "unchanged"):
            why = [step.why.of(session.language)] if step.why else []
            print("\t".join(map(one_line, [step.action, step.path, *why])))
    counts = Counter(step.action for step in done.steps)
    said = Bilingual(
        *(", ".join(f"{n} {SAID[action].of(language)}" for action, n in counts.items()) for language in LANGUAGES)
    )
    session.note(f"{done.home}: {said.en}", f"{done.home}：{said.zh}")
    if any(step.action == "conflict" and step.why is None for step in done.steps):
        hint = "you edited these notes inside kb's part; --force overwrites it"
        session.note(hint, "这些笔记中由 kb 维护的部分被改动过；--force 可覆盖", style="yellow")


def _record(step: Step) -> dict[str, Any]:
    told = {"action": step.action, "id": step.id, "path": step.path}
    return {**told, "why": step.why._asdict()} if step.why else told
