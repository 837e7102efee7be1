"""napari-dacapo-tasks: see what a network will be taught before you train it."""

__version__ = "0.1.0"
