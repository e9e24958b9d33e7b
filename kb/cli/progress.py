"""Progress of embedding, on standard error: a bar on a terminal, one line elsewhere, nothing where it is quick."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kb.cli.session import Session
from kb.search.index import CHUNK, Notify


@contextmanager
def embedding(session: Session) -> Iterator[Notify]:
    """A listener for `kb.search.kept.open_index`; what it shows on a terminal is gone afterwards."""
    if not session.notes.is_terminal:
        said: list[int] = []

        def say(done: int, total: int) -> None:
            if total > CHUNK and not said:
                said.append(total)
                session.note(f"embedding {total} texts, once", f"正在编码 {total} 段文本，仅需一次")

        yield say
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=session.notes, transient=True) as bar:
        task = bar.add_task(session.say("embedding, once", "编码中，仅需一次"), total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=total > CHUNK)
