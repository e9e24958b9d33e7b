"""The command line: finds the command, loads its module alone, and turns a KbError into two clear lines.

Every command is a function `command(session, …)` in a module of its own name; the options that all share are added
here. Help texts hold both languages, joined by `both`.
"""

from __future__ import annotations

import gc
import inspect
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, NoReturn, get_args, get_origin

import typer
from typer.exceptions import TyperException

from kb import __version__
from kb.cli.session import Session
from kb.errors import KbError
from kb.language.text import Bilingual, Language
from kb.settings import locale_language

COMMANDS: dict[str, Bilingual] = {
    "explain": Bilingual("Explain a concept, by any name in either language.", "解释一个概念，中英文名称均可。"),
    "search": Bilingual("Find a concept by describing it.", "用自己的话描述，找到概念。"),
    "similar": Bilingual("List the concepts nearest in meaning to one.", "列出与某个概念含义相近的概念。"),
    "demo": Bilingual("Run the experiment behind a concept.", "运行概念背后的实验。"),
    "list": Bilingual("List the concepts.", "列出概念。"),
    "model": Bilingual("List, describe or choose the model of the search.", "列出、查看或选择检索所用的模型。"),
    "export": Bilingual("Write the knowledge base as Obsidian notes.", "导出为 Obsidian 笔记。"),
    "lint": Bilingual("Check a knowledge base against the curation standard.", "按编写规范检查知识库。"),
    "doctor": Bilingual("Show what is installed, where it lies and what is missing.", "查看环境、路径与缺失项。"),
}
_BREAK = "\v"


def both(en: str, zh: str) -> str:
    """A help text in both languages; the one in use is chosen when the command is registered."""
    return en + _BREAK + zh


_SHARED: dict[str, Any] = {
    "lang": Annotated[
        str,
        typer.Option(
            "--lang",
            "-L",
            metavar="zh|en|both",
            help=both("Language of the answer.", "回答的语言。"),
            show_default=False,
        ),
    ],
    "data": Annotated[
        str,
        typer.Option(
            "--data",
            metavar="FILE",
            help=both("Another knowledge base.", "使用另一个知识库。"),
            show_default=False,
        ),
    ],
    "color": Annotated[
        str,
        typer.Option(
            "--color",
            metavar="auto|always|never",
            help=both("Colours and links.", "颜色与链接。"),
            show_default=False,
        ),
    ],
    "pager": Annotated[bool, typer.Option("--pager/--no-pager", help=both("Page long answers.", "长内容分页显示。"))],
}
_SHARED_DEFAULTS = {"lang": "", "data": "", "color": "", "pager": True}
_SHARED_CHOICES = {"lang": ("zh", "en", "both"), "color": ("auto", "always", "never")}


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command line and exit: 0 success, 1 a KbError, 2 usage, 130 interrupted."""
    given = _shared_last([_readable(word) for word in (sys.argv[1:] if arguments is None else arguments)])
    language = _language(given)
    try:
        code = make_app(given, language)(args=given, prog_name="kb", standalone_mode=False)
        sys.stdout.flush()  # a broken pipe shows itself here
        sys.exit(code if isinstance(code, int) else 0)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except SystemExit as ended:
        is_pipe = isinstance(ended.__context__, BrokenPipeError)  # rich has noticed it, or typer
        if is_pipe or type(sys.stdout).__name__ == "PacifyFlushWrapper":
            _reader_left()
        raise ended
    except BrokenPipeError:
        _reader_left()
    except (KbError, TyperException, OSError, RuntimeError) as error:
        from kb.cli.complain import complain_of

        sys.exit(complain_of(error, given, language))


def _reader_left() -> NoReturn:
    """The reader of a pipe, `head` for one, has seen enough: no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(0)


def _readable(word: str) -> str:
    """An argument whose bytes are not UTF-8, made printable."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def make_app(given: list[str], language: Language) -> typer.Typer:
    """The application, with the one command that was asked for, or with all for help and completion."""
    app = typer.Typer(
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    about = Bilingual(
        "Deep learning in your terminal: every concept explained, linked, searchable, and measured by a demo.",
        "终端里的深度学习知识库：每个概念都有解释、链接、检索，以及一个可以运行的实验。",
    )
    app.callback(no_args_is_help=True, help=about.of(language))(_callback(language))
    wanted = _wanted(given)
    completing = "_KB_COMPLETE" in os.environ
    for name in [wanted] if wanted in COMMANDS and not completing else COMMANDS:
        function = import_module(f"kb.cli.commands.{name}").command
        app.command(name, help=COMMANDS[name].of(language))(_with_shared(function, language))
    return app


def _wanted(given: list[str]) -> str:
    """The word that stands where a command does."""
    return next((word for word in given if not word.startswith("-")), "")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"kb {__version__}")
        raise typer.Exit


_Version = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help=both("Show the version.", "显示版本。")),
]


def _callback(language: Language) -> Callable[..., None]:
    """What runs before a command: only --version."""

    def callback(**values: bool) -> None:
        pass

    parameter = inspect.Parameter("version", inspect.Parameter.KEYWORD_ONLY, default=False)
    return _signed(callback, [parameter.replace(annotation=_in_language(_Version, language))])


def _signed(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> Callable[..., Any]:
    """The function with the signature that typer is to read."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions take attributes
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return function


def _with_shared(function: Callable[..., Any], language: Language) -> Callable[..., Any]:
    """A command with the shared options added to its own, and its help in one language."""
    signature = inspect.signature(function, eval_str=True)
    own = [parameter for name, parameter in signature.parameters.items() if name != "session"]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_SHARED_DEFAULTS[name], annotation=annotation)
        for name, annotation in _SHARED.items()
    ]

    def run(**values: Any) -> Any:
        options = {name: values.pop(name) for name in _SHARED}
        for name, choices in _SHARED_CHOICES.items():
            if options[name] and options[name] not in choices:
                raise typer.BadParameter(
                    f"{options[name]!r} is not one of {', '.join(choices)}", param_hint=f"--{name}"
                )
        if not gc.isenabled():  # the start is over: from here on Ctrl-C is an exception, see `kb.cli.entry`
            gc.freeze()
            gc.enable()
        return function(Session.start(**options), **values)

    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    return _signed(run, [p.replace(annotation=_in_language(p.annotation, language)) for p in keyword + shared])


def _in_language(annotation: Any, language: Language) -> Any:
    """An annotation whose help is in one language; the original is left as it is."""
    if get_origin(annotation) is not Annotated:
        return annotation
    import copy

    kind, info = get_args(annotation)
    info = copy.copy(info)
    en, _, zh = (info.help or "").partition(_BREAK)
    zh = re.sub(r"([，；、。：）])(?=.)", r"\1 ", zh)  # where a narrow column may break the line
    info.help = zh or en if language == "zh" else en
    return Annotated[kind, info]


def _shared_last(given: list[str]) -> list[str]:
    """The arguments with shared options that stand before the command moved behind it: `kb --lang zh list`."""
    at = 0
    while at < len(given) and given[at].split("=")[0] in ("--lang", "-L", "--data", "--color", "--pager", "--no-pager"):
        at += 1 if "pager" in given[at] or "=" in given[at] else 2
    return given[at:] + given[:at] if given[at:] else []


def _language(given: list[str]) -> Language:
    """The language of messages, before the options are parsed."""
    lang = ""
    for i, word in enumerate(given):
        if word in ("--lang", "-L"):
            lang = "".join(given[i + 1 : i + 2])
        elif word.startswith("--lang="):
            lang = word.removeprefix("--lang=")
    try:
        return Session.start(lang=lang if lang in ("en", "zh", "both") else "").language
    except (KbError, OSError):  # a broken configuration is told of when the command starts
        return "zh" if lang == "zh" else "en" if lang == "en" else locale_language()
