"""Score labels against others that are right, and see which objects are wrong.

python examples/how_good_is_it.py
"""

import numpy as np
from scipy import ndimage

import napari_unetpp

# The truth, as somebody painted it: forty discs on a grid.
y, x = np.mgrid[:160, :256]
truth, n = ndimage.label((y % 32 - 16) ** 2 + (x % 32 - 16) ** 2 < 100)

# What somebody, or some program, found: one object missed, two joined to one.
found = np.where(truth == 1, 0, truth)
found[12:20, 112:144] = found[16, 112]
found[found == truth[16, 144]] = found[16, 112]

compared = napari_unetpp.compare(found, truth)
for name in ("n_true", "n_pred", "n_found", "n_missed", "n_merged", "ap50", "pq"):
    print(name, round(compared.scores[name], 3))

# A map of what is wrong where; `names` says what its values stand for.
wrong = {compared.names[kind] for kind in np.unique(compared.errors) if kind}
print("errors:", ", ".join(sorted(wrong)))

# The same for a model, on labelled images that it has not learnt from:
# napari_unetpp.evaluate(images, labels, "mine.safetensors", csv="scores.csv")
