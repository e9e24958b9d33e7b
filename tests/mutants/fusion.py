"""What the claims about fusion must not forgive."""

MUTANTS = {
    "the cube is a square": ('("b", torch.mul, ("a", "x"))', '("b", torch.mul, ("a", 1.0))'),
    "the half is forgotten": ('("y", torch.mul, ("j", 0.5))', '("y", torch.mul, ("j", 1.0))'),
    "a kernel writes all that it makes": ("len(made & needed)", "len(made)"),
    "a kernel reads what it made": ("len(read - made)", "len(read)"),
    "others need nothing": ('needed = {"y"}.union(', 'needed = {"y"}.intersection('),
    "the last tile is left out": ("range(0, len(y), tile)", "range(0, len(y) - tile + 1, tile)"),
    "the second tile reads the first": (
        "name: t[start : start + tile] for name, t in (inputs",
        "name: t[: min(tile, len(y) - start)] for name, t in (inputs",
    ),
    "a written line never goes back": ("count += cache.popitem(last=False)[1]", "cache.popitem(last=False)"),
    "the newest line leaves": ("cache.popitem(last=False)[1]", "cache.popitem(last=True)[1]"),
    "buffers are not used again": ('i + start * (name in "xgy")', "i + start"),
    "a line that is written is read first": ("count += line not in cache and not writes", "count += line not in cache"),
    "the control fits": ("for tile in (TILE, LARGE, LINES)]", "for tile in (TILE, TILE, LINES)]"),
    "the gate is added": ('("j", torch.mul', '("j", torch.add'),
    "a coefficient is rounded": ("0.044715)", "0.0447)"),
    "what is in the cache comes again": ("line not in cache and not writes", "not writes"),
    "the last lines never go back": ('if name == "y")  # buffers', 'if name == "a")  # buffers'),
    "the first to come leaves": ("cache.move_to_end(line)", "cache.get(line)"),
    "the kernel forgets the gate": (
        "name for op in kernel for name in names(op)}",
        "name for op in kernel for name in names(op)[:1]}",
    ),
    "an operation is watched twice": ("self.numbers += sum(", "self.numbers += 2 * sum("),
}
FULL: set[str] = set()
