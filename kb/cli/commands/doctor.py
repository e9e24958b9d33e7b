"""`kb doctor`: what is installed, where it lies, what is missing and the command that mends it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kb import __version__
from kb.cli.options import JSON
from kb.cli.session import Session
from kb.cli.ways import way_out
from kb.errors import KbError
from kb.language.text import Bilingual
from kb.show.plain import printable

if TYPE_CHECKING:
    from kb.encoder.protocol import Encoder

PACKAGES = (
    "typer", "rich", "networkx", "pyyaml", "numpy", "onnxruntime", "rapidfuzz", "pypinyin", "platformdirs",
    "torch", "scikit-learn", "matplotlib", "plotille", "sentence-transformers",
)  # fmt: skip


class Finding(NamedTuple):
    """One line: what was looked at, what was found, and where something is wrong, the command that mends it."""

    topic: str
    found: str
    mend: Bilingual | None = None


def command(
    session: Session,
    as_json: JSON = False,
) -> int:
    findings = [*_versions(), *_devices(session), *_paths(session), *_state(session)]
    if as_json:
        session.print_json(
            [{"topic": f.topic, "found": f.found, "mend": f.mend and f.mend._asdict()} for f in findings]
        )
    elif not session.console.is_terminal:
        for finding in findings:
            print(printable(f"{'✗' if finding.mend else '✓'}\t{finding.topic}\t{finding.found}"))
            for line in finding.mend.of(session.language).splitlines() if finding.mend else ():
                print(printable(f"\t→ {line}"))
    else:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for finding in findings:
            mark = Text("✗", style="bold red") if finding.mend else Text("✓", style="green")
            table.add_row(mark, Text(finding.topic, style="bold"), Text(printable(finding.found), overflow="fold"))
            if finding.mend:
                table.add_row(
                    "",
                    "",
                    Text("→ " + printable(finding.mend.of(session.language)), style="yellow", overflow="fold"),
                )
        session.print(table)
    return 1 if any(finding.mend for finding in findings) else 0


def _versions() -> Iterator[Finding]:
    yield Finding("kb", __version__)
    old = (
        Bilingual("install Python 3.11 or later", "请安装 Python 3.11 或更高版本")
        if sys.version_info < (3, 11)
        else None
    )
    yield Finding("python", f"{platform.python_version()}, {platform.system()} {platform.machine()}", old)
    for package in PACKAGES:
        try:
            is_gpu = package == "onnxruntime" and find_spec(package) is not None and not _installed(package)
            yield Finding(package, version(f"{package}-gpu" if is_gpu else package))
        except PackageNotFoundError:
            mend = f"pip install {package}"
            yield Finding(package, "—", Bilingual(mend, mend))


def _installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _devices(session: Session) -> Iterator[Finding]:
    yield Finding("cpu", session.say(f"{os.cpu_count()} cores", f"{os.cpu_count()} 核"))
    yield _search_device(session)
    if find_spec("torch") is None:
        return
    import torch

    for i in range(torch.cuda.device_count()):
        yield Finding(f"cuda:{i}", torch.cuda.get_device_name(i))
    yield _demo_device(session)


def _search_device(session: Session) -> Finding:
    """What serves a search as things stand, and why."""
    from kb.encoder.models import open_encoder

    topic, device = "device, search", session.settings.device or "auto"
    try:
        encoder = open_encoder(session.settings.model, device)
    except KbError as error:
        return Finding(topic, error.message.of(session.language), way_out(error))
    why = _set(device) if device != "auto" else _why(encoder)
    return Finding(topic, f"{encoder.device}, {encoder.runtime}: {why.of(session.language)}")


def _why(encoder: Encoder) -> Bilingual:
    """Why `auto` came to this device and runtime."""
    from kb.devices import cuda_devices
    from kb.encoder.models import BUNDLED

    if encoder.name != BUNDLED:
        return Bilingual("where sentence-transformers runs", "由 sentence-transformers 运行")
    if encoder.device == "cpu":
        return _UNREACHED if cuda_devices() else Bilingual("no GPU found", "未发现 GPU")
    return _BY_TORCH if encoder.runtime == "torch" else Bilingual("without torch", "无需 torch")


def _demo_device(session: Session) -> Finding:
    """Where demos run as things stand, and why."""
    from kb.devices import choose_device

    topic, device = "device, demos", session.settings.device or "auto"
    try:
        chosen = choose_device(device)
    except KbError as error:
        return Finding(topic, error.message.of(session.language), way_out(error))
    none = Bilingual("torch sees no GPU", "torch 未发现 GPU") if chosen == "cpu" else Bilingual("a GPU", "GPU")
    return Finding(topic, f"{chosen}, torch: {(none if device == 'auto' else _set(device)).of(session.language)}")


def _set(device: str) -> Bilingual:
    return Bilingual(f'device = "{device}" is set', f'已设置 device = "{device}"')


_UNREACHED = Bilingual(
    "neither ONNX Runtime nor torch reaches the GPU; pip install onnxruntime-ep-webgpu may",
    "ONNX Runtime 与 torch 都无法使用这块 GPU；可试 pip install onnxruntime-ep-webgpu",
)
_BY_TORCH = Bilingual(
    "ONNX Runtime does not reach the GPU; with pip install onnxruntime-ep-webgpu it may, and torch need not start",
    "ONNX Runtime 无法使用 GPU；可试 pip install onnxruntime-ep-webgpu，成功后无需启动 torch",
)


def _paths(session: Session) -> Iterator[Finding]:
    from kb.paths import NOWHERE, cache_dir, config_dir, is_writable
    from kb.settings import config_file, data_file

    yield Finding("data", str(data_file(session.settings)))
    yield _overlay(session)
    if config_dir() == NOWHERE:
        no_home = session.say("no home folder: defaults", "没有主目录，使用默认值")
        yield Finding("config", no_home)
    else:
        absent = "" if config_file().exists() else session.say(" (not there: defaults)", "（不存在，使用默认值）")
        yield Finding("config", f"{config_file()}{absent}")
    cache = cache_dir()
    if cache == NOWHERE:
        yield Finding("cache", session.say("no home folder: in memory", "没有主目录，缓存在内存中"), _CACHE_MEND)
    else:
        yield Finding("cache", str(cache), None if is_writable(cache) else _cache_mend(cache))
    yield Finding(
        "language", session.settings.language or session.say("en (from the locale)", "zh（跟随系统区域设置）")
    )


def _overlay(session: Session) -> Finding:
    from kb.paths import NOWHERE, config_dir
    from kb.settings import overlay_file

    try:
        found = overlay_file(session.settings)
    except KbError as error:
        return Finding("overlay", error.message.of(session.language), way_out(error))
    place = "" if config_dir() == NOWHERE else f" ({config_dir() / 'overlay.yaml'})"
    return Finding("overlay", str(found or session.say("none", "无") + place))


_CACHE_MEND = Bilingual(
    "so every command starts slowly: set HOME or KB_CACHE_DIR",
    "因此每条命令启动都会变慢：请设置 HOME 或 KB_CACHE_DIR",
)


def _cache_mend(cache: Path) -> Bilingual:
    return Bilingual(
        f"cannot be written, so every command starts slowly: make {cache} writable, or set KB_CACHE_DIR",
        f"无法写入，每条命令启动都会变慢：请让 {cache} 可写，或设置 KB_CACHE_DIR",
    )


def _state(session: Session) -> Iterator[Finding]:
    try:
        n, place = len(session.base), session.base.snapshot
        yield Finding(
            "snapshot",
            session.say(f"{n} concepts, {place or 'in memory'}", f"{n} 个概念，{place or '在内存中'}"),
        )
    except KbError as error:
        yield Finding("snapshot", error.message.of(session.language), way_out(error))
        return
    from kb.encoder.models import BUNDLED
    from kb.lab.runner import demo_ids
    from kb.paths import cache_dir, shipped_data
    from kb.search.kept import index_files

    yield Finding("demos", str(len(demo_ids())))
    model = shipped_data() / "encoder" / "model.onnx"
    weight = sum(path.stat().st_size for path in model.parent.glob("*"))
    mend = Bilingual("pip install --force-reinstall kb-deep-learning", "pip install --force-reinstall kb-deep-learning")
    size = f"{weight / 1e6:.1f} MB" if model.exists() else session.say("missing", "缺失")
    yield Finding("encoder", f"{BUNDLED}, {size}", None if model.exists() else mend)
    for where, folder in (("shipped", shipped_data() / "index"), ("cache", cache_dir() / "index")):
        names = [path.stem.removeprefix("vectors-") for path in index_files(folder)]
        yield Finding(f"index, {where}", ", ".join(names) or session.say("none", "无"))
