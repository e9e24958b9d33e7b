"""`kb export`: the knowledge base in other tools' formats, one a module."""

from __future__ import annotations

from kb.language.text import Bilingual

COMMANDS = {
    "obsidian": Bilingual("Write notes into an Obsidian vault.", "导出为 Obsidian 笔记。"),
}
