"""What the site shows beside the pages in this folder, and links that fit both places.

Pages are read in two places: in the checkout, where a link may leave ``docs/``, and on
the site, where what it leads to is a page of its own. MkDocs calls the functions whose
names begin with ``on_``.
"""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_unetpp"

OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "NOTICE": "notice.md",
    **{
        f"src/napari_unetpp/models/{card.name}": f"cards/{card.name}"
        for card in sorted((PACKAGE / "models").glob("*.md"))
    },
}
"""Files of the checkout, and the pages that they are on the site."""

_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_SETTINGS = ("config", "_settings", "_amounts", "_recipe")
"""Modules whose ValueErrors are shown as they are: settings that check themselves."""

_ELSEWHERE = ("http://", "https://", "mailto:", "#")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie elsewhere in the checkout, and those that are made."""
    from mkdocs.structure.files import File

    for source, page in OUTSIDE.items():
        if page != "index.md":
            content = (ROOT / source).read_text(encoding="utf-8")
            if page == "notice.md":
                content = f"# Notice\n\n```text\n{content.strip()}\n```\n"
            files.append(File.generated(config, page, content=content))
    made = {
        "reference/messages.md": messages_page(),
        "reference/command-line.md": command_line_page(),
        "examples.md": examples_page(),
    }
    for page, content in made.items():
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Let the links of a page lead to pages of the site."""
    return _LINK.sub(
        lambda found: found[1] + site_link(page.file.src_uri, found[2]) + found[3],
        markdown,
    )


def site_link(page: str, link: str) -> str:
    """Return a link of a page as it is on the site.

    Parameters
    ----------
    page : str
        Page of the site that the link stands on, such as ``"guides/segment.md"``.
    link : str
        Where it leads to in the checkout, relative to the file that the page is made
        of.
    """
    if link.startswith(_ELSEWHERE):
        return link
    sources = {site: source for source, site in OUTSIDE.items() if site != "index.md"}
    here = sources.get(page, f"docs/{page}")
    path, hash_sign, anchor = link.partition("#")
    there = posixpath.normpath(posixpath.join(posixpath.dirname(here), path))
    target = OUTSIDE.get(there, there.removeprefix("docs/"))
    if there.startswith("examples/"):
        target, hash_sign, anchor = "examples.md", "#", posixpath.basename(there)[:-3]
    return (
        posixpath.relpath(target, posixpath.dirname(page) or ".") + hash_sign + anchor
    )


def examples_page() -> str:
    """Return a page with every program of ``examples/``."""
    lines = [
        "# Examples",
        "",
        "Programs to start from, in the folder `examples/` of the source. The tests"
        " run them all.",
    ]
    for path in sorted((ROOT / "examples").glob("*.py")):
        code = path.read_text(encoding="utf-8")
        says = ast.get_docstring(ast.parse(code)) or ""
        lines += ["", f"## {path.stem}", "", says.splitlines()[0], ""]
        lines += [f'```python title="examples/{path.name}"', code.strip(), "```"]
    return "\n".join(lines) + "\n"


def messages() -> list[tuple[str, str, str]]:
    """Return class, module and text of every message that is raised in the package.

    What is filled in when it is raised stands as ``...``.
    """
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Raise | ast.Return):
                continue
            call = node.exc if isinstance(node, ast.Raise) else node.value
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                continue
            if call.func.id.endswith("Error") and call.args:
                text = _text(call.args[0]).strip()
                if re.search(r"[a-z]{3}", text):
                    module = path.relative_to(PACKAGE).with_suffix("").as_posix()
                    found.add((call.func.id, module.replace("/", "."), text))
    return sorted(found)


def _text(node: ast.expr) -> str:
    """Return what is fixed of a string, with ``...`` for what is not."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return "..."


def messages_page() -> str:
    """Return a page of all messages, by the kind of error."""
    ours = _classes_of_errors()
    kinds: dict[str, list[str]] = {}
    for kind, module, text in messages():
        if kind in ours or module in _SETTINGS:
            told = f"- `` {' '.join(text.split())} ``"
            kinds.setdefault(kind if kind in ours else "Settings", []).append(told)
    lines = [
        "# Messages",
        "",
        "Every error that is raised on purpose, made from the source of this version."
        " Each names the value, the rule and the cure; `...` is what is filled in. What"
        " is behind the more frequent ones stands under"
        " [troubleshooting](../troubleshooting.md).",
    ]
    for kind, texts in sorted(kinds.items()):
        lines += ["", f"## {kind}", "", *texts]
    return "\n".join(lines) + "\n"


def _classes_of_errors() -> set[str]:
    """Return the names of the errors in the package's own tree."""
    tree = ast.parse((PACKAGE / "errors.py").read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def command_line_page() -> str:
    """Return a page with the help of every command."""
    from typer.testing import CliRunner

    from napari_unetpp.cli._app import app

    names = sorted(
        command.name or command.callback.__name__.strip("_").replace("_", "-")
        for command in app.registered_commands
        if not command.hidden
    )
    lines = ["# Command line", "", "What `--help` says, of this version."]
    for name in ("", *names):
        program = f"napari-unetpp {name}".strip()
        told = CliRunner().invoke(
            app,
            [*name.split(), "--help"],
            prog_name="napari-unetpp",
            terminal_width=88,
            color=False,
        )
        lines += ["", f"## {program}", "", "```text", told.stdout.strip(), "```"]
    return "\n".join(lines) + "\n"
