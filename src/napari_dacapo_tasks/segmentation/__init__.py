"""From predictions to segmentations, at any size."""
