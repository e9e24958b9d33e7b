"""`kb export`: the knowledge base in other tools' formats."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from kb.cli.app import both
from kb.cli.plain import printable
from kb.cli.session import Session
from kb.text import LANGUAGES, Bilingual

SAID = {
    "create": Bilingual("created", "新建"),
    "update": Bilingual("updated", "更新"),
    "rename": Bilingual("renamed", "改名"),
    "unchanged": Bilingual("unchanged", "未变"),
    "conflict": Bilingual("in conflict", "冲突"),
    "deleted": Bilingual("deleted by you, left so", "已被你删除，保持不变"),
    "prune": Bilingual("pruned", "清除"),
    "keep": Bilingual("kept, for you wrote in them", "因含有你写的内容而保留"),
}


def command(
    session: Session,
    format: Annotated[str, typer.Argument(metavar="obsidian", help=both("The format.", "格式。"))],
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help=both("The vault; notes go to its subfolder kb.", "仓库文件夹，笔记写入其中的 kb 子文件夹。"),
        ),
    ],
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
    as_json: Annotated[bool, typer.Option("--json", help=both("Print JSON.", "输出 JSON。"))] = False,
) -> int:
    if format != "obsidian":
        raise typer.BadParameter(f"{format!r} is not one of obsidian", param_hint="FORMAT")
    from kb.export.obsidian import SUBFOLDER, Options, export

    options = Options(session.languages, force=force, prune=prune, dry_run=dry_run)
    ids = [row.id for row in session.store.rows()]
    steps = export([session.store.card(id) for id in ids], folder, options)
    counts = Counter(step.action for step in steps)
    if as_json:
        session.print_json([{"action": step.action, "id": step.id, "path": step.path} for step in steps])
        return 1 if counts["conflict"] else 0
    for step in steps:
        if step.action == "conflict" or (dry_run and step.action != "unchanged"):
            print(printable(f"{step.action}\t{step.path}"))
    said = Bilingual(
        *(", ".join(f"{n} {SAID[action].of(language)}" for action, n in counts.items()) for language in LANGUAGES)
    )
    session.note(f"{folder / SUBFOLDER}: {said.en}", f"{folder / SUBFOLDER}：{said.zh}")
    if counts["conflict"]:
        hint = "you edited these notes inside kb's part; --force overwrites it"
        session.note(hint, "这些笔记中由 kb 维护的部分被改动过；--force 可覆盖", style="yellow")
    return 1 if counts["conflict"] else 0
