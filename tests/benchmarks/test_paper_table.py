"""The paper's table: splits, networks, measures, and a run that goes on."""

import csv
import importlib
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from napari_unetpp.config import NetworkConfig
from napari_unetpp.nn import UNetPlusPlus

pytestmark = pytest.mark.usefixtures("one_thread")

FOLDER = Path(__file__).parents[2] / "benchmarks"
PAPER = NetworkConfig(norm="none")


@pytest.fixture(autouse=True)
def beside(monkeypatch):
    """Let the modules of the benchmarks import each other, as scripts do."""
    monkeypatch.syspath_prepend(str(FOLDER))


def module(name):
    return importlib.import_module(name)


@pytest.fixture
def sets(tmp_path):
    """A folder with axon_sem, of four animals, one of them with two images."""
    folder = tmp_path / "axon_sem"
    rng = np.random.default_rng(0)
    items = []
    for name, animal in [
        ("a1", "a"),
        ("b1", "b"),
        ("b2", "b"),
        ("c1", "c"),
        ("d", "d"),
    ]:
        labels = np.zeros((70, 60), np.uint8)
        labels[10:40, 10:40], labels[20:30, 20:30] = 1, 2
        image = (60 * labels + rng.integers(0, 40, labels.shape)).astype(np.uint8)
        for what, pixels in (("images", image), ("labels", labels)):
            (folder / what).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / what / f"{name}.tif", pixels)
        items.append({"name": name, "animal": animal})
    (folder / "manifest.json").write_text(json.dumps({"items": items}))
    return tmp_path


# --- networks ---


@pytest.mark.parametrize(
    ("model", "n"),
    [("unet", 7_759_521), ("unetpp", 9_041_601), ("unetpp-ds", 9_041_700)],
)
def test_the_networks_have_as_many_weights_as_the_papers(model, n):
    assert module("_paper_networks").build(model, PAPER, seed=0).n_parameters == n


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("widths", [(8, 16, 32, 64, 128), (16, 32, 64, 128, 256)])
def test_the_wide_unet_has_as_many_weights_as_unetpp(dims, widths):
    networks = module("_paper_networks")
    config = NetworkConfig(spatial_dims=dims, widths=widths)

    wide = networks.wide_unet(config)

    assert wide.architecture == "unet"
    assert networks.n_parameters(wide) == pytest.approx(
        networks.n_parameters(config), rel=0.01
    )


def test_without_deep_supervision_the_answer_is_head_4_of_the_same_network():
    networks = module("_paper_networks")
    config = NetworkConfig(widths=(2, 4, 6, 8, 10))
    one = networks.build("unetpp", config, seed=0).network.eval()
    whole = UNetPlusPlus(config).eval()
    whole.load_state_dict(one.state_dict(), strict=False)
    x = torch.rand(1, 1, 32, 32)

    assert len(one(x)) == 1
    assert torch.equal(one(x)[0], whole(x)[3])


def test_isolated_levels_are_the_pruned_shapes():
    networks = module("_paper_networks")
    config = NetworkConfig(widths=(2, 4, 6, 8, 10))

    isolated = networks.build("isolated-2", config, seed=0).network

    assert isolated.config == UNetPlusPlus(config).prune(2).config


def test_a_library_that_is_not_there_is_told_by_name():
    networks = module("_paper_networks")
    why = networks.missing("smp")

    assert not why or "segmentation_models_pytorch" in why or "torchvision" in why
    assert networks.missing("unetpp-ds") == ""


def test_monais_heads_come_in_our_order():
    pytest.importorskip("monai")
    networks = module("_paper_networks")
    config = NetworkConfig(widths=(4, 8, 8, 8, 8))
    peer = networks.build("monai", config, seed=0).network.eval()
    x = torch.rand(1, 1, 32, 32)
    before = peer(x)
    with torch.no_grad():
        peer.inner.final_conv_0_1.bias += 1  # that of X[0,1]

    changed = [not torch.equal(*pair) for pair in zip(before, peer(x), strict=True)]

    assert changed == [True, False, False, False]


# --- splits ---


def test_a_group_is_on_one_side_and_no_side_is_empty(sets):
    loaded = module("_paper_sets")
    for seed in range(5):
        split = loaded.load(
            loaded.SETS["axon_sem"], "axon_sem", sets / "axon_sem", seed
        )
        groups = [{region.group for region in side} for side in split.sides.values()]

        assert all(groups)
        assert sum(map(len, groups)) == len(set.union(*groups)) == 4


def test_the_digest_tells_splits_apart_and_not_their_order():
    digest_of = module("_paper_sets").digest_of

    assert digest_of({"a": "test", "b": "train"}) == digest_of(
        {"b": "train", "a": "test"}
    )
    assert digest_of({"a": "test", "b": "train"}) != digest_of(
        {"a": "train", "b": "test"}
    )


def test_slabs_of_a_volume_cover_it_once_and_know_their_borders(tmp_path):
    volume = np.arange(10 * 16 * 16, dtype=np.uint16).reshape(10, 16, 16)
    for what in ("images", "labels"):
        (tmp_path / what).mkdir()
        tifffile.imwrite(tmp_path / what / "v.tif", volume, metadata={"axes": "ZYX"})
    (tmp_path / "manifest.json").write_text(json.dumps({"items": [{"name": "v"}]}))

    regions = list(module("_paper_sets").SETS["plant_nuclei3d"].regions(tmp_path))

    assert sum(len(region.pair.labels) for region in regions) == 10
    assert [region.pair.border[0] for region in regions] == [
        (True, False),
        (False, False),
        (False, False),
        (False, True),
    ]
    assert len({region.group for region in regions}) == 4


# --- measures ---


def test_odd_sizes_are_padded_and_cut_back():
    runs, networks = module("_paper_runs"), module("_paper_networks")
    config = NetworkConfig(widths=(2, 4, 6, 8, 10))
    network = networks.build("unetpp-ds", config, seed=0).network.eval()
    image = np.random.default_rng(0).random((1, 37, 50), np.float32)

    heads = runs.predict(network, image, torch.device("cpu"))

    assert [head.shape for head in heads] == [(1, 37, 50)] * 4


def test_measures_of_a_known_confusion():
    tables = np.array([[[80, 10], [0, 10]], [[100, 0], [0, 0]]])

    found = module("_paper_runs").measures(tables)

    assert found["iou"] == pytest.approx((0.5 + 1) / 2)  # nothing to find: 1
    assert found["pooled_iou"] == pytest.approx(10 / 20)
    assert found["mean_iou"] == pytest.approx(((80 / 90 + 0.5) / 2 + 1) / 2)
    assert found["pooled_mean_iou"] == pytest.approx((180 / 190 + 0.5) / 2)
    assert found["pooled_iou_0"] == pytest.approx(180 / 190, abs=1e-6)


def test_differences_are_those_of_equal_seeds():
    reported = module("_paper_report")

    def row(seed, value):
        scores = {"all": {"head": {"mean_iou": value}}}
        return {"request": {"seed": seed}, "answers": ["head"], "scores": scores}

    better = reported.Group("s", "m", (row(0, 0.9), row(1, 0.7), row(2, 0.1)))
    worse = reported.Group("s", "n", (row(1, 0.6), row(0, 0.8)))

    assert better.difference(worse).signed == "+10.00 ± 0.00"


# --- the whole ---


COMMAND = [
    *("--quick", "--sets", "axon_sem", "--steps", "5", "--batch", "2"),
    *("--isolated", "--peers", "--device", "cpu", "--threads", "1"),
]


def run_table(monkeypatch, sets, output):
    """Run the command as a user does, with known costs, and return its lines."""
    table, cost = module("paper_table"), module("_paper_cost")
    config = module("_paper_sets").SETS["axon_sem"].model(table.QUICK_WIDTHS[2])
    names = ["level 1", "level 2", "level 3", "level 4", "mean", "unet", "wide-unet"]
    costs = [
        {"name": name, "n_parameters": k, "seconds": k + 1.0, "peak_bytes": 10**6}
        for k, name in enumerate(names)
    ]
    output.mkdir(exist_ok=True)
    key = cost.key_of(config, torch.device("cpu"), 1)
    (output / "costs.json").write_text(json.dumps({key: costs}))
    words = [str(sets), "--output", str(output), *COMMAND]
    monkeypatch.setattr(sys, "argv", ["paper_table.py", *words])
    table.main()
    return (output / "runs.jsonl").read_text().splitlines()


def test_one_command_makes_the_table_and_does_what_is_missing(
    monkeypatch, sets, tmp_path, capsys
):
    output = tmp_path / "out"
    lines = run_table(monkeypatch, sets, output)
    models = [json.loads(line)["request"]["model"] for line in lines]

    assert models == ["unet", "wide-unet", "unetpp", "unetpp-ds"]
    with (output / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["model"] for row in rows} == set(models)
    deep = [row["answer"] for row in rows if row["model"] == "unetpp-ds"]
    assert deep == ["head 1", "head 2", "head 3", "head 4", "mean"]
    assert "split" in capsys.readouterr().out

    assert run_table(monkeypatch, sets, output) == lines  # nothing is left to do

    cut = [*lines[:3], lines[3][:40]]  # killed while it wrote a line
    (output / "runs.jsonl").write_text("\n".join(cut))
    again = run_table(monkeypatch, sets, output)

    done = {}
    for line in [*again[:3], *again[4:]]:
        row = json.loads(line)
        done[row["request"]["model"]] = row["scores"]
    assert done == {
        row["request"]["model"]: row["scores"] for row in map(json.loads, lines)
    }


def test_other_settings_are_other_runs(sets):
    runs = module("_paper_runs")
    first = runs.Request("s", "unet", 0, "d", (2, 4), 10, 96, 4, 16, 256, None)
    path = sets / "runs.jsonl"
    runs.Results(path).add({"request": asdict(first)})

    again = runs.Results(path)

    assert again.find(first) is not None
    for change in ({"seed": 1}, {"steps": 20}, {"split": "e"}, {"widths": (2, 8)}):
        assert again.find(replace(first, **change)) is None
