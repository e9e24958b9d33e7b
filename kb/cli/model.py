"""`kb model`: which models the search can use here, what one is, and which is in use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from kb.cli.app import both
from kb.cli.search import DEVICE
from kb.cli.session import Session
from kb.errors import KbError
from kb.text import Bilingual

ACTIONS = ("list", "use", "info")


def command(
    session: Session,
    action: Annotated[
        str,
        typer.Argument(
            metavar="list|use|info",
            help=both("What is here; choose one; describe one.", "列出本机模型；选用一个；查看一个。"),
        ),
    ] = "list",
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME|FOLDER]",
            help=both("A model; the one in use by default.", "模型，默认为当前所用的。"),
            show_default=False,
        ),
    ] = "",
    fetch: Annotated[
        bool,
        typer.Option("--fetch", help=both("Download it from the hub first.", "先从模型库下载。")),
    ] = False,
    device: DEVICE = "",
    as_json: Annotated[bool, typer.Option("--json", help=both("Print JSON.", "输出 JSON。"))] = False,
) -> None:
    if action not in ACTIONS:
        raise typer.BadParameter(f"{action!r} is not one of {', '.join(ACTIONS)}", param_hint="list|use|info")
    if fetch and name:
        from kb.search.hub import fetch as download

        session.note(f"downloading {name}", f"正在下载 {name}")
        download(name)
    if action == "list":
        _list(session, as_json)
    elif action == "info":
        _info(session, name or session.settings.model, device, as_json)
    else:
        _use(session, name)


def _list(session: Session, as_json: bool) -> None:
    from kb.paths import shipped_data
    from kb.search.models import BUNDLED, fetched, is_bundled

    chosen = session.settings.model
    places = {BUNDLED: shipped_data() / "encoder", **fetched()}
    if not is_bundled(chosen) and chosen not in places:
        places[chosen] = Path(chosen).expanduser()
    rows = [
        {
            "name": name,
            "in_use": name == chosen or (is_bundled(chosen) and name == BUNDLED),
            "mb": round(_megabytes(place), 1),
            "folder": str(place),
        }
        for name, place in places.items()
    ]
    if as_json:
        session.print_json(rows)
        return
    session.print_rows(
        [("*" if row["in_use"] else "", str(row["name"]), f"{row['mb']} MB", str(row["folder"])) for row in rows]
    )
    session.note(
        "* in use; kb model use NAME chooses, --fetch downloads first",
        "* 为当前所用；kb model use 名称 可选用，加 --fetch 先下载",
    )


def _info(session: Session, name: str, device: str, as_json: bool) -> None:
    from kb.paths import cache_dir, shipped_data
    from kb.search.index import index_files
    from kb.search.models import BUNDLED, is_bundled, locate, open_encoder

    folder = shipped_data() / "encoder" if is_bundled(name) else locate(name)
    encoder = open_encoder(name, device or session.settings.device)
    indexes = index_files(encoder.key, [shipped_data() / "index", cache_dir() / "index"])
    about: dict[str, Any] = {
        "name": BUNDLED if is_bundled(name) else name,
        "folder": str(folder),
        "mb": round(_megabytes(folder), 1),
        "dimensions": int(encoder.encode(["x"]).shape[1]),
        "device": encoder.device,
        "runtime": encoder.runtime,
        "indexes": [str(path) for path in indexes if path.exists()],
    }
    if as_json:
        session.print_json(about)
        return
    said = {
        "name": "名称", "folder": "位置", "mb": "大小（MB）", "dimensions": "维度", "device": "设备",
        "runtime": "运行时", "indexes": "索引",
    }  # fmt: skip
    shown = {**about, "indexes": "\n".join(about["indexes"]) or session.say("none yet", "尚无")}
    session.print_rows([(session.say(key, said[key]), str(value)) for key, value in shown.items()])


def _use(session: Session, name: str) -> None:
    from kb.search.models import BUNDLED, is_bundled, open_encoder
    from kb.settings import save_setting

    if not name:
        raise KbError(
            Bilingual("which model?", "要用哪个模型？"),
            Bilingual("kb model use bundled goes back to the one that ships", "kb model use bundled 恢复自带模型"),
        )
    chosen = "" if is_bundled(name) else str(Path(name).expanduser().resolve()) if Path(name).is_dir() else name
    open_encoder(chosen, "cpu")  # that it can be loaded is found out now, not at the next search
    path = save_setting("model", chosen)
    shown = chosen or BUNDLED
    session.note(f"{shown} is in use, by {path}", f"现在使用 {shown}，已写入 {path}")
    if os.environ.get("KB_MODEL"):
        session.note("KB_MODEL is set and overrides it", "环境变量 KB_MODEL 已设置，会覆盖此项", style="yellow")


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
