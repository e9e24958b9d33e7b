"""What the claims on hardware must not forgive."""

MUTANTS = {
    "inputs enter unskewed": ("torch.arange(k) * self.skewed", "torch.arange(k) * 0"),
    "sums do not move down": ("above = torch.cat([torch.zeros(1, n), sums[:-1]])", "above = sums"),
    "an input is in all columns at once": (
        "inputs = torch.cat([entering[:, None], inputs[:, :-1]], 1)",
        "inputs = entering[:, None].expand(k, n)",
    ),
    "the weights stand upside down": ("above + inputs * self.weight ", "above + inputs * self.weight.flip(0) "),
    "idle cells count as busy": ("self.waves.append(busy)", "self.waves.append(torch.ones_like(busy))"),
    "102 cycles more are counted": ("return len(self.waves)", "return len(self.waves) + 102"),
    "half of the cycles are counted": ("return len(self.waves)", "return len(self.waves) // 2"),
    "a column of inputs counts as one read": ("self.reads += int(here.sum())", "self.reads += 1"),
    "the loops keep the last product": ("product[i][j] += ", "product[i][j] = "),
    "the device multiplies the other way round": (
        "(a.to(device) @ right.to(device))",
        "(right.to(device) @ a.to(device))",
    ),
    "the weights are read for every product": (
        "self.reads += int(here.sum())",
        "self.reads += int(here.sum()) + (before == len(self.waves) > 0) * self.weight.numel()",
    ),
    "a second product adds to the first": (
        "leaving[j].append(sums[-1, j])",
        "leaving[j].append(sums[-1, j] + (before > 0))",
    ),
}
