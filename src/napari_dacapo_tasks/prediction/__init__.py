"""From a trained network to predictions, at any size, and to other programs."""
