"""Induction heads — two attention layers learn to go on with a pattern of the prompt; one layer hardly does.

Blocks of random tokens repeat, each sequence with a new block and a new period, so that no weight can hold the answer:
it stands in the context. In a net of two layers of attention alone, the first head can write beside each token which
one came before it; the second then finds where the token at hand came before, and reads what followed. The controls:
the same with one layer, and the frequencies of the tokens so far (a little added to each count, the best of five
amounts). With its weights frozen, the net then answers prompts of four pairs of different tokens, each shown once or
twice (shots), after the first half of one of them. With no shots it repeats that token, and is never right; with two it
nearly always is; with one it misses many pairs that stand nearer to the question than any period it trained on. Shown
the other way round, the same pairs do not help. All this is one skill, copying, in a small net; no language is
involved.

Needs:  torch
Source: C. Olsson et al., In-context Learning and Induction Heads, 2022; N. Elhage et al., A Mathematical Framework for
        Transformer Circuits, 2021; T. Brown et al., Language Models are Few-Shot Learners, NeurIPS 2020
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOKENS, LENGTH, SHORTEST, LONGEST, WIDTH, BATCH, RATE = 16, 24, 6, 12, 32, 32, 2e-2

# %% the concept


class Head(nn.Module):
    """Causal attention with a learned score for each distance, so that "the token before" is easy to say."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out, self.distance = nn.Linear(WIDTH, WIDTH, bias=False), nn.Parameter(torch.zeros(LENGTH))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # (B, T, D) -> (B, T, D), (B, T, T)
        q, k, v = self.qkv(x).chunk(3, -1)
        place = torch.arange(x.shape[1], device=x.device)
        back = place[:, None] - place
        scores = q @ k.mT / math.sqrt(WIDTH) + self.distance[back.clamp(min=0)]  # by content and by distance
        weights = scores.masked_fill(back < 0, -math.inf).softmax(-1)
        return self.out(weights @ v), weights


class Attentive(nn.Module):
    def __init__(self, layers: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Embedding(TOKENS, WIDTH), nn.Linear(WIDTH, TOKENS, bias=False)
        self.heads = nn.ModuleList(Head() for _ in range(layers))

    def read(self, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:  # (B, T) -> (B, T, TOKENS), weights
        x, seen = self.enter(tokens), []
        for head in self.heads:
            added, weights = head(F.rms_norm(x, (WIDTH,)))
            x = x + added  # the second head reads what the first has written beside each token
            seen.append(weights)
        return self.leave(F.rms_norm(x, (WIDTH,))), seen

    def forward(self, tokens: Tensor) -> Tensor:
        return self.read(tokens)[0]


# %% its control


def counts(tokens: Tensor, smoothing: float) -> Tensor:
    """Logits by how often each token has come so far: (B, T) -> (B, T, TOKENS)."""
    return (F.one_hot(tokens, TOKENS).cumsum(1) + smoothing).float().log()


# %% the experiment


def sequences(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Repeated blocks (n, T), and where the next token repeats one: (n, T - 1)."""
    period = torch.randint(SHORTEST, LONGEST + 1, (n, 1), generator=generator)
    block = torch.randint(TOKENS, (n, LONGEST), generator=generator)
    place = torch.arange(LENGTH)
    return block.gather(1, place % period), place[1:] >= period


def loss_at(logits: Tensor, tokens: Tensor) -> Tensor:  # (B, T - 1)
    lost = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return lost.view(len(tokens), -1)


def prompts(n: int, shots: int, generator: torch.Generator, swapped: bool = False) -> tuple[Tensor, Tensor]:
    """Four pairs of different tokens, `shots` times in new order, then the first half of one; the second is asked."""
    pairs = torch.rand(n, TOKENS, generator=generator).argsort(1)[:, :8].view(n, 4, 2)
    asked, rows = torch.randint(4, (n,), generator=generator), torch.arange(n)
    shown = pairs.flip(2) if swapped else pairs
    order = [torch.rand(n, 4, generator=generator).argsort(1) for _ in range(shots)]
    said = [shown[rows[:, None], o].flatten(1) for o in order]
    return torch.cat([*said, pairs[rows, asked, :1]], 1), pairs[rows, asked, 1]


@torch.no_grad()
def answered(net: Attentive, device, n: int, shots: int, generator: torch.Generator, swapped: bool = False) -> float:
    asked, answer = prompts(n, shots, generator, swapped)
    return float((net(asked.to(device))[:, -1].argmax(-1).cpu() == answer).double().mean())


def gap_to_torch(net: Attentive, tokens: Tensor, biased: bool = True) -> float:
    """Largest difference from the same net with F.scaled_dot_product_attention, in outputs and gradients; f64."""
    net, tokens, found = copy.deepcopy(net).cpu().double(), tokens.cpu(), []
    place = torch.arange(tokens.shape[1])
    back = place[:, None] - place
    for own in (True, False):
        if own:
            logits = net(tokens)
        else:
            x = net.enter(tokens)
            for head in net.heads:
                q, k, v = head.qkv(F.rms_norm(x, (WIDTH,))).chunk(3, -1)
                mask = (head.distance[back.clamp(min=0)] * biased).masked_fill(back < 0, -math.inf)
                x = x + head.out(F.scaled_dot_product_attention(q, k, v, attn_mask=mask))
            logits = net.leave(F.rms_norm(x, (WIDTH,)))
        gradients = torch.autograd.grad(loss_at(logits, tokens).mean(), [*net.parameters()], materialize_grads=True)
        found.append([logits.detach(), *gradients])
    return max(float((a - b).abs().max()) for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=300):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets = {}
    for name, layers in (("two layers", 2), ("one layer", 1)):
        torch.manual_seed(3 * seed)
        nets[name] = Attentive(layers).to(device)
    optimizers = {name: torch.optim.Adam(net.parameters(), betas=(0.9, 0.98)) for name, net in nets.items()}
    losses = {}
    for step in range(steps):
        tokens, again = (t.to(device) for t in sequences(BATCH, data))
        for name, net in nets.items():
            lost = loss_at(net(tokens), tokens)
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps, (step + 1) / 20)
            optimizers[name].zero_grad()
            lost.mean().backward()
            optimizers[name].step()
            losses[name] = float((lost.detach() * again).sum() / again.sum())
        yield (step + 1) / steps, dict(losses)

    tokens, again = sequences(1000, unseen)
    with torch.no_grad():
        lost = {name: loss_at(net(tokens.to(device)).cpu(), tokens)[again].mean() for name, net in nets.items()}
        by_counts = min(float(loss_at(counts(tokens, s), tokens)[again].mean()) for s in (0.03, 0.1, 0.3, 1.0, 3.0))
        weights = [w.cpu() for w in nets["two layers"].read(tokens.to(device))[1]]
        single = nets["one layer"].read(tokens.to(device))[1][0].cpu()
    previous = float(weights[0].diagonal(-1, 1, 2).mean())
    fits = torch.zeros(len(tokens), LENGTH, LENGTH, dtype=torch.bool)
    fits[:, :, 1:] = tokens[:, :, None] == tokens[:, None, :-1]
    fits = fits.tril()  # where an earlier copy of the token stands just before
    asked = fits.any(-1) & (torch.arange(LENGTH) >= LONGEST)
    looked = [float((w * fits).sum(-1)[asked].mean()) for w in (weights[1], single)]
    shots = [0, 1, 2]
    net = nets["two layers"]
    right = {
        "same order": [answered(net, device, 1000, n, unseen) for n in shots],
        "pairs swapped": [answered(net, device, 1000, n, unseen, swapped=True) for n in shots],
    }
    eight = torch.randint(TOKENS, (1000, 8), generator=unseen).repeat(1, 3)  # period 8
    with torch.no_grad():
        tried = {name: loss_at(net(eight.to(device)).cpu(), eight).mean(0).tolist() for name, net in nets.items()}
    tried["counts"] = loss_at(counts(eight, 0.3), eight).mean(0).tolist()
    single_right = answered(nets["one layer"], device, 1000, 2, unseen)
    return {
        "two_layer_loss": float(lost["two layers"]),
        "control_loss": min(float(lost["one layer"]), by_counts),
        "previous_weight": previous,
        "one_layer_previous_weight": float(single.diagonal(-1, 1, 2).mean()),
        "two_layer_looks": looked[0],
        "one_layer_looks": looked[1],
        "net_gap": gap_to_torch(net, tokens[:8]),
        "unbiased_gap": gap_to_torch(net, tokens[:8], biased=False),
        "two_shot_right": right["same order"][2],
        "ordered_right": right["same order"][2],
        "one_layer_shot_right": single_right,
        "one_shot_right": right["same order"][1],
        "zero_shot_right": right["same order"][0],
        "swapped_right": right["pairs swapped"][2],
    }, {
        "loss by token, in blocks of eight that repeat": {
            "kind": "lines",
            "series": {name: (list(range(2, LENGTH + 1)), held) for name, held in tried.items()},
            "x": "token",
            "y": "cross-entropy",
        },
        "prompts answered right by the frozen net": {
            "kind": "table",
            "columns": ["prompt", "0 shots", "1 shot", "2 shots"],
            "rows": [[name, *(f"{share:.0%}" for share in held)] for name, held in right.items()],
        },
    }


# %% what is claimed

TITLE = {"en": "Two layers of attention learn from the prompt", "zh": "两层注意力学会从提示中学习"}
CURVES = "cross-entropy on repeated tokens"
CPU_SECONDS = 2
CLAIMS = {
    "trained two_layer_loss <= 0.6 < control_loss <= 1.9": {
        "en": "cross-entropy of repeated tokens in fresh sequences; control: one layer, or frequencies of the tokens "
        "so far, whichever is better",
        "zh": "新序列中重复部分词元的交叉熵；对照：单层网络与此前词元频率中较好者",
    },
    "trained previous_weight >= 0.4 > one_layer_previous_weight": {
        "en": "mean weight of the first head on the token before; control: the head of the one-layer net",
        "zh": "第一层的头放在前一个词元上的平均权重；对照：单层网络的头",
    },
    "trained two_layer_looks >= 0.85 > one_layer_looks": {
        "en": "mean weight of the second head on tokens that followed an earlier copy of the one at hand, from the "
        "13th token on, where there are such; control: the head of the one-layer net",
        "zh": "第二层的头放在“当前词元此前出现处的下一个词元”上的平均权重（从第 13 个词元起，仅计有此种词元之处）；"
        "对照：单层网络的头",
    },
    "trained two_shot_right >= 0.97 > one_layer_shot_right": {
        "en": "share of prompts of four random pairs, each shown twice, that the frozen net answers right; control: "
        "the one-layer net",
        "zh": "四个随机词元对各展示两次后，冻结权重的网络答对的比例；对照：单层网络",
    },
    "trained one_shot_right >= 0.55 > zero_shot_right": {
        "en": "the same with each pair shown once; control: the question alone, whose token it repeats",
        "zh": "同上，每对只展示一次；对照：只有问题，网络只会重复所问的词元",
    },
    "trained ordered_right >= 0.97 > swapped_right": {
        "en": "share answered right, pairs shown twice in the order of the question; control: the other way round",
        "zh": "词元对按提问的顺序各展示两次时答对的比例；对照：展示时前后颠倒",
    },
    "parity net_gap <= 1e-10 < unbiased_gap": {
        "en": "largest gap of the trained net to F.scaled_dot_product_attention, in logits and gradients (f64); "
        "control: without the scores by distance",
        "zh": "训练后的网络与 F.scaled_dot_product_attention 在 logits 与梯度上的最大差距（f64）；"
        "对照：去掉按距离的分数",
    },
}
ZH = {
    "cross-entropy on repeated tokens": "重复词元的交叉熵",
    "cross-entropy": "交叉熵",
    "two layers": "两层",
    "one layer": "一层",
    "counts": "按频率",
    "loss by token, in blocks of eight that repeat": "逐词元的损失（每八个词元一块，重复出现）",
    "token": "词元",
    "prompts answered right by the frozen net": "冻结权重的网络答对的提示",
    "prompt": "提示",
    "0 shots": "不展示",
    "1 shot": "各 1 次",
    "2 shots": "各 2 次",
    "same order": "顺序一致",
    "pairs swapped": "前后颠倒",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
