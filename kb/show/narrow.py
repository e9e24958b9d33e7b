"""Text for an encoding that lacks some of it: `hₜ₋₁ ≤ θ` is written `h_{t-1} <= \\theta`, and a `?` is the last resort.

Many terminals and pipes are not UTF-8: those of Windows in China take GBK, those in the West one of a dozen code pages.
Formulas become what LaTeX calls them, marks their plain look-alikes, letters lose their accents.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from functools import lru_cache, partial
from io import TextIOWrapper
from typing import TYPE_CHECKING

from kb.concepts.formula import ACCENTS, SUBSCRIPTS, SUPERSCRIPTS, SYMBOLS

if TYPE_CHECKING:
    from rich.text import Text


def _raised(table: dict[str, str]) -> dict[str, str]:
    """What each script stands for, in ASCII."""
    pairs = ((shown, plain.replace("−", "-")) for plain, shown in reversed(table.items()))
    return {shown: plain for shown, plain in pairs if plain.isascii() and shown not in "*′"}


_SUPER, _SUB = _raised(SUPERSCRIPTS), _raised(SUBSCRIPTS)
_SCRIPTS = _SUPER.keys() | _SUB.keys()
_MARKS = {"\u0302": "^", "\u0303": "~", "\u0338": "/"} | {ACCENTS[name]: f"_{name}" for name in ("bar", "vec", "dot")}
_NAMES = {shown: f"\\{name}" for name, shown in reversed(SYMBOLS.items()) if not shown.isascii()}
_NAMES |= {"Σ": r"\sum", "Π": r"\prod", "√": r"\sqrt"}
_ALIKE = dict(
    pair.split(" ")
    for pair in (
        "− -|– -|— -|“ \"|” \"|‘ '|’ '|… ...|⋯ ...|• *|· *|× x|∗ *|⋆ *|≤ <=|≥ >=|≠ !=|≈ ~=|∼ ~|≡ ==|→ ->|← <-|⇒ =>"
        '|↦ ->|≪ <<|≫ >>|± +/-|′ \'|⁄ /|✓ +|✗ x|▁ _|、 ,|。 .|《 <|》 >|〈 <|〉 >|⟨ <|⟩ >|「 "|」 "|【 [|】 ]|ø o|Ø O'
        "|ł l|Ł L|æ ae|Æ AE|œ oe|ß ss|đ d|ı i"
    ).split("|")
) | {"‖": "||", "∣": "|"}
_RUN = re.compile(f"[{re.escape(''.join(_SUPER))}]+|[{re.escape(''.join(_SUB))}]+|[^\\x00-\\x7f]")


def install(stream: TextIOWrapper) -> None:
    """Make a stream write what its encoding lacks in another way."""
    name = f"kb-narrow-{stream.encoding}"  # one each: the error of a code page does not tell which
    codecs.register_error(name, partial(_replace, encoding=stream.encoding))
    stream.reconfigure(errors=name)


def narrow(text: str, encoding: str) -> str:
    """The text as an encoding can write it."""
    if _fits(text, encoding):
        return text
    return _RUN.sub(lambda run: run[0] if _fits(run[0], encoding) else _spelled(run, encoding), text)


def narrow_text(text: Text, encoding: str) -> Text:
    """A styled text as an encoding can write it, to be measured and wrapped."""
    from rich.text import Text

    written = Text(style=text.style)
    ends = sorted({at for span in text.spans for at in (span.start, span.end) if 0 < at < len(text)})
    for piece in text.divide(ends):
        part = Text(narrow(piece.plain, encoding))
        for span in piece.spans:
            part.stylize(span.style)
        written.append_text(part)
    return written


def _replace(error: UnicodeError, encoding: str) -> tuple[str, int]:
    """The codec's error handler: it looks beyond the character at fault, for scripts are written as one."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    run = _RUN.match(error.object, error.start)
    return (_spelled(run, encoding), run.end()) if run else ("?", error.start + 1)


def _spelled(run: re.Match[str], encoding: str) -> str:
    shown = run[0]
    for mark, table in (("^", _SUPER), ("_", _SUB)):
        if shown[0] in table:
            plain = "".join(map(table.__getitem__, shown))
            return mark + (plain if len(plain) == 1 else f"{{{plain}}}")
    if shown in _NAMES and shown not in _ALIKE:
        following = run.string[run.end() : run.end() + 1]
        return _NAMES[shown] + " " * (following.isalpha() and following not in _SCRIPTS)
    return _character(shown, encoding)


@lru_cache(maxsize=4096)
def _character(shown: str, encoding: str) -> str:
    """One character in plain letters and signs; `?` where there is no way."""
    if plain := _ALIKE.get(shown) or _MARKS.get(shown) or _drawn(shown):
        return plain
    if unicodedata.category(shown) in ("Mn", "Cf"):
        return ""
    plain = unicodedata.normalize("NFKD", shown).replace("⁄", "/")
    if shown.isalpha():
        plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return plain if plain != shown and _fits(plain, encoding) else "?"


def _drawn(shown: str) -> str:
    """Lines, blocks and dots that pictures are drawn with."""
    if "\u2500" <= shown <= "\u257f":
        ways = set(unicodedata.name(shown).split())
        across, along = ways & {"HORIZONTAL", "LEFT", "RIGHT"}, ways & {"VERTICAL", "UP", "DOWN"}
        return "+" if across and along else "-" if across else "|"
    if "\u2580" <= shown <= "\u259f":
        return "#"
    return ("*" if shown > "\u2800" else " ") if "\u2800" <= shown <= "\u28ff" else ""


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
