"""Recipes as YAML files: written in full, read with the line of what is wrong."""

from __future__ import annotations

import re
from contextlib import suppress
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from napari_unetpp._recipe import (
    RECIPE_VERSION,
    SegmentRecipe,
    TrainRecipe,
    located,
    plain,
    same,
)
from napari_unetpp.errors import OutputError, OutputExistsError, RecipeError
from napari_unetpp.io._disk import beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_unetpp._recipe import Recipe

SUFFIXES = (".yaml", ".yml")

_KINDS: dict[str, type[TrainRecipe | SegmentRecipe]] = {
    "train": TrainRecipe,
    "segment": SegmentRecipe,
}
_MOST_BYTES = 2**24
_SHOWN = 60

Resolvers = dict[str, list[tuple[str, re.Pattern[str]]]]

_PLAIN_VALUES = (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", tuple("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", tuple("-+0123456789")),
    (
        "float",
        r"[-+]?([0-9]+[eE][-+]?[0-9]+|([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
        r"|\.(inf|Inf|INF))|\.(nan|NaN|NAN)",
        tuple("-+.0123456789"),
    ),
)
"""What is no text though it stands without quotes, as in YAML 1.2.

By YAML 1.1, which the library follows, a class called ``off`` would be false, a folder
``2024-01-31`` a date, ``12:30`` the number 750, and ``1e-3`` a text.
"""


def _resolvers() -> Resolvers:
    found: Resolvers = {}
    for tag, pattern, starts in _PLAIN_VALUES:
        for start in starts:
            rule = (f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{pattern})$"))
            found.setdefault(start, []).append(rule)
    return found


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads plain values only: no code, no references to other parts of the text."""

    yaml_implicit_resolvers: ClassVar[Resolvers] = _resolvers()

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(
                None, None, "references (*name) are not used in recipes", mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a list cannot be a name", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes short lists on one line, and quotes what any YAML would misread."""

    yaml_implicit_resolvers: ClassVar[Resolvers] = {
        start: [
            *yaml.SafeDumper.yaml_implicit_resolvers.get(start, []),
            *_Loader.yaml_implicit_resolvers.get(start, []),
        ]
        for start in {
            *yaml.SafeDumper.yaml_implicit_resolvers,
            *_Loader.yaml_implicit_resolvers,
        }
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_sequence(
        self, tag: str, sequence: Any, flow_style: Any = None
    ) -> Any:
        short = not any(isinstance(each, dict | list) for each in sequence)
        return super().represent_sequence(tag, sequence, flow_style=short)


def recipe_text(recipe: Recipe, folder: Path | None = None, note: str = "") -> str:
    """Return a recipe as YAML.

    Parameters
    ----------
    recipe : Recipe
        What is written, with all settings.
    folder : Path, optional
        Paths are written relative to this folder; as they are by default.
    note : str
        Lines of comment for the top.
    """
    lines = [f"Written by napari-unetpp {version('napari-unetpp')}.", *note.split("\n")]
    top = "".join(f"# {line}\n" for line in lines if line)
    body: str = yaml.dump(
        plain(recipe, folder),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=10_000,
    )
    return top + body


def save_recipe(recipe: Recipe, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a recipe to a YAML file, beside its place and then renamed.

    Parameters
    ----------
    recipe : Recipe
        What is written, with paths relative to the file.
    path : str or Path
        File to make; its name ends in ``.yaml``.
    overwrite : bool
        Replace another recipe that is there. The same one is left as it is.

    Raises
    ------
    OutputExistsError
        If something else is there and `overwrite` is false.
    OutputError
        If the name is not that of a recipe, or the file cannot be written.
    """
    path = check_recipe_path(recipe, path, overwrite=overwrite)
    note = (
        f"Do it again: napari-unetpp run {path.name}\n"
        "Paths are relative to this file: send it together with its images and labels."
    )
    with beside(path) as part:
        part.write_text(recipe_text(recipe, path.parent, note), encoding="utf-8")
    return path


def check_recipe_path(recipe: Recipe, path: str | Path, *, overwrite: bool) -> Path:
    """Return `path` if the recipe may be written there; refuse it before any work."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(
            f"{path}: a recipe file ends in .yaml; write to"
            f" {path.with_suffix('.yaml').name}"
        )
    if path.exists() and not overwrite:
        with suppress(RecipeError):
            if same(load_recipe(path), recipe):
                return path
        raise OutputExistsError(
            f"{path} exists, is another recipe, and is not overwritten; choose another"
            " name, or allow it (overwrite=True, --overwrite)"
        )
    return path


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    path : str or Path
        A YAML file as `save_recipe` writes, or written by hand: what is left out has
        its default.

    Returns
    -------
    Recipe
        Its paths are absolute: relative ones were taken from the folder of the file.

    Raises
    ------
    RecipeError
        If the file is missing or no recipe, or an entry is unknown or out of range; the
        message names the line.
    """
    path = Path(path)
    node = _compose(path, _read_text(path))
    if not isinstance(node, yaml.MappingNode):
        raise RecipeError(f"{path} is no recipe: it holds no entries 'name: value'")
    values = _values(path, node)
    kind = _kind(path, node, values)
    try:
        recipe = kind.model_validate(values)
    except ValidationError as error:
        told = "\n".join(_refusals(path, node, error, kind))
        raise RecipeError(
            f"{told}\ncorrect this, or leave an entry out for its default"
        ) from error
    return located(recipe, path.parent)


def _read_text(path: Path) -> str:
    """Return the text of a file that may be anything."""
    if path.suffix == ".safetensors":
        raise RecipeError(
            f"{path} is a model, not a recipe; napari-unetpp info {path.name} --recipe"
            " shows the recipe that made it"
        )
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise RecipeError(f"{path} is too large for a recipe; give a YAML file")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RecipeError(
            f"{path}: the recipe cannot be read ({error.strerror}); check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path} is no recipe: it is not text in UTF-8; save it as UTF-8"
        ) from error


def _compose(path: Path, text: str) -> Any:
    """Return the tree of a YAML text, which knows its lines."""
    try:
        return yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise _no_yaml(path, error) from error


def _values(path: Path, node: Any) -> dict[Any, Any]:
    """Return the plain values of a tree."""
    loader = _Loader("")
    try:
        values: dict[Any, Any] = loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _no_yaml(path, error) from error
    finally:
        loader.dispose()
    return values


def _no_yaml(path: Path, error: Exception) -> RecipeError:
    mark = getattr(error, "problem_mark", None)
    place = f", line {mark.line + 1}" if mark is not None else ""
    why = getattr(error, "problem", None) or "it cannot be read as YAML"
    return RecipeError(
        f"{path}{place}: not YAML that a recipe may hold ({why}); indent by spaces,"
        " write 'name: value', and put quotes around text with special signs"
    )


def _kind(
    path: Path, node: Any, values: dict[Any, Any]
) -> type[TrainRecipe | SegmentRecipe]:
    """Return what kind of recipe this is; refuse one of a newer program."""
    name = values.get("recipe")
    if not isinstance(name, str) or name not in _KINDS:
        raise RecipeError(
            f"{path}, line {_line(node, ('recipe',))}: recipe={name!r}: a recipe says"
            " what it is; write 'recipe: train' or 'recipe: segment'"
        )
    number = values.get("version", RECIPE_VERSION)
    if isinstance(number, int) and number > RECIPE_VERSION:
        raise RecipeError(
            f"{path}, line {_line(node, ('version',))}: version={number}: this program"
            f" reads recipes of version {RECIPE_VERSION}; upgrade napari-unetpp"
        )
    return _KINDS[name]


def _refusals(
    path: Path, node: Any, error: ValidationError, kind: type[BaseModel]
) -> Iterator[str]:
    """Yield what is wrong, each with its line."""
    errors = error.errors()
    for each in errors:
        loc = each["loc"]
        if any(o["loc"][: len(loc)] == loc != o["loc"] for o in errors):
            continue  # it only follows from another
        name = ".".join(part for part in loc if isinstance(part, str))
        place = f"{path}, line {_line(node, loc)}: {name}"
        if each["type"] == "missing":
            yield f"{place} is missing"
        elif each["type"] == "extra_forbidden":
            known = _known(kind, loc[:-1])
            close = get_close_matches(str(loc[-1]), known, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            yield f"{place}: no such entry; {hint}there are {', '.join(known)}"
        else:
            shown = repr(each["input"])
            shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
            rule = each["msg"].removeprefix("Value error, ")
            yield f"{place}={shown}: {rule}"


def _line(node: Any, loc: tuple[int | str, ...]) -> int:
    """Return the line of an entry, or of the innermost one around it that is there."""
    line = node.start_mark.line
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = [
                (key, value) for key, value in node.value if key.value == str(part)
            ]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return int(line) + 1


def _known(kind: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the entries that there are at a place in a recipe."""
    for part in loc:
        if part in kind.model_fields:
            kind = _model_in(kind.model_fields[str(part)].annotation) or kind
    return list(kind.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the settings that an annotation such as ``tuple[Settings, ...]`` holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)
