"""What the claims of test-time compute must not forgive."""

MUTANTS = {
    "the rarest answer wins": ("count.argmax(1, keepdim=True)", "count.argmin(1, keepdim=True)"),
    "the vote is the first sample": ("count.argmax(1, keepdim=True)", "count.argmax(1, keepdim=True) * 0"),
    "neighbours count as agreement": (
        "(answers[:, :, None] == answers[:, None]).sum(-1)",
        "((answers[:, :, None] - answers[:, None]).abs() <= 1).sum(-1)",
    ),
    "the verifier sees the answer key": ("accepts.gather(1, answers).float()", "(answers == 0).float()"),
    "the verifier judges another question": ("accepts.gather(1, answers)", "accepts.roll(1, 0).gather(1, 9 - answers)"),
    "what is rejected is taken": ("passed.argmax(1, keepdim=True)", "passed.argmin(1, keepdim=True)"),
    "steps are verified without error": ("passed = (~slips | fooled).float()", "passed = (~slips).float()"),
    "the search takes the first try": ("passed.argmax(-1, keepdim=True)", "passed.argmax(-1, keepdim=True) * 0"),
    "one right step makes the chain right": ("[..., 0].any(1)  # the chain", "[..., 0].all(1)  # the chain"),
    "the control has half the chains": ("(~slips).all(1).any(1)", "(~slips).all(1)[:, :1].any(1)"),
    "the solver slips less": ("generator=generator) < SLIP", "generator=generator) < SLIP / 2"),
}
