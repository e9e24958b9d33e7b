"""Serving, simulated — a batch that requests join and leave at any token answers about twice what one that waits does.

A SIMULATION of a language model on one GPU; nothing here is a speed of real hardware. Assumed: an iteration takes 20 ms
to read the weights, .5 ms for each sequence that decodes a token and .1 ms for each token of a prompt; 16 sequences
fit; arrivals are Poisson; answers have exponential lengths, cut at 256 tokens; a prompt begins with one of four system
prompts, and one in ten is long; a cache of prompts forgets nothing. The engine is held to Lindley's recursion (a wait
in a queue follows from the one before), Little's law (occupied slots, over time, make the sum of all stays) and the
closed form of static batches. The controls: static batches, which admit nobody before the last answer of all ends,
though what has ended costs nothing; prompts read anew each time; and prompts read in one piece, while all others wait.
The table has the mean times to the first token (TTFT) and for each later one (TPOT): chunks delay the first. It also
has the share of KV memory (keys and values) that is empty, in pages of 16 tokens or reserved for the longest answer.

Needs:  torch
Source: G.-I. Yu et al., Orca: A Distributed Serving System for Transformer-Based Generative Models, OSDI 2022; W. Kwon
        et al., Efficient Memory Management for Large Language Model Serving with PagedAttention, SOSP 2023; A. Agrawal
        et al., Taming Throughput-Latency Tradeoff in LLM Inference with Sarathi-Serve, OSDI 2024 (prompts in chunks)
"""

import math
from collections import deque
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

STEP, DECODE, PREFILL = 0.02, 0.0005, 0.0001  # assumed seconds: an iteration, a sequence in it, a token of a prompt
SLOTS, BLOCK, CHUNK, LONGEST, REQUESTS, RATE = 16, 16, 256, 256, 200, 3.0

# %% the concept


class Request:
    def __init__(self, arrival: float, prompt: list[int], answer: int) -> None:
        self.arrival, self.prompt, self.answer = arrival, prompt, answer  # answer: tokens that it will take
        self.unread, self.admitted, self.times = len(prompt), math.inf, list[float]()  # when each token came


class Engine:
    """SIMULATION of one GPU: an iteration reads some of the prompts and adds a token to each that is read."""

    def __init__(self, slots: int = SLOTS, continuous: bool = True, chunk: int = 10**9, cached: bool = False) -> None:
        self.slots, self.continuous, self.chunk, self.cached = slots, continuous, chunk, cached
        self.clock = self.area = self.filled = self.paged = self.reserved = 0.0
        self.known, self.read = set[int](), 0  # prompts' blocks, each hashed with all before it; tokens read

    def blocks(self, prompt: list[int]) -> list[int]:
        keys, key = [], 0
        for i in range(BLOCK, len(prompt) + 1, BLOCK):
            key = hash((key, *prompt[i - BLOCK : i]))  # a block's keys and values depend on what stands before it
            keys.append(key)
        return keys

    def hits(self, prompt: list[int]) -> int:
        """Tokens at the start that need not be read again; the last one must be, for the answer to begin."""
        keys = self.blocks(prompt)
        known = next((i for i, key in enumerate(keys) if key not in self.known), len(keys))
        return min(known * BLOCK, len(prompt) - 1) if self.cached else 0

    def serve(self, requests: list[Request]) -> "Engine":
        waiting, running = deque(requests), list[Request]()
        while waiting or running:
            if not running:
                self.clock = max(self.clock, waiting[0].arrival)
            if self.continuous or not running:  # who arrived takes a free slot
                while waiting and waiting[0].arrival <= self.clock and len(running) < self.slots:
                    request = waiting.popleft()
                    request.admitted, request.unread = self.clock, len(request.prompt) - self.hits(request.prompt)
                    running.append(request)
            room, answering, decoding = self.chunk, [], 0
            for request in running:
                take = min(request.unread, room)
                decoding += request.unread == 0
                if request.unread == take:  # read to its end, now or before: a token comes
                    answering.append(request)
                request.unread, room = request.unread - take, room - take
            tokens = self.chunk - room
            seconds = STEP + DECODE * decoding + PREFILL * tokens
            self.clock, self.read = self.clock + seconds, self.read + tokens
            self.area += len(running) * seconds  # of the occupied slots over time
            for request in running:
                size = len(request.prompt) + len(request.times)
                self.filled, self.paged = self.filled + size, self.paged + -(-size // BLOCK) * BLOCK  # whole pages
                self.reserved += len(request.prompt) + LONGEST  # what an answer may need, held from the start
            for request in answering:
                request.times.append(self.clock)
                self.known.update(self.blocks(request.prompt) if len(request.times) == 1 else ())
            running = [request for request in running if len(request.times) < request.answer]
        return self


def paged_attention(q: Tensor, k_pool: Tensor, v_pool: Tensor, table: Tensor, length: int) -> Tensor:
    """One query over keys that lie scattered in pages: (H, d), (P, BLOCK, H, d) twice, (pages,) -> (H, d)."""
    k, v = (pool[table].flatten(0, 1)[:length] for pool in (k_pool, v_pool))  # page table: logical -> physical
    scores = torch.einsum("hd,thd->ht", q, k) / math.sqrt(q.shape[-1])
    return torch.einsum("ht,thd->hd", scores.softmax(-1), v)


# %% its control


def batch_by_batch(requests: list[Request]) -> float:
    """Closed form: how long static batches take if all requests are there at the start."""
    seconds = 0.0
    for i in range(0, len(requests), SLOTS):
        batch = requests[i : i + SLOTS]
        seconds += STEP * max(r.answer for r in batch)  # the longest answer holds all slots
        seconds += sum(PREFILL * len(r.prompt) + DECODE * (r.answer - 1) for r in batch)
    return seconds


# %% the experiment


def crowd(n: int, rate: float, seed: int) -> list[Request]:
    """Poisson arrivals; the streams of arrivals, prompts and answers are apart. An infinite rate: all at once."""
    arrivals, prompts, answers = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    at = (torch.empty(n).exponential_(generator=arrivals).double().cumsum(0) / rate).tolist()
    system = torch.randint(10**6, (4, 256), generator=prompts).tolist()
    made = []
    for arrival in at:
        which, own = int(torch.randint(4, (), generator=prompts)), int(torch.randint(16, 65, (), generator=prompts))
        own = own + 1024 * (torch.rand((), generator=prompts) < 0.1).item()
        answer = int(torch.empty(()).exponential_(1 / 48, generator=answers).ceil().clamp(1, LONGEST))
        question = torch.randint(10**6, (int(own),), generator=prompts).tolist()
        made.append(Request(arrival, system[which] + question, answer))
    return made


def waits(served: list[Request]) -> tuple[float, float, float]:
    """Mean time to the first token (TTFT), mean for each later one (TPOT), and the longest between two."""
    answering = sum(r.times[-1] - r.times[0] for r in served) / sum(r.answer - 1 for r in served)
    longest = max(b - a for r in served for a, b in pairwise(r.times))
    return sum(r.times[0] - r.arrival for r in served) / len(served), answering, longest


def uncached(seed: int) -> tuple[float, float]:
    """Tokens that the engine reads, and all tokens, less those that a search of all earlier prompts leaves to read."""
    order = torch.randint(2, (60, 3), generator=torch.Generator().manual_seed(3 * seed)).tolist()
    prompts, left = [[kind for kind in kinds for _ in range(BLOCK)] for kinds in order], 0
    for i, prompt in enumerate(prompts):
        unlike = [[k for k in range(3 * BLOCK) if prompt[k] != old[k]] or [3 * BLOCK] for old in prompts[:i]]
        shared = max((differing[0] for differing in unlike), default=0)
        left += len(prompt) - min(shared, len(prompt) - 1)
    engine = Engine(cached=True).serve([Request(10.0 * i, prompt, 3) for i, prompt in enumerate(prompts)])
    return float(abs(engine.read - left)), float(sum(map(len, prompts)) - left)


def lindley(seed: int, n: int = 5000) -> tuple[float, float]:
    """One slot, equal work: largest gap of a wait to Lindley's recursion, and to one that lets no queue idle."""
    service, load = STEP + PREFILL, 0.5
    between = torch.empty(n).exponential_(generator=torch.Generator().manual_seed(3 * seed)).double() * service / load
    served = [Request(arrival, [0], 1) for arrival in between.cumsum(0).tolist()]
    Engine(slots=1).serve(served)
    wait, walk, gaps = 0.0, 0.0, [0.0, 0.0]
    for request, gap in zip(served[1:], between[1:].tolist(), strict=True):
        now = request.times[0] - service - request.arrival
        wait, walk = max(0.0, wait + service - gap), walk + service - gap  # W' = max(0, W + S - A)
        gaps = [max(gaps[0], abs(now - wait)), max(gaps[1], abs(now - walk))]
    return gaps[0], gaps[1]


def paged_gap(seed: int, device: str, swapped: bool = False) -> float:
    """Two sequences that share the pages of their prompt, to F.scaled_dot_product_attention, with gradients; f32."""
    g, d = torch.Generator().manual_seed(3 * seed), 8
    pools = [torch.randn(12, BLOCK, 2, d, generator=g).to(device).requires_grad_() for _ in range(2)]
    q, pages = (t.to(device) for t in (torch.randn(2, 2, d, generator=g), torch.randperm(12, generator=g)))
    ours, theirs, found = [], [], []
    q.requires_grad_()
    for own, n, query in ((pages[2:5], 75, q[0]), (pages[5:7], 61, q[1])):
        table = torch.cat([pages[:2], own])
        ours.append(paged_attention(query, *pools, table.flip(0) if swapped else table, n))
        k, v = (torch.cat([pool[page] for page in table.tolist()])[:n].transpose(0, 1) for pool in pools)
        theirs.append(F.scaled_dot_product_attention(query[:, None], k, v)[:, 0])
    for y in (torch.stack(ours), torch.stack(theirs)):
        loss = (y * torch.linspace(-1, 1, d).to(device)).sum()
        found.append([y, *torch.autograd.grad(loss, [q, *pools], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=12):
    curves: dict[str, list[float]] = {"static": [], "continuous": []}
    rates = [0.5 + 3.5 * (step + 1) / steps for step in range(steps)]
    for step, rate in enumerate(rates):
        for name in curves:
            Engine(continuous=name == "continuous").serve(asked := crowd(REQUESTS, rate, seed))
            curves[name].append(waits(asked)[0])
        yield (step + 1) / steps, {name: seconds[-1] for name, seconds in curves.items()}

    ways = {
        "static": {"continuous": False},
        "continuous": {},
        "with chunks": {"chunk": CHUNK},
        "with a cache": {"cached": True},
        "with both": {"chunk": CHUNK, "cached": True},
    }
    rows, pace, found, laws, lawless, unused = [], {}, {}, [], [], {}
    for name, way in ways.items():
        whole = Engine(**way).serve(full := crowd(REQUESTS, math.inf, seed)).clock
        pace[name] = sum(r.answer for r in full) / whole
        if name == "static":
            laws.append(abs(whole - batch_by_batch(full)))
        engine = Engine(**way).serve(asked := crowd(REQUESTS, RATE, seed))
        found[name] = waits(asked)
        laws.append(abs(engine.area - sum(r.times[-1] - r.admitted for r in asked)))  # Little: L = rate x mean stay
        lawless.append(abs(engine.area - sum(r.times[-1] - r.arrival for r in asked)))
        unused[name] = [100 - 100 * engine.filled / held for held in (engine.paged, engine.reserved)]
        rows.append(
            [name, *(f"{value:.0f}" for value in (*(1000 * t for t in found[name]), pace[name], *unused[name]))]
        )
    queue, never_idle = lindley(seed)
    cache, without = uncached(seed)
    return {
        "continuous_pace": pace["continuous"],
        "static_pace": pace["static"],
        "cached_ttft": found["with a cache"][0],
        "uncached_ttft": found["continuous"][0],
        "chunked_stall": found["with chunks"][2],
        "whole_stall": found["continuous"][2],
        "paged_empty": unused["continuous"][0],
        "reserved_empty": unused["continuous"][1],
        "paged_gap": paged_gap(seed, device),
        "swapped_gap": paged_gap(seed, device, swapped=True),
        "wait_gap": queue,
        "idle_gap": never_idle,
        "stay_gap": max(laws),
        "queued_gap": min(lawless),
        "unread_gap": cache,
        "anew_gap": without,
    }, {
        "mean time to the first token by load: a simulation": {
            "kind": "lines",
            "series": {name: (rates, seconds) for name, seconds in curves.items()},
            "x": "requests per second",
            "y": "seconds",
            "log": "y",
        },
        "one GPU, simulated: milliseconds, and tokens per second when all come at once": {
            "kind": "table",
            "columns": ["batching", "TTFT", "TPOT", "longest", "tokens/s", "pages: % empty", "reserved: % empty"],
            "rows": rows,
        },
    }


# %% what is claimed

TITLE = {"en": "Continuous batching answers about twice as much (simulated)", "zh": "连续批处理：吞吐约两倍（模拟）"}
CURVES = "mean time to the first token"
CPU_SECONDS = 1
CLAIMS = {
    "parity continuous_pace >= 315 > static_pace >= 160": {
        "en": "tokens per simulated second when all requests are there at the start; the control is static batches",
        "zh": "所有请求一开始就到齐时，每模拟秒产出的词元数；对照是静态批处理",
    },
    "parity cached_ttft <= 0.062 < uncached_ttft <= 0.1": {
        "en": "mean simulated seconds to the first token at 3 requests a second, with a cache of prompts; the control "
        "reads each prompt anew",
        "zh": "每秒 3 个请求、使用提示词缓存时首词元的平均延迟（模拟秒）；对照每次重读整个提示词",
    },
    "parity chunked_stall <= 0.0535 < whole_stall <= 0.5": {
        "en": "longest simulated wait for a token after the first, prompts read in chunks of 256 tokens; the control "
        "reads each prompt in one piece",
        "zh": "提示词按 256 词元分块读入时，首词元之后最长的一次等待（模拟秒）；对照一次读完整条提示词",
    },
    "parity paged_empty <= 4 < reserved_empty <= 50": {
        "en": "% of KV memory that is empty, in pages of 16 tokens; the control reserves room for the longest answer",
        "zh": "按 16 词元分页时 KV 显存的空置百分比；对照为最长的回答预留空间",
    },
    "parity paged_gap <= 1e-5 < swapped_gap": {
        "en": "largest gap of attention over scattered, shared pages to F.scaled_dot_product_attention, in outputs and "
        "gradients (f32); the control reads the page table backwards",
        "zh": "在分散且共享的页上做注意力，与 F.scaled_dot_product_attention 在输出与梯度上的最大差距（f32）；"
        "对照倒着读页表",
    },
    "parity wait_gap <= 1e-9 < idle_gap": {
        "en": "largest gap of a wait in the engine's queue to Lindley's recursion, one slot and equal work (seconds); "
        "the control lets no queue idle",
        "zh": "单个槽位、等长任务时，引擎队列中的等待与 Lindley 递推的最大差距（秒）；对照不许队列空闲",
    },
    "parity stay_gap <= 1e-9 < queued_gap": {
        "en": "largest gap of occupied slots over time to the sum of all stays (Little's law), and of static batches "
        "to their closed form (seconds); the control counts the time in the queue as well",
        "zh": "占用槽位对时间的积分与所有停留时间之和（Little 定律）的差距，以及静态批与其闭式解的差距，取最大（秒）；"
        "对照把排队时间也算进去",
    },
    "parity unread_gap <= 0 < anew_gap": {
        "en": "gap of the tokens that the engine reads with a cache to those that a search of all earlier prompts "
        "leaves to read; the control reads each prompt anew",
        "zh": "使用缓存时引擎读入的词元数，与逐一比对此前所有提示词后应读词元数之差；对照每次重读整个提示词",
    },
}
ZH = {
    "mean time to the first token": "首词元平均延迟",
    "static": "静态批处理",
    "continuous": "连续批处理",
    "with chunks": "加分块",
    "with a cache": "加缓存",
    "with both": "都加",
    "mean time to the first token by load: a simulation": "不同负载下的首词元平均延迟（模拟）",
    "requests per second": "每秒请求数",
    "seconds": "秒",
    "one GPU, simulated: milliseconds, and tokens per second when all come at once": "模拟的一块 GPU：毫秒；"
    "以及请求一次到齐时每秒的词元数",
    "batching": "批处理方式",
    "longest": "最长间隔",
    "tokens/s": "词元/秒",
    "pages: % empty": "分页空置 %",
    "reserved: % empty": "预留空置 %",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
