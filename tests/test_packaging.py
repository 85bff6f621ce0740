"""The wheel, as users get it: built, installed elsewhere, found by napari."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
        *("--no-build-isolation", "--wheel-dir", folder, ROOT),
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    # As build tools do, in the folder of the checkout, whose files it is made of.
    code = "import sys; from hatchling import build; build.build_sdist(sys.argv[1])"
    _run(sys.executable, "-c", code, folder, cwd=ROOT)
    (path,) = folder.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the wheel in it.

    It sees the dependencies of this environment, but not the checkout: a folder named
    in a .pth file is searched last, and its own .pth files are not read.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    packages = Path(
        sysconfig.get_path("purelib", vars={"base": str(folder)}, scheme="venv")
    )
    packages.joinpath("dependencies.pth").write_text(sysconfig.get_path("purelib"))
    _run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
        *("--no-deps", "--no-index", "--force-reinstall", "--ignore-installed", wheel),
    )
    return python


def _run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_holds_all_that_is_needed_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    package = {n.removeprefix("napari_unetpp/") for n in names if "dist-info" not in n}
    assert {"napari.yaml", "py.typed", "cli/__init__.py"} <= package
    assert all(
        name.startswith("napari_unetpp/") or "dist-info" in name for name in names
    )
    for path in (ROOT / "src" / "napari_unetpp" / "models").glob("*.*"):
        assert f"models/{path.name}" in package
    for name in ("LICENSE", "NOTICE"):
        assert any(n.endswith(f"licenses/{name}") for n in names)


def test_the_source_makes_the_same_wheel(sdist, wheel, tmp_path):
    _run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
        *("--no-build-isolation", "--wheel-dir", tmp_path, sdist),
    )
    (made,) = tmp_path.glob("*.whl")
    assert zipfile.ZipFile(made).namelist() == zipfile.ZipFile(wheel).namelist()


def test_the_source_holds_docs_examples_and_tests(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"CITATION.cff", "NOTICE", "README.md", "mkdocs.yml", "napari.yaml"} <= names
    for folder in ("docs", "examples", "tests"):
        for path in (ROOT / folder).glob("*.py"):
            assert f"{folder}/{path.name}" in names
    assert not any(name.startswith(("benchmarks/", "site/", ".venv")) for name in names)


def test_wheel_is_small(wheel):
    assert wheel.stat().st_size < 30 * 2**20


def test_napari_finds_the_manifest_of_the_installed_wheel(installed):
    out = _run(
        installed,
        "-c",
        "import napari_unetpp, npe2\n"
        "print(napari_unetpp.__file__)\n"
        "manager = npe2.PluginManager()\n"
        "manager.discover()\n"
        "manifest = manager.get_manifest('napari-unetpp')\n"
        "print(manifest.name, len(manifest.contributions.widgets))\n",
    )
    file, manifest = out.splitlines()
    assert Path(file).is_relative_to(installed.parents[1])
    assert manifest.startswith("napari-unetpp ")
    assert int(manifest.split()[1]) > 0


def test_every_command_of_the_manifest_can_be_imported(installed):
    _run(
        installed,
        "-c",
        "from pathlib import Path\n"
        "import napari_unetpp, npe2\n"
        "from npe2.manifest.utils import import_python_name\n"
        "path = Path(napari_unetpp.__file__).with_name('napari.yaml')\n"
        "manifest = npe2.PluginManifest.from_file(path)\n"
        "for command in manifest.contributions.commands:\n"
        "    assert callable(import_python_name(command.python_name)), command\n",
    )


def test_the_installed_program_runs(installed):
    program = installed.with_name("napari-unetpp")
    assert "segment" in _run(program, "--help")


def test_the_manifest_on_top_is_the_one_in_the_package():
    top, real = ROOT / "napari.yaml", ROOT / "src" / "napari_unetpp" / "napari.yaml"
    if top.is_symlink():
        assert top.resolve() == real.resolve()
    else:  # a checkout without symlinks holds the target's name
        assert top.read_text().strip() == "src/napari_unetpp/napari.yaml"
