"""What surrounds a search: how far embedding is, as a bar or a line on standard error; nothing where it is quick."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from kb.cli.session import Session
from kb.encoder.models import is_bundled
from kb.language.text import Bilingual
from kb.search.index import CHUNK, Notify


@contextmanager
def embedding(session: Session, model: str = "") -> Iterator[Notify]:
    """A listener for what embeds texts; what it shows on a terminal is gone afterwards."""
    if is_bundled(model or session.settings.model):  # others embed with torch, which may need the threads
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's wait for each other longer than one needs
    with ExitStack() as shown:
        told: list[Notify] = []

        def listen(done: int, total: int) -> None:
            if total > CHUNK:
                told[:] = told or [_begin(session, total, shown)]
                told[0](done, total)

        yield listen


def _begin(session: Session, total: int, shown: ExitStack) -> Notify:
    """Say what is being done; what shows how far it is."""
    said = _said(session, total)
    if not session.notes.is_terminal:
        session.note(*said)
        return lambda done, total: None
    return _bar(session, session.say(*said), shown)


def _bar(session: Session, said: str, shown: ExitStack) -> Callable[[int, int], None]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = shown.enter_context(Progress(*columns, console=session.notes, transient=True))
    task = bar.add_task(said)
    return lambda done, total: bar.update(task, completed=done, total=total)


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
