"""What the claims of computing on hidden numbers must not forgive."""

MUTANTS = {
    "nothing is drawn at random": ("return (1 + m * N) * pow(r, N, N**2) % N**2", "return (1 + m * N) % N**2"),
    "the random factor is not an n-th power": ("pow(r, N, N**2) % N**2", "r % N**2"),
    "the message is not multiplied by n": ("return (1 + m * N) *", "return (1 + m) *"),
    "the trapdoor is not divided out": ("// N * pow(k, -1, N) % N", "// N % N"),
    "the trapdoor lacks a prime": ("k = lcm(P - 1, Q - 1)", "k = P - 1"),
    "no number is negative": ("return m if m <= N // 2 else m - N", "return m"),
    "a ciphertext is left out": ("return prod(ciphertexts) % N**2", "return prod(ciphertexts[1:]) % N**2"),
    "weights multiply ciphertexts": ("pow(c, w, N**2) for c, w", "c * w for c, w"),
    "both partners add the mask": ("((client == i) - (client == j))", "((client == i) + (client == j))"),
    "nobody masks": ("x = x + mask * ((client == i) - (client == j))", "x = x + 0 * mask"),
    "the masks are not modular": ("    return x % MODULUS\n", "    return x\n"),
    "masks fill half of the range": ("torch.randint(MODULUS, shape", "torch.randint(MODULUS // 2, shape"),
    "negative sums are not read as such": ("MODULUS // 2) % MODULUS - MODULUS // 2", "MODULUS // 2) % MODULUS"),
    "the masks spare the lowest byte": (
        "return {pair: torch.randint(MODULUS, shape",
        "return {pair: 256 * torch.randint(2**24, shape",
    ),
    "the random factor is always the same": ("factors.randrange(1, N))", "12345)"),
    "masks are drawn once": (
        'masks = draw_masks(w["plain"].shape, noise)',
        'masks = draw_masks(w["plain"].shape, noise.manual_seed(1))',
    ),
    "the last client sends nothing": ("for i, u in enumerate(own)]", "for i, u in enumerate(own) if i < 4]"),
    "the server sums floats": (
        "return (sum(sent) + MODULUS // 2)",
        "return (sum(t.float() for t in sent).long() + MODULUS // 2)",
    ),
    "weights are left out of one product": (
        "zip(ciphertexts, weights, strict=True)]",
        "zip(ciphertexts, [*weights[:-1], 1], strict=True)]",
    ),
    "the lost client comes back": ("unmasked_sum(broken[1:])", "unmasked_sum(broken)"),
    "the control multiplies too": ("return sum(ciphertexts) % N**2", "return total(ciphertexts)"),
    "the gradient forgets the answer": (".softmax(1) - F.one_hot(y, 10))", ".softmax(1) - 0.1)"),
    "the masks add to all alike": ("x = x + mask * ((client == i) - (client == j))", "x = x + mask"),
    "a weight loses its sign": ("pow(c, w, N**2) for c, w", "pow(c, abs(w), N**2) for c, w"),
    "the product is taken modulo n": ("return prod(ciphertexts) % N**2", "return prod(ciphertexts) % N"),
    "the fixed point is coarse": ("g = x.mT @ ((x @ w)", "g = 1e-4 * x.mT @ ((x @ w)"),
    "one byte of a mask is missing": (
        "torch.randint(MODULUS, shape, generator=generator)",
        "torch.randint(MODULUS, shape, generator=generator) & 0xFF00FFFF",
    ),
    "the first client is not masked": (
        "sent = [masked(u, i, masks) for i, u in",
        "sent = [masked(u, i, masks) if i else u % MODULUS for i, u in",
    ),
}
