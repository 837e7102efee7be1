"""From a trained network to predictions, segmentations and scores, at any size."""
