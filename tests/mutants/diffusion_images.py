"""What the claims of image diffusion must not forgive."""

MUTANTS = {
    "guidance is a level weak": ("return (1 + w) * eps - w * eps_of_any", "return w * eps - (w - 1) * eps_of_any"),
    "guidance goes the wrong way": ("return (1 + w) * eps - w * eps_of_any", "return (1 - w) * eps + w * eps_of_any"),
    "guidance asks for the label twice": ("net(x, t, torch.full_like(label, ANY))", "net(x, t, label)"),
    "labels are never withheld": ("label.masked_fill(withheld, ANY)", "label"),
    "labels are withheld from the others": ("label.masked_fill(withheld, ANY)", "label.masked_fill(~withheld, ANY)"),
    "the noise is too strong": ("+ (1 - a).sqrt() * noise, t", "+ noise, t"),
    "the network gets no gradient": (
        "((guess - noise) ** 2 / a).mean()",
        "((guess.detach() - noise) ** 2 / a + 0 * guess).mean()",
    ),
    "the levels do not count alike": ("((guess - noise) ** 2 / a).mean()", "((guess - noise) ** 2).mean()"),
    "the digit is not stretched": ("* eps) / a.sqrt()  # the digit", "* eps)  # the digit"),
    "DDIM takes no account of what it adds": ("(1 - b - sigma**2).clamp(min=0).sqrt() * eps", "(1 - b).sqrt() * eps"),
    "sigma is that of one small step": ("((1 - b) / (1 - a) * (1 - a / b)).sqrt()", "(1 - a / b).sqrt()"),
    "the level is that of the next step": (
        "guided(net, x, t.expand(len(x)), label, w)",
        "guided(net, x, then.expand(len(x)), label, w)",
    ),
    "fresh digits are training digits": (
        "= images.tensor_split([KNOWN]),",
        "= (images[:KNOWN], images[: len(images) - KNOWN]),",
    ),
    "the noise is made of digits": (
        "drawn[name] = sample(net, *given, w, eta).cpu(), wanted",
        "drawn[name] = known[:SAMPLES] + 0 * sample(net, *given, w, eta).cpu(), known_label[:SAMPLES]",
    ),
}
FULL = {"fresh digits are training digits", "the noise is made of digits"}
