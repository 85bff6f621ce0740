"""What pixels mean: axes, intensities, labels. NumPy only, nothing is read here."""

from napari_unetpp.arrays._axes import (
    Canonical,
    canonical,
    guess_axes,
    looks_rgb,
    parse_axes,
    select_channel,
    with_axes,
)
from napari_unetpp.arrays._diameters import equivalent_diameters, object_diameters
from napari_unetpp.arrays._heads import entropy_of_mean, mean_of_heads
from napari_unetpp.arrays._image import PIXEL, Image
from napari_unetpp.arrays._intensity import (
    IntensityRange,
    intensity_range,
    is_countable,
    normalise,
    working_dtype,
)
from napari_unetpp.arrays._label_meaning import LabelMeaning, guess_meaning
from napari_unetpp.arrays._labels import (
    IGNORE,
    LabelRule,
    align_labels,
    check_labels,
    from_class_index,
    infer_rule,
    known_class_index,
    label_dtype,
    labelled_mask,
    to_class_index,
)
from napari_unetpp.arrays._rescaling import Rescaling

__all__ = [
    "IGNORE",
    "PIXEL",
    "Canonical",
    "Image",
    "IntensityRange",
    "LabelMeaning",
    "LabelRule",
    "Rescaling",
    "align_labels",
    "canonical",
    "check_labels",
    "entropy_of_mean",
    "equivalent_diameters",
    "from_class_index",
    "guess_axes",
    "guess_meaning",
    "infer_rule",
    "intensity_range",
    "is_countable",
    "known_class_index",
    "label_dtype",
    "labelled_mask",
    "looks_rgb",
    "mean_of_heads",
    "normalise",
    "object_diameters",
    "parse_axes",
    "select_channel",
    "to_class_index",
    "with_axes",
    "working_dtype",
]
