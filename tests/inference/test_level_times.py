"""Times of levels: one for each, in the order of their cost."""

from __future__ import annotations

import time

import pytest
import torch

from napari_unetpp.inference import measure_levels

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")


@pytest.mark.parametrize("dims", [2, 3])
def test_every_level_has_a_time(make_model, dims):
    model = make_model(spatial_dims=dims, widths=(8, 16, 32, 64))
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    start = time.monotonic()
    found = measure_levels(model, CPU, "run")
    assert time.monotonic() - start < 20  # two seconds where nobody else works
    assert found.run_id == "run"
    assert len(found.seconds_per_mpx) == 3
    assert all(seconds > 0 for seconds in found.seconds_per_mpx)
    assert found.seconds_per_mpx[0] < found.seconds_per_mpx[2]
    assert found.accurate > found.seconds_per_mpx[0]
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_network_of_one_head_has_one_time(make_model):
    found = measure_levels(make_model(architecture="unet"), CPU, "run")
    assert len(found.seconds_per_mpx) == 1
