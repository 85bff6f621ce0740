"""All of a training run: files and arrays in, a model file out."""

import resource

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
    SettingsError,
    TrainingError,
)
from napari_unetpp.io import load_model_file
from napari_unetpp.training import (
    CheckpointSaved,
    EpochDone,
    LabelsTaken,
    Notice,
    StepDone,
    TrainingControl,
    TrainingFinished,
    read_checkpoint,
    train_model,
)

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
    assert "blocks" in run([image], [truth]).record["held_out"]


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
    first = next(
        train_model(
            [path], [truth], CPU, size="small", spatial_dims=2, settings=SETTINGS
        )
    )
    assert first.live.config.network.spatial_dims == 2


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
    painted = {0: "ground", 1: "cell", 2: "dirt"}  # none of them a class of the base
    other = run([image], [truth], base=base, task="classes", class_names=painted)
    heads = sum(key.startswith("heads") for key in base.network.state_dict())
    assert other.record["weights_kept"] == len(base.network.state_dict()) - heads


def test_what_a_warm_start_keeps_is_told_and_repeats_itself():
    """What begins at random, as the first convolution of a wider base, is seeded."""
    image, truth = squares()
    base = run([image], [truth]).model
    options = {"base": base, "task": "classes", "size": "base", "settings": SETTINGS}
    first, second = (
        list(train_model([image], [truth], CPU, **options)) for _ in range(2)
    )
    assert any("tensors of" in e.text for e in first if isinstance(e, Notice))
    weights = second[-1].model.network.state_dict()
    for name, value in first[-1].model.network.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_an_unfinished_run_is_not_thrown_away_and_can_be_resumed(tmp_path):
    image, truth = squares()
    output = tmp_path / "m.safetensors"
    settings = SETTINGS.model_copy(update={"epochs": 3})
    options = {"settings": settings, "output": output, "size": "small"}
    events = train_model([image], [truth], CPU, recipe={"recipe": "train"}, **options)
    next(e for e in events if isinstance(e, CheckpointSaved))
    events.close()
    assert not output.exists()
    with pytest.raises(TrainingError, match="unfinished run"):
        run([image], [truth], settings=settings, output=output)
    resumed = run([image], [truth], settings=settings, output=output, resume=True)
    assert resumed.record["recipe"] == {"recipe": "train"}
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    whole = run([image], [truth], settings=settings).model.network.state_dict()
    for name, value in resumed.model.network.state_dict().items():
        assert torch.equal(value, whole[name]), name


def test_a_run_that_was_killed_after_its_model_is_complete(tmp_path):
    """Killed between writing the model and removing the checkpoint: both are there."""
    image, truth = squares()
    output, kept = tmp_path / "m.safetensors", tmp_path / "m.safetensors.checkpoint"
    events = train_model(
        [image], [truth], CPU, size="small", settings=SETTINGS, output=output
    )
    for event in events:
        if isinstance(event, CheckpointSaved):
            content = kept.read_bytes()
        if isinstance(event, TrainingFinished):
            assert not kept.exists()  # also if nobody asks for more
    kept.write_bytes(content)
    with pytest.raises(OutputExistsError, match=r"is complete.*--overwrite"):
        run([image], [truth], settings=SETTINGS, output=output, resume=True)
    again = {"output": output, "resume": True, "overwrite": True}
    whole = load_model_file(output).network.state_dict()
    model = run([image], [truth], settings=SETTINGS, **again).model
    assert not kept.exists()
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, whole[name]), name


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


def test_a_base_of_another_dimension_is_refused(new_model):
    image, truth = squares()
    with pytest.raises(SettingsError, match="3-D"):
        run([image], [truth], base=new_model(3))


def test_a_volume_is_needed_for_three_dimensions():
    image, truth = squares()
    with pytest.raises(AxesError, match="3-D"):
        run([image], [truth], spatial_dims=3)


def test_an_image_is_left_to_learn_from():
    pairs = [squares(seed) for seed in range(4)]
    settings = SETTINGS.model_copy(update={"validation_fraction": 0.95})
    images, truths = zip(*pairs, strict=True)
    assert run(images, truths, settings=settings).record["n_regions"] == 1


def scribbles(*values):
    """Return squares with a few strokes, one for each value, on each square."""
    image, truth = squares()
    strokes = np.zeros_like(truth)
    for row, value in enumerate(values):
        strokes[2 + 10 * row, 2:46] = value
    return image, strokes


def test_the_header_tells_classes_and_the_recipe(tmp_path):
    image, strokes = scribbles(3, 7)
    output = tmp_path / "m.safetensors"
    run(
        [image],
        [strokes],
        task="classes",
        unlabelled=0,
        output=output,
        class_names={3: "ground", 7: "cell"},
        class_colours={3: "#000000", 7: "#ff8800"},
        recipe={"recipe": "train", "version": 1},
    )
    config = load_model_file(output).config
    assert config.class_names == ("ground", "cell")
    assert config.class_colours == ("#000000", "#ff8800")
    assert config.training["recipe"] == {"recipe": "train", "version": 1}


def test_strokes_of_a_new_class_are_learnt_and_known_to_a_resumed_run(tmp_path):
    image, strokes = scribbles(3, 7)
    control, output = TrainingControl(), tmp_path / "m.safetensors"
    options = {
        "task": "classes",
        "unlabelled": 0,
        "settings": SETTINGS.model_copy(update={"epochs": 3}),
        "output": output,
    }
    events = train_model(
        [image], [strokes], CPU, size="small", control=control, **options
    )
    next(e for e in events if isinstance(e, StepDone))
    _, more = scribbles(3, 7, 5)
    control.put_labels([more])
    taken = next(e for e in events if isinstance(e, LabelsTaken))
    assert taken.n_labelled == 3 * 44
    said = [e.text for e in until_saved(events) if isinstance(e, Notice)]
    assert any("class 5" in text for text in said)
    events.close()
    kept = read_checkpoint(tmp_path / "m.safetensors.checkpoint")
    assert kept.config.class_values == (3, 7, 5)
    assert kept.epoch == 2
    _, most = scribbles(3, 7, 5, 4)
    config = run([image], [most], resume=True, **options).model.config
    assert config.class_values == (3, 7, 5, 4)
    assert config.class_names == ("class 3", "class 7", "class 5", "class 4")


def until_saved(events):
    seen = []
    for event in events:
        seen.append(event)
        if isinstance(event, CheckpointSaved):
            break
    return seen


def test_erased_labels_are_no_error():
    image, strokes = scribbles(3, 7)
    control = TrainingControl()
    events = train_model(
        [image],
        [strokes],
        CPU,
        size="small",
        task="classes",
        unlabelled=0,
        settings=SETTINGS.model_copy(update={"epochs": 2}),
        control=control,
    )
    next(e for e in events if isinstance(e, StepDone))
    control.put_labels([np.zeros_like(strokes)])
    rest = list(events)
    said = [e.text for e in rest if isinstance(e, Notice)]
    assert any("no labelled pixel" in text for text in said)
    assert sum(isinstance(e, EpochDone) for e in rest) == 2


def test_a_place_that_was_learnt_is_never_held_out_by_a_resumed_run(tmp_path):
    images, strokes = zip(*(squares(k, (200, 240)) for k in range(2)), strict=True)
    options = {
        "settings": SETTINGS.model_copy(update={"epochs": 2}),
        "output": tmp_path / "m.safetensors",
    }
    events = train_model(images, strokes, CPU, size="small", **options)
    until_saved(events)
    events.close()
    path = tmp_path / "m.safetensors.checkpoint"
    before = read_checkpoint(path).sides
    assert set(before.values()) == {True, False}
    more = [np.where(label == 0, np.roll(label, 90, 1), label) for label in strokes]
    events = train_model(images, more, CPU, size="small", resume=True, **options)
    until_saved(events)
    events.close()
    after = read_checkpoint(path).sides
    assert {place: after[place] for place in before} == before


def test_a_model_that_cannot_be_written_leaves_a_run_that_can_go_on(tmp_path):
    image, truth = squares()
    output = tmp_path / "m.safetensors"
    events = train_model(
        [image], [truth], CPU, size="small", settings=SETTINGS, output=output
    )
    until_saved(events)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**12, before[1]))
    try:
        with pytest.raises(OutputError, match=r"no room.*kept in m.*--resume"):
            list(events)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors.checkpoint"]
    *rest, _ = train_model(
        [image],
        [truth],
        CPU,
        size="small",
        settings=SETTINGS,
        output=output,
        resume=True,
    )
    assert not any(isinstance(e, StepDone) for e in rest)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
