"""What the user chose: options, environment, config.toml and locale, in that order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from kb.errors import KbError
from kb.paths import config_dir, shipped_data, write_atomically
from kb.text import Bilingual, Language

_MEND = Bilingual("mend that file, or move it away", "请修正该文件，或将其移走")
CHOICES = {"language": ("en", "zh", "both"), "color": ("auto", "always", "never")}


class Settings(NamedTuple):
    """The keys of config.toml; every one may be left out."""

    language: str = ""
    device: str = "auto"
    model: str = ""
    data: str = ""
    color: str = "auto"
    pager: bool = True


def config_file() -> Path:
    """Where the configuration is read from; it need not exist."""
    return config_dir() / "config.toml"


def load_settings() -> Settings:
    """The configuration with the environment laid over it: KB_LANG, KB_DEVICE, KB_MODEL, KB_DATA.

    Raises:
        KbError: config.toml is not TOML, or holds an unknown key or a value of the wrong kind.
    """
    path = config_file()
    values = _read(path) if path.exists() else {}
    names = {"language": "KB_LANG", "device": "KB_DEVICE", "model": "KB_MODEL", "data": "KB_DATA"}
    values |= {key: os.environ[name] for key, name in names.items() if os.environ.get(name)}
    for key, choices in CHOICES.items():
        if values.get(key) and values[key] not in choices:
            options = ", ".join(choices)
            place = names.get(key, key) if os.environ.get(names.get(key, "")) else f"{path}: {key}"
            raise KbError(
                Bilingual(
                    f"{place}: '{values[key]}' is not one of {options}",
                    f"{place}：“{values[key]}”不在 {options} 之中",
                )
            )
    return Settings(**values)


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise KbError(Bilingual(f"{path}: {error}", f"{path}：{error}"), _MEND) from error
    kinds = {key: type(value) for key, value in Settings()._asdict().items()}
    for key, value in values.items():
        if key not in kinds:
            known = ", ".join(kinds)
            raise KbError(
                Bilingual(f"{path}: unknown key '{key}'; known: {known}", f"{path}：未知的键“{key}”；可用：{known}"),
                _MEND,
            )
        if not isinstance(value, kinds[key]):
            is_bool = kinds[key] is bool
            en, zh = ("true or false", "true 或 false") if is_bool else ("text in quotes", "带引号的文本")
            raise KbError(Bilingual(f"{path}: {key} must be {en}", f"{path}：{key} 必须是{zh}"), _MEND)
    return values


def save_setting(key: str, value: str) -> Path:
    """Write one text of config.toml and leave every other line as it is; the file is made where there is none.

    Raises:
        KbError: the file is broken already, or cannot be written.
    """
    import errno
    import json
    import re
    import tomllib

    path = config_file()
    before = _read(path) if path.exists() else {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    written = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    has_key = re.compile(rf"\s*[\"']?{key}[\"']?\s*=")
    at = next((i for i, line in enumerate(lines) if has_key.match(line)), len(lines))
    comment = re.search(r"\s+#[^\"']*$", "".join(lines[at : at + 1]))
    lines[at : at + 1] = [written + (comment.group() if comment else "")]
    text = "\n".join(lines) + "\n"
    try:
        is_right = tomllib.loads(text) == {**before, key: value}
    except tomllib.TOMLDecodeError:  # a value of many lines, for one
        is_right = False
    if not is_right:
        wrong = Bilingual(f"{path}: {key} cannot be changed by kb", f"{path}：无法自动修改 {key}")
        raise KbError(wrong, Bilingual(f"set it by hand: {written}", f"请手动设置：{written}"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.resolve()  # a link to the file stays one
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
        write_atomically(target, text.encode())
    except (OSError, RuntimeError) as error:  # the latter for links that go round
        raise KbError(Bilingual(f"cannot write {path}: {error}", f"无法写入 {path}：{error}")) from error
    return path


def locale_language() -> Language:
    """zh where the locale is Chinese, else en."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANGUAGE", "LANG"):
        if value := os.environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def data_file(settings: Settings) -> Path:
    """The concepts file in use: the user's, or the shipped one."""
    return Path(settings.data).expanduser() if settings.data else shipped_data() / "concepts.yaml"


def overlay_file(settings: Settings) -> Path | None:
    """The user's overlay on the shipped concepts, where there is one; a file given by --data stands alone."""
    path = config_dir() / "overlay.yaml"
    return path if not settings.data and path.exists() else None
