"""Longer pieces of the help; the mark at their top keeps the lines as they are."""

RESULTS = """\b
Results, in DIR, for an image called NAME.*:
  NAME_labels.tif       objects 1...n, unique over all planes, 0 between them;
                        a class model writes the values that were painted
  NAME_mean.tif         probability of the foreground, mean of the heads;
                        a class model: of each class (class first)
  NAME_heads.tif        the same of each head (head first)
  NAME_uncertainty.tif  entropy of the mean, 0 (sure) to 1 (even chances)
Very large images, or --format zarr: all of them in NAME.ome.zarr.
Until they are complete there is NAME.job, which the same command goes on from."""

METRICS = """\b
Metrics, averaged over the images unless they say pooled; where there is nothing
to find and nothing is found, each is 1:
  iou         intersection over union of foreground against background
  mean_iou    mean of the IoU of all classes, background included
  dice        2 |A and B| / (|A| + |B|) of the foreground; like iou, only of
              models that know a background: not of one trained on scribbles
  boundary_f  F of the outlines in Y, X planes: of the shares of the predicted
              and of the true outline that lie within --boundary-tolerance of
              the other; of classes the mean, the background left out
  ap50        objects: TP / (TP + FP + FN), a true object counting as found
              if a predicted one has an IoU of at least 0.5 with it; ap75, ...
  mean_ap     mean of ap50, ap55, ... ap90
  pq, sq, rq  objects: panoptic quality, IoU above 0.5, and its factors, the mean
              IoU of the pairs (0 if there is none) and the F1 of the objects
  n_true, n_pred      number of true and of predicted objects
  n_found             pairs of IoU >= 0.5; n_missed, n_false: those left over
  n_split, n_merged   true objects that hold two predicted ones or more; that
                      share a predicted one, half of each in it, with another
  count_error         mean over the images of |n_pred - n_true|
  classes             iou, dice, precision, recall, boundary_f of each, pooled
  uncertainty pixels of all images: error_rate, the share that is wrong (of
              objects: foreground against background); how well the spread of
              the heads and the entropy of their mean find them: auroc, the risk
              among the surest 80, 90, 95 %, aurc (mean risk over all shares; see
              best_aurc); expected calibration_error of the mean and each head
  *_pooled, pooled_*  from the sums over all images together"""
