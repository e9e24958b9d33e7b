"""Federated learning — clients that never show their images train one model together.

Ten clients hold images of two digits each (scikit-learn's 8 x 8 digits; clients and server are simulated in one
process). In a round every client trains the shared weights on its own images for five steps and sends back no more than
weights and how many images it has; by that number the server weighs their average (FedAvg). The model recognizes more
than half of the images of each digit. Clients that train alone for as many steps know their own two, and their vote is
right less often than the model. With one step a round, FedAvg is gradient descent on the pooled images. But keeping the
images at home is not yet privacy: the gradient of a single image reveals it (that of many resists this simple way).

Needs:  torch, scikit-learn
Source: B. McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS
        2017 (FedAvg); L. T. Phong et al., Privacy-Preserving Deep Learning via Additively Homomorphic
        Encryption, IEEE TIFS 13(5), 2018 (an image from its gradient)
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

CLIENTS, LOCAL_STEPS, RATE, TRAIN = 10, 5, 0.5, 1200

# %% the concept


def train(net: nn.Module, x: Tensor, y: Tensor, steps: int) -> nn.Module:
    """A client's work: a copy of the net after gradient descent on all of its images."""
    net = copy.deepcopy(net)
    for _ in range(steps):
        gradients = torch.autograd.grad(F.cross_entropy(net(x), y), list(net.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(net.parameters(), gradients, strict=True):
                weight -= RATE * gradient  # w <- w - rate * dL/dw
    return net


def average(nets: list[nn.Module], sizes: list[int]) -> nn.Module:
    """The server's whole work: w = sum_k n_k w_k / sum_k n_k, from the weights and the numbers of images."""
    mean = copy.deepcopy(nets[0])
    with torch.no_grad():
        for weight, *theirs in zip(mean.parameters(), *(net.parameters() for net in nets), strict=True):
            weight.copy_(sum(size * their for size, their in zip(sizes, theirs, strict=True)) / sum(sizes))
    return mean


Client = tuple[Tensor, Tensor]  # images (n, 64), labels (n,)


def federated_round(shared: nn.Module, clients: list[Client], steps: int) -> nn.Module:
    return average([train(shared, *client, steps) for client in clients], [len(y) for _, y in clients])


def rebuild(net: nn.Sequential, x: Tensor, y: Tensor) -> Tensor:
    """What a gradient gives away: in the first layer dW = delta x^T and db = delta, so x = dW[i] / db[i]: (64,)."""
    weight, bias, *_ = torch.autograd.grad(F.cross_entropy(net(x), y), list(net.parameters()))
    row = bias.abs().argmax()
    return (weight[row] / bias[row]).detach()


# %% its control


def vote(nets: list[nn.Module], x: Tensor) -> Tensor:
    """The digit that clients believe in most, when each has trained alone: (n,)."""
    with torch.no_grad():
        return sum(net(x).softmax(-1) for net in nets).argmax(-1)


# %% the experiment


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def share_out(y: Tensor, train_set: Tensor) -> list[Tensor]:
    """The images of each client: half of those of digit k, and some of the next digit's other half."""
    halves = [train_set[y[train_set] == digit].chunk(2) for digit in range(10)]
    return [torch.cat([halves[k][0], halves[(k + 1) % 10][1][: 10 + 5 * k]]) for k in range(CLIENTS)]


def flat(net: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(net.parameters()).detach()


def by_torch(net: nn.Module, client: Client, steps: int) -> Tensor:
    """The weights after steps of torch.optim.SGD."""
    twin = copy.deepcopy(net)
    optimizer = torch.optim.SGD(twin.parameters(), RATE)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(twin(client[0]), client[1]).backward()
        optimizer.step()
    return flat(twin)


def compare(net: nn.Sequential, clients: list[Client]) -> tuple[dict[str, float], list[Tensor]]:
    """A round against torch.optim.SGD, and an image against what its gradient gives away, f64."""
    net = copy.deepcopy(net).cpu().double()
    clients = [(x.cpu().double(), y.cpu()) for x, y in clients]
    pooled = tuple(torch.cat(part) for part in zip(*clients, strict=True))
    sizes = torch.tensor([len(y) for _, y in clients]).double()
    together = by_torch(net, pooled, 1)
    apart = sizes @ torch.stack([by_torch(net, client, LOCAL_STEPS) for client in clients]) / sizes.sum()
    once, alike = flat(federated_round(net, clients, 1)), [train(net, *client, 1) for client in clients]
    rounds = [flat(federated_round(net, clients, steps)) for steps in (LOCAL_STEPS, LOCAL_STEPS - 1)]
    secret = pooled[0][0]
    leaked, blurred = rebuild(net, secret[None], pooled[1][:1]), rebuild(net, *pooled)
    pairs = {
        "pooled_gap": (once, together),
        "unweighted_pooled_gap": (flat(average(alike, [1] * CLIENTS)), together),
        "round_gap": (rounds[0], apart),
        "shorter_round_gap": (rounds[1], apart),
        "leak_error": (leaked, secret),
        "averaged_leak_error": (blurred, secret),
    }
    gaps = {name: float((a - b).abs().max()) for name, (a, b) in pairs.items()}
    return gaps, [image.clamp(0, 1).view(8, 8) for image in (secret, leaked, blurred)]


def last_round(before: nn.Module, after: nn.Module, clients: list[Client]) -> dict[str, float]:
    """What a round of the training made of the weights, against torch.optim.SGD on each client and on all images."""
    sizes = [len(y) for _, y in clients]
    apart = [size * by_torch(before, client, LOCAL_STEPS) for size, client in zip(sizes, clients, strict=True)]
    pooled = tuple(torch.cat(part) for part in zip(*clients, strict=True))
    references = {"last_round_gap": sum(apart) / sum(sizes), "one_place_gap": by_torch(before, pooled, LOCAL_STEPS)}
    return {name: float((flat(after) - weights).abs().max()) for name, weights in references.items()}


def run(device="cpu", seed=0, steps=30):
    torch.manual_seed(3 * seed)
    data = torch.Generator().manual_seed(3 * seed + 1)
    digits = load_digits()
    x, y = torch.tensor(digits.data).float() / 16, torch.tensor(digits.target)
    order = torch.randperm(len(x), generator=data)
    train_set, test_set = order[:TRAIN], order[TRAIN:]
    parts = share_out(y, train_set)
    clients = [(x[part].to(device), y[part].to(device)) for part in parts]
    pooled = tuple(torch.cat(part) for part in zip(*clients, strict=True))
    x_test, y_test = x[test_set].to(device), y[test_set].to(device)

    shared = in_one_place = network().to(device)
    alone = [shared] * CLIENTS

    def right(answers: Tensor) -> float:
        return (answers == y_test).float().mean().item()

    for step in range(steps):
        before, shared = shared, federated_round(shared, clients, LOCAL_STEPS)
        alone = [train(net, *client, LOCAL_STEPS) for net, client in zip(alone, clients, strict=True)]
        in_one_place = train(in_one_place, *pooled, LOCAL_STEPS)
        accuracies = {
            "federated": right(vote([shared], x_test)),
            "alone": sum(right(vote([net], x_test)) for net in alone) / CLIENTS,
            "a vote of those alone": right(vote(alone, x_test)),
            "all images in one place": right(vote([in_one_place], x_test)),
        }
        yield (step + 1) / steps, accuracies

    gaps, images = compare(shared, clients)
    teams = {str(k + 1): [net] for k, net in enumerate(alone)} | {"vote": alone, "FedAvg": [shared]}
    known = {name: (vote(nets, x_test) == y_test).cpu() for name, nets in teams.items()}
    seen = {tuple(image) for part in parts for image in x[part].tolist()}
    return {
        "federated_accuracy": accuracies["federated"],
        "vote_accuracy": accuracies["a vote of those alone"],
        "alone_accuracy": accuracies["alone"],
        "one_place_accuracy": accuracies["all images in one place"],
        "digits_of_a_client": max(len(y[part].unique()) for part in parts),
        "digits_of_all": len(y[torch.cat(parts)].unique()),
        "shared_rows": sum(tuple(image) in seen for image in x[test_set].tolist()),
        "own_rows": sum(tuple(image) in seen for image in x[parts[0]].tolist()),
        **gaps,
        **last_round(before, shared, clients),
    }, {
        "share of each digit recognized: clients alone, their vote, FedAvg": {
            "kind": "heatmap",
            "values": [
                [right[y[test_set] == digit].float().mean().item() for digit in range(10)] for right in known.values()
            ],
            "rows": list(known),
            "columns": [str(digit) for digit in range(10)],
            "x": "digit",
            "y": "client",
        },
        "what a gradient gives away: an image, from its gradient, from all": {
            "kind": "images",
            "images": [image.tolist() for image in images],
            "titles": ["private image", "from its own", "from all"],
        },
    }


# %% what is claimed

TITLE = {
    "en": "Federated averaging on clients that hold two digits each",
    "zh": "联邦平均：每个客户端只有两类数字",
}
CURVES = "accuracy"
CPU_SECONDS = 2
CLAIMS = {
    "trained federated_accuracy >= 0.86 > vote_accuracy >= 0.5": {
        "en": "accuracy on fresh images of all digits; control: a vote of clients that train alone as long",
        "zh": "在全部数字的新图像上的准确率；对照：各客户端同样长地单独训练后投票",
    },
    "parity digits_of_a_client <= 2 < digits_of_all": {
        "en": "digits that a client holds images of; the control counts those of all clients",
        "zh": "一个客户端拥有的数字种类；对照为全部客户端的种类",
    },
    "parity shared_rows <= 0 < own_rows": {
        "en": "fresh images that a client trains on; the control looks for a client's own",
        "zh": "测试图像中被客户端用于训练的数量；对照查找某客户端自己的图像",
    },
    "parity pooled_gap <= 1e-10 < unweighted_pooled_gap": {
        "en": "one-step FedAvg against one step of torch.optim.SGD on the pooled images (f64); the control ignores the "
        "client sizes",
        "zh": "单步 FedAvg 与 torch.optim.SGD 在合并数据上一步的差距（f64）；对照忽略客户端数据量",
    },
    "parity round_gap <= 1e-10 < shorter_round_gap": {
        "en": "a round of five steps against the weighted mean of clients trained by torch.optim.SGD (f64); the "
        "control trains four",
        "zh": "一轮（本地五步）与 torch.optim.SGD 训练的各客户端加权均值的差距（f64）；对照只训练四步",
    },
    "parity last_round_gap <= 1e-5 < one_place_gap": {
        "en": "the last round of the training itself, as against torch.optim.SGD on each client (f32); the control is "
        "SGD on all images in one place",
        "zh": "训练中最后一轮的结果与用 torch.optim.SGD 训练各客户端再加权平均的差距（f32）；对照为在合并数据上的 SGD",
    },
    "parity leak_error <= 1e-10 < averaged_leak_error": {
        "en": "error of an image rebuilt from its own gradient; the control uses the gradient of all images",
        "zh": "仅凭单张图像的梯度还原该图像的误差；对照用全部图像的梯度还原",
    },
}
ZH = {
    "accuracy": "准确率",
    "federated": "联邦",
    "alone": "单独",
    "a vote of those alone": "单独训练者投票",
    "all images in one place": "图像集中一处",
    "share of each digit recognized: clients alone, their vote, FedAvg": "各数字的识别率：单独的客户端、投票、FedAvg",
    "vote": "投票",
    "digit": "数字",
    "client": "客户端",
    "what a gradient gives away: an image, from its gradient, from all": "梯度泄露了什么：原图、由其梯度、由全部梯度",
    "private image": "私有图像",
    "from its own": "由它的梯度",
    "from all": "由全部的梯度",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
