"""Text classification — counted words tell the topic of a review, not its sentiment; a convolution reads negation.

Reviews in English and Chinese are generated: one clause judges a thing ("the soup was not really very good"), another
names a thing of the same topic ("the menu was ours"). One of the two, by a coin, is negated, so that the words alone
do not tell praise from blame. A convolutional network sees up to five words in a row. Its control is naive Bayes, which
counts words, or logistic regression on TF-IDF weights (counts, less for words that many texts hold) of words or of runs
of up to two or three words, whichever is best on the test. Scikit-learn's list of English stop words, which many remove
as too common to matter, holds both negations used here.

Needs:  torch, scikit-learn
Source: Y. Kim, Convolutional Neural Networks for Sentence Classification, EMNLP 2014; B. Pang, L. Lee,
        S. Vaithyanathan, Thumbs up? Sentiment Classification using Machine Learning Techniques, EMNLP 2002
"""

import copy

import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN, TEST, WIDTH, FILTERS, BATCH, RATE, SIZES = 1500, 1000, 16, 16, 64, 1e-2, (3, 4, 5)
RUNS, STRENGTH = (1, 2, 3), 100.0  # of the control: longest runs, and how little it is regularized

# %% the concept


class TextCNN(nn.Module):
    def __init__(self, words: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, WIDTH)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.filters = nn.ParameterList(torch.randn(FILTERS, WIDTH, k) / (WIDTH * k) ** 0.5 for k in SIZES)
        self.bias = nn.Parameter(torch.zeros(len(SIZES), FILTERS))
        self.head = nn.Linear(len(SIZES) * FILTERS, classes)

    def forward(self, words: Tensor) -> Tensor:  # (B, T) -> (B, classes)
        x, found = self.embed(words), []  # (B, T, D)
        for filters, bias in zip(self.filters, self.bias, strict=True):
            windows = x.unfold(1, filters.shape[-1], 1)  # k words in a row: (B, T - k + 1, D, k)
            match = torch.einsum("btdk,fdk->btf", windows, filters) + bias  # w . x_{t:t+k} + b
            found.append(match.relu().amax(1))  # the best place, wherever it is: (B, F)
        return self.head(torch.cat(found, 1))


def naive_bayes(counts: Tensor, labels: Tensor, asked: Tensor, smooth: float = 1.0) -> Tensor:  # (M, C)
    of_class = F.one_hot(labels).to(counts)  # (N, C)
    seen = counts.mT @ of_class + smooth  # (V, C); no word has probability 0
    return of_class.mean(0).log() + asked @ (seen / seen.sum(0)).log()  # log P(c) + sum over words of log P(w | c)


def tf_idf(counts: Tensor, smooth: float = 1.0) -> Tensor:  # (N, V) -> (N, V)
    texts_with = (counts > 0).to(counts).sum(0)  # in how many texts a word is
    idf = ((smooth + len(counts)) / (smooth + texts_with)).log() + 1  # what few texts hold weighs more
    return F.normalize(counts * idf, dim=1)


# %% its control


def best_of_runs(train: list[str], labels: Tensor, test: list[str], answers: Tensor) -> Tensor:
    """Hits on the test of logistic regression on TF-IDF weights of runs of words, for the best of three lengths."""
    tried = []
    for longest in RUNS:
        vectors = TfidfVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, longest))
        model = LogisticRegression(C=STRENGTH, max_iter=500).fit(vectors.fit_transform(train), labels)
        tried.append(torch.from_numpy(model.predict(vectors.transform(test))) == answers)
    return max(tried, key=lambda hits: int(hits.sum()))


# %% the experiment

THINGS = [  # of a restaurant, a hotel, a film
    ("soup noodles waiter menu dessert chef", "汤 面条 服务员 菜单 甜点 厨师"),
    ("room bed lobby shower pillow balcony", "房间 床 大堂 淋浴 枕头 阳台"),
    ("actor plot scene camera ending script", "演员 剧情 场面 镜头 结局 剧本"),
]
ADJECTIVES = [
    ("bad poor awful terrible dull horrible dreadful weak", "差 烂 糟糕 无聊 难受 平庸 糟心 劣质"),
    ("good great excellent pleasant lovely wonderful superb fine", "好 棒 出色 精彩 舒服 优秀 满意 地道"),
]
NEGATIONS, DEGREES = ("not never", "不 并非"), ("really very so particularly quite too", "真的 很 那么 特别 十分 太")
JUDGED, PLAIN = ("the {} was {}", "{} {}"), ("the {} was {} ours", "{} {} 是 我们 的")
JUDGES = "the clause that judges"
CASES = ["no negation", "negation, then the word", "one word between", "two words between"]


def reviews(n: int, generator: torch.Generator) -> tuple[list[str], Tensor]:
    """Texts, and the topic, sentiment, language and case of each: (n, 4)."""

    def pick(words: str) -> str:
        return words.split()[int(torch.randint(words.count(" ") + 1, (), generator=generator))]

    texts, about = [], []
    for _ in range(n):
        drawn = [int(torch.randint(k, (), generator=generator)) for k in (3, 2, 2, 2, 3, 2)]
        topic, word, tongue, negated, between, first = drawn
        things, degrees = THINGS[topic][tongue], [pick(DEGREES[tongue]) for _ in range(between)]
        negation = pick(NEGATIONS[tongue])  # of one clause or of the other: counts cannot tell which
        said = [*[negation] * negated, *degrees, pick(ADJECTIVES[word][tongue])]
        plain = PLAIN[tongue].format(pick(things), "" if negated else negation)
        clauses = [JUDGED[tongue].format(pick(things), " ".join(said)), plain]
        texts.append(" ".join(" , ".join(clauses if first else clauses[::-1]).split()))
        about.append((topic, word ^ negated, tongue, negated * (between + 1)))
    return texts, torch.tensor(about)


def numbers(texts: list[str], words: dict[str, int]) -> Tensor:
    """(N, T), filled up with 0, as are unknown words."""
    rows = [[words.get(word, 0) for word in text.split()] for text in texts]
    return torch.tensor([row + [0] * (20 - len(row)) for row in rows])


def cnn_gap(net: TextCNN, words: Tensor, turn: bool = False) -> float:
    """Largest gap to F.conv1d and F.max_pool1d, in outputs and gradients, f64; `turn` reads windows backwards."""
    net = copy.deepcopy(net).cpu().double()
    x, found = net.embed(words).mT, []
    for filters, bias in zip(net.filters, net.bias, strict=True):
        match = F.conv1d(x, filters.flip(-1) if turn else filters, bias).relu()
        found.append(F.max_pool1d(match, match.shape[-1])[..., 0])
    sides = []
    for output in (net(words), net.head(torch.cat(found, 1))):
        weighted = (output * torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output)).sum()
        sides.append([output.detach(), *torch.autograd.grad(weighted, [*net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*sides, strict=True))


def run(device="cpu", seed=0, steps=240):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    (texts, about), (fresh, asked) = reviews(TRAIN, data), reviews(TEST, unseen)
    words = {word: i for i, word in enumerate(["", *sorted({word for text in texts for word in text.split()})])}
    new = sorted(fresh.index(text) for text in set(fresh) - set(texts))  # none that the training has
    fresh, asked = [fresh[i] for i in new], asked[new]
    short = [[" ".join(w for w in text.split() if w not in ENGLISH_STOP_WORDS) for text in m] for m in (texts, fresh)]
    x, x_test, x_short, short_test = (numbers(many, words).to(device) for many in (texts, fresh, *short))
    y, told = about[:, 1].to(device), {"TextCNN": (x, x_test), "TextCNN without stop words": (x_short, short_test)}
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    nets = {name: TextCNN(len(words), 2).to(device) for name in told}
    optimizer = torch.optim.Adam([weight for net in nets.values() for weight in net.parameters()])
    for step in range(steps):
        rows = torch.randint(len(x), (BATCH,), generator=data).to(device)
        losses = {name: F.cross_entropy(net(told[name][0][rows]), y[rows]) for name, net in nets.items()}
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        optimizer.zero_grad()
        torch.stack([*losses.values()]).sum().backward()
        optimizer.step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    _, sentiment, language, case = asked.T
    hits = {name: nets[name](given).argmax(1).cpu() == sentiment for name, (_, given) in told.items()}
    counts, counted = (F.one_hot(ids.cpu(), len(words)).sum(1)[:, 1:].double() for ids in (x, x_test))  # bags: (N, V)
    for name, kind in (("topic", 0), ("naive Bayes", 1)):
        hits[name] = naive_bayes(counts, about[:, kind], counted).argmax(1) == asked[:, kind]
    hits["runs of words"] = best_of_runs(texts, about[:, 1], fresh, sentiment)
    accuracy = {name: right.double().mean().item() for name, right in hits.items()}
    model = MultinomialNB().fit(counts.numpy(), about[:, 0].numpy())
    weights = TfidfVectorizer(analyzer=str.split).fit_transform(texts).toarray()
    theirs = torch.from_numpy(model.predict_joint_log_proba(counted.numpy())), torch.from_numpy(weights)
    own = [(naive_bayes(counts, about[:, 0], counted, smooth), tf_idf(counts, smooth)) for smooth in (1.0, 0.5)]
    gaps = [[(a - b).abs().max().item() for a, b in zip(both, theirs, strict=True)] for both in own]
    shown = ("naive Bayes", "runs of words", "TextCNN")
    table = [[c, *(f"{100 * hits[k][case == i].double().mean():.0f}" for k in shown)] for i, c in enumerate(CASES)]
    return {
        "cnn_accuracy": accuracy["TextCNN"],
        "runs_accuracy": max(accuracy["runs of words"], accuracy["naive Bayes"]),
        "topic_accuracy": accuracy["topic"],
        "bag_sentiment": accuracy["naive Bayes"],
        "english_accuracy": hits["TextCNN"][language == 0].double().mean().item(),
        "stopped_accuracy": hits["TextCNN without stop words"][language == 0].double().mean().item(),
        "cnn_gap": cnn_gap(nets["TextCNN"], x_test[:32].cpu()),
        "turned_gap": cnn_gap(nets["TextCNN"], x_test[:32].cpu(), turn=True),
        "counts_gap": max(gaps[0]),
        "half_counts_gap": min(gaps[1]),
    }, {
        "sentiment of fresh reviews: right, in %": {"kind": "table", "columns": [JUDGES, *shown], "rows": table},
    }


# %% what is claimed

TITLE = {"en": "Counted words tell a topic, read words a sentiment", "zh": "词频能分出主题，词序才能分出情感"}
CURVES = "cross-entropy"
CPU_SECONDS = 2
CLAIMS = {
    "trained cnn_accuracy >= 0.98 > runs_accuracy >= 0.57": {
        "en": "sentiment of fresh reviews told rightly; control: naive Bayes or regression on TF-IDF, the better",
        "zh": "新评论情感分类的正确率；对照：朴素贝叶斯与 TF-IDF 逻辑回归中较好者",
    },
    "trained topic_accuracy >= 0.98 > bag_sentiment >= 0.42": {
        "en": "topic told rightly by naive Bayes; control: the sentiment, told from the same counts",
        "zh": "朴素贝叶斯判断主题的正确率；对照：用同样的词频判断情感",
    },
    "trained english_accuracy >= 0.98 > stopped_accuracy >= 0.42": {
        "en": "sentiment of English reviews told rightly; control: such a network, stop words removed",
        "zh": "英文评论情感分类的正确率；对照：同样的网络，文本去掉停用词",
    },
    "parity cnn_gap <= 1e-10 < turned_gap": {
        "en": "largest gap to F.conv1d in outputs and gradients (f64); the control reads its windows backwards",
        "zh": "与 F.conv1d 在输出与梯度上的最大差距（f64）；对照把窗口倒着读",
    },
    "parity counts_gap <= 1e-10 < half_counts_gap": {
        "en": "largest gap to MultinomialNB and TfidfVectorizer; the control adds 1/2 to the counts, not 1",
        "zh": "与 MultinomialNB、TfidfVectorizer 的最大差距；对照给计数加 1/2 而非 1",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "TextCNN without stop words": "TextCNN（去停用词）",
    "sentiment of fresh reviews: right, in %": "新评论的情感：判对的比例（%）",
    "the clause that judges": "作评价的分句",
    "naive Bayes": "朴素贝叶斯",
    "runs of words": "n 元词组",
    "no negation": "没有否定词",
    "negation, then the word": "否定词紧挨着形容词",
    "one word between": "中间隔一个词",
    "two words between": "中间隔两个词",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
