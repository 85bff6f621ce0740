"""Longer pieces of the help; the mark at their top keeps the lines as they are."""

RESULTS = """\b
Results, in DIR, for an image called NAME.*:
  NAME_labels.tif       objects 1...n, unique over all planes, 0 between them;
                        a class model writes the values that were painted
  NAME_mean.tif         probability of the foreground, mean of the heads;
                        a class model: of each class (class first)
  NAME_heads.tif        the same of each head (head first)
  NAME_uncertainty.tif  spread between the heads, 0 to 0.5
Very large images, or --format zarr: all of them in NAME.ome.zarr.
Until they are complete there is NAME.job, which the same command goes on from."""

METRICS = """\b
Metrics, averaged over the images unless they say pooled:
  iou         intersection over union of foreground against background
  mean_iou    mean of the IoU of all classes, background included
  dice        2 |A and B| / (|A| + |B|) of the foreground; like iou, only of
              models that know a background: not of one trained on scribbles
  ap50        objects: TP / (TP + FP + FN), a true object counting as found
              if a predicted one has an IoU of at least 0.5 with it; ap75, ...
  mean_ap     mean of ap50, ap55, ... ap90
  n_true, n_pred      number of true and of predicted objects
  class_iou           IoU of each class, pooled
  *_pooled, pooled_*  from the sums over all images together"""
