"""Which GPU this machine has, found out without importing torch."""

from __future__ import annotations

import ctypes
import platform
import re
import sys
from importlib.util import find_spec
from pathlib import Path

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
