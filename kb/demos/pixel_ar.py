"""PixelCNN — a picture is written pixel by pixel, each from those before it; so its probability is known exactly.

Digits of 8 x 8 pixels, black or white (real, from scikit-learn; the fresh by the same writers), read row by row. A
convolution whose kernel is masked sees only pixels above, or left in the row; stacked, it gives all 64 probabilities
of a known picture in one pass, and a new picture in 64. What that costs is counted in bits a pixel. Control: a
logistic regression for each pixel on all before it (PixelCNN misses some). The edge is slight on pictures so
small: a mixture of 80 grey templates, which knows no order, comes within about a hundredth of a bit, says the table.
Rates and penalties were chosen on digits that some seeds call fresh. The network whose mask goes one pixel too far
cheats, it reads the answer: in a quarter of the steps its bits fall near zero. But its "probabilities" of all ways to
end a picture add up to hundreds; as it repeats what stands there, a blank sheet stays blank. (`place` is ours.)

Needs:  torch, scikit-learn
Source: A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, Pixel Recurrent Neural Networks, ICML 2016; the regressions:
        B. J. Frey, G. E. Hinton, P. Dayan, Does the wake-sleep algorithm produce good density estimators?, NIPS 1995
"""

import copy
import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, WIDTH, DEPTH, TRAIN, BATCH, RATE, ENDS, DRAWN = 8, 32, 3, 1400, 64, 6e-3, 10, 6

# %% the concept


class Masked(nn.Conv2d):
    """A convolution that sees what comes before, row by row; the pixel itself only where `own` is 1."""

    def __init__(self, d_in: int, d_out: int, size: int, own: int) -> None:
        super().__init__(d_in, d_out, size, padding=size // 2)
        seen = torch.arange(size**2) < size**2 // 2 + own  # taps above, then left, then the middle
        self.register_buffer("mask", seen.view(size, size).float())

    def forward(self, x: Tensor) -> Tensor:  # (B, d_in, S, S) -> (B, d_out, S, S)
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class PixelCNN(nn.Module):
    def __init__(self, own: int = 0) -> None:
        super().__init__()
        self.first = Masked(1, WIDTH, 7, own)  # own 0: no pixel sees itself
        self.place = nn.Parameter(torch.zeros(WIDTH, SIDE, SIDE))
        self.rest = nn.ModuleList(Masked(WIDTH, WIDTH, 3, 1) for _ in range(DEPTH))  # features may: they know it not
        self.answer = nn.Conv2d(WIDTH, 1, 1)

    def forward(self, x: Tensor) -> Tensor:  # log-odds of white, given the pixels before: (B, S, S) -> (B, S, S)
        h = self.first(x[:, None] - 0.5) + self.place
        for layer in self.rest:
            h = h + layer(h.relu())
        return self.answer(h.relu())[:, 0]


def nats(model, x: Tensor) -> Tensor:
    """- log p(x) = - sum_i log p(x_i | x_1 .. x_i-1): (B, S, S) -> (B,)."""
    return F.binary_cross_entropy_with_logits(model(x), x, reduction="none").sum((1, 2))


def draw(model, u: Tensor) -> Tensor:
    """One pixel after another, white where p exceeds a number drawn from 0 to 1: (B, S, S) -> (B, S, S)."""
    x = torch.zeros_like(u)
    for row in range(SIDE):
        for column in range(SIDE):
            x[:, row, column] = (u < model(x).sigmoid())[:, row, column].to(u)
    return x


# %% its control


def regressions(x: Tensor, penalty: float):
    """Log-odds of each pixel: linear in all before it. Fitted with a squared penalty: a model, as PixelCNN is one."""
    flat, before = x.flatten(1).double(), torch.ones(SIDE**2, SIDE**2).tril(-1).double()
    weight, bias = torch.zeros_like(before, requires_grad=True), torch.zeros(SIDE**2).double().requires_grad_()
    fit = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        fit.zero_grad()
        odds = flat @ (weight * before).mT + bias
        total = F.binary_cross_entropy_with_logits(odds, flat) * SIDE**2 + penalty * (weight * before).square().sum()
        total.backward()
        return total

    fit.step(loss)
    return lambda x: F.linear(x.flatten(1).double(), weight * before, bias).detach().float().view_as(x)


def templates_bits(known: Tensor, fresh: Tensor, kinds: int = 80) -> float:
    """Bits a pixel of a mixture: one of `kinds` grey pictures, then each pixel alone; fitted by 40 rounds of EM."""
    x, often = known.flatten(1).double(), torch.ones(kinds).double() / kinds
    grey = 0.25 + x[:kinds] / 2

    def joint(x: Tensor) -> Tensor:  # log p(x, kind): (B, S S) -> (B, kinds)
        return x @ grey.logit().mT + (1 - grey).log().sum(1) + often.log()

    for _ in range(40):
        share = joint(x).softmax(1)
        many = share.sum(0)[:, None] + 0.6  # as if 0.3 of a white and of a black picture were seen as well
        grey, often = (share.mT @ x + 0.3) / many, (many / many.sum())[:, 0]
    return -joint(fresh.flatten(1).double()).logsumexp(1).mean().item() / SIDE**2 / math.log(2)


# %% the experiment


def total_gap(net: nn.Module, x: Tensor) -> float:
    """How far the probabilities of all ways to fill the last pixels of a picture are from a sum of 1; f64."""
    ends = torch.cartesian_prod(*ENDS * [torch.tensor([0.0, 1.0])]).double()  # (2^ENDS, ENDS)
    given = x.double().flatten().expand(len(ends), -1)[:, :-ENDS]
    net, filled = copy.deepcopy(net).cpu().double(), torch.cat([given, ends], 1).view(-1, SIDE, SIDE)
    terms = F.binary_cross_entropy_with_logits(net(filled).detach(), filled, reduction="none").flatten(1)
    return abs(terms[:, -ENDS:].sum(1).neg().exp().sum().item() - 1)


def tap_gap(net: PixelCNN, x: Tensor, own: int = 0) -> float:
    """Largest gap, in log-odds and gradients, to a sum over the taps of each kernel, one by one; f64."""
    net, x = copy.deepcopy(net).cpu().double(), x.double().requires_grad_()

    def taps(layer: Masked, x: Tensor, own: int) -> Tensor:
        size, taps = layer.kernel_size[0], layer.kernel_size[0] ** 2 // 2 + own
        seen = F.unfold(x, size, padding=size // 2).view(len(x), -1, size**2, SIDE, SIDE)[:, :, :taps]
        return torch.einsum("oit,bitxy->boxy", layer.weight.flatten(2)[..., :taps], seen) + layer.bias[:, None, None]

    h = taps(net.first, x[:, None] - 0.5, own) + net.place
    for layer in net.rest:
        h = h + taps(layer, h.clamp(min=0), 1)
    both = net(x), torch.einsum("i,bixy->bxy", net.answer.weight.flatten(), h.clamp(min=0)) + net.answer.bias
    tilt = torch.linspace(-1, 1, x.numel()).double().view_as(x)
    slopes = [torch.autograd.grad((odds * tilt).sum(), [x, *net.parameters()]) for odds in both]
    return max((a - b).detach().abs().max().item() for a, b in [both, *zip(*slopes, strict=True)])


def run(device="cpu", seed=0, steps=500):
    split, batches, noise = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    grey = torch.tensor(load_digits().images)[torch.randperm(1797, generator=split)]
    known, fresh = (grey > 7.5).float().split([TRAIN, 1797 - TRAIN])
    torch.manual_seed(4 * seed)
    nets = {"PixelCNN": PixelCNN().to(device), "cheating": PixelCNN(own=1).to(device)}
    optimizers = [torch.optim.AdamW(net.parameters(), weight_decay=1) for net in nets.values()]
    for step in range(steps):
        x = known[torch.randint(TRAIN, (BATCH,), generator=batches)].to(device)
        losses = {}
        for (name, net), optimizer in zip(nets.items(), optimizers, strict=True):
            if name == "PixelCNN" or 4 * step < steps:
                loss = nats(net, x).mean() / SIDE**2 / math.log(2)
                optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses[name] = loss.item()
        yield (step + 1) / steps, losses

    models = {"alone": known.mean(0).clamp(1e-3, 1 - 1e-3).logit().expand_as, "logistic": regressions(known, 1e-3)}
    models |= {name: lambda x, net=net: net(x.to(device)).detach().cpu() for name, net in nets.items()}
    bits = {name: nats(model, fresh).mean().item() / SIDE**2 / math.log(2) for name, model in models.items()}
    u = torch.rand(50, SIDE, SIDE, generator=noise)
    drawn = {name: draw(model, u) for name, model in models.items()}
    once, mine = (u < models["PixelCNN"](0 * u).sigmoid()).float(), drawn["PixelCNN"]
    again = [((u < models["PixelCNN"](x).sigmoid()) != (x > 0)).float().mean().item() for x in (mine, once)]
    shown = [picture for x in (fresh, *drawn.values()) for picture in x[:DRAWN].tolist()]
    titles = [name for name in ("real", *drawn) for _ in range(DRAWN)]
    bits["80 templates"], (net, leaky) = templates_bits(known, fresh), nets.values()
    rows = [[name, f"{bits[name]:.3f}"] for name in sorted(bits, key=bits.get, reverse=True)]
    return {
        "pixelcnn_bits": bits["PixelCNN"],
        "regressions_bits": bits["logistic"],
        "total_gap": total_gap(net, fresh[0]),
        "leaky_total_gap": total_gap(leaky, fresh[0]),
        "changed_pixels": again[0],
        "at_once_changed_pixels": again[1],
        "tap_gap": tap_gap(net, fresh[:2]),
        "own_tap_gap": tap_gap(net, fresh[:2], own=1),
    }, {
        "digits, and what each model draws": {"kind": "images", "images": shown, "titles": titles, "columns": DRAWN},
        "what fresh digits cost": {"kind": "table", "columns": ["model", "bits per pixel"], "rows": rows},
    }


# %% what is claimed

TITLE = {"en": "Digits written pixel by pixel", "zh": "逐个像素写出数字"}
CURVES = "bits per pixel"
CPU_SECONDS = 7
CLAIMS = {
    "trained pixelcnn_bits <= 0.401 < regressions_bits <= 0.43": {
        "en": "bits a pixel for fresh digits; control: a logistic regression for each pixel on all before it",
        "zh": "新数字上每个像素的比特数；对照：每个像素对其前全部像素的逻辑回归",
    },
    "parity total_gap <= 1e-10 < leaky_total_gap": {
        "en": "summed probabilities of all ways to end a picture, gap to 1 (f64); control: a mask one pixel too far",
        "zh": "写完一幅图的全部方式，其概率之和与 1 的差（f64）；对照：掩码多放行一个像素",
    },
    "parity changed_pixels <= 0 < at_once_changed_pixels": {
        "en": "share of drawn pixels that one pass, same random numbers, decides otherwise; control: drawn in one",
        "zh": "对逐像素画好的图，用同样的随机数整幅重判一遍，改判的像素比例；对照：一遍画成的图",
    },
    "parity tap_gap <= 1e-10 < own_tap_gap": {
        "en": "largest gap of log-odds and gradients to a sum over the kernels' taps (f64); control: one tap more",
        "zh": "对数几率与梯度同逐个卷积核位置求和的最大差距（f64）；对照：多加一个位置",
    },
}
ZH = {
    "bits per pixel": "每像素比特数",
    "cheating": "作弊",
    "alone": "各自独立",
    "logistic": "逻辑回归",
    "real": "真实",
    "80 templates": "80 个模板",
    "model": "模型",
    "what fresh digits cost": "新数字所需的比特数",
    "digits, and what each model draws": "真实的数字，与各模型写出的图",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
