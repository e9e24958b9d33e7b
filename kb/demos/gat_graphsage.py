"""Graph attention — whom to listen to is learned, and serves on a graph of people never seen.

Synthetic: people in circles of 24, each with one of three interests (a vector, blurred) and a noisy voice. Those of one
circle who share an interest hold one opinion, which is asked for. Everybody hears 14 of the circle, two strangers and
themselves. Attention (one head, scored as in GATv2) weighs each neighbour by comparing it with oneself. The controls
are the mean over neighbours (GraphSAGE, with a layer more), GAT of 2018, whose scores make everybody rank neighbours in
one way, and the voices of all who are alike, without edges. No weight belongs to a person: trained on 60 graphs, the
networks are asked about 20 others, with new people and new interests. Weights set by hand from distances do as well.

Needs:  torch
Source: P. Veličković et al., Graph Attention Networks, ICLR 2018; S. Brody et al., How Attentive are Graph Attention
        Networks?, ICLR 2022 (GATv2); W. Hamilton et al., Inductive Representation Learning on Large Graphs, NIPS 2017
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CIRCLES, PEOPLE, INTERESTS, D, FELLOWS, STRANGERS = 8, 24, 3, 4, 14, 2
HIDDEN, TRAIN, TEST, BATCH, RATE, BLUR, NOISE, SHARP = 16, 60, 20, 3, 1e-2, 0.15, 1.2, 3.0

# %% the concept


class Attention(nn.Module):
    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.me, self.them = nn.Linear(d_in, d_out), nn.Linear(d_in, d_out, bias=False)
        self.a = nn.Parameter(torch.randn(d_out) / d_out**0.5)
        self.own, self.value = nn.Linear(d_in, d_out), nn.Linear(d_in, d_out)

    def score(self, me: Tensor, them: Tensor) -> Tensor:  # (N, 1, d), (N, S, d) -> (N, S)
        return F.leaky_relu(me + them, 0.2) @ self.a  # e_ij = a . LeakyReLU(W x_i + U x_j): i and j meet in the bend

    def weights(self, x: Tensor, near: Tensor) -> Tensor:  # (N, d_in), (N, S) -> (N, S)
        return self.score(self.me(x)[:, None], self.them(x)[near]).softmax(1)  # over the neighbours of i alone

    def forward(self, x: Tensor, near: Tensor) -> Tensor:  # (N, d_in), (N, S) -> (N, d_out)
        heard = (self.weights(x, near)[..., None] * self.value(x)[near]).sum(1)  # sum_j w_ij V x_j
        return F.relu(self.own(x) + heard)


# %% its control


class Static(Attention):
    def score(self, me: Tensor, them: Tensor) -> Tensor:
        return F.leaky_relu(me @ self.a + them @ self.a, 0.2)  # GAT of 2018: i only shifts all j before the bend


class Mean(Attention):
    def score(self, me: Tensor, them: Tensor) -> Tensor:
        return 0 * (me + them).sum(-1)  # GraphSAGE: all neighbours count alike


# %% the experiment


class Net(nn.Module):
    def __init__(self, layers: list[Attention]) -> None:
        super().__init__()
        self.layers, self.head = nn.ModuleList(layers), nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor, near: Tensor) -> Tensor:  # (N, D + 1), (N, S) -> (N,)
        for layer in self.layers:
            x = layer(x, near)
        return self.head(x)[:, 0]


def graphs(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Interest and voice, whom each hears, opinions, interests: (G, N, D + 1), (G, N, S), (G, N), (G, N)."""
    n = CIRCLES * PEOPLE
    circle, interest = torch.arange(n) // PEOPLE, torch.arange(n) % INTERESTS
    kinds = 1.4 * torch.randn(count, INTERESTS, D, generator=generator)
    opinion = torch.randint(2, (count, CIRCLES, INTERESTS), generator=generator)[:, circle, interest].float()
    shown = kinds[:, interest] + BLUR * torch.randn(count, n, D, generator=generator)
    voice = 2 * opinion - 1 + NOISE * torch.randn(count, n, generator=generator)
    apart, chance = circle[:, None] != circle, torch.rand(count, n, n, generator=generator)
    fellows = (chance - apart.float() - 2 * torch.eye(n)).topk(FELLOWS).indices
    strangers = (chance - (~apart).float()).topk(STRANGERS).indices
    near = torch.cat([torch.arange(n).expand(count, -1)[..., None], fellows, strangers], 2)
    return torch.cat([shown, voice[..., None]], 2), near, opinion, interest.expand(count, -1)


def joined(x: Tensor, near: Tensor, *others: Tensor) -> list[Tensor]:
    """Several graphs as one, without an edge between them."""
    shift = x.shape[1] * torch.arange(len(x))[:, None, None]
    return [part.flatten(0, 1) for part in (x, near + shift, *others)]


def by_person(net: Net, x: Tensor, near: Tensor) -> Tensor:
    """The network of one layer again: each person, each neighbour, one after the other."""
    (layer,), answers = net.layers, []
    w, b, u = layer.me.weight, layer.me.bias, layer.them.weight
    for i, friends in enumerate(near.tolist()):
        total, heard = 0.0, 0.0
        for j in friends:
            sums = w @ x[i] + b + u @ x[j]
            share = (layer.a * torch.where(sums > 0, sums, 0.2 * sums)).sum().exp()
            total, heard = total + share, heard + share * (layer.value.weight @ x[j] + layer.value.bias)
        h = (layer.own.weight @ x[i] + layer.own.bias + heard / total).clamp(min=0)
        answers.append(net.head.weight[0] @ h + net.head.bias[0])
    return torch.stack(answers)


def gap(net: Net, other: Net, x: Tensor, near: Tensor) -> float:
    """Largest gap of the answers and their gradients, by features and weights, from `other` person by person; f64."""
    found = []
    for model, answer in ((net, lambda *seen: net(*seen)), (other, lambda *seen: by_person(other, *seen))):
        leaf = x.double().requires_grad_()
        out = answer(leaf, near)
        weighted = (out * torch.linspace(-1, 1, len(out), dtype=out.dtype)).sum()
        found.append([out, *torch.autograd.grad(weighted, [leaf, *model.parameters()], materialize_grads=True)])
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(3 * seed)  # weights, training graphs, unseen graphs: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets = {
        "attention": Net([Attention(D + 1, HIDDEN)]),
        "GAT of 2018": Net([Static(D + 1, HIDDEN)]),
        "mean": Net([Mean(D + 1, HIDDEN), Mean(HIDDEN, HIDDEN)]),
    }
    optimizers = {name: torch.optim.Adam(net.to(device).parameters(), RATE) for name, net in nets.items()}
    train, test = graphs(TRAIN, data), graphs(TEST, unseen)
    batches = [[t.to(device) for t in joined(*(part[k : k + BATCH] for part in train))] for k in range(0, TRAIN, BATCH)]
    x, near, opinion, interest = joined(*test)
    asked = x.to(device), near.to(device)

    def right(scores: Tensor) -> float:
        return ((scores.cpu() > 0) == opinion.bool()).float().mean().item()

    far = (x[:, None, :D] - x[near][..., :D]).norm(dim=-1)  # (N, S)
    hand = right(((-SHARP * far**2).softmax(1) * x[near][..., D]).sum(1))
    shown, voice = test[0].split([D, 1], 2)
    everyone = right(((-SHARP * torch.cdist(shown, shown) ** 2).softmax(2) @ voice).flatten())
    for step in range(steps):
        seen, heard, truth, _ = batches[step % len(batches)]
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            loss = F.binary_cross_entropy_with_logits(net(seen, heard), truth)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        if step % 10 == 9 or step == steps - 1:
            with torch.no_grad():
                accuracy = {name: right(net(*asked)) for name, net in nets.items()}
            yield (step + 1) / steps, accuracy | {"weights by hand": hand}

    with torch.no_grad():
        weights = {name: nets[name].layers[0].weights(*asked).cpu() for name in ("attention", "GAT of 2018")}
    same, (w, w_static) = interest[near[:, 1:]] == interest[:, None], (w[:, 1:] for w in weights.values())
    twin, static = copy.deepcopy(nets["attention"]).cpu().double(), Net([Static(D + 1, HIDDEN)]).double()
    static.load_state_dict(twin.state_dict())
    few = x[: 2 * PEOPLE], near[: 2 * PEOPLE] % (2 * PEOPLE)
    rows = [{tuple(person) for person in part[0].flatten(0, 1).tolist()} for part in (train, test)]
    return {
        "attention_accuracy": accuracy["attention"],
        "control_accuracy": max(accuracy["GAT of 2018"], accuracy["mean"], everyone),
        "attention_share": float(w[same].sum() / w.sum()),
        "static_share": float(w_static[same].sum() / w_static.sum()),
        "layer_gap": gap(twin, twin, *few),
        "static_gap": gap(static, twin, *few),
        "shared_people": float(len(rows[0] & rows[1])),
        "people": float(len(rows[0])),
    }, {
        "weight of a neighbour, by how far its interest is": {
            "kind": "scatter",
            "series": {
                name: (far[:12, 1:].flatten().tolist(), w[:12, 1:].flatten().tolist()) for name, w in weights.items()
            },
            "x": "distance of interests",
            "y": "weight",
        },
    }


# %% what is claimed

TITLE = {"en": "Graph attention listens to those who matter", "zh": "图注意力：听该听的邻居"}
CURVES = "accuracy on unseen graphs"
CPU_SECONDS = 4
CLAIMS = {
    "trained attention_accuracy >= 0.9 > control_accuracy >= 0.8": {
        "en": "accuracy on unseen graphs; control: GAT of 2018, a two-layer mean, or all who are alike without edges, "
        "whichever is best",
        "zh": "在未见图上的准确率；对照：2018 年的 GAT、两层均值聚合、不用边而按兴趣加权，取最好者",
    },
    "trained attention_share >= 0.8 > static_share >= 0.32": {
        "en": "share of the weight on others that falls on those of one's own interest; control: GAT of 2018",
        "zh": "分给他人的权重中落在同兴趣者身上的比例；对照：2018 年的 GAT",
    },
    "parity layer_gap <= 1e-10 < static_gap": {
        "en": "gap of the trained network and its gradients from sums person by person (f64); the control bends scores "
        "as GAT of 2018",
        "zh": "训练后的网络及其梯度与逐人逐邻居求和的差距（f64）；对照按 2018 年的 GAT 计算分数",
    },
    "parity shared_people <= 0 < people": {
        "en": "people of the unseen graphs that are in a training graph; the control counts those in training",
        "zh": "未见图中出现在训练图里的人数；对照为训练图自身的人数",
    },
}
ZH = {
    "accuracy on unseen graphs": "在未见图上的准确率",
    "attention": "注意力",
    "GAT of 2018": "2018 年的 GAT",
    "mean": "均值",
    "weights by hand": "手工权重",
    "weight of a neighbour, by how far its interest is": "邻居的权重与兴趣的距离",
    "distance of interests": "兴趣的距离",
    "weight": "权重",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
