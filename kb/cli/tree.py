"""The tree of commands: in `kb.cli.commands` a package is a group, and a module a command.

A group knows its commands by the lines in COMMANDS of its package. The module of one is loaded when it is asked for,
and no other. A command is the function `command(session, …)` of its module; the options that all share are added here.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command, get_install_completion_arguments

from kb import __version__
from kb.cli import commands, wording
from kb.cli.options import both, shared_options
from kb.cli.session import Session
from kb.cli.shells import mend_zsh
from kb.language.text import Bilingual, Language

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand
    from typer._click import Context, HelpFormatter, Parameter

YOUNG = 10_000
"""New objects after which Python looks for garbage. A card makes fewer; by default it would look fourteen times."""


class Line(NamedTuple):
    """A command line: the language of its messages, and the shared options that it gives."""

    language: Language
    shared: dict[str, Any]


class Command(TyperCommand):
    """A command whose help is in the user's language."""

    def format_usage(self, ctx: Context, formatter: HelpFormatter) -> None:
        wording.write_usage(self, ctx, formatter)

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        _show_help(self, ctx)


class Group(TyperGroup):
    """The commands of a package, by name and line until one of them is asked for."""

    def __init__(self, package: ModuleType, language: Language, **about: Any) -> None:
        lines: dict[str, AnyCommand] = {
            name: Command(name, help=line.of(language)) for name, line in package.COMMANDS.items()
        }
        super().__init__(commands=lines, params=[*shared_options()], invoke_without_command=True, **about)
        self.package = package

    def format_usage(self, ctx: Context, formatter: HelpFormatter) -> None:
        wording.write_usage(self, ctx, formatter)

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        _show_help(self, ctx)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, AnyCommand | None, list[str]]:
        """The command that is asked for, loaded."""
        args = self._command_first(args)
        if ctx.parent and args[0] not in self.commands and not ctx.resilient_parsing:
            ctx.fail(self._lacks(args[0], ctx.command_path).of(ctx.obj.language))
        name, found, rest = super().resolve_command(ctx, args)
        return name, self._load(name, ctx.obj.language) if name and found else None, rest

    def invoke(self, ctx: Context) -> Any:
        """Run the command; where none is named, the one that stands for none, or show the help as a usage error."""
        result = super().invoke(ctx)
        if ctx.invoked_subcommand is not None:
            return result
        if not self._alone:
            typer.echo(ctx.get_help())
            ctx.exit(2)
        with self._load(self._alone, ctx.obj.language).make_context(self._alone, [], parent=ctx) as alone:
            return alone.command.invoke(alone)

    @property
    def _alone(self) -> str:
        """The command that the group stands for where none is named."""
        return getattr(self.package, "ALONE", "")

    def _command_first(self, args: list[str]) -> list[str]:
        """Arguments whose first is the command: its options may stand before it, `kb export --force obsidian DIR`."""
        if not args[0].startswith("-"):
            return args
        name = next((word for word in args if word in self.commands), "")
        if name:
            at = args.index(name)
            return [name, *args[:at], *args[at + 1 :]]
        return [self._alone, *args] if self._alone else args

    def _lacks(self, word: str, path: str) -> Bilingual:
        known = Bilingual(f"; known: {', '.join(self.commands)}", f"，可用：{'、'.join(self.commands)}")
        if word.startswith("-"):
            return Bilingual(f"{path} needs a command{known.en}", f"{path} 缺少命令{known.zh}")
        return Bilingual(f"{path} has no '{word}'{known.en}", f"{path} 没有“{word}”{known.zh}")

    def _load(self, name: str, language: Language) -> TyperCommand | TyperGroup:
        module = import_module(f"{self.package.__name__}.{name}")
        line = self.package.COMMANDS[name].of(language)
        return (_group if hasattr(module, "COMMANDS") else _command)(module, name, line, language)


def _show_help(command: Command | Group, context: Context) -> None:
    from kb.cli.help import write_help

    write_help(command, context)


def root(language: Language) -> Group:
    """`kb` itself."""
    about = Bilingual(
        "Deep learning in your terminal: every concept explained, linked, searchable, and measured by a demo.",
        "终端里的深度学习知识库：每个概念都有解释、链接、检索，以及一个可以运行的实验。",
    )
    names = {"help_option_names": ["-h", "--help"]}
    group = Group(commands, language, name="kb", help=about.of(language), context_settings=names)
    version = TyperOption(
        param_decls=["version", "--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help=both("Show the version.", "显示版本。"),
    )
    mend_zsh()
    group.params += [version, *get_install_completion_arguments()]
    wording.put(group, language)
    return group


def _show_version(context: Context, option: Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        print(f"kb {__version__}")
        raise typer.Exit


def _group(package: ModuleType, name: str, line: str, language: Language) -> Group:
    """A group in a group, which leaves options that it does not know to its commands."""
    group = Group(package, language, name=name, help=line, context_settings={"ignore_unknown_options": True})
    wording.put(group, language)
    return group


def _command(module: ModuleType, name: str, line: str, language: Language) -> TyperCommand:
    app = typer.Typer(add_completion=False)
    app.command(name, cls=Command, help=line)(_with_session(module.command))
    command = get_command(app)
    assert isinstance(command, Command)
    command.params += shared_options()
    wording.put(command, language)
    return command


def _with_session(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command as typer is to see it: without its session, which is begun when it runs."""

    def run(context: typer.Context, **values: Any) -> Any:
        if not gc.isenabled():  # the start is over: from here on Ctrl-C is an exception, see `kb.cli.entry`
            gc.freeze()
            gc.set_threshold(YOUNG)
            gc.enable()
        return function(Session.start(**context.obj.shared), **values)

    signature = inspect.signature(function, eval_str=True)
    own = [parameter for name, parameter in signature.parameters.items() if name != "session"]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    run.__signature__ = signature.replace(parameters=[context, *own])  # type: ignore[attr-defined]  # functions take it
    return run
