"""`kb model info`: what a model is and where it lies."""

from __future__ import annotations

from typing import Any

from kb.cli.commands.model import FETCH, WHICH, download, megabytes
from kb.cli.options import DEVICE, JSON
from kb.cli.session import Session

SAID = {
    "name": "名称", "folder": "位置", "mb": "大小（MB）", "dimensions": "维度", "device": "设备", "runtime": "运行时",
    "indexes": "索引",
}  # fmt: skip


def command(
    session: Session, name: WHICH = "", fetch: FETCH = False, device: DEVICE = "", as_json: JSON = False
) -> None:
    if fetch:
        download(session, name)
    about = _about(name or session.settings.model, device or session.settings.device)
    if as_json:
        session.print_json(about)
        return
    shown = {**about, "indexes": "\n".join(about["indexes"]) or session.say("none yet", "尚无")}
    session.print_rows([(session.say(key, SAID[key]), str(value)) for key, value in shown.items()])


def _about(name: str, device: str) -> dict[str, Any]:
    from kb.encoder.models import BUNDLED, is_bundled, locate, open_encoder
    from kb.paths import cache_dir, shipped_data
    from kb.search.kept import index_files, slug_of

    folder = shipped_data() / "encoder" if is_bundled(name) else locate(name)
    encoder = open_encoder(name, device)
    folders = shipped_data() / "index", cache_dir() / "index"
    return {
        "name": BUNDLED if is_bundled(name) else name,
        "folder": str(folder),
        "mb": round(megabytes(folder), 1),
        "dimensions": int(encoder.encode(["x"]).shape[1]),
        "device": encoder.device,
        "runtime": encoder.runtime,
        "indexes": [str(path) for place in folders for path in index_files(place, slug_of(encoder.key))],
    }
