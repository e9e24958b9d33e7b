"""What the claims on the CNN must not forgive."""

MUTANTS = {
    "the kernel is flipped": ("for i in range(self.size) for j", "for i in reversed(range(self.size)) for j"),
    "the patch begins a row too low": ("x[:, i : i + height,", "x[:, 2 - i : 2 - i + height,"),
    "the kernel gets no gradient": ("return self.kernel(patches)", "return self.kernel(patches).detach()"),
    "pooling takes means": (".amax((2, 4))", ".mean((2, 4))"),
    "no ReLU before the first pooling": ("self.first(x).relu()", "self.first(x)"),
    "no ReLU before the second pooling": ("self.second(h).relu()", "self.second(h)"),
    "the first layer is never trained": ("max_pool(self.first(x)", "max_pool(self.first(x).detach()"),
    "the second layer passes nothing back": ("self.second(h)", "self.second(h.detach())"),
    "tested on digits it was trained on": ("order[:TRAIN], order[TRAIN:]", "order[:TRAIN], order[TRAIN - 597 : TRAIN]"),
    "the digits stand still": ("torch.randint(0, CANVAS - 7, (len", "torch.randint(3, 4, (len"),
    "the test shows known digits at new places": ("held(fresh, unseen)", "held(known, unseen)"),
    "tested on the training set": ('right(nets["CNN"], test, trained_on)', 'right(nets["CNN"], training, trained_on)'),
}
FULL = {
    "tested on digits it was trained on",
    "tested on the training set",
    "the digits stand still",
    "the test shows known digits at new places",
}
