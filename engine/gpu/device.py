"""Choose an adapter, ask for features once, and say in one line what cannot work."""

import logging
from dataclasses import dataclass, field
from typing import Any

import wgpu
from wgpu.backends import wgpu_native
from wgpu.backends.wgpu_native import extras

log = logging.getLogger("engine")

# Without these nothing runs: the visibility buffer is one 64-bit atomicMax per sample.
REQUIRED_FEATURES = ("shader-int64", "shader-int64-atomic-min-max", "subgroup", "subgroup-barrier", "immediates")
# What is gained by each of these.
OPTIONAL_FEATURES = {
    "shader-int64-atomic-all-ops": "persistent traversal (one 64-bit counter); without it: levels",
    "timestamp-query": "GPU milliseconds per pass",
    "timestamp-query-inside-encoders": "GPU milliseconds of a whole frame",
    "multi-draw-indirect-count": "hardware raster without a host-side count",
    "primitive-index": "the baseline triangles_hardware",
}


# Where the engine's tests ran; the second is Mesa's software driver, which any machine can install.
TESTED_ADAPTERS = ("NVIDIA H200", "llvmpipe")


class DeviceError(RuntimeError):
    """No adapter can run the engine; the text says why and what could."""


@dataclass
class Device:
    """An opened adapter. `features` are those asked for and granted; `limits` are wgpu's, by dashed name."""

    wgpu_device: wgpu.GPUDevice
    adapter: wgpu.GPUAdapter
    features: frozenset[str]
    limits: dict[str, int]
    indirect_validation: bool
    caches: dict[object, Any] = field(default_factory=dict)  # what is made once: layouts, modules, thresholds

    @property
    def adapter_name(self) -> str:
        return str(self.adapter.info["device"])

    @property
    def is_software(self) -> bool:
        """A CPU plays the GPU: few, long-lived workgroups suit it."""
        return self.adapter.info["adapter_type"] == "CPU"

    def describe(self) -> dict:
        """Return what runs here and why, ready for JSON."""
        info = self.adapter.info
        return {
            "adapter": self.adapter_name,
            "kind": str(info["adapter_type"]),
            "backend": str(info["backend_type"]),
            "driver": str(info["description"]),
            "vendor": str(info["vendor"]),
            "wgpu": wgpu.__version__,
            "wgpu_native": wgpu_native.__version__,  # which need not be the one that came with it
            "features": {name: name in self.features for name in (*REQUIRED_FEATURES, *OPTIONAL_FEATURES)},
            "indirect_validation": self.indirect_validation,
            "limits": {
                name: self.limits[name]
                for name in (
                    "max-storage-buffer-binding-size",
                    "max-buffer-size",
                    "max-compute-workgroup-storage-size",
                    "max-compute-workgroups-per-dimension",
                    "max-immediate-size",
                )
            },
        }


_instance_flags: bool | None = None


def _make_instance(indirect_validation: bool) -> None:
    """Create the wgpu instance once: its flags hold for the life of the process."""
    global _instance_flags
    if _instance_flags is None:
        flags = ["ValidationIndirectCall"] if indirect_validation else ["Empty"]
        extras.set_instance_extras(backends=["Vulkan"], flags=flags)
        _instance_flags = indirect_validation
    elif _instance_flags != indirect_validation:
        log.warning("indirect validation stays %s: it is fixed for the process", "on" if _instance_flags else "off")


def open_device(adapter: str | None = None, indirect_validation: bool = False) -> Device:
    """Open the adapter whose summary contains `adapter`, or the best one; raise DeviceError in one line.

    `indirect_validation` lets wgpu check each indirect dispatch on the GPU. The engine bounds its own
    counts, so it is off by default.
    """
    _make_instance(indirect_validation)
    adapters = wgpu.gpu.enumerate_adapters_sync()
    if not adapters:
        raise DeviceError("no Vulkan adapter found; install a driver (software: apt install mesa-vulkan-drivers)")
    chosen = [one for one in adapters if adapter is None or adapter.lower() in one.summary.lower()]
    if not chosen:
        names = "; ".join(one.summary for one in adapters)
        raise DeviceError(f"no adapter matches {adapter!r}; there are: {names}")
    able = [one for one in chosen if not _missing(one)]
    if not able:
        lacks = "; ".join(f"{one.summary} lacks {', '.join(_missing(one))}" for one in chosen)
        others = "; ".join(one.summary for one in adapters if not _missing(one))
        advice = f"choose one that has all: {others}" if others else "no adapter here has all"
        raise DeviceError(f"{lacks}; {advice} (tested: {', '.join(TESTED_ADAPTERS)})")
    ranks = {"DiscreteGPU": 0, "IntegratedGPU": 1, "VirtualGPU": 2, "CPU": 3}
    best = min(able, key=lambda one: ranks.get(one.info["adapter_type"], 4))
    features = frozenset((*REQUIRED_FEATURES, *(name for name in OPTIONAL_FEATURES if name in best.features)))
    device = best.request_device_sync(label="microlith", required_features=sorted(features))
    log.info("adapter: %s", best.summary)
    return Device(device, best, features, dict(device.limits), bool(_instance_flags))


def is_device_lost(error: Exception) -> bool:
    """Return whether an error of a wgpu call says that the device is gone, and with it all that was made on it."""
    return isinstance(error, wgpu.GPUError) and "is lost" in str(error)


def check_alive(device: Device) -> None:
    """Raise a wgpu.GPUError, for which `is_device_lost` holds, where the device is lost; takes some microseconds."""
    device.wgpu_device.create_buffer(label="probe", size=4, usage=wgpu.BufferUsage.COPY_DST)


def _missing(adapter: wgpu.GPUAdapter) -> list[str]:
    return [feature for feature in REQUIRED_FEATURES if feature not in adapter.features]
