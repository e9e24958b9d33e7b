"""The ways out of an error, in the words of the command line."""

from __future__ import annotations

import re
import shlex

from kb.errors import KbError, Way
from kb.language.text import LANGUAGES, Bilingual

WORDED = {
    "explain": Bilingual("kb explain {about}    # {note}", "kb explain {about}    # {note}"),
    "search": Bilingual('kb search "{said}" looks by meaning', 'kb search "{said}" 可按含义查找'),
    "list": Bilingual("kb list shows all", "kb list 列出全部"),
    "doctor": Bilingual(
        "check --data, KB_DATA and the config; kb doctor shows them", "请检查 --data、KB_DATA 和配置；kb doctor 可查看"
    ),
    "lint": Bilingual("kb lint FILE shows them all", "用 kb lint FILE 查看全部"),
    "models": Bilingual("kb model list shows what is here", "kb model list 列出本机已有的模型"),
    "fetch": Bilingual("kb model use {about} --fetch downloads it", "kb model use {about} --fetch 可下载"),
    "copy": Bilingual(
        "copy the model's folder here and name it: kb model use FOLDER",
        "可将模型文件夹拷到本机，再运行：kb model use 文件夹",
    ),
    "export": Bilingual("kb export obsidian {quoted}", "kb export obsidian {quoted}"),
    "cpu": Bilingual("--device cpu works everywhere", "--device cpu 在任何机器上都可用"),
}


def way_out(error: KbError) -> Bilingual:
    """What to do about an error: its hint, then what the command line can do; empty where there is nothing."""
    lines = [error.hint] if error.hint else []
    lines += map(_worded, error.ways)
    return Bilingual(*("\n".join(line.of(language) for line in lines) for language in LANGUAGES))


def _worded(way: Way) -> Bilingual:
    said = re.sub(r'["$`\\!]', "", way.about)[:60]
    note = Bilingual(*(" ".join(text.split()) for text in way.note or ("", "")))
    return Bilingual(
        *(
            WORDED[way.to]
            .of(language)
            .format(about=way.about, said=said, quoted=shlex.quote(way.about), note=note.of(language))
            for language in LANGUAGES
        )
    )
