"""The help of a command, as typer shows it, in the user's language.

typer's own way to it loads what reads Markdown and colours code, which takes longer than all else that `kb --help`
does, and its words are English.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typer._click.types import _NumberRangeBase
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from kb.cli.wording import of
from kb.language.text import Bilingual, Language

if TYPE_CHECKING:
    from rich.console import RenderableType
    from typer._click import Context

_ARGUMENTS, _OPTIONS = Bilingual("Arguments", "参数"), Bilingual("Options", "选项")
_COMMANDS = Bilingual("Commands", "命令")
_DEFAULT, _REQUIRED = Bilingual("[default: {}]", "[默认：{}]"), Bilingual("[required]", "[必填]")
_STYLES = (
    (r"(?:^|\W)(?P<word>-\w+)(?![a-zA-Z0-9])", "bold green"),
    (r"(?:^|\W)(?P<word>--[\w-]+)(?![a-zA-Z0-9])", "bold cyan"),
)
"""Options in a text, short and long, and how they look."""
_OFF_STYLES = tuple((pattern, style) for (pattern, _), style in zip(_STYLES, ("bold red", "bold magenta"), strict=True))
"""Those that switch something off."""


def write_help(command: TyperCommand | TyperGroup, context: Context) -> None:
    """Print the usage, the help text, and a panel each for arguments, options and commands."""
    console, language = Console(highlight=False), context.obj.language
    usage = _marked(command.get_usage(context))
    usage.highlight_regex(r"^(?:Usage: |用法：)", "yellow")
    console.print(Padding(usage, 1), style="bold")
    if command.help:
        console.print(Padding(_marked(command.help), (0, 1, 1, 1)))
    params = [param for param in command.get_params(context) if not getattr(param, "hidden", False)]
    for kind, title in ((TyperArgument, _ARGUMENTS), (TyperOption, _OPTIONS)):
        if own := [param for param in params if isinstance(param, kind)]:
            console.print(_panel(_params(own, context), title.of(language)))
    if isinstance(command, TyperGroup):
        console.print(_panel(_commands(command, context), _COMMANDS.of(language)))


def _marked(text: str, styles: tuple[tuple[str, str], ...] = _STYLES) -> Text:
    """A text with the options in it coloured."""
    marked = Text(text)
    for pattern, style in styles:
        for match in re.finditer(pattern, text):
            marked.stylize(style, *match.span("word"))
    return marked


def _panel(table: Table, title: str) -> Panel:
    return Panel(table, title=title, title_align="left", border_style="dim")


def _table() -> Table:
    return Table(show_header=False, expand=True, box=None, pad_edge=False, padding=(0, 1))


def _params(params: list[TyperArgument | TyperOption], context: Context) -> Table:
    """A row for each argument or option, with a mark before those that are required where there are any."""
    table, has_required = _table(), any(param.required for param in params)
    for param in params:
        mark = [Text("*", style="red") if param.required else ""] * has_required
        table.add_row(*mark, *_names(param), _kind(param, context), _about(param, context))
    return table


def _names(param: TyperArgument | TyperOption) -> list[Text]:
    """The long and the short names of a parameter, and those that switch it off."""
    shown = [param.metavar or param.name or ""] if isinstance(param, TyperArgument) else param.opts
    columns = []
    for names, styles in ((shown, _STYLES), (param.secondary_opts, _OFF_STYLES)):
        for is_long in (True, False):
            columns.append(_marked(",".join(name for name in names if ("--" in name) == is_long), styles))
    return columns


def _kind(param: TyperArgument | TyperOption, context: Context) -> Text:
    """What a value is: its type, or the words that it may be, and its range."""
    if isinstance(param, TyperArgument):
        kind = param.type.get_metavar(param=param, ctx=context) or f"<{param.type.name}>"
    else:
        kind = param.make_metavar(ctx=context)
    text = Text("" if "bool" in kind.lower() else kind, style="bold yellow", overflow="fold")
    if isinstance(param, TyperOption) and isinstance(param.type, _NumberRangeBase):
        text.append(f" [{param.type._describe_range()}]")
    text.highlight_regex(r"^[\[<]|\||[\]>](?=(?:\.\.\.)?$)", "dim")
    return text


def _about(param: TyperArgument | TyperOption, context: Context) -> RenderableType:
    """What a parameter is for, its default, and whether it is required."""
    language: Language = context.obj.language
    about = [_marked(text)] if (text := of(param.help, language)) else []
    default = param._extract_default_help_str(ctx=context)
    if default is not None and param.show_default:
        said = param._get_default_string(ctx=context, show_default_is_str=False, default_value=default)
        about += [Text(_DEFAULT.of(language).format(said), style="dim")] if said else []
    about += [Text(_REQUIRED.of(language), style="dim red")] if param.required else []
    if language == "en":
        return Columns(about)
    from kb.show.card import Flow

    return Flow(Text(" ").join(about))  # Chinese has no spaces at which rich would break a line


def _commands(group: TyperGroup, context: Context) -> Table:
    """A row for each command."""
    found = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    table = _table()
    table.add_column(style="bold cyan", no_wrap=True, width=max(len(name) for name, _ in found))
    table.add_column(ratio=10)
    for name, command in found:
        table.add_row(Text(name), _marked((command.help if command else "") or ""))
    return table
