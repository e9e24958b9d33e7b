"""`kb model use`: choose the model of the search."""

from __future__ import annotations

import os

from kb.cli.commands.model import FETCH, WHICH, download
from kb.cli.session import Session
from kb.errors import KbError
from kb.language.text import Bilingual


def command(session: Session, name: WHICH = "", fetch: FETCH = False) -> None:
    from kb.encoder.models import BUNDLED, is_bundled, is_folder, open_encoder
    from kb.paths import at_home
    from kb.settings import save_setting

    if fetch:
        download(session, name)
    if not name:
        raise KbError(
            Bilingual("which model?", "要用哪个模型？"),
            Bilingual("kb model use bundled goes back to the one that ships", "kb model use bundled 恢复自带模型"),
        )
    folder = at_home(name)
    chosen = "" if is_bundled(name) else str(folder.resolve()) if is_folder(folder) else name
    open_encoder(chosen, "cpu")  # that it can be loaded is found out now, not at the next search
    path = save_setting("model", chosen)
    shown = chosen or BUNDLED
    session.note(f"{shown} is in use, by {path}", f"已切换到 {shown}，设置已写入 {path}")
    if os.environ.get("KB_MODEL"):
        session.note("KB_MODEL is set and overrides it", "环境变量 KB_MODEL 已设置，会覆盖此项", style="yellow")
