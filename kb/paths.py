"""Where everything lies: the shipped data, the user's configuration, the cache."""

from __future__ import annotations

import os
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
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
