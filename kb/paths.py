"""Where everything lies: the shipped data, the user's configuration, the cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NAME = "kb-deep-learning"
PACKAGE = Path(__file__).parent
DEMOS = PACKAGE / "demos"
NOWHERE = Path(os.devnull, "kb")
"""A folder that nobody can make: nothing is found there, and nothing can be planted."""


def shipped_data() -> Path:
    """The folder with concepts.yaml: inside the installed package, or beside it in a checkout."""
    inside = PACKAGE / "data"
    return inside if (inside / "concepts.yaml").exists() else PACKAGE.parent / "data"


def config_dir() -> Path:
    """The user's configuration: $KB_CONFIG_DIR, or the platform's folder; NOWHERE for a user without a home."""
    return _folder("KB_CONFIG_DIR", "XDG_CONFIG_HOME", ".config", "user_config_path")


def cache_dir() -> Path:
    """What can be made again: $KB_CACHE_DIR, or the platform's folder; NOWHERE for a user without a home."""
    return _folder("KB_CACHE_DIR", "XDG_CACHE_HOME", ".cache", "user_cache_path")


def _folder(ours: str, xdg: str, beneath: str, kind: str) -> Path:
    if given := os.environ.get(ours):
        return at_home(given)
    if sys.platform == "linux" and "ANDROID_DATA" not in os.environ:  # what platformdirs says, without its 2 ms
        plain = Path(os.environ.get(xdg) or Path(os.environ.get("HOME", ""), beneath), NAME)
        if plain.is_absolute():
            return plain
    import platformdirs

    try:
        folder: Path = getattr(platformdirs, kind)(NAME, appauthor=False)
    except RuntimeError:  # HOME is not set, and the system does not know the user: in a container, for one
        return NOWHERE
    return folder


def at_home(path: str | Path) -> Path:
    """A path as a user typed it, `~` expanded where there is such a user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or made."""
    try:
        existing = next(path for path in (folder, *folder.parents) if path.is_symlink() or path.exists())
        return existing.is_dir() and os.access(existing, os.W_OK)
    except OSError:  # a name that is too long, a folder that may not be looked into
        return False
