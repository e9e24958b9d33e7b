"""Arguments and options that stand in more than one place, declared once; those of every command among them.

Help texts and the names of values hold both languages, joined by `both`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperOption

from kb.cli.names import among, offer_models, offer_names

if TYPE_CHECKING:
    from typer._click import Context, Parameter

BREAK = "\v"


def both(en: str, zh: str) -> str:
    """A text of the help in both languages; the one in use is chosen when the command is loaded."""
    return en + BREAK + zh


FILE = both("FILE", "文件")
NAME = Annotated[
    list[str],
    typer.Argument(
        metavar=both("NAME…", "名称…"),
        help=both("A name, an abbreviation or an id.", "名称、缩写或 id。"),
        autocompletion=offer_names,
    ),
]
JSON = Annotated[bool, typer.Option("--json", help=both("Print JSON.", "输出 JSON。"))]
COUNT = Annotated[int, typer.Option("-n", min=1, max=1000, help=both("How many.", "显示几条。"))]
DEVICE = Annotated[
    str,
    typer.Option(
        "--device",
        help=both("auto, cpu, cuda, cuda:N or mps.", "auto、cpu、cuda、cuda:N 或 mps。"),
        autocompletion=among(("auto", "cpu", "cuda", "mps")),
    ),
]
MODEL = Annotated[
    str,
    typer.Option(
        "--model",
        metavar=both("NAME|FOLDER", "名称|文件夹"),
        help=both("A sentence-transformers model on this machine.", "本机的 sentence-transformers 模型。"),
        show_default=False,
        autocompletion=offer_models,
    ),
]


def shared_options() -> list[TyperOption]:
    """The options of every command and group; what is given goes into `shared` of the context's `Line`."""
    return [
        _shared("lang", "--lang", "-L", metavar="zh|en|both", help=both("Language of the answer.", "回答的语言。")),
        _shared("data", "--data", metavar=FILE, help=both("Another knowledge base.", "使用另一个知识库。")),
        _shared("color", "--color", metavar="auto|always|never", help=both("Colours and links.", "颜色与链接。")),
        _shared("pager", "--pager/--no-pager", is_flag=True, help=both("Page long answers.", "长内容分页显示。")),
    ]


def _shared(*names: str, **about: Any) -> TyperOption:
    choices = _choices(about.get("metavar"))
    complete = among(choices) if choices else None
    return TyperOption(param_decls=[*names], expose_value=False, callback=_keep, autocompletion=complete, **about)


def _choices(metavar: str | None) -> list[str]:
    """The values that an option takes; none where it takes any."""
    return (metavar or "").split("|") if "|" in (metavar or "") else []


def _keep(context: Context, option: Parameter, value: Any) -> None:
    """Note a shared option where it is given; the last one counts."""
    choices = _choices(option.metavar)
    if value and choices and value not in choices:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(choices)}", param_hint=f"--{option.name}")
    if value is not None:
        context.obj.shared[option.name] = value
