"""Compare the levels of one model: what each costs, and how far it is from the last.

python examples/fast_and_accurate.py
"""

import time

from skimage.data import immunohistochemistry

import napari_unetpp

image = immunohistochemistry()[:192, :224]
model = napari_unetpp.load_model("nuclei")

deepest = model.config.network.depth
last = napari_unetpp.predict(image, model, mode="fast").foreground.compute()
for level in range(1, deepest + 1):
    started = time.perf_counter()
    # Only the nodes that head `level` needs are computed.
    answer = napari_unetpp.predict(image, model, mode="fast", level=level)
    difference = abs(answer.foreground.compute() - last).mean()
    seconds = time.perf_counter() - started
    print(f"level {level}: {seconds:.2f} s, {difference:.3f} from level {deepest}")

# A model can also be cut, for good: the other weights are gone.
small = model.prune(2)
print(small)
napari_unetpp.save_model(small, "nuclei-level-2.safetensors", overwrite=True)
