"""All of a training run: files and arrays in, a model file out."""

import numpy as np
import pytest
import tifffile
import torch

from napari_unetpp.config import AugmentConfig, TrainingConfig
from napari_unetpp.errors import (
    AxesError,
    ImageError,
    LabelsError,
    OutputError,
    OutputExistsError,
    TrainingError,
)
from napari_unetpp.io import load_model_file
from napari_unetpp.training import CheckpointSaved, TrainingFinished, train_model

CPU = torch.device("cpu")
SETTINGS = TrainingConfig(
    epochs=1, steps_per_epoch=2, batch=2, patch=16, augment=AugmentConfig(blur=0)
)


def squares(seed=0, shape=(40, 48)):
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint16)
    labels[..., 4:14, 4:14] = 1
    labels[..., 20:34, 24:40] = 2
    image = rng.integers(0, 30, shape) + 100 * (labels > 0)
    return image.astype(np.uint16), labels


def run(images, labels, **options):
    options = {"size": "small", "settings": SETTINGS} | options
    *_, last = train_model(images, labels, CPU, **options)
    assert isinstance(last, TrainingFinished)
    return last


def test_files_in_model_file_out(tmp_path):
    paths = []
    for k in range(5):
        image, labels = squares(k)
        paths.append((tmp_path / f"i{k}.tif", tmp_path / f"l{k}.tif"))
        tifffile.imwrite(paths[-1][0], image)
        tifffile.imwrite(paths[-1][1], labels)
    output = tmp_path / "cells.safetensors"
    images, labels = zip(*paths, strict=True)
    finished = run(images, labels, output=output)
    model = load_model_file(output)
    assert model.config.name == "cells"
    assert model.config.task == "instances"
    assert model.config.training["images"] == [f"i{k}" for k in range(5)]
    assert "1 of 5 images" in str(finished.record["held_out"])
    for name, value in finished.model.network.state_dict().items():
        assert torch.equal(model.network.state_dict()[name], value)
    assert not list(tmp_path.glob("*.checkpoint"))


def test_scribbles_train_the_classes_that_were_painted():
    image, truth = squares()
    scribbles = np.zeros_like(truth)
    scribbles[8, 5:12] = 7
    scribbles[2, :] = 3
    scribbles[30, 26:38] = 7
    model = run([image], [scribbles], task="classes", unlabelled=0).model
    assert model.config.class_values == (3, 7)
    assert model.config.class_names == ("class 3", "class 7")


def test_dense_labels_have_a_background():
    image, truth = squares()
    model = run([image], [truth], task="classes").model
    assert model.config.class_values == (0, 1, 2)
    assert model.config.class_names[0] == "background"


def test_few_images_are_validated_on_places():
    image, truth = squares()
    assert "longest axis" in run([image], [truth]).record["held_out"]


def test_stacks_train_in_3d_and_pool_less_where_planes_are_far_apart(tmp_path):
    image, truth = squares(shape=(8, 40, 48))
    path = tmp_path / "stack.tif"
    tifffile.imwrite(
        path,
        image,
        imagej=True,
        resolution=(5, 5),
        metadata={"axes": "ZYX", "spacing": 0.8, "unit": "um"},
    )
    network = run([path], [truth]).model.config.network
    assert network.spatial_dims == 3
    assert network.strides[0] == (1, 2, 2)
    assert network.strides[-1] == (2, 2, 2)
    assert run([path], [truth], spatial_dims=2).model.config.network.spatial_dims == 2


def test_colour_images_train_on_their_channels():
    image, truth = squares()
    colour = np.stack([image] * 3, axis=-1).astype(np.uint8)
    assert run([colour], [truth]).model.config.network.in_channels == 3


def test_axes_channel_and_nonfinite_pixels_are_as_told():
    image, truth = squares(shape=(3, 40, 48))
    colour = np.stack([np.zeros_like(image), image], axis=-1).astype(np.float32)
    colour[0, 0, 0, 1] = np.nan
    told = {"axes": "tyxc", "channel": 1}  # guessed: CZYX, and ZYX of the labels
    with pytest.raises(ImageError, match=r"^image: .*--nonfinite background"):
        run([colour], [truth], **told)
    network = run(
        [colour], [truth], **told, nonfinite="background"
    ).model.config.network
    assert (network.spatial_dims, network.in_channels) == (2, 1)


def test_a_warm_start_keeps_what_fits():
    image, truth = squares()
    base = run([image], [truth]).model
    same = run([image], [truth], base=base)
    assert same.record["weights_kept"] == len(base.network.state_dict())
    scribbles = run([image], [truth], base=base, task="classes")
    heads = sum(key.startswith("heads") for key in base.network.state_dict())
    assert scribbles.record["weights_kept"] == len(base.network.state_dict()) - heads


def test_an_unfinished_run_is_not_thrown_away_and_can_be_resumed(tmp_path):
    image, truth = squares()
    output = tmp_path / "m.safetensors"
    settings = SETTINGS.model_copy(update={"epochs": 3})
    events = train_model(
        [image], [truth], CPU, size="small", settings=settings, output=output
    )
    next(e for e in events if isinstance(e, CheckpointSaved))
    events.close()
    assert not output.exists()
    with pytest.raises(TrainingError, match="unfinished run"):
        run([image], [truth], settings=settings, output=output)
    run([image], [truth], settings=settings, output=output, resume=True)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_outputs_are_refused_before_any_work(tmp_path):
    image, truth = squares()
    taken = tmp_path / "taken.safetensors"
    taken.write_bytes(b"precious")
    with pytest.raises(OutputExistsError):
        run([image], [truth], output=taken)
    assert taken.read_bytes() == b"precious"
    with pytest.raises(OutputError, match="not a folder"):
        run([image], [truth], output=tmp_path / "no" / "m.safetensors")


def test_labels_that_do_not_fit_are_refused():
    image, truth = squares()
    with pytest.raises(LabelsError, match=r"\(40, 47\).*\(40, 48\)"):
        run([image], [truth[:, 1:]])
    with pytest.raises(LabelsError, match="2 images and 1 labels"):
        run([image, image], [truth])
    with pytest.raises(LabelsError, match="whole numbers"):
        run([image], [truth * 0.5])
    with pytest.raises(LabelsError, match="no object"):
        run([image], [np.zeros_like(truth)])
    with pytest.raises(LabelsError, match="classes"):
        run([image], [np.ones_like(truth)], task="classes")


def test_a_base_of_another_dimension_is_refused():
    stack, truth = squares(shape=(8, 40, 48))
    base = run([stack], [truth], spatial_dims=3).model
    with pytest.raises(AxesError, match="3-D"):
        run([stack[0]], [truth[0]], base=base)


def test_a_volume_is_needed_for_three_dimensions():
    image, truth = squares()
    with pytest.raises(AxesError, match="3-D"):
        run([image], [truth], spatial_dims=3)


def test_an_image_is_left_to_learn_from():
    pairs = [squares(seed) for seed in range(4)]
    settings = SETTINGS.model_copy(update={"validation_fraction": 0.95})
    images, truths = zip(*pairs, strict=True)
    assert run(images, truths, settings=settings).record["n_images"] == 1
