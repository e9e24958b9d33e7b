"""`kb model`: which models the search can use here, what one is, and which is in use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from kb.cli.app import both
from kb.cli.commands.search import DEVICE
from kb.cli.session import Session
from kb.errors import KbError
from kb.language.text import Bilingual

ACTIONS = ("list", "use", "info")


def command(
    session: Session,
    action: Annotated[
        str,
        typer.Argument(
            metavar="list|use|info",
            help=both("What is here; choose one; describe one.", "列出本机模型、切换模型、查看模型信息。"),
        ),
    ] = "list",
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME|FOLDER]",
            help=both("A model; the one in use by default.", "模型名称或文件夹，默认为当前模型。"),
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
    if fetch:
        _fetch(session, name)
    if action == "list":
        _list(session, as_json)
    elif action == "info":
        _info(session, name or session.settings.model, device, as_json)
    else:
        _use(session, name)


def _fetch(session: Session, name: str) -> None:
    from kb.encoder.hub import fetch
    from kb.encoder.models import is_bundled

    if is_bundled(name):
        wrong = Bilingual("name the model that is to be fetched", "请指定要下载的模型")
        raise KbError(wrong, Bilingual("kb model use NAME --fetch", "kb model use 名称 --fetch"))
    session.note(f"downloading {name}", f"正在下载 {name}")
    fetch(name)


def _list(session: Session, as_json: bool) -> None:
    from kb.encoder.models import BUNDLED, fetched, is_bundled, locate
    from kb.paths import shipped_data

    chosen = session.settings.model
    places: dict[str, Path | None] = {BUNDLED: shipped_data() / "encoder", **fetched()}
    used = BUNDLED
    if not is_bundled(chosen):
        try:
            folder = locate(chosen)
        except KbError:
            folder = None
        used = next((name for name, place in places.items() if place == folder), chosen)
        places[used] = folder
    rows = [
        {
            "name": name,
            "in_use": name == used,
            "mb": place and round(_megabytes(place), 1),
            "folder": place and str(place),
        }
        for name, place in places.items()
    ]
    if as_json:
        session.print_json(rows)
        return
    session.print_rows(
        [
            ("*" if row["in_use"] else "", str(row["name"]), f"{row['mb']} MB", str(row["folder"]))
            if row["folder"]
            else ("*", str(row["name"]), session.say("missing", "缺失"), "")
            for row in rows
        ]
    )
    session.note(
        "* in use; kb model use NAME chooses, --fetch downloads first",
        "* 为当前使用的模型；用 kb model use 名称 切换，加 --fetch 会先下载",
    )


def _info(session: Session, name: str, device: str, as_json: bool) -> None:
    from kb.encoder.models import BUNDLED, is_bundled, locate, open_encoder
    from kb.paths import cache_dir, shipped_data
    from kb.search.kept import slug_of

    folder = shipped_data() / "encoder" if is_bundled(name) else locate(name)
    encoder = open_encoder(name, device or session.settings.device)
    pattern = f"vectors-{slug_of(encoder.key)}"
    indexes = [shipped_data() / "index" / f"{pattern}.npz", *(cache_dir() / "index").glob(f"{pattern}_*.npz")]
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
    from kb.encoder.models import BUNDLED, is_bundled, is_folder, open_encoder
    from kb.paths import at_home
    from kb.settings import save_setting

    if not name:
        raise KbError(
            Bilingual("which model?", "要用哪个模型？"),
            Bilingual("kb model use bundled goes back to the one that ships", "kb model use bundled 恢复自带模型"),
        )
    folder = at_home(name)
    chosen = "" if is_bundled(name) else str(folder.resolve()) if is_folder(folder) else name
    open_encoder(chosen, "cpu")  # that it can be loaded is found out now, not at the next search
    path = save_setting("model", chosen)
    shown = chosen or BUNDLED
    session.note(f"{shown} is in use, by {path}", f"已切换到 {shown}，设置已写入 {path}")
    if os.environ.get("KB_MODEL"):
        session.note("KB_MODEL is set and overrides it", "环境变量 KB_MODEL 已设置，会覆盖此项", style="yellow")


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
