"""What typer says of itself in a help, in the user's language; it speaks English alone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from kb.cli.options import BREAK
from kb.language.text import Language

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

_HELP = {
    "Show this message and exit.": "显示本帮助并退出。",
    "Install completion for the current shell.": "为当前 shell 安装命令补全。",
    "Show completion for the current shell, to copy it or customize the installation.": (
        "显示当前 shell 的补全脚本，供复制或修改。"
    ),
    "Install completion for the specified shell.": "为指定的 shell 安装命令补全。",
    "Show completion for the specified shell, to copy it or customize the installation.": (
        "显示指定 shell 的补全脚本，供复制或修改。"
    ),
}
_TYPES = {"str": "文本", "int": "整数", "int range": "整数", "path": "路径"}


def put(command: TyperCommand | TyperGroup, language: Language) -> None:
    """Put what a command says of its arguments and options into one language."""
    for param in command.params:
        if isinstance(param, TyperOption | TyperArgument):
            param.help, param.metavar = of(param.help, language), of(param.metavar, language)
            if language == "zh":
                _put_type(param)
    if language == "zh":
        command.options_metavar = "[选项]"
        if isinstance(command, TyperGroup):
            command.subcommand_metavar = "命令 [参数]…"


def of(text: str | None, language: Language) -> str | None:
    """A text that holds both languages in one of them; typer's own are put into Chinese."""
    en, _, zh = (text or "").partition(BREAK)
    return (_HELP.get(en, zh or en) if language == "zh" else en) or None


def _put_type(param: TyperOption | TyperArgument) -> None:
    param.type = copy.copy(param.type)  # typer has one of a kind
    param.type.name = _TYPES.get(param.type.name, param.type.name)


def write_usage(command: TyperCommand | TyperGroup, context: Context, formatter: HelpFormatter) -> None:
    """Write how a command is called."""
    prefix = "用法：" if context.obj.language == "zh" else "Usage: "
    formatter.write_usage(context.command_path, " ".join(command.collect_usage_pieces(context)), prefix)
