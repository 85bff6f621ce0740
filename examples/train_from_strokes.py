"""Train a new model on a few strokes, as one paints them in the viewer.

python examples/train_from_strokes.py            (some seconds: it only shows how)
"""

import numpy as np
from skimage.data import immunohistochemistry

import napari_unetpp
from napari_unetpp.config import TrainingConfig

image = immunohistochemistry()[:256, :256]

# Strokes: 1 on the ground, 2 on nuclei, 0 where nobody painted. Here they are taken
# from a result; in napari they are painted into a labels layer.
nuclei = np.asarray(napari_unetpp.segment(image).labels) > 0
strokes = np.zeros(nuclei.shape, np.uint8)
strokes[4::24] = 1 + nuclei[4::24]

settings = TrainingConfig(epochs=2, steps_per_epoch=4, patch=64, batch=2)
events = napari_unetpp.training(
    [image],
    [strokes],
    task="classes",
    unlabelled=0,
    size="small",
    settings=settings,
    class_names={1: "ground", 2: "nucleus"},
    output="strokes.safetensors",
    overwrite=True,
)
for event in events:  # closing the loop stops the training
    print(type(event).__name__)
model = event.model

classes = napari_unetpp.segment(image, model).labels
print(f"{np.mean(classes == 2):.0%} of the image is nuclei")

# Where the next stroke helps most, in pixels.
for place in napari_unetpp.next_places(image, strokes, model, n=2):
    print(place)
