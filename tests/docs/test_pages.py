"""What the pages say is so: links, code, commands, messages, names."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import re
import shlex
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from skimage.data import immunohistochemistry
from typer.main import get_command

import napari_unetpp
from napari_unetpp.cli._app import app

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "src" / "napari_unetpp" / "models").glob("*.md")),
]
MADE = ("docs/reference/command-line.md", "docs/reference/messages.md")
"""Pages that are made while the site is built."""

CODE = re.compile(
    r"(?P<mark><!-- run -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```", re.M | re.S
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def prose(path: Path) -> str:
    """Return a page without its blocks of code."""
    return CODE.sub("", path.read_text(encoding="utf-8"))


@cache
def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page."""
    found = re.findall(r"^#+ (.+)$", prose(path), re.M)
    words = (re.sub(r"[^\w\- ]", "", heading).strip().lower() for heading in found)
    return {re.sub(r"[\s]+", "-", word) for word in words}


def blocks(path: Path, kind: str, marked: bool = False) -> list[str]:
    """Return the blocks of code of a kind, or those that are to be run."""
    found = CODE.finditer(path.read_text(encoding="utf-8"))
    return [
        block["text"]
        for block in found
        if block["kind"] == kind and (block["mark"] or not marked)
    ]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path):
    for link in LINK.findall(prose(path)):
        if link.startswith(("https://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if name_of(file) in MADE:
            continue
        assert file.exists(), link
        if anchor:
            assert anchor in anchors(file), link


PYTHON = [
    pytest.param(block, id=f"{name_of(path)}-{number}")
    for path in PAGES
    for number, block in enumerate(blocks(path, "python"))
]


@pytest.mark.parametrize("code", PYTHON)
def test_python_calls_what_there_is(code):
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("napari_unetpp"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), ast.unparse(node)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == (
            "napari_unetpp"
        ):
            assert node.attr in (*napari_unetpp.__all__, "errors"), ast.unparse(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(
            "napari_unetpp."
        ):
            verb = getattr(napari_unetpp, node.func.attr)
            named = {word.arg: None for word in node.keywords if word.arg}
            # Raises TypeError where an argument is not one of the verb's.
            inspect.signature(verb).bind(*node.args, **named)
            allowed = _options_of(verb)
            assert not allowed or named.keys() <= allowed, ast.unparse(node)


def _options_of(verb) -> set[str]:
    """Return what `segment_to` hands on; nothing of verbs that name all they take."""
    if verb is not napari_unetpp.segment_to:
        return set()
    return {*inspect.signature(napari_unetpp.segmenting_to).parameters}


RUN = [path for path in PAGES if blocks(path, "python", marked=True)]


@pytest.mark.parametrize("path", RUN, ids=name_of)
def test_python_that_is_marked_runs(path, tmp_path, monkeypatch):
    from napari.components import ViewerModel

    monkeypatch.chdir(tmp_path)
    image = immunohistochemistry()[:128, :160]
    viewer = ViewerModel()
    viewer.add_image(image, name="cells", rgb=True, scale=(0.5, 0.5), units="um")
    viewer.add_labels(
        np.eye(128, 160, dtype=np.uint8), name="by hand", scale=(0.5, 0.5)
    )
    names = {"viewer": viewer, "image": image, "napari_unetpp": napari_unetpp}
    for block in blocks(path, "python", marked=True):
        code = block.replace("immunohistochemistry()  #", "image  #")
        with contextlib.redirect_stdout(io.StringIO()) as told:
            exec(compile(code, path.name, "exec"), names)
        for line in _shown(path, after=block):
            assert line in told.getvalue()


def _shown(path: Path, after: str) -> list[str]:
    """Return the lines that a page shows as what a block prints, if it prints."""
    if "print" not in after:
        return []
    rest = path.read_text(encoding="utf-8").split(after, 1)[1].removeprefix("```\n\n")
    shown = re.match(r"(?:    .+\n)*", rest)
    return [line.strip() for line in shown[0].splitlines()] if shown else []


def commands(path: Path) -> list[list[str]]:
    """Return the command lines on a page, cut into words."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^(?: {4}|)(napari-unetpp [a-z].*)$", text, re.M)
    found += re.findall(r"`(napari-unetpp [a-z][^`]*)`", text)
    return [shlex.split(line, comments=True) for line in found]


def test_there_are_commands_to_check():
    assert sum(len(commands(path)) for path in PAGES) > 40


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_are_those_of_the_program(path):
    known = get_command(app).commands
    for _, name, *words in commands(path):
        assert name in known, name
        options = {option for param in known[name].params for option in param.opts}
        given = {w.partition("=")[0] for w in words if re.match(r"--?[a-z]", w)}
        assert given <= options | {"--help"}, (name, given - options)


@cache
def said() -> str:
    """Return all fixed text of the package, each string on a line of its own."""
    lines = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.append(" ".join(node.value.split()))
            elif isinstance(node, ast.JoinedStr):
                parts = (
                    p.value if isinstance(p, ast.Constant) else "\n"
                    for p in node.values
                )
                lines.append(
                    "\n".join(" ".join(p.split()) for p in "".join(parts).split("\n"))
                )
    return "\n".join(lines)


def messages(path: Path) -> list[str]:
    """Return the messages that a page tells of: the first cells in italics."""
    cells = re.findall(r"^\| (\*.+?\*) \|", path.read_text(encoding="utf-8"), re.M)
    return [text for cell in cells for text in re.findall(r"\*([^*]+)\*", cell)]


TOLD_OF = ("troubleshooting", "training", "big-data")


@pytest.mark.parametrize("page", TOLD_OF)
def test_messages_are_real(page):
    found = messages(ROOT / "docs" / f"{page}.md")
    assert len(found) > 10
    for message in found:
        # What is filled in stands as ..., as N, as a number or as an example in quotes.
        for part in re.split(r"\.\.\.|\bN\b|\d+|`[^`]*`", message):
            fixed = part.strip(" ;:,.'")
            assert len(fixed) < 4 or fixed in said(), (message, fixed)


def test_every_public_name_is_in_the_reference():
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    listed = {line.rpartition(".")[2] for line in page.splitlines() if ":::" in line}
    assert set(napari_unetpp.__all__) - {"__version__"} <= listed
    for line in re.findall(r"^::: (\S+)\.(\w+)$", page, re.M):
        assert hasattr(importlib.import_module(line[0]), line[1]), line


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_programs_that_are_named_are_there(path):
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"\b(?:benchmarks|docs|examples|tests)/[\w/]+\.py", text):
        assert (ROOT / name).is_file(), name


def test_no_page_uses_the_word_that_means_four_things():
    for path in PAGES:
        text = re.sub(r"`[^`]*`", "", prose(path))
        assert "overlap" not in text.lower(), path
