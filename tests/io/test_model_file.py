import pickle
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_unetpp.config import INSTANCE_CLASSES, ModelConfig, NetworkConfig
from napari_unetpp.errors import ModelFileError, OutputError, OutputExistsError
from napari_unetpp.io._model_file import (
    bundled_models,
    load_model_file,
    read_model_config,
    save_model,
)
from napari_unetpp.nn import Model


@pytest.fixture
def model():
    network = NetworkConfig(widths=(4, 8), out_channels=3)
    config = ModelConfig(
        name="small",
        network=network,
        task="instances",
        class_names=INSTANCE_CLASSES,
        class_values=(0, 1, 2),
        training={"data": "none", "scores": [0.5]},
    )
    return Model.new(config)


def test_a_loaded_model_answers_exactly_as_the_saved_one(model, tmp_path):
    path = save_model(model, tmp_path / "small.safetensors")
    loaded = load_model_file(path)
    assert loaded.config == model.config
    x = torch.rand(1, 1, 16, 16)
    model.network.eval()
    with torch.inference_mode():
        for a, b in zip(model.network(x), loaded.network(x), strict=True):
            assert torch.equal(a, b)
    assert [p.name for p in tmp_path.iterdir()] == ["small.safetensors"]


def test_an_existing_file_is_replaced_only_when_allowed(model, tmp_path):
    path = save_model(model, tmp_path / "m.safetensors")
    before = path.read_bytes()
    with pytest.raises(OutputExistsError, match="not overwritten"):
        save_model(model, path)
    assert path.read_bytes() == before
    save_model(model, path, overwrite=True)


def test_wrong_names_and_folders_are_refused(model, tmp_path):
    with pytest.raises(OutputError, match=r"m\.safetensors"):
        save_model(model, tmp_path / "m.pt")
    with pytest.raises(OutputError, match="not a folder"):
        save_model(model, tmp_path / "absent" / "m.safetensors")


FULL = """
import resource, sys
from pathlib import Path
from napari_unetpp.io import bundled_models, load_model_file, save_model
model = load_model_file(bundled_models()["nuclei"])
resource.setrlimit(resource.RLIMIT_FSIZE, (2**12, 2**12))
try:
    save_model(model, Path(sys.argv[1]) / "m.safetensors", overwrite=True)
except OSError as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_leaves_the_old_model(model, tmp_path):
    """A limit on the size of files stands for the disk: the same kind of error."""
    before = save_model(model, tmp_path / "m.safetensors").read_bytes()
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("OutputError no room to write"), ran.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    assert (tmp_path / "m.safetensors").read_bytes() == before


def test_pickles_are_refused_and_never_run(tmp_path):
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (ran.write_text, ("x",))

    bare = tmp_path / "bare.safetensors"
    bare.write_bytes(pickle.dumps(Evil()))
    zipped = tmp_path / "zipped.pt"
    torch.save({"w": torch.zeros(2)}, zipped)
    for path in (bare, zipped):
        with pytest.raises(ModelFileError, match="pickled"):
            load_model_file(path)
    assert not ran.exists()


def test_a_header_of_any_length_is_read(model, tmp_path):
    starts = set()
    for length in range(0, 256, 8):  # a length may end in the byte pickles start with
        described = model.config.model_copy(update={"description": "x" * length})
        path = tmp_path / f"{length}.safetensors"
        save_model(Model(model.network, described), path)
        starts.add(path.read_bytes()[0])
        assert load_model_file(path).config.description == "x" * length
    assert 0x80 in starts


def test_files_that_are_not_models_are_refused(model, tmp_path):
    path = save_model(model, tmp_path / "m.safetensors")
    for name, content in {
        "cut": path.read_bytes()[:-40],
        "short": b"abc",
        "empty": b"",
        "text": b"hello, this is no model at all" * 9,
    }.items():
        broken = tmp_path / name
        broken.write_bytes(content)
        with pytest.raises(ModelFileError, match="damaged, or not a model"):
            load_model_file(broken)
    with pytest.raises(ModelFileError, match="no such model file"):
        load_model_file(tmp_path / "absent.safetensors")


def test_safetensors_of_other_programs_and_versions_are_refused(model, tmp_path):
    path = save_model(model, tmp_path / "m.safetensors")
    weights = load_file(path)
    foreign = tmp_path / "foreign.safetensors"
    header = {"napari_unetpp": model.config.model_dump_json(), "format_version": "1"}
    for metadata, message in [
        (None, "not a napari-unetpp model"),
        (header | {"format_version": "9"}, "upgrade"),
        (header | {"napari_unetpp": "{"}, "header is damaged"),
        (header | {"napari_unetpp": '{"name": "x"}'}, r"header is damaged \(network="),
    ]:
        save_file(weights, foreign, metadata=metadata)
        with pytest.raises(ModelFileError, match=message):
            load_model_file(foreign)
    weights.pop("heads.1.bias")
    save_file(weights, foreign, metadata=header)
    with pytest.raises(ModelFileError, match=r"heads\.1\.bias"):
        load_model_file(foreign)


def test_every_bundled_model_loads():
    for path in bundled_models().values():
        assert load_model_file(path).config.name == path.stem


def test_weights_that_are_not_numbers_are_refused(model, tmp_path):
    with torch.no_grad():
        next(model.network.parameters())[0] = torch.nan
    path = save_model(model, tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match=r"nodes\.0_0.*NaN.*train it again"):
        load_model_file(path)


def test_half_a_model_is_half_the_size_and_answers_nearly_the_same(tmp_path):
    network = NetworkConfig(widths=(16, 32, 64), out_channels=3)
    model = Model.new(
        ModelConfig(
            name="wide",
            network=network,
            task="instances",
            class_names=INSTANCE_CLASSES,
            class_values=(0, 1, 2),
        )
    )
    full = save_model(model, tmp_path / "full.safetensors")
    half = save_model(model, tmp_path / "half.safetensors", half=True)
    assert 0.5 < half.stat().st_size / full.stat().st_size < 0.53
    loaded = load_model_file(half)
    assert loaded.config == model.config
    assert {p.dtype for p in loaded.network.parameters()} == {torch.float32}
    model.network.eval()
    x = torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        for a, b in zip(model.network(x), loaded.network(x), strict=True):
            assert (a.softmax(1) - b.softmax(1)).abs().max() < 0.002
    again = save_model(loaded, tmp_path / "again.safetensors", half=True)
    for name, value in load_file(again).items():  # rounded once, not ever further
        assert torch.equal(value, load_file(half)[name])


def test_weights_too_large_for_half_are_refused(model, tmp_path):
    with torch.no_grad():
        next(model.network.parameters())[0] = 1e5
    with pytest.raises(OutputError, match=r"nodes\.0_0.*100000.*half=False"):
        save_model(model, tmp_path / "m.safetensors", half=True)
    assert list(tmp_path.iterdir()) == []


def test_what_a_model_is_can_be_read_without_its_weights(model, tmp_path):
    path = save_model(model, tmp_path / "m.safetensors")
    assert read_model_config(path) == model.config
    with pytest.raises(ModelFileError, match="no such model file"):
        read_model_config(tmp_path / "absent.safetensors")


def test_bundled_models_fit_the_package_and_have_cards():
    models = bundled_models()
    assert sum(path.stat().st_size for path in models.values()) < 30e6
    for path in models.values():
        assert read_model_config(path).description
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        for part in ("## Data", "licence", "## Scores", "## Training", "## Limits"):
            assert part in card, f"{path.stem}: {part}"
