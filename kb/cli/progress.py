"""Progress of embedding, on standard error: a bar on a terminal, one line elsewhere, nothing where it is quick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kb.cli.session import Session
from kb.language.text import Bilingual
from kb.search.index import CHUNK, Notify


@contextmanager
def embedding(session: Session) -> Iterator[Notify]:
    """A listener for `kb.search.kept.open_index`; what it shows on a terminal is gone afterwards."""
    if not session.notes.is_terminal:
        yield _first(lambda total: session.note(*_said(session, total)))
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=session.notes, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)
        begin = _first(lambda total: bar.update(task, description=session.say(*_said(session, total))))

        def show(done: int, total: int) -> None:
            begin(done, total)
            bar.update(task, completed=done, total=total, visible=total > CHUNK)

        yield show


def _first(tell: Callable[[int], None]) -> Notify:
    """A listener that passes on how much work there is, once, where it is much."""
    told: list[int] = []

    def listen(done: int, total: int) -> None:
        if total > CHUNK and not told:
            told.append(total)
            tell(total)

    return listen


def _said(session: Session, total: int) -> Bilingual:
    """What is being done; that it will be done again, too, where the vectors cannot be kept."""
    from kb.search.side import keeps_vectors

    if keeps_vectors():
        return Bilingual(f"embedding {total} texts, once", f"正在编码 {total} 段文本，仅需一次")
    session.note(
        "vectors cannot be kept, so every search embeds anew; see kb doctor",
        "向量无法保存，每次检索都会重新编码；kb doctor 可查看缓存",
        style="yellow",
    )
    return Bilingual(f"embedding {total} texts", f"正在编码 {total} 段文本")
