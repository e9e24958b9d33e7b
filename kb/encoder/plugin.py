"""GPUs of any maker for the plain build of ONNX Runtime: its WebGPU plugin, a package that stands beside it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

PACKAGE = "onnxruntime_ep_webgpu"
PROVIDER = "WebGpuExecutionProvider"


def plugin_gpus(runtime: Any) -> list[Any]:
    """The GPUs that the plugin offers to an ONNX Runtime; none where it is not installed or does not fit."""
    if find_spec(PACKAGE) is None or not hasattr(runtime, "register_execution_provider_library"):
        return []
    if not (there := _offered(runtime)):
        try:
            runtime.register_execution_provider_library("webgpu", import_module(PACKAGE).get_library_path())
        except Exception:  # ONNX Runtime's errors share no base class: too old for the plugin, or asked before
            return []
        there = _offered(runtime)
    return there


def _offered(runtime: Any) -> list[Any]:
    gpu = runtime.OrtHardwareDeviceType.GPU
    return [found for found in runtime.get_ep_devices() if found.ep_name == PROVIDER and found.device.type == gpu]
