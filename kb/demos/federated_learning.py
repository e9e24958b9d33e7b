"""Federated learning — clients that never show their images train one model together.

Ten clients hold images of two digits each (scikit-learn's 8 x 8 digits; clients and server are simulated in
one process). In a round every client trains the shared weights on its own images for a few steps and sends
back weights only; the server averages them, each counted by its number of images (FedAvg).

Claim:  the averaged model recognizes all ten digits, clients that train alone only their own two. With one
        step per round FedAvg is gradient descent on the pooled images. But keeping the images at home is not
        yet privacy: the gradient of a single image reveals it (the gradient of many resists this simple way).
Source: B. McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS
        2017 (FedAvg); L. T. Phong et al., Privacy-Preserving Deep Learning via Additively Homomorphic
        Encryption, IEEE TIFS 13(5), 2018 (an image from its gradient)
Run:    python kb/demos/federated_learning.py --device cpu --seed 0 --steps 30
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {
    "en": "Federated averaging on clients that hold two digits each",
    "zh": "联邦平均：每个客户端只有两类数字",
}
CPU_SECONDS = 2
CLAIMS = {
    "trained federated_accuracy >= 0.52 > alone_accuracy": {
        "en": "accuracy on fresh images of all digits; the control is the mean of clients that train alone",
        "zh": "在全部数字的新图像上的准确率；对照为各客户端单独训练的均值",
    },
    "parity pooled_gap <= 1e-10 < unweighted_pooled_gap": {
        "en": "one-step FedAvg against one step on the pooled images; the control ignores the client sizes",
        "zh": "单步 FedAvg 与合并数据上一步梯度下降的差距；对照忽略客户端数据量",
    },
    "parity leak_error <= 1e-10 < averaged_leak_error": {
        "en": "error of an image rebuilt from its own gradient; the control uses the gradient of all images",
        "zh": "仅凭单张图像的梯度还原该图像的误差；对照用全部图像的梯度还原",
    },
}

CLIENTS, LOCAL_STEPS, RATE = 10, 5, 0.2


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def train(net: nn.Module, x: Tensor, y: Tensor, steps: int) -> nn.Module:
    """A copy of the net after gradient descent on all of x."""
    net = copy.deepcopy(net)
    for _ in range(steps):
        gradients = torch.autograd.grad(F.cross_entropy(net(x), y), list(net.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(net.parameters(), gradients, strict=True):
                weight -= RATE * gradient
    return net


def average(nets: list[nn.Module], sizes: list[int]) -> nn.Module:
    """The server's whole work: the mean of the clients' weights, each counted by its number of images."""
    mean = copy.deepcopy(nets[0])
    with torch.no_grad():
        for weight, *theirs in zip(mean.parameters(), *(net.parameters() for net in nets), strict=True):
            weight.copy_(sum(size * their for size, their in zip(sizes, theirs, strict=True)) / sum(sizes))
    return mean


def rebuild(net: nn.Sequential, x: Tensor, y: Tensor) -> Tensor:
    """The input from the first layer's gradient: dW = delta x^T and db = delta, so x = dW[i] / db[i]."""
    weight, bias, *_ = torch.autograd.grad(F.cross_entropy(net(x), y), list(net.parameters()))
    row = bias.abs().argmax()
    return (weight[row] / bias[row]).detach()


def flat(net: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(net.parameters()).detach()


def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return (net(x).argmax(-1) == y).float().mean().item()


def run(device="cpu", seed=0, steps=30):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    digits = load_digits()
    x, y = torch.tensor(digits.data).float() / 16, torch.tensor(digits.target)
    order = torch.randperm(len(x), generator=data)
    train_set, test = order[:1200], (x[order[1200:]].to(device), y[order[1200:]].to(device))
    halves = [train_set[y[train_set] == digit].chunk(2) for digit in range(10)]
    clients = []
    for k in range(CLIENTS):  # half of the images of digit k, and some of the next digit's other half
        mine = torch.cat([halves[k][0], halves[(k + 1) % 10][1][: 10 + 5 * k]])
        clients.append((x[mine].to(device), y[mine].to(device)))
    sizes = [len(labels) for _, labels in clients]

    shared = network().to(device)
    alone = [shared] * CLIENTS
    for step in range(steps):
        shared = average([train(shared, *client, LOCAL_STEPS) for client in clients], sizes)
        alone = [train(net, *client, LOCAL_STEPS) for net, client in zip(alone, clients, strict=True)]
        alone_accuracy = sum(accuracy(net, *test) for net in alone) / CLIENTS
        yield (step + 1) / steps, {"federated": accuracy(shared, *test), "alone": alone_accuracy}

    own = [accuracy(net, *client) for net, client in zip(alone, clients, strict=True)]
    net = copy.deepcopy(shared).cpu().double()
    clients = [(images.cpu().double(), labels.cpu()) for images, labels in clients]
    pooled = [torch.cat(part) for part in zip(*clients, strict=True)]
    together, one_step = flat(train(net, *pooled, 1)), [train(net, *client, 1) for client in clients]
    gaps = [float((flat(average(one_step, counts)) - together).abs().max()) for counts in (sizes, [1] * CLIENTS)]
    secret = pooled[0][0]
    leaked, averaged = rebuild(net, secret[None], pooled[1][:1]), rebuild(net, *pooled)
    return {
        "federated_accuracy": accuracy(shared, *test),
        "alone_accuracy": alone_accuracy,
        "averaged_once_accuracy": accuracy(average(alone, sizes), *test),
        "own_digits_accuracy": sum(own) / CLIENTS,
        "pooled_gap": gaps[0],
        "unweighted_pooled_gap": gaps[1],
        "leak_error": float((leaked - secret).abs().max()),
        "averaged_leak_error": float((averaged - secret).abs().max()),
    }, {
        "what a gradient gives away": {
            "kind": "images",
            "zh": "梯度泄露了什么",
            "images": [image.clamp(0, 1).view(8, 8) for image in (secret, leaked, averaged)],
            "titles": ["private image", "from its gradient", "from the gradient of all"],
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
