"""`kb model list`: the models that are here."""

from __future__ import annotations

from pathlib import Path

from kb.cli.commands.model import megabytes
from kb.cli.options import JSON
from kb.cli.session import Session
from kb.errors import KbError


def command(session: Session, as_json: JSON = False) -> None:
    used, places = _places(session.settings.model)
    if as_json:
        session.print_json(
            [
                {
                    "name": name,
                    "in_use": name == used,
                    "mb": place and round(megabytes(place), 1),
                    "folder": place and str(place),
                }
                for name, place in places.items()
            ]
        )
        return
    missing = session.say("missing", "缺失")
    session.print_rows(
        [
            ("*" if name == used else "", name, f"{megabytes(place):.1f} MB" if place else missing, str(place or ""))
            for name, place in places.items()
        ]
    )
    session.note(
        "* in use; kb model use NAME chooses, --fetch downloads first",
        "* 为当前使用的模型；用 kb model use 名称 切换，加 --fetch 会先下载",
    )


def _places(chosen: str) -> tuple[str, dict[str, Path | None]]:
    """The name of the model in use, and where every model lies; nowhere where the chosen one is missing."""
    from kb.encoder.models import BUNDLED, fetched, is_bundled, locate
    from kb.paths import shipped_data

    places: dict[str, Path | None] = {BUNDLED: shipped_data() / "encoder", **fetched()}
    if is_bundled(chosen):
        return BUNDLED, places
    try:
        folder = locate(chosen)
    except KbError:
        folder = None
    used = next((name for name, place in places.items() if place == folder), chosen)
    return used, {**places, used: folder}
