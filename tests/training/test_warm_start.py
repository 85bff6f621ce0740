import numpy as np
import pytest
import torch

import packages
from napari_unetpp.arrays import Image, LabelRule
from napari_unetpp.errors import SettingsError
from napari_unetpp.io import as_image, import_package, read_labels
from napari_unetpp.training._prepare import LabelledImage, new_model
from napari_unetpp.training._warm_start import warm_start


def model(values=(1, 2), channels=1, seed=0, dims=2, names=None, size="small"):
    shape = (8, 8, 8)[:dims]
    data = np.zeros((channels, *shape), np.uint8)
    axes = "C" + "ZYX"[-dims:]
    image = Image(data, axes, (1.0,) * len(axes), ("pixel",) * len(axes))
    item = LabelledImage(image, read_labels(np.ones(shape, np.uint8)))
    rule = LabelRule(values, 0)
    return new_model([item], "classes", rule, size=size, seed=seed, class_names=names)


def same(a, b):
    return all(
        torch.equal(a.network.state_dict()[key], value)
        for key, value in b.network.state_dict().items()
    )


def test_the_same_classes_and_channels_keep_every_weight():
    base = model(seed=1)
    started, kept, words = warm_start(model(), base)
    assert same(started, base)
    assert kept == len(base.network.state_dict())
    assert words == f"{kept} of {kept} tensors of 'model' are kept"


def test_heads_keep_the_rows_of_classes_of_the_same_name():
    base = model((1, 2), seed=1, names={1: "axon", 2: "myelin"})
    start = model((3, 5, 7), names={3: "myelin", 5: "glia", 7: "axon"})
    started, _, words = warm_start(start, base)
    for j in "1234":
        head, old = started.network.heads[j].weight, base.network.heads[j].weight
        assert torch.equal(head[0], old[1])
        assert torch.equal(head[2], old[0])
        assert torch.equal(head[1], start.network.heads[j].weight[1])
    assert "heads keep myelin, axon and start anew for glia" in words


def test_other_classes_start_anew_with_the_seed_of_the_run():
    base = model((1, 2), seed=1, names={1: "a", 2: "b"})
    start = model((1, 2), names={1: "c", 2: "d"})
    started, _, words = warm_start(start, base)
    for j in "1234":
        assert torch.equal(
            started.network.heads[j].weight, start.network.heads[j].weight
        )
    assert "heads start anew" in words


def test_the_first_convolution_answers_equal_channels_as_before():
    base = model(seed=1).network.eval()
    started, _, words = warm_start(model(channels=3), model(seed=1))
    grey = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        before = base(grey)
        after = started.network.eval()(grey.expand(1, 3, 32, 32))
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert "from 1 to 3 channels" in words


def test_a_grey_base_takes_colour_images_but_not_other_channels():
    grey = model(seed=1)
    grey = type(grey)(grey.network, grey.config.model_copy(update={"channels": "grey"}))
    colour = as_image(np.zeros((8, 8, 3), np.uint8))
    stack = as_image(np.zeros((3, 8, 8), np.uint8), "CYX")
    labels = read_labels(np.ones((8, 8), np.uint8))
    start = model(channels=3)
    of_colour = warm_start(start, grey, [LabelledImage(colour, labels)]).model
    of_stack = warm_start(start, grey, [LabelledImage(stack, labels)]).model
    assert of_colour.config.channels == "grey"
    assert of_stack.config.channels == "as_is"
    assert of_stack.config.network.in_channels == 3


def test_the_size_is_that_of_the_base():
    started, _, words = warm_start(model(), model(size="base"))
    assert started.config.network.widths == (16, 32, 64, 128, 256)
    assert "the size is that of the base" in words


def test_a_base_of_another_dimension_is_refused():
    with pytest.raises(SettingsError, match=r"2-D.*3-D.*same dimension"):
        warm_start(model(dims=3), model())


def test_a_program_of_others_is_no_base(tmp_path):
    base = import_package(packages.sigmoid_package(tmp_path / "o.zip")[0])
    with pytest.raises(SettingsError, match="an imported program"):
        warm_start(model(), base)
