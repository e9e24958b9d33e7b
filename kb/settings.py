"""What the user chose: options, environment, config.toml and locale, in that order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from kb import files
from kb.errors import KbError
from kb.language.text import Bilingual, Language
from kb.paths import NOWHERE, at_home, config_dir, shipped_data

_MEND = Bilingual("mend that file, or move it away", "请修正该文件，或将其移走")
CHOICES = {"language": ("en", "zh", "both"), "color": ("auto", "always", "never")}
LARGEST = 1_000_000
"""Bytes of a config.toml."""


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
    values = _values(path, _text(path)) if _is_there(path) else {}
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


def _is_there(path: Path) -> bool:
    """Whether the user has such a file.

    Raises:
        KbError: a link is in its place that leads to none.
    """
    if path.exists():
        return True
    if path.is_symlink():
        raise KbError(
            Bilingual(f"{path} is a link that leads nowhere", f"{path} 是失效的链接"),
            Bilingual("mend the link, or remove it", "请修正该链接，或将其删除"),
        )
    return False


def _text(path: Path) -> str:
    try:
        return files.read(path, most=LARGEST).data.decode("utf-8-sig")  # some editors mark it
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, *files.reason(error)) from error


def _values(path: Path, text: str) -> dict[str, Any]:
    import tomllib

    try:
        values = tomllib.loads(text)
    except RecursionError as error:
        raise _wrong(path, "nested too deeply", "嵌套过深") from error
    except ValueError as error:  # not TOML, or a number of thousands of digits
        raise _wrong(path, str(error)) from error
    kinds = {key: type(value) for key, value in Settings()._asdict().items()}
    for key, value in values.items():
        if key not in kinds:
            known = ", ".join(kinds)
            raise _wrong(path, f"unknown key '{key}'; known: {known}", f"未知的键“{key}”；可用：{known}")
        if not isinstance(value, kinds[key]):
            is_bool = kinds[key] is bool
            en, zh = ("true or false", "true 或 false") if is_bool else ("text in quotes", "带引号的文本")
            raise _wrong(path, f"{key} must be {en}", f"{key} 必须是{zh}")
        if "\0" in str(value):
            raise _wrong(path, f"{key} holds a NUL character", f"{key} 含有 NUL 字符")
    return values


def _wrong(path: Path, en: str, zh: str = "") -> KbError:
    return KbError(Bilingual(f"{path}: {en}", f"{path}：{zh or en}"), _MEND)


def save_setting(key: str, value: str) -> Path:
    """Write one text of config.toml and leave every other line as it is; the file is made where there is none.

    Raises:
        KbError: the file is broken already, or cannot be written.
    """
    import json

    path = config_file()
    if path.parent == NOWHERE:
        raise KbError(
            Bilingual("there is no home folder to keep a setting in", "没有主目录，无法保存设置"),
            Bilingual("set HOME or KB_CONFIG_DIR", "请设置 HOME 或 KB_CONFIG_DIR"),
        )
    before = _text(path) if _is_there(path) else ""
    written = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    text = _with_line(before, key, written)
    if not _says(text, {**_values(path, before), key: value}):
        wrong = Bilingual(f"{path}: {key} cannot be changed by kb", f"{path}：无法自动修改 {key}")
        raise KbError(wrong, Bilingual(f"set it by hand: {written}", f"请手动设置：{written}"))
    try:
        _write(path, text.encode())
    except (OSError, RuntimeError) as error:  # the latter for links that go round
        why = files.reason(error)
        raise KbError(Bilingual(f"cannot write {path}: {why.en}", f"无法写入 {path}：{why.zh}")) from error
    return path


def _with_line(before: str, key: str, written: str) -> str:
    """The text with the line of a key replaced, or else added; a comment behind it stays."""
    import re

    lines = before.removesuffix("\n").split("\n") if before else []
    has_key = re.compile(rf"\s*[\"']?{key}[\"']?\s*=")
    at = next((i for i, line in enumerate(lines) if has_key.match(line)), len(lines))
    comment = re.search(r"\s+#[^\"']*$", "".join(lines[at : at + 1]))
    lines[at : at + 1] = [written + (comment.group() if comment else "")]
    return "\n".join(lines) + "\n"


def _says(text: str, values: dict[str, Any]) -> bool:
    import tomllib

    try:
        return tomllib.loads(text) == values
    except tomllib.TOMLDecodeError:  # a value of many lines was cut, for one
        return False


def _write(path: Path, content: bytes) -> None:
    import errno

    path.parent.mkdir(parents=True, exist_ok=True)
    target = path.resolve()  # a link to the file stays one
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    files.write(target, content)


def locale_language() -> Language:
    """zh where the locale is Chinese, else en."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANGUAGE", "LANG"):
        if value := os.environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def data_file(settings: Settings) -> Path:
    """The concepts file in use: the user's, or the shipped one."""
    return at_home(settings.data) if settings.data else shipped_data() / "concepts.yaml"


def overlay_file(settings: Settings) -> Path | None:
    """The user's overlay on the shipped concepts, where there is one; a file given by --data stands alone.

    Raises:
        KbError: a link is in its place that leads to none.
    """
    path = config_dir() / "overlay.yaml"
    return path if not settings.data and _is_there(path) else None


def sources(settings: Settings) -> list[Path]:
    """The files that make up the knowledge base, each laid over those before it.

    Raises:
        KbError: as `overlay_file`.
    """
    overlay = overlay_file(settings)
    return [data_file(settings), *([overlay] if overlay else [])]
