"""Packages of bioimage.io: ours out and back, those of others through our tiles."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import yaml

import napari_unetpp
import packages
from conftest import class_config, instance_config, random_model
from napari_unetpp.errors import ModelFileError
from napari_unetpp.io import PackageInfo, export_package, import_package, save_model
from napari_unetpp.io._bioimageio_description import package_halos
from napari_unetpp.io._bioimageio_trial import measured_halo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")

CHECKER = "NAPARI_UNETPP_BIOIMAGEIO"
"""Names a Python that has bioimageio.core, which may need older libraries than ours."""

PREDICT = """
import sys
import numpy as np
from bioimageio.core import create_prediction_pipeline, load_model_description
from bioimageio.core.digest_spec import create_sample_for_model
model = load_model_description(sys.argv[1])
pipeline = create_prediction_pipeline(model)
image = np.load(sys.argv[2])
def sample():
    return create_sample_for_model(model, inputs={"raw": image})
whole = pipeline.predict_sample_without_blocking(
    sample(), skip_input_padding=True, skip_output_cropping=True
)
blocks = pipeline.predict_sample_with_blocking(sample(), ns=0)
found = {f"whole_{k}": v.data.to_numpy() for k, v in whole.members.items()}
found |= {f"blocks_{k}": v.data.to_numpy() for k, v in blocks.members.items()}
np.savez(sys.argv[3], **found)
"""


@pytest.fixture
def checker() -> str:
    """A Python in which bioimageio.core works."""
    other = os.environ.get(CHECKER)
    if other:
        return other
    parts = ("bioimageio", "bioimageio.core")
    if any(importlib.util.find_spec(name) is None for name in parts):
        pytest.skip(f"bioimageio.core is not installed; {CHECKER} may name a Python")
    return sys.executable


def described(path: Path) -> dict:
    with zipfile.ZipFile(path) as package:
        return yaml.safe_load(package.read("bioimageio.yaml"))


def test_every_head_is_an_output_with_its_own_halo(tmp_path: Path) -> None:
    model = random_model(instance_config())
    info = PackageInfo(("A", "B"), "CC0-1.0", "# Card")
    done = export_package(model, tmp_path / "m.zip", info)
    assert done.difference == 0
    found = described(done.path)
    outputs = {each["id"]: each for each in found["outputs"]}
    assert [*outputs] == ["mean", "head_1", "head_2"]
    halos = [each["axes"][2]["halo"] for each in outputs.values()]
    assert halos == [24, 12, 24]  # receptive fields 23 and 9, in steps of 4
    assert halos == [halo[0] for halo in package_halos(model)]
    for level, halo in ((2, halos[0]), (1, halos[1])):
        assert halo >= model.network.receptive_field(level)[0] > halo - 4
    assert found["inputs"][0]["axes"][2]["size"] == {"min": 2 * 24 + 4, "step": 4}
    assert [author["name"] for author in found["authors"]] == ["A", "B"]
    assert found["license"] == "CC0-1.0"
    with zipfile.ZipFile(done.path) as package:
        assert package.read("README.md") == b"# Card"
        assert package.read("cover.png").startswith(b"\x89PNG")
        mean = np.load(io.BytesIO(package.read("test_mean.npy")))
        heads = [
            np.load(io.BytesIO(package.read(f"test_head_{j}.npy"))) for j in (1, 2)
        ]
    assert np.abs(mean - np.mean(heads, axis=0)).max() < 1e-6


def test_a_deep_3d_network_has_blocks_that_others_can_read() -> None:
    config = instance_config(spatial_dims=3)
    network = config.network.model_copy(update={"widths": (2,) * 5})
    model = random_model(config.model_copy(update={"network": network}))
    halos = package_halos(model)
    assert halos[0] < model.network.receptive_field()
    assert all(halo <= halos[0] for halo in halos)
    assert np.prod([2 * n + 16 for n in halos[0]]) <= 2**21


@pytest.mark.parametrize("config", [instance_config(), class_config(3)])
def test_our_own_comes_back_as_it_was(config, tmp_path: Path) -> None:
    model = random_model(config)
    path = export_package(model, tmp_path / "m.zip", PackageInfo()).path
    found = import_package(path)
    assert found.config == model.config
    for name, value in model.network.state_dict().items():
        assert torch.equal(found.network.state_dict()[name], value)
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(path) as package:
        package.extractall(folder)
    assert import_package(folder).config == model.config
    assert import_package(folder / "bioimageio.yaml").config == model.config


def test_the_packages_test_passes(checker: str, tmp_path: Path) -> None:
    model = random_model(instance_config())
    path = export_package(model, tmp_path / "m.zip", PackageInfo(("A",), "MIT")).path
    done = _run(checker, "-m", "bioimageio.core", "test", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert "failed" not in done.stdout


def test_another_process_gives_our_own_output(checker: str, tmp_path: Path) -> None:
    model = random_model(instance_config())
    path = export_package(model, tmp_path / "m.zip", PackageInfo(("A",), "MIT")).path
    image = packages.pixels(2, 1, edge=96)
    np.save(tmp_path / "in.npy", image)
    done = _run(checker, "-c", PREDICT, path, tmp_path / "in.npy", tmp_path / "out.npz")
    assert done.returncode == 0, done.stdout + done.stderr
    found = np.load(tmp_path / "out.npz")
    plane = image[0, 0]
    ours = napari_unetpp.predict(plane, model, device="cpu", precision="float32")
    wanted = {"mean": ours.mean, "head_1": ours.heads[0], "head_2": ours.heads[1]}
    # Other programs mirror the image at its border, where ours ends the tile.
    inner = (..., slice(24, -24), slice(24, -24))
    for name, head in wanted.items():
        right = np.asarray(head)
        assert np.abs(found[f"whole_{name}"][0] - right).max() < 1e-4
        assert np.abs(found[f"blocks_{name}"][0][inner] - right[inner]).max() < 1e-4


def _run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("dims", [2, 3])
def test_a_model_of_others_finds_objects_through_our_tiles(dims, tmp_path) -> None:
    path, image, right = packages.sigmoid_package(tmp_path / "o.zip", dims=dims)
    model = import_package(path)
    assert model.config.task == "instances"
    assert model.config.training["difference"] < 1e-5
    assert model.config.training["card"] == "# Card of others"
    assert model.network.receptive_field() == (8,) * dims
    saved = save_model(model, tmp_path / "o.safetensors")
    inside, outline = right[0]
    wanted = np.stack([1 - inside, inside * (1 - outline), inside * outline])
    for tile in (None, 8):
        found = napari_unetpp.segment(image[0, 0], saved, device="cpu", tile=tile)
        assert np.abs(np.asarray(found.prediction.mean) - wanted).max() < 1e-4


def test_an_older_package_ends_in_a_softmax(tmp_path: Path) -> None:
    path, image, right = packages.softmax_package(tmp_path / "o.zip")
    model = import_package(path)
    assert model.config.task == "classes"
    assert model.config.class_names == ("class 1", "class 2", "class 3")
    found = napari_unetpp.predict(image[0, 0], model, device="cpu", tile=16)
    assert np.abs(np.asarray(found.mean) - right[0]).max() < 1e-4


@pytest.mark.skipif(
    any(importlib.util.find_spec(n) is None for n in ("onnx", "onnxruntime")),
    reason="the extra onnx is not installed",
)
def test_an_onnx_program_is_run(tmp_path: Path) -> None:
    path, image, right = packages.softmax_package(tmp_path / "o.zip", onnx=True)
    model = import_package(path)
    assert model.config.network.program.kind == "onnx"
    found = napari_unetpp.predict(image[0, 0], model, device="cpu", tile=16)
    assert np.abs(np.asarray(found.mean) - right[0]).max() < 1e-4


def test_a_halo_that_is_not_given_is_measured(tmp_path: Path) -> None:
    path, _, _ = packages.softmax_package(tmp_path / "o.zip", halo=0)
    network = import_package(path).network
    # Two pixels around a pixel, and one block of four around the block that holds it.
    halo, settled = measured_halo(network)
    assert settled
    assert network.receptive_field() == halo == (16, 16)


def test_classes_that_are_named_are_not_taken_for_objects(tmp_path: Path) -> None:
    names = ("nucleus", "fibre")
    path, image, right = packages.sigmoid_package(tmp_path / "o.zip", names=names)
    model = import_package(path)
    assert model.config.class_names == ("background", *names)
    mean = np.asarray(napari_unetpp.predict(image[0, 0], model, device="cpu").mean)
    odds = right[0] / (1 - right[0])
    assert np.abs(mean[1:] / mean[0] - odds).max() < 1e-2
    outlined, _, _ = packages.sigmoid_package(tmp_path / "p.zip")
    assert import_package(outlined, task="classes").config.task == "classes"


def test_colour_is_taken_as_colour(tmp_path: Path) -> None:
    path, image, right = packages.sigmoid_package(
        tmp_path / "o.zip", n_in=3, names=("cell",)
    )
    model = import_package(path)
    assert model.config.channels == "rgb"
    assert model.config.intensity.joint
    colours = np.moveaxis(image[0], 0, -1).astype(np.uint8)
    found = napari_unetpp.predict(colours, model, device="cpu")
    assert np.abs(np.asarray(found.mean)[1] - right[0, 0]).max() < 1e-4


def changed(path: Path, **files: object) -> Path:
    """Replace files of a package; a function changes the description."""
    with zipfile.ZipFile(path) as package:
        found = {name: package.read(name) for name in package.namelist()}
    for name, content in files.items():
        if callable(content):
            description = yaml.safe_load(found["rdf.yaml"])
            content(description)
            found["rdf.yaml"] = yaml.safe_dump(description).encode()
        else:
            found[name] = content
    with zipfile.ZipFile(path, "w") as package:
        for name, content in found.items():
            package.writestr(name, content)
    return path


def _one_size(content: dict) -> None:
    content["inputs"][0]["axes"][2]["size"] = 256


def _strange_steps(content: dict) -> None:
    content["inputs"][0]["preprocessing"].append({"id": "sigmoid"})


def _another_format(content: dict) -> None:
    content["format_version"] = "0.3.6"


def _two_inputs(content: dict) -> None:
    content["inputs"] *= 2


def _keras_alone(content: dict) -> None:
    content["weights"] = {"keras_hdf5": {"source": "w.h5"}}


def _wrong_steps(content: dict) -> None:
    content["inputs"][0]["preprocessing"].pop()


def _far_away(content: dict) -> None:
    content["weights"]["torchscript"]["source"] = "https://example.org/w.pt"


def _a_flow(content: dict) -> None:
    content["outputs"][0]["postprocessing"] = [{"id": "cellpose_flow_dynamics"}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_one_size, "size 256 alone along y"),
        (_strange_steps, "not known here; one scaling"),
        (_another_format, "format 0.3.6; packages of 0.4 and 0.5"),
        (_two_inputs, "takes 2 inputs"),
        (_keras_alone, "weights are keras_hdf5, and torchscript or onnx"),
        (_wrong_steps, "answers to its own test pixels are wrong"),
        (_far_away, "not in the package; download"),
        (_a_flow, "gives no probabilities"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_reason(change, message, tmp_path):
    path, _, _ = packages.sigmoid_package(tmp_path / "o.zip")
    with pytest.raises(ModelFileError, match=message):
        import_package(changed(path, description=change))


def test_damaged_packages_are_refused(tmp_path: Path) -> None:
    path, _, _ = packages.sigmoid_package(tmp_path / "o.zip")
    with pytest.raises(ModelFileError, match="another SHA-256"):
        import_package(changed(path, **{"weights.pt": b"cut short"}))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match=r"not a bioimage\.io package"):
        import_package(path)


def test_a_program_that_reads_files_is_not_run(tmp_path: Path) -> None:
    bad = packages.scripted(packages.ReadsAFile(), None)
    description = packages.new_format(2, 1, ["cell"], 8)
    image = packages.npy(packages.pixels(2, 1))
    files = {"w.pt": bad, "test_in.npy": image, "test_out.npy": image}
    path = packages.write(tmp_path / "b.zip", description, files, torchscript="w.pt")
    with pytest.raises(ModelFileError, match="calls from_file, which is not among"):
        import_package(path)
