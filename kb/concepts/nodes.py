"""YAML as a tree of nodes, made without recursion and in time that grows with the file alone.

PyYAML's own composer descends into itself, which a deeply nested file turns into a crash, and shares what an alias
names, which lets a few lines stand for billions. Here depth is bounded, and so is what aliases add.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is ten times faster

DEEPEST = 100
"""Levels of nesting; an entry has six."""
DIRECTIVES = 10
"""Lines that begin with %; each is compared with all others."""
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
REPEATED = 100_000
"""Characters that aliases may add to a file of any size."""


def compose(text: str, *, aliases: bool = True) -> Node | None:
    """The root node of a YAML text; None where it is empty.

    Args:
        aliases: Whether it may hold any.

    Raises:
        yaml.YAMLError: it is not YAML, holds several documents, is nested too deeply, or repeats itself by aliases.
    """
    if len(_DIRECTIVE.findall(text)) > DIRECTIVES:
        raise ComposerError(None, None, "too many directives", None)
    loader = _Loader(text)
    try:
        return _Composer(loader, budget=len(text) + REPEATED if aliases else 0).run()
    finally:
        loader.dispose()


class _Composer:
    """The collections that are open, from the outermost in, and what anchors name."""

    def __init__(self, loader: Any, budget: int) -> None:
        self.loader, self.budget = loader, budget
        self.open: list[tuple[Node, str | None]] = []
        self.held: list[list[Node]] = [[]]  # what each open collection holds so far; the root in the first
        self.weights = [0]  # characters in each, aliases included
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.documents = 0

    def run(self) -> Node | None:
        following, resolve = self.loader.get_event, self.loader.resolve
        while (kind := type(event := following())) is not StreamEndEvent:
            if kind is ScalarEvent:  # most are, so no call is spent on them
                value, tag = event.value, event.tag
                if tag is None or tag == "!":
                    tag = resolve(ScalarNode, value, event.implicit)
                node = ScalarNode(tag, value, event.start_mark, event.end_mark, event.style)
                self.held[-1].append(node)
                self.weights[-1] += len(value) + 1
                if event.anchor is not None:
                    self.anchors[event.anchor] = node, len(value) + 1
            else:
                self.take(kind, event)
        return self.held[0][0] if self.held[0] else None

    def take(self, kind: type[Any], event: Any) -> None:
        if kind is SequenceStartEvent:
            self.enter(SequenceNode, event)
        elif kind is MappingStartEvent:
            self.enter(MappingNode, event)
        elif kind is SequenceEndEvent or kind is MappingEndEvent:
            self.leave(event)
        elif kind is AliasEvent:
            self.repeat(event)
        elif kind is DocumentStartEvent:
            self.documents += 1
            if self.documents > 1:
                raise ComposerError(None, None, "a second document", event.start_mark)

    def tag(self, kind: type[Node], event: Any) -> str:
        given = event.tag
        return str(self.loader.resolve(kind, None, event.implicit) if given in (None, "!") else given)

    def add(self, node: Node, anchor: str | None, weight: int) -> None:
        self.held[-1].append(node)
        self.weights[-1] += weight
        if anchor is not None:
            self.anchors[anchor] = node, weight

    def enter(self, kind: type[SequenceNode] | type[MappingNode], event: Any) -> None:
        if len(self.open) == DEEPEST:
            raise ComposerError(None, None, "nested too deeply", event.start_mark)
        node = kind(self.tag(kind, event), [], event.start_mark, flow_style=event.flow_style)
        self.open.append((node, event.anchor))
        self.held.append([])
        self.weights.append(1)

    def leave(self, event: Any) -> None:
        (node, anchor), children, weight = self.open.pop(), self.held.pop(), self.weights.pop()
        is_mapping = isinstance(node, MappingNode)
        node.value = list(zip(children[::2], children[1::2], strict=True)) if is_mapping else children
        node.end_mark = event.end_mark
        self.add(node, anchor, weight)

    def repeat(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            raise ComposerError(None, None, f"an alias of nothing before it: *{event.anchor}", event.start_mark)
        node, weight = self.anchors[event.anchor]
        self.budget -= weight
        if self.budget < 0:
            raise ComposerError(None, None, "aliases repeat too much", event.start_mark)
        self.add(node, None, weight)
