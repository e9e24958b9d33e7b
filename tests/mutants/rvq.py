"""What the claims of residual vector quantization must not forgive."""

MUTANTS = {
    "each stage codes the vector itself": ("x = x - book[codes[-1]]", "x = x"),
    "the residual is twice taken": ("x = x - book[codes[-1]]", "x = x - 2 * book[codes[-1]]"),
    "the farthest is picked": ("@ book.T).argmin(1)", "@ book.T).argmax(1)"),
    "the length of the entry does not count": ("(book.square().sum(1) - 2 * x @ book.T)", "(-2 * x @ book.T)"),
    "the product counts once": ("- 2 * x @ book.T", "- x @ book.T"),
    "the answer is a mean": ("return sum(book[code] for", "return sum(book[code] / len(books) for"),
    "the last code is not decoded": ("zip(books, codes.T, strict=False))", "zip(books[:-1], codes.T, strict=False))"),
    "the entry moves half way": (
        "share.T @ x / count.clamp(min=1), book)",
        "(book + share.T @ x / count.clamp(min=1)) / 2, book)",
    ),
    "an empty entry moves to the mean of all": ("torch.where(count > 0, ", "torch.where(count >= 0, "),
    "later stages learn from the images": ("rest = rest - book[nearest(rest, book)]", "rest = x.to(device)"),
    "the residual is what the first stage left": ("x = x - book[codes[-1]]", "x = x - book[codes[0]]"),
    "a lone vector does not move its entry": ("torch.where(count > 0, ", "torch.where(count > 1, "),
    "the rival sends its worst codes first": ("sorted(gains, reverse=True)", "sorted(gains)"),
    "the worst of five rivals": ("short = min((", "short = max(("),
    "the rival's vectors are random": ("n_init=1, random_state=seed", "n_init=1, init='random', max_iter=1"),
    "the control learns from the test": ("kmeans(x, n, seed) for n", "kmeans(x_test, n, seed) for n"),
    "the rival has a quarter of the vectors": ('errors["one codebook"][3]', 'errors["one codebook"][1]'),
    "the test holds training images": ("pixels[TRAIN:] - mean, mean", "pixels[: TRAIN - 1000] - mean, mean"),
    "the test image is its own codebook": (
        "books = [book.cpu() for book in books]",
        "books = [x_test[:16], *books[1:]]",
    ),
}
FULL = {
    "the rival sends its worst codes first",
    "the worst of five rivals",
    "the rival's vectors are random",
    "the control learns from the test",
    "later stages learn from the images",
    "the rival has a quarter of the vectors",
    "the test image is its own codebook",
}
