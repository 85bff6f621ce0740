"""Segment an image piece by piece into files, stop in the middle, and go on.

python examples/big_image.py
"""

import numpy as np
import zarr
from skimage.data import immunohistochemistry

import napari_unetpp
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference import TileDone

# An image of any size on the disk. This one is small, so that the example is quick.
image = np.tile(immunohistochemistry()[:256, :256], (2, 2, 1))
zarr.save_array("tissue.zarr", image)

# Memory is the most that the run may take; smaller tiles for this small image.
how = PredictionConfig(mode="fast", level=2, memory="1 GB", tile=128)

# The run is a loop over what happens. Closing it stops the run.
events = napari_unetpp.segmenting_to(
    "tissue.zarr", "results", settings=how, save=["labels"]
)
for event in events:
    if isinstance(event, TileDone):
        print(f"tile {event.n_done} of {event.n_tiles}; stopped")
        break
events.close()

# The same call goes on. What was done is not done again.
saved = napari_unetpp.segment_to(
    "tissue.zarr", "results", settings=how, save=["labels"]
)
print(f"{saved.n_resumed} of {saved.n_tiles} tiles were done before")
print(f"{saved.n_objects} objects in {saved.outputs['labels']}")
