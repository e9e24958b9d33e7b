"""Write what is derived from the code: docs/cli.md from --help, data/concepts.schema.json and the header of the YAML.

python scripts/build_docs.py            # write
python scripts/build_docs.py --check    # exit 1 where something is stale
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs in a checkout with nothing installed

from kb.cli import commands
from kb.concepts.fields import header, json_schema


def command_reference() -> str:
    """docs/cli.md: what every command says of itself."""
    parts = ["# Command line", "Generated from `--help` by scripts/build_docs.py."]
    for names in [(), *_names(commands)]:
        parts += [f"## {' '.join(['kb', *names])}", f"```text\n{_help(*names)}\n```"]
    return "\n\n".join(parts) + "\n"


def _names(package: ModuleType) -> Iterator[tuple[str, ...]]:
    """The commands of a package, each group before its own."""
    for name in package.COMMANDS:
        yield (name,)
        module = import_module(f"{package.__name__}.{name}")
        if hasattr(module, "COMMANDS"):
            yield from ((name, *names) for names in _names(module))


def _help(*names: str) -> str:
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "KB_LANG": "en"}
    command = [sys.executable, "-m", "kb", *names, "--help"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


def concepts_with_header() -> str:
    """data/concepts.yaml with the comment at its head as the fields define it."""
    text = (ROOT / "data" / "concepts.yaml").read_text(encoding="utf-8")
    entries = re.search(r"^- id:.*", text, re.MULTILINE | re.DOTALL)
    return header() + "\n" + (entries[0] if entries else "")


def main() -> None:
    made = {
        ROOT / "docs" / "cli.md": command_reference(),
        ROOT / "data" / "concepts.schema.json": json.dumps(json_schema(), ensure_ascii=False, indent=1) + "\n",
        ROOT / "data" / "concepts.yaml": concepts_with_header(),
    }
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'stale' if '--check' in sys.argv else 'written'}: {path.relative_to(ROOT)}")
        if "--check" not in sys.argv:
            path.write_text(made[path], encoding="utf-8")
    sys.exit(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    main()
