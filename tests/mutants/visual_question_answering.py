"""What the claims of visual question answering must not forgive."""

MUTANTS = {
    "the scale begins at zero": ("return (1 + gamma) * maps + beta", "return gamma * maps + beta"),
    "the question only shifts": ("return (1 + gamma) * maps + beta", "return maps + gamma + beta"),
    "the question only scales": ("return (1 + gamma) * maps + beta", "return (1 + gamma) * maps + 0 * beta"),
    "the maps pass no gradient": ("return (1 + gamma) * maps", "return (1 + gamma) * maps.detach()"),
    "the scale passes no gradient": ("return (1 + gamma) * maps", "return (1 + gamma.detach()) * maps"),
    "only the second word is heard": ("self.words(question).sum(1)  # both", "self.words(question)[:, 1]  # both"),
    "places are averaged": (".amax((2, 3)))  # wherever it is", ".mean((2, 3)))  # wherever it is"),
    "the modulated maps are not rectified": (
        "self.film(self.see(scene), asked).relu())",
        "self.film(self.see(scene), asked))",
    ),
    "the answer stands in the scene": (
        "return scene, question, answer[:, 0],",
        "return scene + F.one_hot(answer[:, 0], 10)[:, None, None], question, answer[:, 0],",
    ),
    "the answer stands in the question": (
        "question, answer = torch.cat([kind, 2 + named.gather(1, 1 - kind)], 1),",
        "question, answer = torch.cat([kind, 2 + named.gather(1, kind)], 1),",
    ),
    "the control is hardly trained": (
        "RATE, ADDED_RATE, NOISE = 32, 64, 1000, 1.5e-2, 2e-2",
        "RATE, ADDED_RATE, NOISE = 32, 64, 1000, 1.5e-2, 2e-5",
    ),
}
FULL = {"the answer stands in the scene", "the answer stands in the question", "the control is hardly trained"}
