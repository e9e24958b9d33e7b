"""Where everything lies: the shipped data, the user's configuration, the cache."""

from __future__ import annotations

import os
import stat
from pathlib import Path

PACKAGE = Path(__file__).parent
DEMOS = PACKAGE / "demos"


def shipped_data() -> Path:
    """The folder with concepts.yaml: inside the installed package, or beside it in a checkout."""
    inside = PACKAGE / "data"
    return inside if (inside / "concepts.yaml").exists() else PACKAGE.parent / "data"


def config_dir() -> Path:
    """The user's configuration: $KB_CONFIG_DIR, or the platform's folder."""
    if given := os.environ.get("KB_CONFIG_DIR"):
        return Path(given)
    import platformdirs

    return platformdirs.user_config_path("kb-deep-learning", appauthor=False)


def cache_dir() -> Path:
    """What can be made again: $KB_CACHE_DIR, or the platform's folder."""
    if given := os.environ.get("KB_CACHE_DIR"):
        return Path(given)
    import platformdirs

    return platformdirs.user_cache_path("kb-deep-learning", appauthor=False)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, through a neighbour that is renamed into place.

    Raises:
        OSError: the folder cannot be written to.
    """
    write_all({path: content})


def write_all(files: dict[Path, bytes]) -> None:
    """Write several files: all of them beside their places first, then each is renamed into its own.

    Raises:
        OSError: a folder cannot be written to; if so in the first part, nothing has changed.
    """
    beside = {path: path.with_name(f".{path.name[:60]}.{os.getpid()}.tmp") for path in files}
    try:
        for path, content in files.items():
            beside[path].write_bytes(content)
            if path.exists():
                beside[path].chmod(stat.S_IMODE(path.stat().st_mode))
        for path, temporary in beside.items():
            temporary.replace(path)
    finally:
        for temporary in beside.values():
            temporary.unlink(missing_ok=True)
