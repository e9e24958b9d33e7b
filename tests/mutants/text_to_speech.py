"""What the claims of text to speech must not forgive."""

MUTANTS = {
    "a sample sees itself": ("self.first(F.pad(levels[:, :-1], (1, 0), value=LEVELS / 2)), 0", "self.first(levels), 0"),
    "layers are not dilated": ("F.pad(h, (0, 0, d, 0))[:, :-d]", "F.pad(h, (0, 0, 1, 0))[:, :-1]"),
    "a tap looks ahead": ("F.pad(h, (0, 0, d, 0))[:, :-d]", "F.pad(h, (0, 0, 0, d))[:, d:]"),
    "the past passes no gradient": ("F.pad(h, (0, 0, d, 0))[:, :-d]", "F.pad(h.detach(), (0, 0, d, 0))[:, :-d]"),
    "the filter is not squashed": ("z = a.tanh() * b.sigmoid()", "z = a * b.sigmoid()"),
    "the gate is open": ("z = a.tanh() * b.sigmoid()", "z = a.tanh()"),
    "nothing goes around a layer": ("return h + self.mix[i](z), z", "return self.mix[i](z), z"),
    "what is to be said is not heard": ("+ self.told[i](c))", "+ 0 * self.told[i](c))"),
    "the rival sees as far": ("WaveNet(SHORT)", "WaveNet(DILATIONS)"),
    "layers keep too little of the past": (
        "[u.new_zeros(len(u), WIDTH)] * d ",
        "[u.new_zeros(len(u), WIDTH)] * (d - 1) ",
    ),
    "the pitch is not told": ("5), near], 1)", "5), 0 * near], 1)"),
    "the plan does not see what follows": ("F.pad(marks, (0, 0, 1, 1))", "F.pad(marks, (0, 0, 2, 0))"),
    "tones do not change beside each other": ("tone == following == LOW", "tone == following == -LOW"),
    "the speaker has one pitch": ("(pitch / HERTZ).cumsum(0)", "(pitch[:1] / HERTZ).expand_as(pitch).cumsum(0)"),
    "the vowel is not told": ("torch.cat([F.one_hot(torch.tensor(text)", "torch.cat([0 * F.one_hot(torch.tensor(text)"),
    "vowels sound alike": ("FORMANTS[torch.tensor(text)[which, 0]]", "FORMANTS[torch.tensor(text)[which, 0] * 0]"),
    "the nearest sample is taken for the earlier": ("line.pop(0)", "line.pop()"),
    "what is to be said is not heard in speaking": ("line.pop(0), c_t)", "line.pop(0), 0 * c_t)"),
    "the plan is linear": ("nn.Linear(27, 32), nn.Tanh()", "nn.Linear(27, 32), nn.Identity()"),
    "the plan is not learned": (
        'learning = nets | {"plan": prosody}',
        'learning = nets | {"plan": copy.deepcopy(prosody)}',
    ),
    "levels are as coarse where it is soft": (
        "y = x.sign() * (MU * x.abs().clamp(max=1)).log1p() / math.log1p(MU)",
        "y = x.clamp(-1, 1)",
    ),
}
FULL = {
    "levels are as coarse where it is soft",
    "the plan is not learned",
    "the plan is linear",
    "what is to be said is not heard in speaking",
    "the nearest sample is taken for the earlier",
    "vowels sound alike",
    "the vowel is not told",
    "the speaker has one pitch",
    "the plan does not see what follows",
    "tones do not change beside each other",
    "the pitch is not told",
    "layers keep too little of the past",
}
