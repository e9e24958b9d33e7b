"""Which devices this machine has: GPUs found out without importing torch, and what torch makes of a name."""

from __future__ import annotations

import ctypes
import platform
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from kb.errors import KbError, Way
from kb.language.text import Bilingual

_DRIVERS = ("libcuda.so.1", "nvcuda.dll")


def cuda_devices() -> int:
    """How many NVIDIA GPUs the driver lets this process use (CUDA_VISIBLE_DEVICES counts); 0 without a driver."""
    for name in _DRIVERS:
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            continue
        count = ctypes.c_int(0)
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    return 0


def torch_gpu() -> str:
    """The GPU that the installed torch was built for and that is here: cuda, mps, or nothing."""
    found = find_spec("torch")  # of a top-level package: looked up, not imported
    if found is None or found.origin is None:
        return ""
    if sys.platform == "darwin":
        return "mps" if platform.machine() == "arm64" else ""
    try:
        version = (Path(found.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return ""
    is_cuda = re.search(r"^cuda\b[^=]*= *['\"]", version, re.MULTILINE) is not None
    return "cuda" if is_cuda and cuda_devices() else ""


def choose_device(wanted: str) -> str:
    """The torch device that a name means here; `auto` takes a GPU where there is one.

    Raises:
        KbError: the device is not there, or the name is none.
    """
    import torch

    here = ["cpu"]
    if torch.cuda.is_available():
        here += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        here.append("mps")
    if wanted == "auto":
        return "cuda" if "cuda" in here else "mps" if "mps" in here else "cpu"
    if wanted in here:
        return wanted
    listed = ", ".join(here)
    built = "" if torch.version.cuda or not wanted.startswith("cuda") else " (this PyTorch is a build without CUDA)"
    built_zh = "（当前 PyTorch 不含 CUDA 支持）" if built else ""
    raise KbError(
        Bilingual(f"no device '{wanted}' here{built}", f"这台机器上没有设备“{wanted}”{built_zh}"),
        Bilingual(f"available: {listed}", f"可用设备：{listed}"),
        [Way("cpu")],
    )
