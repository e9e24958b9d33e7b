"""The knowledge base as a folder of Obsidian notes, kept in step without ever losing what the user wrote.

The notes live in a folder of their own. Each carries its id, so that one that was renamed, or whose manifest was lost,
is known again. First everything is planned; then, unless it is a dry run, the plan is carried out, note by note and so
that an interruption anywhere leaves every note once and whole.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from kb import files
from kb.errors import KbError
from kb.formats.obsidian.content import Link, escape_html, make_properties, make_region
from kb.formats.obsidian.filenames import LONGEST, collision_key, note_name
from kb.formats.obsidian.manifest import MANIFEST, Entry, to_bytes
from kb.formats.obsidian.note import Note, Properties, blind_digest, parse, update
from kb.formats.obsidian.vault import Found, Vault, look, name_key, read_note, to_found
from kb.language.hidden import visible
from kb.language.text import Bilingual, Language

if TYPE_CHECKING:
    from kb.concepts.card import Card

Action = Literal["create", "update", "rename", "unchanged", "conflict", "deleted", "prune", "keep", "copy", "skip"]
_STUCK = Bilingual("its properties cannot be changed without breaking them", "其属性无法在不破坏的前提下更新")
_TAKEN = Bilingual("it no longer says that it is kb's", "其中已没有 kb 的标识")
_DELETED = Bilingual("it was deleted", "已被删除")
NAMES = 100
"""Names of a concept by which its note is known as kb's own."""
ATTEMPTS = 20
"""How often a note is tried again that somebody writes to at the same time."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to export, in which languages and to which folder of the vault; None for those in use."""

    languages: tuple[Language, ...] | None
    force: bool = False
    prune: bool = False
    dry_run: bool = False
    folder: str | None = None
    otherwise: tuple[Language, ...] = ("en",)
    """The languages of a new vault, where none are asked for."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done with one note; `old` is where it lies now when it is renamed, `why` why it is left alone."""

    action: Action
    id: str
    path: str
    text: str = ""
    old: str = ""
    why: Bilingual | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Where every note will lie, which of them the user placed, and what is to be done."""

    paths: Mapping[str, str]
    placed: frozenset[str]
    steps: tuple[Step, ...]


class Exported(NamedTuple):
    """Where the notes lie, and what was done with each."""

    home: Path
    steps: list[Step]


def export(cards: Sequence[Card], folder: Path, options: Options) -> Exported:
    """Write or update one note a concept below `folder`, and say what was done with each.

    Raises:
        KbError: the folder cannot be read or written, leads outside itself by a link, or is being worked on.
    """
    try:
        if not options.dry_run:
            folder.mkdir(parents=True, exist_ok=True)
        with nullcontext() if options.dry_run else files.locked(folder):
            vault = look(folder, options.folder)
            if os.path.lexists(manifest := vault.root / vault.home / MANIFEST):
                files.head(manifest, 1)  # that it can be written is known before a note is
            exporter = _Exporter([_clean(card) for card in cards], vault, options)
            plan = exporter.plan()
            return Exported(vault.root / vault.home, list(plan.steps if options.dry_run else exporter.carry_out(plan)))
    except OSError as error:
        why, place = files.reason(error), error.filename or folder
        raise KbError(
            Bilingual(f"cannot export to {folder}: {why.en}: {place}", f"无法导出到 {folder}：{why.zh}：{place}")
        ) from error


def _clean(value: Any) -> Any:
    """A card without what no reader sees."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(key): _clean(inner) for key, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, list) else value


class _Exporter:
    """One export: the cards, what is there, and how it is wanted."""

    def __init__(self, cards: Sequence[Card], vault: Vault, options: Options) -> None:
        self.cards = {card["id"]: card for card in cards}
        self.vault, self.options = vault, options
        self.languages = options.languages or vault.languages or options.otherwise
        self.titles = {id: note_name(card["name"][self.languages[0]]) for id, card in self.cards.items()}
        self.paths: dict[str, str] = {}
        self.unique: Counter[str] = Counter()
        self.stuck: set[str] = set()
        self.absent = {id for id in self.cards if self._why_absent(id)}

    # ---- where the notes lie

    def plan(self) -> Plan:
        placed = frozenset(id for id in self.vault.notes if id in self.cards and self._is_placed(id))
        while True:
            self._choose_paths(placed)
            steps = [self._step(id, self.vault.notes.get(id)) for id in self.cards]
            stuck = {step.id for step in steps if step.why is _STUCK} - self.stuck
            if not stuck:
                break
            self.stuck |= stuck  # they stay where they lie, and links to them too
        if self.options.prune:
            steps += self._gone()
        steps += [Step("copy", id, path) for id, paths in sorted(self.vault.copies.items()) for path in paths]
        told = {step.path for step in steps if step.action == "skip"}
        steps += [Step("skip", "", path, why=why) for path, why in sorted(self.vault.odd.items()) if path not in told]
        return Plan(self.paths, placed, tuple(steps))

    def _is_placed(self, id: str) -> bool:
        """Whether the user put a note where it lies: it is not where kb put it, nor back where kb would."""
        at, entry = self.vault.notes[id].path, self.vault.known.get(id)
        if entry is not None and at == entry.path:
            return entry.placed
        if entry is not None and at in entry.also:
            return False
        is_taken_from_us = entry is not None and bool(entry.path) and not entry.placed
        return is_taken_from_us or self._rank(id, at) is None

    def _names(self, id: str) -> Iterator[str]:
        """The paths that a note may have, the best first."""
        short = id[:60]
        for suffix in chain(("", f" ({short})"), (f" ({short} {n})" for n in count(2))):
            yield self._inside(self.titles[id], suffix)

    def _inside(self, title: str, suffix: str) -> str:
        """A path at home, no longer than names may be."""
        cut = title.encode()[: LONGEST - len(suffix.encode())].decode(errors="ignore") if suffix else title
        return f"{self.vault.home}/{cut}{suffix}.md".removeprefix("/")

    def _rank(self, id: str, path: str) -> int | None:
        """Which of the names that kb gives a path is; None where it is none of them."""
        return next((i for i, name in enumerate(islice(self._names(id), NAMES)) if name == path), None)

    def _choose_paths(self, placed: frozenset[str]) -> None:
        """Give every note its path.

        One that the user placed, or edited inside our region, stays where it is; so does one whose name is still one
        of those that kb gives. A new name is never that of another note, wherever in the vault this lies: links by
        name would change their target.
        """
        stays = {id for id, found in self.vault.notes.items() if id in self.cards and self._stays(id, found, placed)}
        movable = {collision_key(found.path) for id, found in self.vault.notes.items() if id in self.cards} - {
            collision_key(self.vault.notes[id].path) for id in stays
        }
        names = self.vault.names.copy()
        names.subtract(
            name_key(found.path) for id, found in self.vault.notes.items() if id in self.cards.keys() - stays
        )
        used: set[str] = set()
        self.paths = {}
        for id in stays:
            self.paths[id] = self.vault.notes[id].path
            used.add(collision_key(self.paths[id]))
        for id in (id for id in self.cards if id not in stays):
            self.paths[id] = next(
                path
                for path in self._names(id)
                if collision_key(path) not in used
                and (collision_key(path) not in self.vault.taken or collision_key(path) in movable)
                and not names[name_key(path)]
            )
            used.add(collision_key(self.paths[id]))
            names[name_key(self.paths[id])] += 1
        self.unique = names

    def _stays(self, id: str, found: Found, placed: frozenset[str]) -> bool:
        is_edited = self._is_edited(id, self._parse(id, found)) and not self.options.force
        return id in placed or id in self.stuck or is_edited or self._rank(id, found.path) is not None

    def _parse(self, id: str, found: Found | None) -> Note:
        entry = self.vault.known.get(id)
        return parse(found.text if found else "", entry.region if entry else "")

    def _is_edited(self, id: str, note: Note) -> bool:
        """Whether the user wrote in our part; that Obsidian renamed a link there is no edit."""
        entry = self.vault.known.get(id)
        is_same = entry is not None and bool(entry.region) and blind_digest(note.region or "") == entry.region
        return note.is_edited and not is_same

    def _link(self, source: str) -> Link:
        """Links from one note: by name where only one note has it and both lie at home, else by path."""

        def link(id: str, shown: str) -> str:
            if id not in self.paths or id in self.absent:
                return shown
            path = self.paths[id]
            is_near = all(folder == self.vault.home for folder in (path.rpartition("/")[0], source.rpartition("/")[0]))
            folder, _, name = path.rpartition("/")
            if re.search("[\ud800-\udfff]", name):  # no note can hold such a link
                return shown
            is_odd = re.search("[#^|\\[\\]\ud800-\udfff]", folder) is not None  # no path leads there
            is_clear = (is_near or is_odd) and self.unique[name_key(path)] == 1
            if is_odd and not is_clear:
                return shown
            target = PurePosixPath(path).stem if is_clear else path.removesuffix(".md")
            text = re.sub(r"[\[\]]{2,}", "", shown).replace("|", "-").replace("\n", " ")
            text = escape_html(re.sub("%%+", "%", text))
            return f"[[{target}|{text}]]" if text and text != target else f"[[{target}]]"

        return link

    # ---- what becomes of each

    def _why_absent(self, id: str) -> Bilingual | None:
        """Why a concept has no note and gets none: the user deleted it, or made another one of it."""
        entry, force = self.vault.known.get(id), self.options.force
        if id in self.vault.notes or entry is None:
            return None
        if there := next((place for place in (entry.path, *entry.also) if self._is_there(place)), ""):
            return self.vault.odd.get(there) or (None if force else _TAKEN)
        return None if force else _DELETED

    def _step(self, id: str, found: Found | None) -> Step:
        path, entry, force = self.paths[id], self.vault.known.get(id), self.options.force
        if found is None and entry is not None and (why := self._why_absent(id)):
            if why is _DELETED:
                return Step("deleted", id, path)
            there = next(place for place in (entry.path, *entry.also) if self._is_there(place))
            return Step("skip", id, there, why=why)
        note, region = self._parse(id, found), self._region(id)
        is_edited = found is not None and self._is_edited(id, note)
        if found and is_edited and (note.region or "").replace("\r\n", "\n") != region and not force:
            return Step("conflict", id, found.path)
        text = update(note, self._properties(id), entry.owned if entry else None, region, force=force)
        if text is None:
            return Step("conflict", id, found.path if found else path, why=_STUCK)
        if found is None:
            return Step("create", id, path, text)
        if found.path != path:
            return Step("rename", id, path, text, found.path)
        return Step("unchanged" if found.text == text else "update", id, path, text)

    def _is_there(self, path: str) -> bool:
        return bool(path) and os.path.lexists(self.vault.root / path)

    def _region(self, id: str) -> str:
        return make_region(self.cards[id], self.languages, self._link(self.paths[id]))

    def _properties(self, id: str) -> Properties:
        path = self.paths[id]
        return make_properties(self.cards[id], PurePosixPath(path).stem, self._link(path))

    def _gone(self) -> Iterator[Step]:
        """Notes of concepts that are gone: those that are as kb wrote them are pruned."""
        for id, found in sorted(self.vault.notes.items()):
            if id not in self.cards and id in self.vault.known:
                is_ours = self.vault.known[id].file == _hash(found.to_bytes(found.text))
                yield Step("prune" if is_ours else "keep", id, found.path)

    # ---- doing it

    def carry_out(self, plan: Plan) -> Iterator[Step]:
        """Do what is planned, and say what was done."""
        root = self.vault.root
        for folder in self.vault.litter:
            files.sweep(root / folder)
        (root / self.vault.home).mkdir(parents=True, exist_ok=True)
        self._rename([step for step in plan.steps if step.action == "rename"])
        known = dict(self.vault.known)
        for step in plan.steps:
            done = self._write(step) if step.action in ("create", "update", "rename") else step
            if done.action == "prune":
                done = self._prune(done)
            if done.action == "prune":
                known.pop(step.id, None)
            elif done.action in ("create", "update", "rename", "unchanged"):
                known[step.id] = self._entry(step, done, step.id in plan.placed)
            yield done
        self._remember(known)

    def _entry(self, step: Step, done: Step, placed: bool) -> Entry:
        """What is remembered of a note: its hash only where nothing in it is the user's."""
        owned, region = self._properties(done.id), self._region(done.id)
        before, found = self.vault.known.get(done.id), self.vault.notes.get(done.id)
        was_ours = before and found and before.file == _hash(found.to_bytes(found.text)) and done.text == step.text
        is_ours = was_ours or done.text == update(parse(""), owned, None, region)
        content = found.to_bytes(done.text) if found else done.text.encode()
        return Entry(done.path, placed, (), _hash(content) if is_ours else "", blind_digest(region), owned)

    def _rename(self, steps: Sequence[Step]) -> None:
        """Move the notes, each in one instant; where they change places, one of them steps aside."""
        if not steps:
            return
        aside = {step.id: self._inside(self.titles[step.id], f" ({i} moving)") for i, step in enumerate(steps)}
        also = {step.id: (step.old, aside[step.id]) for step in steps}
        known = {step.id: self.vault.known.get(step.id, Entry(""))._replace(path=step.path) for step in steps}
        self._remember(
            self.vault.known | {id: entry._replace(also=also[id], placed=False) for id, entry in known.items()}
        )
        waiting = {step.id: (step.old, step.path) for step in steps}
        while waiting:
            held = {collision_key(old): id for id, (old, _) in waiting.items()}
            free = [id for id, (_, new) in waiting.items() if held.get(collision_key(new), id) == id]
            for id in free:
                self._move(*waiting.pop(id))
            if not free:
                id, (old, new) = next(iter(waiting.items()))
                self._move(old, aside[id])
                waiting[id] = aside[id], new

    def _move(self, old: str, new: str) -> None:
        root = self.vault.root
        there = root / new
        is_same = there.exists() and there.samefile(root / old)  # on some systems case does not tell them apart
        if os.path.lexists(there) and not is_same:
            raise files.FileChanged(there)
        (root / old).rename(there)

    def _write(self, step: Step) -> Step:
        """Write a note, over what was read alone; what somebody writes meanwhile is read and kept."""
        path, found = self.vault.root / step.path, self.vault.notes.get(step.id)
        done = step
        for _ in range(ATTEMPTS):
            if found and found.text == step.text:
                return done
            content = found.to_bytes(step.text) if found else step.text.encode()
            try:
                files.write(path, content, durable=found is not None, was=found.state if found else files.ABSENT)
                return done
            except FileNotFoundError:
                if found is None:
                    raise
                return Step("deleted", step.id, step.path)
            except files.FileChanged as error:
                if found is None:
                    why = Bilingual("another file took its place", "该位置刚被其他文件占用")
                    return Step("skip", step.id, step.path, why=why)
                found = self._reread(step.path, error.lost)
                again = self._step(step.id, found)
                if again.action == "conflict":  # they wrote inside our region: theirs stays, or comes back
                    done, step = again, replace(step, text=found.text)
                else:
                    step = replace(step, text=again.text)
                    done = step
                if error.lost is not None and step.text == found.text:
                    found = replace(found, text="")  # what was written over has to be written again
        raise files.FileChanged(path)

    def _reread(self, path: str, lost: bytes | None) -> Found:
        """A note that somebody has just written, which may lie under what we wrote."""
        now = read_note(self.vault.root, path)
        return now if lost is None else to_found(path, lost, now.state)

    def _prune(self, step: Step) -> Step:
        """Remove a note, unless somebody has just written in it."""
        path, found = self.vault.root / step.path, self.vault.notes[step.id]
        with suppress(FileNotFoundError):
            if not files.state_of(path).is_like(found.state):
                return replace(step, action="keep")
            path.unlink()
        return step

    def _remember(self, known: Mapping[str, Entry]) -> None:
        """Write the manifest, where it changed; those of earlier folders go."""
        root, home = self.vault.root, self.vault.home
        content, path = to_bytes(home, self.languages, known), root / home / MANIFEST
        if not path.exists() or files.read(path, follow=False).data != content:
            files.write(path, content)
        for other in (root / manifest for manifest in self.vault.manifests):
            if other.exists() and not other.samefile(path):
                other.unlink()


def _hash(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()[:16]
