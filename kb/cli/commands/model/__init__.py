"""`kb model`: which models the search can use here, what one is, and which is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kb.cli.names import offer_models
from kb.cli.options import both
from kb.cli.session import Session
from kb.errors import KbError
from kb.language.text import Bilingual

COMMANDS = {
    "list": Bilingual("List the models that are here.", "列出本机的模型。"),
    "use": Bilingual("Choose the model of the search.", "选择检索所用的模型。"),
    "info": Bilingual("Describe a model.", "查看模型信息。"),
}
ALONE = "list"
"""What `kb model` by itself means."""
WHICH = Annotated[
    str,
    typer.Argument(
        metavar=both("[NAME|FOLDER]", "[名称|文件夹]"),
        help=both("A model; the one in use by default.", "模型名称或文件夹，默认为当前模型。"),
        show_default=False,
        autocompletion=offer_models,
    ),
]
FETCH = Annotated[bool, typer.Option("--fetch", help=both("Download it from the hub first.", "先从模型库下载。"))]


def download(session: Session, name: str) -> None:
    """Fetch a model from the hub.

    Raises:
        KbError: it is the bundled one, or cannot be had.
    """
    from kb.encoder.hub import fetch
    from kb.encoder.models import is_bundled

    if is_bundled(name):
        wrong = Bilingual("name the model that is to be fetched", "请指定要下载的模型")
        raise KbError(wrong, Bilingual("kb model use NAME --fetch", "kb model use 名称 --fetch"))
    session.note(f"downloading {name}", f"正在下载 {name}")
    fetch(name)


def megabytes(folder: Path) -> float:
    """The size of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
