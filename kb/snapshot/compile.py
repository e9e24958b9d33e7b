"""What a concept becomes in the snapshot: its card, its surface forms, its words, what the encoder sees of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from kb.concepts.card import Kept
from kb.concepts.graph import linked
from kb.concepts.model import Concept
from kb.concepts.vocabulary import LABELLED
from kb.language import wiki
from kb.language.pinyin import readings
from kb.language.surface import fold, strip_tones
from kb.language.text import LANGUAGES, Language
from kb.language.words import words

Sounds = frozenset[tuple[str, str]]
"""How a Chinese name is typed by its sound, each with its status: pinyin or initials."""
INITIALS = 4
"""汉字 of a name from which its initials tell it."""


def card_row(concept: Concept) -> tuple[str | None, ...]:
    """What the table `card` holds of a concept, but for its place and its state."""
    c, card = concept, json.dumps(make_card(concept), ensure_ascii=False, separators=(",", ":"))
    shown = c.name.en, c.name.zh, c.summary.en, c.summary.zh, c.demo
    return c.id, c.type, " ".join(c.area), *shown, digest_of(make_passages(concept)), card


def make_card(concept: Concept) -> Kept:
    """The JSON form of a concept, its formulas in readable form, and whom its texts link to."""
    formula, symbols = _readable(concept)
    return {
        **concept.to_json(),  # type: ignore[typeddict-item]  # `fields.ENTRY` says what it holds
        "formula_text": formula,
        "symbols_text": symbols,
        "linked": linked(concept),
    }


def _readable(concept: Concept) -> tuple[list[str], dict[str, str]]:
    from kb.concepts.formula import to_terminal

    try:
        return list(map(to_terminal, concept.formula)), {s: to_terminal(s) for s in concept.symbols}
    except ValueError:  # a user's formula that we cannot read is shown as it is written; lint says so
        return list(concept.formula), {symbol: symbol for symbol in concept.symbols}


def surface_rows(concept: Concept, known: Mapping[str, Sounds]) -> Iterator[tuple[str, str, str, str]]:
    """(key, id, text, status) of every surface form; of how the Chinese ones sound, too, which never resolves.

    A title without its marks has the status `title`: it resolves where nothing else has that name.

    Args:
        known: What is known of names from before.
    """
    named = [(fold(text, titles=True), status, text) for text, status in concept.surfaces()]
    named += [(fold(text), "title", text) for _, _, text in named if "《" in text]
    first = {(key, status): text for key, status, text in reversed(named)}
    for (key, status), text in first.items():
        yield key, concept.id, text, status
    for text in (concept.name.zh, *concept.aliases.get("zh", ())):
        for key, status in sorted(known[text] if text in known else sounds(text)):
            yield key, concept.id, text, status


def sounds(text: str) -> Sounds:
    """The pinyin of a name, in one word, and its initials; nothing for a text without 汉字.

    A name of 汉字 alone is read as a whole and character by character, as each is mostly read: so a slip of the input
    method is recognized. One too short to tell has no initials.
    """
    from pypinyin import Style, lazy_pinyin

    if text.isascii():
        return frozenset()
    syllables, table = lazy_pinyin(text, style=Style.NORMAL, v_to_u=False), readings()
    read = [syllables, [table[character] for character in text]] if table.keys() >= set(text) else [syllables]
    found = {(fold(strip_tones("".join(each))), "pinyin") for each in read}
    if len(read) > 1 and len(text) >= INITIALS:
        found |= {("".join(syllable[0] for syllable in each), "initials") for each in read}
    return frozenset(found)


ENOUGH = 4
"""Questions of a language that stand for the longer texts, which tell of the neighbours, too; see docs/search.md."""


def make_passages(concept: Concept) -> list[tuple[str, str, str, str]]:
    """(id, part, language, text) of everything that the encoder sees of a concept."""
    rows: list[tuple[str, str, str, str]] = []
    for language in LANGUAGES:
        name, others = concept.name.of(language), concept.aliases.get(language, ())
        rows.append((concept.id, "names", language, ", ".join([name, *others[:6]])))
        rows.append((concept.id, "summary", language, f"{name}: {concept.summary.of(language)}"))
        asks = concept.asks.get(language, ())
        if len(asks) < ENOUGH:
            rows += [(concept.id, part, language, f"{name}: {text}") for part, text in _parts(concept, language)]
        rows += [(concept.id, "ask", language, ask) for ask in asks]
    return rows


def _parts(concept: Concept, language: Language) -> Iterator[tuple[str, str]]:
    if concept.idea:
        yield "idea", wiki.plain(concept.idea.of(language))
    texts = [getattr(concept, name) for name in LABELLED]
    if body := " ".join(wiki.plain(text.of(language)) for text in texts if text):
        yield "body", body


def digest_of(passages: Iterable[Sequence[str]]) -> str:
    """What tells these passages from others."""
    return hashlib.blake2b("\0".join("\0".join(row) for row in passages).encode(), digest_size=16).hexdigest()


class Words(NamedTuple):
    """The words of a concept, by the columns of the lexical index."""

    names: list[str]
    summary: list[str]
    asks: list[str]
    body: list[str]

    def columns(self) -> tuple[str, ...]:
        """The row of the lexical index."""
        return tuple(map(" ".join, self))

    def places(self) -> tuple[set[str], set[str], set[str]]:
        """The Latin words of the names, of the prose and of the questions."""
        names, prose, asks = set(self.names), {*self.summary, *self.body}, set(self.asks)
        return _latin(names), _latin(prose), _latin(asks)


def _latin(words: set[str]) -> set[str]:
    return set(filter(str.isascii, words))


def words_of(concept: Concept) -> Words:
    """The words of all that a concept says."""
    names = [text for text, _ in concept.surfaces()]
    asks = [ask for language in LANGUAGES for ask in concept.asks.get(language, ())]
    apart = ("summary", "demo_shows")
    body = [wiki.plain(text) for part, pair in concept.prose() if part not in apart for text in pair]
    return Words(*(words(" \n ".join(texts)) for texts in (names, concept.summary, asks, body)))
