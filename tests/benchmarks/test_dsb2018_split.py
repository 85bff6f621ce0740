"""The split of dsb2018: no field of view on both sides, and the same for ever."""

import hashlib
import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "_dsb2018.py"


@pytest.fixture(scope="module")
def dsb2018():
    spec = importlib.util.spec_from_file_location("_dsb2018", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def manifest(n=500, n_groups=120):
    items = [
        {"name": f"image{i:03}", "group": i % n_groups, "image_type": "grey"}
        for i in range(n)
    ]
    return {"items": items}


def test_every_image_is_held_out_in_exactly_one_fold(dsb2018):
    names = {item["name"] for item in manifest()["items"]}
    held_out = []
    for fold in range(5):
        train, test = dsb2018.split(manifest(), fold)
        assert sorted(train + test) == sorted(names)
        held_out += test

    assert sorted(held_out) == sorted(names)


def test_a_group_is_on_one_side(dsb2018):
    train, test = dsb2018.split(manifest())
    group = {item["name"]: item["group"] for item in manifest()["items"]}

    assert not {group[name] for name in train} & {group[name] for name in test}


def test_the_fold_depends_on_the_id_of_the_group_alone(dsb2018):
    backwards = {"items": manifest()["items"][::-1][:100]}
    whole = set(dsb2018.split(manifest())[1])

    assert set(dsb2018.split(backwards)[1]) <= whole
    assert dsb2018.fold_of(555) == int(hashlib.sha256(b"555").hexdigest(), 16) % 5
