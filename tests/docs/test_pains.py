"""The table of pains: complete, and kept by tests that are there."""

from __future__ import annotations

import ast
import gc
import re
from pathlib import Path

import pytest
import torch
from skimage.data import immunohistochemistry

import napari_unetpp

ROOT = Path(__file__).parents[2]
N_PAINS = 26


def pains() -> dict[str, str]:
    """Return what is said of each pain, by its name."""
    text = (ROOT / "docs" / "pains.md").read_text(encoding="utf-8")
    sections = re.split(r"^## (.+)$", text, flags=re.M)[1:]
    return dict(zip(sections[::2], sections[1::2], strict=True))


def names_in(path: Path) -> set[str]:
    """Return the names of the functions of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}


def test_every_pain_is_in_the_table():
    text = (ROOT / "docs" / "pains.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.+)\]\(#.+\) \| \d+ \| (.+) \|$", text, re.M)
    assert len(rows) == N_PAINS
    assert [name for name, _ in rows] == list(pains())
    assert {state for _, state in rows} <= {"met", "partly", "not met"}


@pytest.mark.parametrize("name", pains())
def test_every_pain_is_kept_by_tests_that_are_there(name):
    said, _, kept = pains()[name].partition("Kept by:")
    ids = re.findall(r"^- `(tests/[\w/]+\.py)::(\w+)`$", kept, re.M)
    assert said.strip()
    assert ids
    for file, function in ids:
        assert (ROOT / file).is_file(), file
        assert function in names_in(ROOT / file), f"{file}::{function}"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_graphics_card_is_free_after_a_run():
    image = immunohistochemistry()[:128, :160]
    napari_unetpp.segment(image, device="cuda")  # what CUDA itself keeps is there now
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    result = napari_unetpp.segment(image, device="cuda")
    gc.collect()
    assert result.n_objects
    assert torch.cuda.memory_allocated() <= before
