"""Which adapter is opened, and what is said where none can be."""

from types import SimpleNamespace

import pytest
import wgpu

from engine.gpu import device as module
from engine.gpu.device import OPTIONAL_FEATURES, REQUIRED_FEATURES, DeviceError, open_device


def adapter(name: str, *missing: str, kind: str = "DiscreteGPU") -> SimpleNamespace:
    """Stand in for an adapter that has all features but those missing."""
    opened = SimpleNamespace(limits={"max-bind-groups": 4})
    return SimpleNamespace(
        summary=f"{name} ({kind}) via Vulkan",
        features={*REQUIRED_FEATURES, *OPTIONAL_FEATURES} - set(missing),
        info={"adapter_type": kind, "device": name},
        request_device_sync=lambda label, required_features: opened,
    )


@pytest.fixture
def present(monkeypatch):
    """Return `present(adapters)`, which makes them the adapters of this machine."""
    monkeypatch.setattr(module, "_make_instance", lambda indirect_validation: None)
    return lambda *adapters: monkeypatch.setattr(wgpu.gpu, "enumerate_adapters_sync", lambda: list(adapters))


def error_of(name: str | None = None) -> str:
    with pytest.raises(DeviceError) as caught:
        open_device(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_best_of_the_able_is_opened(present):
    software, gpu = adapter("llvmpipe", kind="CPU"), adapter("Card", "timestamp-query")
    present(software, adapter("Old", "subgroup"), gpu)
    opened = open_device()
    assert opened.adapter is gpu
    assert opened.features == gpu.features
    assert open_device("LLVM").is_software


def test_what_each_adapter_lacks_is_listed(present):
    present(adapter("Old", "subgroup", "immediates"), adapter("Older", "shader-int64"))
    text = error_of()
    assert "Old (DiscreteGPU) via Vulkan lacks subgroup, immediates; Older (DiscreteGPU) via Vulkan lacks" in text
    assert "no adapter here has all" in text
    assert "tested: NVIDIA H200, llvmpipe" in text


def test_another_adapter_that_can_is_named(present):
    present(adapter("Old", "subgroup"), adapter("Card"))
    text = error_of("old")
    assert "Old (DiscreteGPU) via Vulkan lacks subgroup; choose one that has all: Card (DiscreteGPU) via Vulkan" in text


def test_no_adapter_and_no_match(present):
    present()
    assert "no Vulkan adapter found" in error_of()
    present(adapter("Card"))
    assert error_of("other") == "no adapter matches 'other'; there are: Card (DiscreteGPU) via Vulkan"
