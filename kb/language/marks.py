"""Names as they come, copied from a note, a paper or code: what stands around a name, and what it stands beside.

Only for what is not known as it stands: a name may have such marks itself, as C#, A* and precision@k do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 200
"""Characters of a text that may hold a name and little else."""
LONGEST_NAME = 40
"""Characters of a text that may be a name itself."""
_PAIRS = (
    *[(mark, mark) for mark in ("**", "__", "~~", "==", "*", "_", "`", '"', "'")],
    *zip("[(（【「『〈<“‘«", "])）】」』〉>”’»", strict=True),
)
_WIKI = re.compile(r"!?\[\[([^\[\]|#]+)(?:#[^\[\]|]*)?(?:\|([^\[\]]+))?\]\]")
_LINK = re.compile(r"!?\[([^\[\]]+)\]\([^()]*\)")
_BEFORE = re.compile(r"(?:#+|>|[-*+•]|\d{1,3}[.)、])\s+(?:\[[ xX]\]\s+)?|#+(?=[\w《])")
_ENDS = " \t\r\n\u3000.。．!！?？,，;；:：、…~～"
_HAN = "\u3400-\u9fff"
_BRACKETS = (("(（", ")）"), ("[【", "]】"))
"""What opens and what closes; the widths are mixed up as often as not."""
_SCRIPTS = re.compile(f"([^{_HAN}]+)([{_HAN}]+)|([{_HAN}]+)([^{_HAN}]+)")
_MODULES = re.compile(r"(?:[a-z_]\w*(?:\.|::))+(?=\w{3,}$)", re.ASCII | re.IGNORECASE)
_DIMENSIONS = re.compile(r"(?<=[a-z]{3})[123]d$", re.ASCII | re.IGNORECASE)
_ASKS = re.compile(
    r"\b(?:how|why|what|when|where|which|who|is|are|do|does|can|should)\b|[吗呢怎哪]|什么|如何|为何", re.IGNORECASE
)


def undressed(text: str) -> Iterator[str]:
    """A name as it stands, then layer by layer without marks around it: Markdown, links, quotes, sentence ends.

    `- **[[dropout|丢弃法]]**。` ends with `dropout` and `丢弃法`. The first form that is known is meant.
    """
    yield text
    while len(text) <= LONGEST:
        if link := _WIKI.fullmatch(text.strip()):
            yield from filter(None, link.groups())
            return
        bare = _without_marks(text.strip())
        if bare == text:
            return
        yield bare
        text = bare


def _without_marks(text: str) -> str:
    """The text without its outermost marks; as it is where it has none, or is nothing else."""
    if link := _LINK.fullmatch(text):
        return link[1]
    if begins := _BEFORE.match(text):
        return text[begins.end() :] or text
    for left, right in _PAIRS:
        if len(text) > len(left + right) and text.startswith(left) and text.endswith(right):
            return text[len(left) : -len(right)]
    return (text[:-1] if text[-1:] in _ENDS else text) or text


def in_brackets(text: str) -> tuple[str, str] | None:
    """A name and what stands in brackets behind it, half or full width: `Batch normalization (BN)`."""
    text, depth = text.strip() if len(text) <= LONGEST else "", 0
    opening, closing = next((pair for pair in _BRACKETS if text and text[-1] in pair[1]), ("", ""))
    for at in range(len(text) - 1 if closing else 0, 0, -1):
        depth += (text[at] in closing) - (text[at] in opening)
        if depth == 0:
            name, other = text[:at].strip(), text[at + 1 : -1].strip()
            return (name, other) if name and other else None
    return None


def in_two_scripts(text: str) -> tuple[str, str] | None:
    """The halves of what begins in one script and ends in the other: `LSTM 长短期记忆网络`."""
    found = _SCRIPTS.fullmatch(text) if len(text) <= LONGEST else None
    return (found[1] or found[3], found[2] or found[4]) if found else None


def in_code(text: str) -> list[str]:
    """What a name in code may mean, the nearest first: `nn.Conv2d` is `Conv2d`, or else `Conv`.

    What is left of a dot must be longer than the ending of a file.
    """
    own = _MODULES.sub("", text[: LONGEST + 1].removesuffix("()"), count=1)
    forms = dict.fromkeys((own, _DIMENSIONS.sub("", own)))
    return [form for form in forms if form != text] if len(text) <= LONGEST else []


def may_be_one(name: str, known: str) -> bool:
    """Whether a name that we do not know and a known one in brackets behind it can be names of the same thing.

    They can where one is the other's abbreviation, or where each is of another script, which is a translation. All
    else tells where the name belongs: `Memory (RNN)` is no name of the RNN, nor is a question in front of it.
    """
    if len(name) > LONGEST_NAME or _ASKS.search(name):
        return False
    pairs = ((name, known), (known, name))
    return bool(re.search(f"[{_HAN}]", name)) != bool(re.search(f"[{_HAN}]", known)) or any(
        len(short) > 1 and _initials(full).startswith(short.casefold()) for full, short in pairs
    )


def _initials(name: str) -> str:
    return "".join(re.findall(r"\b[^\W_]", name)).casefold()
