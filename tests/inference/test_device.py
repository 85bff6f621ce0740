"""Finding devices, and saying what is wrong with them."""

from __future__ import annotations

import pytest
import torch

from napari_unetpp.errors import DeviceError
from napari_unetpp.inference import (
    Predictor,
    cuda_hint,
    devices,
    free_memory,
    resolve_device,
)
from napari_unetpp.inference._device import _machine_memory

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")


def test_the_cpu_is_always_there():
    cpu = devices()[-1]
    assert cpu.name == "cpu"
    assert 0 < cpu.free_bytes <= cpu.total_bytes
    assert resolve_device("cpu") == torch.device("cpu")


def test_auto_is_the_first_device():
    assert str(resolve_device("auto")) == devices()[0].name


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "", "cpu:1", "cuda:-1"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(DeviceError) as caught:
        resolve_device(name)
    assert repr(name) in str(caught.value)
    assert "cpu" in str(caught.value)  # what there is


@no_gpu
def test_a_missing_gpu_is_refused():
    with pytest.raises(DeviceError, match="'cuda' is not there"):
        resolve_device("cuda")


@no_gpu
def test_an_idle_nvidia_card_is_pointed_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    driver = tmp_path / "version"
    assert cuda_hint(driver) is None
    driver.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module")
    assert "NVIDIA card" in cuda_hint(driver)
    driver.unlink()
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert "NVIDIA card" in cuda_hint(driver)
    if torch.version.cuda is None:
        assert "CPU only" in cuda_hint(driver)
        with pytest.raises(DeviceError, match="CUDA build"):
            resolve_device("cuda:0")


def test_free_memory_of_the_cpu(tmp_path):
    assert free_memory(torch.device("cpu")) > 2**20
    info = tmp_path / "meminfo"
    info.write_text("MemTotal:  2000 kB\nMemFree: 5 kB\nMemAvailable:  1500 kB\n")
    assert _machine_memory(info) == (1500 * 1024, 2000 * 1024)
    free, total = _machine_memory(tmp_path / "not there")
    assert 0 < free <= total


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu(lively_model, noise):
    x = noise(2, 1, 128, 160).astype("float32") / 4000
    outputs = []
    for name in ("cpu", "cuda:0"):
        predictor = Predictor(lively_model, resolve_device(name))
        outputs.append(predictor.predict_batch(x))
        predictor.close()
    assert abs(outputs[0] - outputs[1]).max() < 5e-3  # convolutions in TF32
    assert free_memory(torch.device("cuda:0")) > 0
