"""What federated learning's claims must not forgive."""

MUTANTS = {
    "a client's weights count alike": ("[len(y) for _, y in clients])\n", "[1 for _, y in clients])\n"),
    "the sum is no mean": ("strict=True)) / sum(sizes))", "strict=True)) / max(sizes))"),
    "it climbs": ("weight -= RATE * gradient", "weight += RATE * gradient"),
    "a client takes one step": ("for _ in range(steps):\n        gradients", "for _ in range(1):\n        gradients"),
    "it sums its images' losses": (
        "torch.autograd.grad(F.cross_entropy(net(x), y), list(net.parameters()))\n        with",
        'torch.autograd.grad(F.cross_entropy(net(x), y, reduction="sum"), list(net.parameters()))\n        with',
    ),
    "the hidden layer passes no gradient": (
        "gradients = torch.autograd.grad(F.cross_entropy(net(x), y),",
        "gradients = torch.autograd.grad(F.cross_entropy(net[2](net[:2](x).detach()) + 0 * net(x), y),",
    ),
    "a client keeps its weights": ("federated_round(net, clients, 1)), [", "train(net, *clients[0], 1)), ["),
    "an image from the wrong bias": ("(weight[row] / bias[row])", "(weight[row] / bias[0])"),
    "tested on the clients' images": ("order[:TRAIN], order[TRAIN:]", "order[:TRAIN], order[:-TRAIN]"),
    "clients hold three digits": (
        "return [torch.cat([halves[k][0],",
        "return [torch.cat([halves[k][0], halves[k - 1][1],",
    ),
    "clients share their images": (
        "clients = [(x[part].to(device), y[part].to(device)) for part in parts]",
        "clients = [(x[train_set].to(device), y[train_set].to(device)) for part in parts]",
    ),
    "all images are in one place": (
        "before, shared = shared, federated_round(shared, clients, LOCAL_STEPS)",
        "before, shared = shared, train(shared, *pooled, LOCAL_STEPS)",
    ),
}
