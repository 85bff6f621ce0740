"""The rules of the house that a program can check; see CONTRIBUTING.md."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import napari_unetpp

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_unetpp"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("torch", "dask", "zarr", "napari", "qtpy", "PyQt6", "PySide6", "skimage")

PUBLIC = {
    "Comparison",
    "Model",
    "Place",
    "Prediction",
    "SavedSegmentation",
    "Segmentation",
    "UNetPlusPlus",
    "__version__",
    "calibrate",
    "check_seams",
    "compare",
    "evaluate",
    "export_model",
    "import_model",
    "in_background",
    "list_models",
    "load_model",
    "load_recipe",
    "next_places",
    "predict",
    "preflight",
    "run_recipe",
    "save_model",
    "save_recipe",
    "segment",
    "segment_to",
    "segmenting",
    "segmenting_to",
    "train",
    "training",
}


def _loaded_by(code: str) -> set[str]:
    """Return the heavy packages that a fresh Python has loaded after `code`."""
    show = f"import sys; print(*[n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_import_loads_nothing_heavy():
    assert _loaded_by("import napari_unetpp; dir(napari_unetpp)") == set()


def test_command_line_loads_nothing_heavy():
    assert _loaded_by("import napari_unetpp.cli") == set()


def test_core_needs_no_viewer():
    viewer = {"napari", "qtpy", "PyQt6", "PySide6"}
    assert not _loaded_by("import napari_unetpp.api") & viewer


def test_public_names():
    assert set(napari_unetpp.__all__) == PUBLIC
    assert set(napari_unetpp.__all__) <= set(dir(napari_unetpp))
    for name in napari_unetpp.__all__:
        assert getattr(napari_unetpp, name) is not None


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = napari_unetpp.no_such_name


def test_imports_point_down():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_private_of_napari_is_imported():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[
                0
            ] in ("napari", "npe2", "superqt"):
                names = [*node.module.split("."), *(a.name for a in node.names)]
                assert not any(name.startswith("_") for name in names), path


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_is_of_a_size_to_be_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_a_function_fits_a_page():
    lengths = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                # What is said to the reader of the documentation is not counted.
                said = _lines(node.body[0]) if ast.get_docstring(node) else 0
                place = f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"
                lengths[place] = _lines(node) - said
    assert {place: n for place, n in lengths.items() if n > 60} == {}
    assert statistics.median(lengths.values()) < 12


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_a_package_file_only_hands_names_on():
    for path in PACKAGE.glob("*/__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        allowed = ast.Import | ast.ImportFrom | ast.Assign | ast.Expr
        assert all(isinstance(node, allowed) for node in body), path
