"""The colours that stand for one thing wherever it is shown."""

from __future__ import annotations

NAME, OTHER_NAME = "bold cyan", "cyan"
"""Of a concept or a demo: its name in the language of the answer, and the one in the other language."""
LABEL = "magenta"
"""Of a type, and before what a card lists."""
