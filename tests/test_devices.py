"""Every demo on a second device, without owning one: real numbers in tensors that refuse what a GPU refuses.

A `Remote` tensor says that it lives on the device `meta`; its numbers lie inside, on the CPU. The mode `SecondDevice`
computes with them, so that a demo runs to its end, and raises where a GPU does: tensors of two devices in one
operation, numpy on device tensors. It also raises where only some GPUs do (float64, products of integers) and where two
runs of one seed may differ (random draws on the device, sums in no fixed order).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from kb.demos._exam import drain
from kb.lab.runner import Demo, all_demos

MOVES = {"copy_", "_to_copy"}  # what may join two devices
PRODUCTS = {"mm", "bmm", "mv", "dot", "addmm", "baddbmm"}  # of integers: not on CUDA
UNORDERED = set(  # sums on CUDA, see torch.use_deterministic_algorithms; a scatter only where two meet
    "index_add index_add_ index_reduce put_ histc kthvalue nll_loss2d_forward _ctc_loss_backward _embedding_bag "
    "grid_sampler_2d_backward upsample_bilinear2d_backward upsample_nearest2d_backward _adaptive_avg_pool2d_backward "
    "adaptive_max_pool2d_backward".split()
)
ALL_ON_THE_CPU = {"bias-variance"}  # least squares on 20 points in float64: the demo says so
SMALLER = {  # constants that only make this test slow
    "diffusion-ddpm": {"SAMPLES": 100},
    "object-detection-yolo": {"SCENES": 40, "TESTS": 10},
    "seq2seq-attention": {"LONGEST": 6},
    "sgd-minibatch": {"TRAIN": 200, "STREAM": 10},
    "speech-recognition-ctc": {"TRAIN": 32},
    "transfer-learning": {"DRAWS": 1, "TUNING": 2},
}


class Remote(Tensor):
    """A tensor of the second device; `inside` are its numbers."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    inside: Tensor

    @staticmethod
    def __new__(cls, inside: Tensor) -> Remote:
        layout = inside.shape, inside.stride(), inside.storage_offset()
        remote = Tensor._make_wrapper_subclass(cls, *layout, dtype=inside.dtype, device="meta")
        remote.inside = inside
        return remote

    @classmethod
    def __torch_dispatch__(cls, func: Any, *_: Any) -> None:
        raise RuntimeError(f"{func} on a tensor that stayed on the second device")

    def tolist(self) -> Any:  # torch refuses it to subclasses
        return self.cpu().tolist()


def each(change: Callable[[Tensor], Any], value: Any) -> Any:
    """The value with its tensors changed, in lists and tuples too."""
    if isinstance(value, list | tuple):
        return type(value)([each(change, part) for part in value])
    return change(value) if isinstance(value, Tensor) else value


class SecondDevice(TorchDispatchMode):
    """Sees every operation below autograd; those of CPU tensors alone pass untouched."""

    operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        wanted, name = kwargs.get("device"), func.overloadpacket.__name__
        there = Remote in types if wanted is None else torch.device(wanted).type == "meta"
        if not there and Remote not in types:
            return func(*args, **kwargs)
        self.operations += 1
        remotes: dict[int, Tensor] = {}
        local: list[Tensor] = []

        def reach(t: Tensor) -> Tensor:
            if type(t) is Remote:
                remotes[id(t.inside)] = t
                return t.inside
            local.append(t)
            return t

        inner, options = each(reach, list(args)), {key: each(reach, value) for key, value in kwargs.items()}
        if there:
            self.refuse(func, name, inner, options)
        if name in {"index", "index_put", "index_put_", "_index_put_impl_"}:  # the indices may be on the CPU
            local = [t for t in (args[0], *args[2:]) if isinstance(t, Tensor) and type(t) is not Remote]
        if name not in MOVES and any(t.dim() or name in {"cat", "stack"} for t in local):  # a CPU scalar may join
            raise RuntimeError(f"{name}: tensors of two devices")

        def deliver(t: Tensor) -> Tensor:
            if not there or id(t) in remotes or any(t is one for one in local):  # changed in place
                return remotes.get(id(t), t)
            if t.dtype == torch.float64:
                raise RuntimeError(f"{name}: MPS has no float64")
            return Remote(t)

        return each(deliver, func(*inner, **options | ({} if wanted is None else {"device": "cpu"})))

    def refuse(self, func: Any, name: str, args: list[Any], options: dict[str, Any]) -> None:
        """Raise where some GPUs do, or where two runs would differ."""
        if torch.Tag.nondeterministic_seeded in func.tags or options.get("generator") is not None:
            raise RuntimeError(f"{name}: random numbers drawn on the device")
        if name in PRODUCTS and not args[0].is_floating_point():
            raise RuntimeError(f"{name}: CUDA has no product of integers")
        collides = name.startswith("scatter_add") and (args[2].sort(args[1]).values.diff(dim=args[1]) == 0).any()
        if name in UNORDERED or collides:
            raise RuntimeError(f"{name}: sums in no fixed order on CUDA, so one seed gives many results")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> SecondDevice:
    """The second device, which calls itself `meta`; it is there inside of `with device`."""
    make, autocast = torch.tensor, torch.autocast
    torch.set_num_threads(1)  # as the runner does

    def tensor(data: Any, *, device: str = "cpu", **options: Any) -> Tensor:
        return make(data, **options).to(device)  # no mode sees how torch.tensor moves its numbers

    monkeypatch.setattr(torch, "tensor", tensor)
    monkeypatch.setattr(torch, "autocast", lambda _, **options: autocast("cpu", **options))
    return SecondDevice()


@pytest.mark.demo
@pytest.mark.parametrize("demo", all_demos(), ids=lambda demo: demo.id)
def test_a_demo_keeps_its_devices_apart(demo: Demo, device: SecondDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    if demo.missing:
        pytest.fail(f"install what it needs: {demo.missing}")
    module = import_module(f"kb.demos.{demo.path.stem}")
    for constant, value in SMALLER.get(demo.id, {}).items():
        monkeypatch.setattr(module, constant, value)
    with device:
        measured, figures = drain(module.run(device="meta", seed=0, steps=2))
    assert (device.operations == 0) == (demo.id in ALL_ON_THE_CPU)
    assert "Remote" not in repr((measured, figures))  # what is reported has come back
    here, _ = drain(module.run(device="cpu", seed=0, steps=2))
    timed = {name for claim in demo.claims if claim.kind == "timing" for name in (claim.name, claim.control)}
    for name in here.keys() - timed:  # the same numbers in both places
        assert measured[name] == pytest.approx(here[name], rel=0.01, abs=0.01, nan_ok=True), name


FAULTS = {
    "two devices": (
        lambda d: torch.ones(3, device=d) + torch.ones(3),
        lambda d: torch.ones(3).sub_(torch.ones(3, device=d)),
        lambda d: torch.ones(3, 3, device=d) @ torch.ones(3, 3),
        lambda d: torch.where(torch.ones(3) > 0, torch.ones(3, device=d), 0),
        lambda d: torch.stack([torch.ones((), device=d), torch.ones(())]),
        lambda d: torch.ones(3, device=d).__setitem__(torch.ones(3) > 0, torch.ones(3)),
        lambda d: torch.ones(3)[torch.zeros(2, dtype=torch.long, device=d)],
        lambda d: nn.Linear(3, 1)(torch.ones(2, 3, device=d)),
        lambda d: nn.Conv2d(1, 1, 3).to(d)(torch.ones(1, 1, 4, 4)),
        lambda d: F.cross_entropy(torch.ones(4, 3, device=d), torch.zeros(4, dtype=torch.long)),
    ),
    "numpy": (lambda d: np.asarray(torch.ones(3, device=d)), lambda d: torch.ones(3, device=d).numpy()),
    "random": (
        lambda d: torch.randn(3, device=d),
        lambda d: torch.rand(3, generator=torch.Generator(), device=d),
        lambda d: torch.rand_like(torch.ones(3, device=d)),
        lambda d: F.dropout(torch.ones(3, device=d)),
    ),
    "float64": (lambda d: torch.ones(3, device=d).double(), lambda d: torch.eye(3, dtype=torch.float64).to(d)),
    "integers": (lambda d: torch.eye(3, dtype=torch.long, device=d) @ torch.eye(3).long().to(d),),
    "no fixed order": (
        lambda d: torch.ones(1, requires_grad=True).to(d).gather(0, torch.tensor([0, 0], device=d)).sum().backward(),
    ),
}


@pytest.mark.parametrize(("said", "fault"), [(said, fault) for said, faults in FAULTS.items() for fault in faults])
def test_a_planted_fault_is_caught(said: str, fault: Callable[[str], Any], device: SecondDevice) -> None:
    fault("cpu")
    with device, pytest.raises((RuntimeError, TypeError), match=said):
        fault("meta")


def test_what_a_gpu_permits_is_permitted(device: SecondDevice) -> None:
    with device:
        there, rows = torch.tensor([[1.0, 2.0], [3.0, 4.0]], device="meta"), torch.tensor([1, 0])
        assert there.device.type == "meta"
        assert (there * torch.tensor(2.0)).tolist() == [[2, 4], [6, 8]]  # a CPU scalar
        assert there[rows].cpu().tolist() == [[3, 4], [1, 2]]  # CPU indices
        assert there[there > 2].sum().item() == float(there.max()) + int(there[1, 0]) == 7  # its own mask
        there[0] -= 1  # in place, through a view
        there[:, 1] = torch.tensor([8.0, 9.0]).to("meta")
        assert there.cpu().numpy().tolist() == [[0, 8], [3, 9]]
        net = nn.Linear(2, 1).to("meta")
        net(there).sum().backward()
        assert net.weight.grad.tolist() == [[3, 17]]
        assert torch.zeros(2, 2).copy_(there).tolist() == there.tolist()
