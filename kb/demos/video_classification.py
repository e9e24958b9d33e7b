"""Video classification — which way do the dots drift? No single frame can say; a convolution over time learns it.

Each clip is eight frames of random dots that drift by one pixel a frame, left, right, up or down, and come back in at
the opposite edge; at every step some, three in ten on average, are thrown elsewhere. A frame alone looks alike in the
four classes, and so does every pixel's mean: least squares on pixels has nothing to find. A drift and its opposite,
their frames shuffled, look alike too, so without order half right is the most to be expected. The network is one 3-D
convolution, ReLU, a mean over time and space, and a linear layer. The control is the best of three without order: a
network of about as many weights that averages what a 2-D convolution sees in each frame; the 3-D network trained and
tested on shuffled frames; and a rule that counts the dots which the next frame has one pixel further, on shuffled
frames. With the order, that rule does as well as the network; but it was told how dots move, while the network saw only
clips and their classes. Clips are synthetic.

Needs:  torch
Source: D. Tran et al., Learning Spatiotemporal Features with 3D Convolutional Networks, ICCV 2015
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FRAMES, SIDE, DOTS, STAY, TRAIN, TEST, BATCH, RATE = 8, 16, 25, 0.7, 1000, 500, 32, 2e-2
DRIFTS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}  # rows, columns

# %% the concept


class Conv3d(nn.Module):
    def __init__(self, d_in: int, d_out: int, depth: int, size: int = 3) -> None:
        super().__init__()
        bound = (d_in * depth * size**2) ** -0.5
        self.weight = nn.Parameter(torch.empty(depth, d_out, d_in, size, size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, clips: Tensor) -> Tensor:  # (B, T, C, H, W) -> (B, T - depth + 1, d_out, H - 2, W - 2)
        steps, seen = clips.shape[1] - len(self.weight) + 1, 0
        for k, weight in enumerate(self.weight):  # y_t = b + sum over k of W_k * x_{t + k}, a 2-D kernel for each k
            frames = clips[:, k : k + steps]
            seen = seen + F.conv2d(frames.flatten(0, 1), weight).unflatten(0, frames.shape[:2])
        return seen + self.bias[:, None, None]


class VideoNet(nn.Module):
    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.conv, self.head = Conv3d(1, channels, depth), nn.Linear(channels, len(DRIFTS))

    def forward(self, clips: Tensor) -> Tensor:  # (B, T, 1, H, W) -> (B, 4)
        return self.head(self.conv(clips).relu().mean((1, 3, 4)))  # how much was seen, whenever and wherever


# %% its control


def shuffled(clips: Tensor, generator: torch.Generator) -> Tensor:
    """The frames of each clip in an order of its own."""
    order = torch.rand(clips.shape[:2], generator=generator).argsort(1)
    return clips[torch.arange(len(clips))[:, None], order]


def matching(clips: Tensor) -> Tensor:
    """The drift with the most dots that the next frame has one pixel further: (B,)."""
    further = [clips[:, :-1].roll(move, (3, 4)) for move in DRIFTS.values()]
    return torch.stack([(there * clips[:, 1:]).sum((1, 2, 3, 4)) for there in further], 1).argmax(1)


# %% the experiment


def drifting_dots(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clips whose edges are joined, and which way their dots drift: (n, T, 1, H, W), (n,)."""
    classes = torch.randint(len(DRIFTS), (n,), generator=generator)
    moves = torch.tensor(list(DRIFTS.values()))[classes][:, None]
    at, clips = torch.randint(SIDE, (n, DOTS, 2), generator=generator), torch.zeros(n, FRAMES, SIDE * SIDE)
    for t in range(FRAMES):
        clips[:, t].scatter_(1, at[..., 0] * SIDE + at[..., 1], 1.0)
        thrown = torch.randint(SIDE, (n, DOTS, 2), generator=generator)
        at = torch.where(torch.rand(n, DOTS, 1, generator=generator) < STAY, (at + moves) % SIDE, thrown)
    return clips.view(n, FRAMES, 1, SIDE, SIDE), classes


def gap_to_torch(net: VideoNet, clips: Tensor, backwards: bool = False) -> float:
    """Largest difference from torch's layers in outputs and in the gradients of clips and parameters, f64."""
    net, clips = copy.deepcopy(net).cpu().double(), clips.double().requires_grad_()
    weight = net.conv.weight.movedim(0, 2).detach()  # (d_out, d_in, depth, 3, 3)
    conv, head = nn.Conv3d(*weight.shape[1::-1], weight.shape[2:]), copy.deepcopy(net.head)
    conv.weight.data, conv.bias.data = weight.flip(2) if backwards else weight.clone(), net.conv.bias.detach().clone()
    twin = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), head)
    found = []
    for model, x in ((net, clips), (twin, clips.transpose(1, 2))):
        out = model(x)
        weighted = (out * torch.arange(1.0, 5.0, dtype=torch.float64)).sum()
        found.append([out, *torch.autograd.grad(weighted, [clips, *model.parameters()], materialize_grads=True)])
    found[0][2] = found[0][2].movedim(0, 2)
    return max((a - b).detach().abs().max().item() for a, b in zip(*found, strict=True))


def shared_clips(some: Tensor, others: Tensor) -> float:
    """How many of the one occur in the other."""
    known = {clip.numpy().tobytes() for clip in others}
    return float(sum(clip.numpy().tobytes() in known for clip in some))


def run(device="cpu", seed=0, steps=150):
    torch.manual_seed(4 * seed)  # weights, training, test and order: four streams
    data, unseen, orders = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    train, (x_test, y_test) = drifting_dots(TRAIN, data), drifting_dots(TEST, unseen)
    nets = {"3-D": VideoNet(8, depth=3), "3-D, shuffled": VideoNet(8, depth=3), "frame by frame": VideoNet(18, depth=1)}
    optimizers = {name: torch.optim.Adam(net.to(device).parameters()) for name, net in nets.items()}
    for step in range(steps):
        rows = torch.randint(TRAIN, (BATCH,), generator=data)
        x, y = (part[rows] for part in train)
        losses = {}
        for name, net in nets.items():
            clips = shuffled(x, orders) if "shuffled" in name else x
            loss = F.cross_entropy(net(clips.to(device)), y.to(device))
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    tests = dict.fromkeys(nets, x_test) | {"3-D, shuffled": shuffled(x_test, orders)}
    with torch.no_grad():
        said = {name: net(tests[name].to(device)).argmax(1).cpu() for name, net in nets.items()}
        turned = {name: net(x_test.flip(1).to(device)).argmax(1).cpu() for name, net in nets.items()}
    said |= {"rule": matching(x_test), "rule, shuffled": matching(tests["3-D, shuffled"])}
    right = {name: (answers == y_test).float().mean().item() for name, answers in said.items()}
    opposite = {name: (turned[name] == (said[name] ^ 1)).float().mean().item() for name in nets}  # 0 and 1, 2 and 3
    net, shown = nets["3-D"].cpu(), [x_test[y_test == k][0, :, 0] for k in range(len(DRIFTS))]
    return {
        "video_accuracy": right["3-D"],
        "timeless_accuracy": max(right[name] for name in ("3-D, shuffled", "frame by frame", "rule, shuffled")),
        "rule_accuracy": right["rule"],
        "shuffled_rule": right["rule, shuffled"],
        "video_opposite": opposite["3-D"],
        "frames_opposite": opposite["frame by frame"],
        "conv_gap": gap_to_torch(net, x_test[:8]),
        "backwards_gap": gap_to_torch(net, x_test[:8], backwards=True),
        "shared_clips": shared_clips(x_test, train[0]),
        "own_clips": shared_clips(x_test, x_test),
    }, {
        "the first four frames of a clip whose dots drift right": {
            "kind": "images",
            "images": shown[1][:4].tolist(),
            "titles": [f"t = {t}" for t in range(4)],
            "columns": 4,
        },
        "each frame summed to a row, time downwards: a drift sideways is a slant": {
            "kind": "images",
            "images": [clip.sum(1).tolist() for clip in shown],
            "titles": list(DRIFTS),
            "columns": 4,
        },
    }


# %% what is claimed

TITLE = {"en": "Motion is seen across frames, not in them", "zh": "运动不在单帧里，而在帧与帧之间"}
CURVES = "loss"
CPU_SECONDS = 3
CLAIMS = {
    "trained video_accuracy >= 0.99 > timeless_accuracy >= 0.38": {
        "en": "share of fresh clips whose drift is recognized; control: the best of a net that averages over single "
        "frames and, on shuffled frames, the 3-D net and a rule that counts dots one pixel further",
        "zh": "新片段中漂移方向识别正确的比例；对照：逐帧识别再平均的网络，以及帧序打乱后的三维卷积网络"
        "与数“下一帧里移动了一格的点”的规则，取最好者",
    },
    "trained timeless_accuracy <= 0.58 < rule_accuracy": {
        "en": "the best of these three: half right is the most to be expected without order; control: the rule with "
        "frames in order",
        "zh": "上述三者中的最好者：没有帧序，期望上至多对一半；对照：帧序不变时的该规则",
    },
    "trained rule_accuracy >= 0.99 > shuffled_rule >= 0.38": {
        "en": "the same of the rule with frames in order: who knows how dots move needs no network; control: the rule "
        "on shuffled frames",
        "zh": "帧序不变时该规则的同一比例：知道点如何移动，就不需要网络；对照：帧序打乱后的该规则",
    },
    "trained video_opposite >= 0.98 > frames_opposite": {
        "en": "share of fresh clips that, played backwards, get the opposite of the answer that they get forwards; "
        "control: the net that averages over single frames, for which the two are one",
        "zh": "新片段倒放后，所判方向与正放时相反的比例；对照：逐帧识别再平均的网络，正放倒放在它看来一样",
    },
    "parity conv_gap <= 1e-10 < backwards_gap": {
        "en": "largest gap of the trained network to torch's layers in outputs and gradients (f64); the control turns "
        "the kernels round in time",
        "zh": "训练后的网络同 PyTorch 各层在输出与梯度上的最大差距（f64）；对照把卷积核在时间上反转",
    },
    "parity shared_clips <= 0 < own_clips": {
        "en": "test clips that are among the training clips; the control counts those among the test clips",
        "zh": "同时出现在训练集中的测试片段数；对照数的是测试集自身中的片段",
    },
}
ZH = {
    "loss": "损失",
    "3-D": "三维卷积",
    "3-D, shuffled": "三维卷积，帧序打乱",
    "frame by frame": "逐帧识别",
    "the first four frames of a clip whose dots drift right": "圆点向右漂的一段片段的前四帧",
    "each frame summed to a row, time downwards: a drift sideways is a slant": "每帧压成一行，时间向下：横向漂移即斜纹",
    "left": "左",
    "right": "右",
    "up": "上",
    "down": "下",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
