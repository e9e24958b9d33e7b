"""What the claims of graph attention must not forgive."""

MUTANTS = {
    "the score does not bend": ("F.leaky_relu(me + them, 0.2) @ self.a  #", "(me + them) @ self.a  #"),
    "it bends after the sum": (
        "F.leaky_relu(me + them, 0.2) @ self.a  #",
        "F.leaky_relu((me + them) @ self.a, 0.2)  #",
    ),
    "nobody looks at oneself": (
        "F.leaky_relu(me + them, 0.2) @ self.a  #",
        "F.leaky_relu(0 * me + them, 0.2) @ self.a  #",
    ),
    "the score gets no gradient": ("self.them(x)[near]).softmax(1)", "self.them(x)[near]).detach().softmax(1)"),
    "the softmax is over people": ("self.them(x)[near]).softmax(1)", "self.them(x)[near]).softmax(0)"),
    "weights do not sum to one": ("self.them(x)[near]).softmax(1)", "self.them(x)[near]).sigmoid()"),
    "neighbours are compared with neighbours": ("self.me(x)[:, None]", "self.me(x)[near]"),
    "one's own part is lost": ("return F.relu(self.own(x) + heard)", "return F.relu(heard)"),
    "one hears oneself alone": ("self.value(x)[near]).sum(1)", "self.value(x)[:, None]).sum(1)"),
    "the opinion is the voice": ("voice = 2 * opinion - 1 + NOISE", "voice = 2 * opinion - 1 + 0 * NOISE"),
    "asked about the training graphs": (
        "train, test = graphs(TRAIN, data), graphs(TEST, unseen)",
        "train, test = [graphs(TRAIN, data)] * 2",
    ),
    "the mean attends": ("return 0 * (me + them).sum(-1)", "return super().score(me, them)"),
    "the 2018 form is the new one": (
        "return F.leaky_relu(me @ self.a + them @ self.a, 0.2)",
        "return super().score(me, them)",
    ),
    "the 2018 form does not look": (
        "F.leaky_relu(me @ self.a + them @ self.a, 0.2)",
        "0 * (me @ self.a + them @ self.a)",
    ),
    "opinions go by interest alone": (
        "generator=generator)[:, circle, interest]",
        "generator=generator)[:, 0 * circle, interest]",
    ),
    "values get no gradient": ("self.value(x)[near]).sum(1)", "self.value(x)[near].detach()).sum(1)"),
    "opinions are the person's own": (
        "opinion = torch.randint(2, (count, CIRCLES, INTERESTS), generator=generator)[:, circle, interest]",
        "opinion = torch.randint(2, (count, n), generator=generator)",
    ),
    "all interests are one": ("kinds = 1.4 * torch.randn", "kinds = 0 * torch.randn"),
}
FULL = {
    "the mean attends",
    "the 2018 form does not look",
    "the opinion is the voice",
    "all interests are one",
    "opinions go by interest alone",
    "opinions are the person's own",
}
