"""The network on its device."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from napari_unetpp.errors import SettingsError
from napari_unetpp.inference import Predictor

CPU = torch.device("cpu")


def test_probabilities_of_all_heads(lively_model):
    x = np.random.default_rng(0).random((2, 1, 48, 64), np.float32)
    found = Predictor(lively_model, CPU).predict_batch(x)
    assert found.shape == (2, 3, 3, 48, 64)
    assert found.dtype == np.float32
    assert np.allclose(found.sum(axis=2), 1, atol=1e-5)


def test_what_lies_deeper_is_not_there(lively_model):
    shallow = Predictor(lively_model, CPU, level=1, mode="fast")
    assert shallow.config.depth == 1
    assert shallow.head_names == ("head 1",)
    deep = Predictor(lively_model, CPU)
    x = np.random.default_rng(0).random((1, 1, 48, 64), np.float32)
    assert np.allclose(
        shallow.predict_batch(x)[:, 0], deep.predict_batch(x)[:, 0], atol=1e-6
    )


def test_one_class_is_a_sigmoid(make_model):
    model = make_model(widths=(4, 8, 16))
    config = model.config.model_copy(
        update={
            "task": "classes",
            "network": model.config.network.model_copy(update={"out_channels": 1}),
            "class_names": ("cell",),
            "class_values": (1,),
        }
    )
    one = type(model).new(config)
    found = Predictor(one, CPU).predict_batch(np.zeros((1, 1, 16, 16), np.float32))
    assert found.shape == (1, 2, 1, 16, 16)
    assert (found > 0).all()
    assert (found < 1).all()


@pytest.mark.parametrize("level", [0, 4, -1])
def test_a_level_that_is_not_there(lively_model, level):
    with pytest.raises(SettingsError, match="level"):
        Predictor(lively_model, CPU, level=level)


def test_a_unet_has_only_its_last_level(make_model):
    unet = make_model(widths=(4, 8, 16), architecture="unet")
    with pytest.raises(SettingsError, match="U-Net has no heads but the last"):
        Predictor(unet, CPU, level=1)


def test_a_closed_predictor_says_so(lively_model):
    predictor = Predictor(lively_model, CPU)
    predictor.close()
    with pytest.raises(RuntimeError, match="closed"):
        predictor.predict_batch(np.zeros((1, 1, 16, 16), np.float32))


_MEASURE = """
import sys
from pathlib import Path
import numpy as np, torch
from napari_unetpp.config import INSTANCE_CLASSES, ModelConfig, NetworkConfig
from napari_unetpp.inference import LivePredictor, Predictor
from napari_unetpp.inference._predictor import bytes_per_pixel
from napari_unetpp.nn import Model
network = NetworkConfig(out_channels=3, widths=(16, 32, 64, 128))
config = ModelConfig(network=network, task="instances",
                     class_names=INSTANCE_CLASSES, class_values=(0, 1, 2))
model = Model.new(config)
if sys.argv[1] == "live":
    predictor = LivePredictor(model)
    expected = 512**2 * bytes_per_pixel(network)
else:
    predictor = Predictor(model, torch.device("cpu"), precision=sys.argv[1])
    expected = predictor.tile_bytes((512, 512))
predictor.predict_batch(np.zeros((1, 1, 64, 64), np.float32))
def peak():  # in bytes
    rows = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(row.split()[1]) for row in rows if "VmHWM" in row)
before = peak()
predictor.predict_batch(np.zeros((1, 1, 512, 512), np.float32))
print((peak() - before) / expected)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["live", "bfloat16"])
def test_memory_is_estimated_from_above(kind):
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, kind],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 0.3 < float(done.stdout) < 1.1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_stream_has_the_bits_of_a_tile(lively_model, precision):
    predictor = Predictor(lively_model, CPU, level=2, precision=precision)
    x = np.random.default_rng(0).random((2, 1, 64, 80), np.float32)
    tiles = predictor.predict_batch(x)
    stream = predictor.stream((80,), n_rows=64)
    rows = [x[1, :, start : start + 16] for start in range(0, 64, 16)]
    found = [stream.push(each) for each in rows[:-1]]
    found.append(stream.push(rows[-1], last=True))
    assert np.array_equal(np.concatenate(found, axis=2), tiles[1])
    part = predictor.predict_batch(x, ((8, 24), (0, 40)))
    assert np.array_equal(part, tiles[..., 8:24, 0:40])


def test_temperatures_count(lively_model):
    config = lively_model.config.model_copy(update={"temperatures": (1.0, 2.0, 4.0)})
    x = np.random.default_rng(0).random((1, 1, 32, 32), np.float32)
    cool = Predictor(lively_model, CPU).predict_batch(x)[0]
    warm = Predictor(type(lively_model)(lively_model.network, config), CPU)
    found = warm.predict_batch(x)[0]
    assert np.array_equal(found[0], cool[0])
    for head, t in ((1, 2.0), (2, 4.0)):
        exact = cool[head] ** (1 / t)
        assert np.allclose(found[head], exact / exact.sum(axis=0), atol=1e-5)


def test_a_closed_predictor_has_no_streams(lively_model):
    predictor = Predictor(lively_model, CPU)
    predictor.close()
    with pytest.raises(RuntimeError, match="open has streams"):
        predictor.stream((16,))


@pytest.mark.parametrize("dims", [2, 3])
def test_the_number_of_threads_does_not_show(make_model, dims):
    size = (48, 64, 80)[-dims:]
    predictor = Predictor(make_model(spatial_dims=dims), torch.device("cpu"))
    x = np.random.default_rng(1).random((1, 1, *size), dtype=np.float32)
    before = torch.get_num_threads()
    found = []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            found.append(predictor.predict_batch(x))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
