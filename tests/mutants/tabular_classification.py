"""What the claims on tables must not forgive."""

MUTANTS = {
    "the rows are only centred": ("return [(rows - mean) / std for", "return [rows - mean for"),
    "divided by the variance": ("return [(rows - mean) / std for", "return [(rows - mean) / std**2 for"),
    "all rows are scaled by their own": (
        "return [(rows - mean) / std for",
        "return [(rows - rows.mean(0)) / rows.std(0) for",
    ),
    "one scale for all columns": ("train.std(0, correction=correction)", "train.std(correction=correction)"),
    "town vectors never learn": ("town @ self.vectors]", "town @ self.vectors.detach()]"),
    "the vectors are taken crosswise": (
        "F.one_hot(x[:, -1].long(), len(self.vectors))",
        "F.one_hot(x[:, -1].long().flip(0), len(self.vectors))",
    ),
    "all towns share a vector": (
        "F.one_hot(x[:, -1].long(), len(self.vectors))",
        "F.one_hot(0 * x[:, -1].long(), len(self.vectors))",
    ),
    "no ReLU": ("self.hidden(x).relu()", "self.hidden(x)"),
    "the test holds training loans": (
        "zip(loans(LOANS, town_risk, data), loans(TEST_LOANS, town_risk, unseen), strict=True)",
        "zip(*[loans(LOANS, town_risk, data)] * 2, strict=True)",
    ),
    "the test holds training wines": (".split([WINES, len(wine.data) - WINES])", "[:WINES].repeat(2).split(WINES)"),
    "the answer stands in the columns": (
        "torch.stack([income, age, debt, town.float()], 1)",
        "torch.stack([income, age, debt + 1e6 * fails, town.float()], 1)",
    ),
    "all towns are alike": ("town_risk = 2 * torch.randn", "town_risk = 0 * torch.randn"),
    "the test loans share in the scale": ("standardize(*risky)", "standardize(torch.cat(risky), *risky)[1:]"),
}
FULL = {"all towns are alike", "the answer stands in the columns"}
