"""`kb search`: find a concept by describing it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from kb import files
from kb.cli.names import among
from kb.cli.options import COUNT, DEVICE, FILE, JSON, MODEL, both
from kb.cli.session import Session
from kb.encoder.models import BUNDLED
from kb.errors import KbError
from kb.language.text import Bilingual, short
from kb.paths import at_home
from kb.search.hybrid import Answer, Mode
from kb.search.reading import Reading

if TYPE_CHECKING:
    from kb.search.index import Notify

NAMED = 3
"""Words that stand in no text here, of which a search says so."""
MODES = {"hybrid": "混合检索", "lexical": "词语检索", "semantic": "语义检索"}


def command(
    session: Session,
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar=both("QUERY…", "查询…"),
            help=both("What you are looking for, in your own words.", "用自己的话描述要找的内容。"),
            show_default=False,
        ),
    ] = None,
    n: COUNT = 5,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            metavar="hybrid|lexical|semantic",
            help=both("Words, meaning, or both.", "按词语、按语义，或两者结合。"),
            autocompletion=among(get_args(Mode)),
        ),
    ] = "hybrid",
    device: DEVICE = "",
    model: MODEL = "",
    queries: Annotated[
        str,
        typer.Option(
            "--queries",
            metavar=FILE,
            help=both(
                "Answer every line of a file (- for standard input), one JSON document a line.",
                "逐行回答文件中的查询，每行输出一个 JSON；- 为标准输入。",
            ),
            show_default=False,
        ),
    ] = "",
    explain: Annotated[
        bool, typer.Option("--explain", help=both("Show why each was found.", "显示得分来源。"))
    ] = False,
    as_json: JSON = False,
) -> int:
    if mode not in get_args(Mode):
        raise typer.BadParameter(f"{mode!r} is not one of {', '.join(get_args(Mode))}", param_hint="--mode")
    text = " ".join(query or []).strip()
    if queries and query:
        raise typer.BadParameter(
            session.say("give a query or --queries, not both", "查询与 --queries 只能用一个"), param_hint="--queries"
        )
    if not queries and not _says_anything(session, text):
        raise KbError(
            Bilingual(f"no word in '{short(text)}'", f"“{short(text)}”中没有可检索的词")
            if text
            else Bilingual("an empty query", "查询为空"),
            Bilingual('kb search "vanishing gradient"', 'kb search "梯度消失"'),
        )
    from kb.cli.progress import embedding

    how: dict[str, Any] = {"k": n, "mode": mode, "model": model, "device": device}
    with embedding(session, model) as notify:
        if queries:
            _answer_lines(session, _lines(queries), how, notify)
            return 0
        answer = session.base.search(text, **how, notify=notify)
    if as_json:
        session.print_json(answer.to_json())
    else:
        _show(session, answer, explain)
        _advise(session, answer, device or session.settings.device)
    return 0 if answer.hits else 1


def _answer_lines(session: Session, lines: list[str], how: dict[str, Any], notify: Notify) -> None:
    """One JSON document a line."""
    asked = [line if _says_anything(session, line) else "" for line in lines]
    answers = session.base.search_all(asked, **how, notify=notify)
    for line, answer in zip(lines, answers, strict=True):
        session.print_json(_as_typed(answer, line).to_json(), indent=None)


def _says_anything(session: Session, query: str) -> bool:
    """Whether there is something to search for: a letter or a 汉字, or else a name that has none."""
    return any(map(str.isalpha, query)) or bool(query.strip() and session.base.has(query))


def _as_typed(answer: Answer, line: str) -> Answer:
    """The answer to a line; one that says nothing was searched as an empty one."""
    return answer if answer.query == line else replace(answer, query=line, reading=Reading(line, False))


def _lines(file: str) -> list[str]:
    """The queries of a file, one a line."""
    try:
        data = _standard_input() if file == "-" else at_home(file).read_bytes()
    except (OSError, ValueError) as error:
        why = files.reason(error)
        raise KbError(
            Bilingual(f"cannot read {file}: {why.en}", f"无法读取 {file}：{why.zh}"),
            Bilingual("one query a line, in UTF-8", "每行一个查询，UTF-8 编码"),
        ) from error
    text = _decoded(data, file)
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise KbError(Bilingual("standard input is closed", "标准输入已关闭"))
    return sys.stdin.buffer.read()


_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""How a file begins whose encoding is not UTF-8, but known."""


def _decoded(data: bytes, name: str) -> str:
    encoding = next((encoding for mark, encoding in _MARKS.items() if data.startswith(mark)), "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        said = encoding.removesuffix("-sig").upper()
        wrong = Bilingual(f"{name} is not {said}", f"{name} 不是 {said} 编码")
        way_out = Bilingual("iconv -f gbk -t utf-8 converts what Windows saved", "可用 iconv -f gbk -t utf-8 转换")
        raise KbError(wrong, way_out if said == "UTF-8" else None) from error
    if text.count("\0") > len(text) // 3:  # which UTF-16 without its mark is full of
        raise KbError(
            Bilingual(f"{name} holds NUL characters", f"{name} 含有 NUL 字符"),
            Bilingual(
                "iconv -f utf-16le -t utf-8 converts UTF-16", "若为 UTF-16，可用 iconv -f utf-16le -t utf-8 转换"
            ),
        )
    return text


def _show(session: Session, answer: Answer, explain: bool) -> None:
    from kb.show.hits import render_hits

    if answer.reading.changed:
        session.note(f"read as: {answer.reading.text}", f"理解为：{answer.reading.text}", style="yellow")
    _caution(session, answer)
    session.print(*render_hits(answer.hits, session.languages, session.console, explain=explain))
    model, device, runtime = answer.served
    by = [model, device or "", *[runtime or ""] * explain] if model else ["BM25"]
    session.note(", ".join([f"{answer.mode} search", *by]), "，".join([MODES[answer.mode], *by]))


def _caution(session: Session, answer: Answer) -> None:
    """Say that nothing fits, and which words stand in no text here."""
    en = ", ".join(f"'{short(word, 30)}'" for word in answer.missing[:NAMED])
    zh = "、".join(f"“{short(word, 30)}”" for word in answer.missing[:NAMED])
    asked = short(answer.query, 61)
    if answer.weak and answer.missing:
        said = (
            f"nothing fits '{asked}' well: no {en} here; nearest:",
            f"没有找到与“{asked}”很相符的概念：这里没有{zh}；最接近的是：",
        )
    elif answer.weak:
        said = f"nothing fits '{asked}' well", f"没有找到与“{asked}”很相符的概念"
    elif answer.missing:
        said = f"no {en} here; nearest:", f"这里没有{zh}；最接近的是："
    else:
        return
    session.note(*said, style="yellow")


def _advise(session: Session, answer: Answer, device: str) -> None:
    """Say how single queries are answered sooner where torch had to start for one."""
    if answer.served.runtime == "torch" and answer.served.model == BUNDLED and device == "auto":
        session.note(
            'torch takes seconds to start: device = "cpu" in config.toml answers single queries at once',
            '通过 torch 启动需要几秒；在 config.toml 中设置 device = "cpu"，单条查询可立即返回结果',
        )
