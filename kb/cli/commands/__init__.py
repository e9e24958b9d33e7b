"""The commands, in the order in which `kb --help` lists them."""

from __future__ import annotations

from kb.language.text import Bilingual

COMMANDS = {
    "explain": Bilingual("Explain a concept, by any name in either language.", "解释一个概念，中英文名称均可。"),
    "search": Bilingual("Find a concept by describing it.", "用自己的话描述，找到概念。"),
    "similar": Bilingual("List the concepts nearest in meaning to one.", "列出与某个概念含义相近的概念。"),
    "demo": Bilingual("Run the experiment behind a concept.", "运行概念背后的实验。"),
    "list": Bilingual("List the concepts.", "列出概念。"),
    "stats": Bilingual("Count what the knowledge base holds.", "统计知识库的内容。"),
    "model": Bilingual("List, describe or choose the model of the search.", "列出、查看或选择检索所用的模型。"),
    "export": Bilingual("Write the knowledge base in another tool's format.", "导出为其他工具的格式。"),
    "lint": Bilingual("Check a knowledge base against the curation standard.", "按编写规范检查知识库。"),
    "doctor": Bilingual("Show what is installed, where it lies and what is missing.", "查看环境、路径与缺失项。"),
}
