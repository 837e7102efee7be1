"""Predictions of volumes far larger than memory, by several workers."""
