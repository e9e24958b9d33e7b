"""What the claims about the audit must not forgive."""

MUTANTS = {
    "a leaf has the mark of a node": ('sha256(b"\\0" + entry)', 'sha256(b"\\1" + entry)'),
    "left and right are mixed up": ('b"\\1" + left + right', 'b"\\1" + right + left'),
    "who has no partner is paired with itself": (
        "if i + 1 < len(low) else low[i] for",
        "if i + 1 < len(low) else join(low[i], low[i]) for",
    ),
    "who has no partner is dropped": (
        "for i in range(0, len(low), 2)]\n        levels",
        "for i in range(0, len(low) - 1, 2)]\n        levels",
    ),
    "a hash is cut to a byte": ("+ left + right).digest()", "+ left + right).digest()[:1]"),
    "all partners stand on the right": ("(i >> k & 1 == 1, low", "(False, low"),
    "a proof takes the hash itself": ("low[i >> k ^ 1])", "low[i >> k])"),
    "it looks to the left alone": ("(2 * above, 2 * above + 1) if", "(2 * above,) if"),
    "it looks everywhere": ("for above in differ for i", "for above in range(len(low)) for i"),
    "weights are not kept": ('"weights": w.cpu()[:, None]', '"weights": 0 * w.cpu()[:, None]'),
    "numbers are kept in single precision": ('f"<{len(row)}d"', 'f"<{len(row)}f"'),
    "each row is hashed without its label": (
        'struct.pack(f"<{len(row)}d", *row)',
        'struct.pack(f"<{len(row)}d", *row[:-1], 0)',
    ),
    "decisions are not kept": (
        '"decisions": torch.cat([x[ROWS:], scores, scores > 0], 1)',
        '"decisions": torch.cat([x[ROWS:], scores, scores > 9], 1) * 0',
    ),
    "the settings lack the rate": ("[[steps, seed, rate, ROWS", "[[steps, seed, 0.1, ROWS"),
    "the change is nowhere": ("rows[i, j] += size", "rows[i, j] += 0 * size"),
    "the tree stops below the root": ("while len(low) > 1:", "while len(low) > 2:"),
    "nodes have the mark of leaves": ('sha256(b"\\1" + left', 'sha256(b"\\0" + left'),
    "any proof passes": (
        "start = join(partner, start) if is_left else join(start, partner)",
        "start = partner",
    ),
    "the report sees all": ('f"{loss:.4f}", f"{right:.4f}"', "entries(record)"),
    "the batches have no seed": ("(BATCH,), generator=order)", "(BATCH,))"),
    "the score forgets the offset": ("here[ROWS:] @ w[1:] + w[0]).cpu()", "here[ROWS:] @ w[1:]).cpu()"),
}
FULL: set[str] = set()
