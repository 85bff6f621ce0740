"""Splits of the data sets: no group on both sides, each set held out in part."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from napari_unetpp.config import INSTANCE_CLASSES, ModelConfig, NetworkConfig
from napari_unetpp.io import load_model_file, save_model
from napari_unetpp.nn import Model

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """Import a module of the benchmarks, as its neighbours do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def manifest(key, groups):
    items = [{"name": f"image{i:02}", key: group} for i, group in enumerate(groups)]
    return {"name": "set", "items": items}


def test_of_few_groups_the_fifth_is_held_out_and_none_is_on_two_sides(benchmark):
    data = benchmark("_datasets").DataSet("set", "animal")
    groups = ["a", "b", "c", "c", "c", "d"]
    split = data.split(manifest("animal", groups))
    side = dict.fromkeys(split.test, "test")
    side |= dict.fromkeys([*split.train, *split.validation], "seen")
    by_group = {}
    for i, group in enumerate(groups):
        by_group.setdefault(group, set()).add(side[f"image{i:02}"])
    assert all(len(sides) == 1 for sides in by_group.values())
    assert len({group for group, sides in by_group.items() if "test" in sides}) == 1
    assert len(split.validation) == 1
    assert not set(split.validation) & set(split.train)
    assert len([*split.train, *split.validation, *split.test]) == len(groups)


def test_a_split_does_not_depend_on_the_order_of_the_files(benchmark):
    data = benchmark("_datasets").DataSet("set", "name")
    images = manifest("name", range(12))
    for i, item in enumerate(images["items"]):
        item["name"] = f"set{i}"
    backwards = {"items": images["items"][::-1]}
    assert data.split(images) == data.split(backwards)
    assert len(data.split(images).test) == 3
    assert data.split(images).words == data.split(backwards).words


def test_every_recipe_is_of_a_known_set_and_holds_its_own_name(benchmark):
    bundled, sets = benchmark("_bundled"), benchmark("_datasets").DATA_SETS
    for name, recipe in bundled.RECIPES.items():
        assert recipe.model.name == name
        assert recipe.data in sets
        assert recipe.settings.epochs  # in minutes nobody could make the same weights
    for pruned in bundled.PRUNED.values():
        assert pruned.source in bundled.RECIPES


@pytest.fixture
def axons(tmp_path):
    """A data set of three small images of three classes, one animal each."""
    rng = np.random.default_rng(0)
    items = []
    for name in ("a", "b", "c"):
        labels = rng.integers(0, 3, (40, 48)).repeat(2, 0).repeat(2, 1).astype(np.uint8)
        for kind, data in (("images", labels * 80), ("labels", labels)):
            (tmp_path / kind).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / kind / f"{name}.tif", data)
        items.append({"name": name, "animal": name})
    text = json.dumps({"name": "axon_sem", "items": items})
    (tmp_path / "manifest.json").write_text(text)
    return tmp_path


def test_a_recipe_is_trained_and_its_file_scored(
    benchmark, axons, tmp_path, monkeypatch, capsys
):
    """One epoch of one step of the real script, then its report."""
    bundled = benchmark("_bundled")
    recipe = bundled.RECIPES["axon-myelin"]
    network = recipe.model.network.model_copy(update={"widths": (4, 8)})
    tiny = bundled.Recipe(
        recipe.data,
        recipe.model.model_copy(update={"network": network}),
        recipe.settings.model_copy(
            update={"epochs": 2, "steps_per_epoch": 1, "patch": 32, "batch": 2}
        ),
    )
    monkeypatch.setitem(bundled.RECIPES, "axon-myelin", tiny)
    output = tmp_path / "axon.safetensors"
    command = ["train_bundled.py", "axon-myelin", str(axons), "--output", str(output)]
    monkeypatch.setattr("sys.argv", command)
    benchmark("train_bundled").main()
    scores = tmp_path / "scores.json"
    command = ["evaluate_bundled.py", str(axons), "--model", str(output)]
    monkeypatch.setattr("sys.argv", [*command, "--json", str(scores)])
    benchmark("evaluate_bundled").main()
    assert "class 2" in capsys.readouterr().out
    found = json.loads(scores.read_text())["all"]
    assert found["model"] == "axon-myelin"
    assert found["n_images"] == 1
    assert 0 <= found["accurate"]["mean_iou"] <= 1


def test_the_fast_model_answers_as_a_head_of_the_one_it_is_cut_from(
    benchmark, tmp_path, monkeypatch
):
    pruned = benchmark("_bundled").PRUNED["nuclei-fast"]
    network = NetworkConfig(widths=(4, 8, 8, 8, 8), out_channels=3)
    config = ModelConfig(
        name="whole",
        network=network,
        task="instances",
        class_names=INSTANCE_CLASSES,
        class_values=(0, 1, 2),
    )
    whole = Model.new(config)
    whole.network.eval()
    source = save_model(whole, tmp_path / "whole.safetensors")
    output = tmp_path / "fast.safetensors"
    command = ["train_bundled.py", "nuclei-fast", str(source), "--output", str(output)]
    monkeypatch.setattr("sys.argv", [*command, "--full"])
    benchmark("train_bundled").main()
    fast = load_model_file(output)
    assert fast.config.name == "nuclei-fast"
    assert fast.config.description == pruned.description
    x = torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        answers = fast.network(x)
        assert torch.equal(answers[-1], whole.network(x)[pruned.level - 1])
    assert len(answers) == pruned.level


def test_an_ablation_compares_pairs_and_does_only_what_is_missing(
    benchmark, tmp_path, monkeypatch, capsys
):
    ablation = benchmark("ablation")
    made = []

    def run(folder, key):
        made.append(key)
        gain = 0.02 if key.change == "loss: log-cosh Dice" else 0.0
        return {"seconds": 1.0, "iou": 0.5 + 0.1 * key.seed + gain}

    monkeypatch.setattr(ablation, "run", run)
    results = tmp_path / "results.jsonl"
    command = ["ablation.py", str(tmp_path), "--sets", "dsb2018", "--results"]
    command += [str(results), "--csv", str(tmp_path / "table.csv"), "--changes"]
    monkeypatch.setattr("sys.argv", [*command, "loss: log-cosh Dice", "--seeds", "2"])
    ablation.main()
    assert len(made) == 4
    monkeypatch.setattr("sys.argv", [*command, "loss: log-cosh Dice", "--seeds", "3"])
    ablation.main()
    assert len(made) == 6
    # The seeds differ by 10 points, the change by 2 in each pair.
    assert "| loss: log-cosh Dice | 3 | +2.0 ± 0.0 | 1 |" in capsys.readouterr().out
    assert "log-cosh" in (tmp_path / "table.csv").read_text()


def test_every_change_makes_a_recipe_that_is_valid_and_differs(benchmark):
    ablation = benchmark("ablation")
    base = ablation.base_recipe("dsb2018", 100)
    for name, change in ablation.CHANGES.items():
        changed = change.of(base)
        for value in (changed.model, changed.settings):
            type(value).model_validate(value.model_dump())
        assert (changed == base) == (name == "base"), name
