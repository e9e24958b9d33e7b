"""The words of a text, for the lexical index: folded Latin words, and bigrams of 汉字."""

from __future__ import annotations

import re
from itertools import pairwise

from kb.language.text import normal

_RUN = re.compile(r"[a-z0-9]+(?:[+#]+)?|[\u3400-\u4dbf\u4e00-\u9fff]+|[^\W_]+")


def words(text: str) -> list[str]:
    """Lower-case words as they stand, and every pair of neighbouring 汉字 (a lone one stands alone).

    `梯度消失 in RNNs` -> `梯度 度消 消失 in rnns`. Traditional characters are simplified first.
    """
    plain = normal(text).casefold()
    if not plain.isascii():
        from kb.language.han import TO_SIMPLIFIED

        plain = plain.translate(TO_SIMPLIFIED)
    found: list[str] = []
    for run in _RUN.findall(plain):
        if "\u3400" <= run[0] <= "\u9fff" and len(run) > 1:
            found += [first + second for first, second in pairwise(run)]
        else:
            found.append(run)
    return found
