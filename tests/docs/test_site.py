"""The site: its extra pages, its links, its drawings; and what says how to cite."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from napari_unetpp.config import NetworkConfig
from napari_unetpp.nn import UNetPlusPlus

ROOT = Path(__file__).parents[2]


def load(name: str):
    """Return a program of the docs as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("models.md", "../src/napari_unetpp/models/nuclei.md", "cards/nuclei.md"),
        ("guides/segment.md", "../../CONTRIBUTING.md", "../contributing.md"),
        ("guides/segment.md", "../models.md#x", "../models.md#x"),
        ("changelog.md", "docs/training.md#recipes", "training.md#recipes"),
        ("contributing.md", "NOTICE", "notice.md"),
        ("evaluation.md", "../README.md", "index.md"),
        ("cards/nuclei-fast.md", "nuclei.md", "nuclei.md"),
        ("guides/a.md", "../../examples/big_image.py", "../examples.md#big_image"),
        ("faq.md", "https://napari.org", "https://napari.org"),
        ("faq.md", "#here", "#here"),
    ],
)
def test_links_of_the_checkout_become_links_of_the_site(page, link, expected):
    assert load("site_hooks").site_link(page, link) == expected


def test_all_messages_are_on_the_page_of_messages():
    hooks = load("site_hooks")
    page = hooks.messages_page()
    assert "no such model file; give the path of a" in page
    assert "memory=... is not an amount of memory" in page
    assert "## OutputExistsError" in page
    assert len(hooks.messages()) > 150


def test_every_command_is_on_the_page_of_commands():
    page = load("site_hooks").command_line_page()
    for command in ("segment", "train", "run", "evaluate", "info", "demo"):
        assert f"## napari-unetpp {command}\n" in page
    assert "--unlabelled VALUE" in page


def test_every_example_is_on_the_page_of_examples():
    page = load("site_hooks").examples_page()
    for path in (ROOT / "examples").glob("*.py"):
        assert f"## {path.stem}\n" in page
        assert path.read_text(encoding="utf-8").strip() in page


def test_broken_links_are_found(tmp_path):
    check = load("check_site")
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html#end">b</a><a href="#top">up</a>'
        '<a href="c.html">c</a><a href="b.html#nowhere">b</a>'
        '<a href="http://example.org">e</a><img src="a.html"><a href="https://x.y/">x</a>'
    )
    (tmp_path / "b.html").write_text('<p id="end">the end</p>')
    assert check.broken_links(tmp_path) == [
        "a.html: b.html#nowhere has no such anchor",
        "a.html: c.html leads nowhere",
        "a.html: http://example.org is not https",
        "a.html: a.html has no words for those who do not see it",
    ]


def test_drawings_are_those_of_their_program():
    drawings = load("make_drawings")
    images = ROOT / "docs" / "images"
    assert (images / "heads.svg").read_text() == str(drawings.draw_heads())
    assert (images / "tiling.svg").read_text() == str(drawings.draw_tiling())


def test_drawn_nodes_are_those_of_the_network():
    drawn = str(load("make_drawings").draw_heads(depth=3, level=1))
    network = UNetPlusPlus(
        NetworkConfig(in_channels=1, out_channels=2, widths=(4, 4, 4, 4))
    )
    names = {f"{i},{j}" for i, j in re.findall(r">X(\d),(\d)<", drawn)}
    assert names == {name.replace("_", ",") for name in network.nodes}
    assert len(re.findall(r">head \d<", drawn)) == len(network.heads)


def test_every_picture_is_made_by_a_program_and_shown():
    programs = [*(ROOT / "docs").glob("make_*.py"), *(ROOT / "benchmarks").glob("*.py")]
    made = "\n".join(path.read_text(encoding="utf-8") for path in programs)
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    shown = "\n".join(path.read_text(encoding="utf-8") for path in pages)
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stem.removeprefix("paper_") in made, picture.name
        assert f"images/{picture.name}" in shown, picture.name


def test_all_pages_are_in_the_menu_of_the_site():
    hooks = load("site_hooks")
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"([\w/-]+\.md)$", text, re.M))
    written = {
        path.relative_to(ROOT / "docs").as_posix()
        for path in (ROOT / "docs").rglob("*.md")
    }
    made = {"reference/messages.md", "reference/command-line.md", "examples.md"}
    assert listed == written | made | set(hooks.OUTSIDE.values())


def test_the_citation_is_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert citation["title"].startswith(project["name"])
    assert [paper["year"] for paper in citation["references"]] == [2018, 2020]
