"""The snapshot of the shipped entries, made when a wheel is built, so that the first command finds it done.

python scripts/build_snapshot.py concepts.yaml concepts.sqlite

As the build hook of pyproject.toml it adds kb/data/concepts.sqlite to a wheel. A checkout has none: its entries change.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs with nothing installed

from kb.concepts.source import Source
from kb.snapshot.life import digest_of
from kb.snapshot.tables import SCHEMA
from kb.snapshot.update import update


class SnapshotHook(BuildHookInterface):  # type: ignore[type-arg]  # its argument is of no use here
    """Puts the snapshot into a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make it, unless the package is installed from where it lies."""
        if version == "editable":
            return
        self.folder = tempfile.TemporaryDirectory()
        made = Path(self.folder.name) / "concepts.sqlite"
        make(Path(self.root) / "data" / "concepts.yaml", made)
        build_data["force_include"][str(made)] = "kb/data/concepts.sqlite"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Clear up."""
        if version != "editable":
            self.folder.cleanup()


def make(concepts: Path, target: Path) -> None:
    """Compile a concepts file into a snapshot; the same one for the same file."""
    connection = sqlite3.connect(":memory:")
    source = Source.open(concepts)
    update(connection, [source], {"schema": SCHEMA, "source": digest_of([source.data])})
    target.write_bytes(connection.serialize())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("concepts", type=Path)
    parser.add_argument("target", type=Path)
    given = parser.parse_args()
    make(given.concepts, given.target)


if __name__ == "__main__":
    main()
