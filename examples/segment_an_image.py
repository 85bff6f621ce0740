"""Segment one image, look at the numbers, and write the labels.

python examples/segment_an_image.py
"""

import numpy as np
import tifffile
from skimage.data import immunohistochemistry

import napari_unetpp

# A path, a NumPy, dask or zarr array, or a napari layer.
image = immunohistochemistry()[:192, :224]

result = napari_unetpp.segment(image, model="nuclei")
print(result)
print(result.n_objects, "nuclei in", "x".join(map(str, result.labels.shape)), "pixels")

# Probabilities are dask arrays: a slice is read when it is asked for.
probability = result.prediction.foreground.compute()
unsure = result.prediction.uncertainty.compute()
y, x = np.unravel_index(unsure.argmax(), unsure.shape)
print(f"the heads disagree most at y={y}, x={x}: {unsure.max():.2f}")
print(f"{np.mean(probability > 0.5):.0%} of the image is nuclei")

tifffile.imwrite("nuclei_labels.tif", np.asarray(result.labels), compression="zlib")
