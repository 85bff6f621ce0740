"""Segment all images of a folder; those that are done are left as they are.

python examples/folder_of_images.py FOLDER RESULTS
"""

import sys
from pathlib import Path

import napari_unetpp
from napari_unetpp.errors import UnetppError


def main(folder: Path, results: Path) -> None:
    """Segment every image, and list those that cannot be."""
    failed = {}
    model = napari_unetpp.load_model("nuclei-fast")
    for path in sorted(folder.glob("*.tif")):
        try:
            saved = napari_unetpp.segment_to(path, results, model, save=["labels"])
        except UnetppError as error:  # says what is wrong, and what helps
            failed[path.name] = error
        else:
            print(path.name, saved.n_objects, "objects")
    for name, error in failed.items():
        print(f"{name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
