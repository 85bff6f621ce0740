"""The objects of a small array in memory, found as runs over whole images find them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.inference._events import result_of
from napari_unetpp.inference._instances import BlockWork, segment_instances
from napari_unetpp.inference._labelling import PredictedArrays
from napari_unetpp.inference._stages import LocalStages, blocks_for
from napari_unetpp.io import Ledger

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._types import FloatArray
    from napari_unetpp.config import InstanceConfig


def find_objects(mean: FloatArray, instances: InstanceConfig) -> npt.NDArray[np.uint32]:
    """Return the objects that probabilities show.

    Parameters
    ----------
    mean : ndarray of float32, (3, *S)
        Probabilities of background, interior and boundary over the spatial axes.
    instances : InstanceConfig
        Thresholds, and the smallest object kept.

    Returns
    -------
    ndarray of uint32, (*S)
        Objects 1...n on 0.
    """
    labels, *grown = (np.zeros(mean.shape[1:], np.uint32) for _ in range(3))
    arrays = PredictedArrays(mean, labels, (grown[0], grown[1]))
    blocks = blocks_for(labels.ndim)
    with Ledger.in_memory() as ledger:
        stages = LocalStages(ledger, BlockWork(arrays, instances, blocks), "")
        result_of(segment_instances(arrays, instances, blocks, stages))
    return labels
