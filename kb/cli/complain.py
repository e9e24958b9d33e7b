"""What went wrong, said on standard error in the user's language, with the way out."""

from __future__ import annotations

import errno
import os
import re
import sys
from itertools import dropwhile, takewhile

from typer.exceptions import TyperException

from kb.cli.session import shortened
from kb.cli.ways import way_out
from kb.errors import KbError
from kb.language.text import Bilingual, Language


def complain_of(error: Exception, given: list[str], language: Language) -> int:
    """Say what went wrong with a command line; its exit code.

    Raises:
        Exception: the error itself, where it is a bug.
    """
    if isinstance(error, KbError):
        complain(error.message.of(language), way_out(error).of(language))
        return 1
    if isinstance(error, TyperException):
        complain(*usage(error, given, language))
        return 2
    said, hint = _refused(error) if isinstance(error, OSError) else _homeless(error)
    complain(said.of(language), hint.of(language))
    return 1


def complain(message: str, hint: str) -> None:
    """Say on standard error what is wrong, and the way out."""
    from kb.show.plain import printable

    try:
        sys.stdout.flush()
    except OSError:  # of which there is no more to be said
        _drop_output()
    lines = [f"kb: {message}", *(f"    {line}" for line in hint.splitlines())]
    print(*(printable(shortened(line)) for line in lines), sep="\n", file=sys.stderr)


def _drop_output() -> None:
    """Let what is still to be written to standard output go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


_PLACES = {errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ENOSPC}
"""What is wrong with a path that somebody named."""


def _refused(error: OSError) -> tuple[Bilingual, Bilingual]:
    """What the system refused, where that is nobody's mistake in kb."""
    from kb.files import reason

    why, nothing = reason(error), Bilingual("", "")
    said = Bilingual(f"{error.filename}: {why.en}", f"{error.filename}：{why.zh}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return said, Bilingual("make it readable for you, or move it away", "请修改其权限，或将其移走")
    if error.filename is not None and error.errno in _PLACES:
        return said, nothing
    if error.errno in (errno.ENOSPC, errno.EIO):
        _drop_output()
        return Bilingual(f"cannot write the answer: {why.en}", f"无法输出结果：{why.zh}"), nothing
    raise error


def _homeless(error: Exception) -> tuple[Bilingual, Bilingual]:
    if "home directory" not in str(error):  # in which typer installs the completion
        raise error
    return Bilingual("there is no home folder", "没有主目录"), Bilingual("set HOME", "请设置 HOME")


_IN_CHINESE = (
    (r"No such option: (\S+) \(Possible options: (.+)\)", r"没有选项 \1，是否想用 \2？"),
    (r"No such option: (\S+)", r"没有选项 \1"),
    (r"No such command '(.+)'\. Did you mean '([^']+)'\?", r"没有命令“\1”，是否想用 \2？"),
    (r"No such command '(.+)'\. Did you mean (.+)\?", r"没有命令“\1”，是否想用 \2？"),
    (r"No such command (['\"])(.+)\1\.", r"没有命令“\2”"),
    (r"Missing argument '(.+?)'\.?", r"缺少参数 \1"),
    (r"Missing option '(.+?)'\.?", r"缺少选项 \1"),
    (r"Option '(.+?)' requires an argument\.?", r"选项 \1 需要一个值"),
    (r"Option '(.+?)' does not take a value\.?", r"选项 \1 不带值"),
    (r"Got unexpected extra argument(?:s|\(s\))? \((.+)\)", r"多余的参数：\1"),
    (r"Invalid value for (.+?): ", r"\1 的值无效："),
    (r"(\S+) is not in the range (.+?)\.$", r"\1 不在范围 \2 之内"),
    (r"(\S+) is not one of (.+)", r"\1 不在 \2 之中"),
    (r"(\S+) is not a valid (\S+?)\.?$", r"\1 不是有效的\2"),
)


def usage(error: TyperException, given: list[str], language: Language) -> tuple[str, str]:
    """A usage error in the user's language, and the way out; typer says it in English."""
    said = str(error.format_message())
    way_out = _way_out(said, given).of(language)
    said = shortened(said)
    if language == "zh":
        for english, chinese in _IN_CHINESE:
            said = re.sub(english, chinese, said)
    return said, way_out


def _way_out(said: str, given: list[str]) -> Bilingual:
    """What helps against a usage error; a word that is no command may be a concept."""
    from kb.cli.names import is_plain

    usage = Bilingual("kb --help shows how", "用 kb --help 查看用法")
    if not said.startswith("No such command"):
        return usage
    words = dropwhile(lambda word: not said.startswith(f"No such command {word!r}"), given)
    name = " ".join(takewhile(lambda word: not _is_option(word), words))
    if "Did you mean" in said and " " in name:  # a command misspelt, and what it was to work on
        return usage
    if not is_plain(name):
        import shlex

        name = shlex.quote(name)
    looks = Bilingual(f"kb explain {name} explains a concept of that name", f"kb explain {name} 可查看同名概念")
    return Bilingual(f"{looks.en}\n{usage.en}", f"{looks.zh}\n{usage.zh}")


def _is_option(word: str) -> bool:
    return word.startswith("-")
