"""Names of the files in a bioimage.io package."""

from napari_dacapo_tasks.prediction.export.description import DESCRIPTION, WEIGHTS

PROGRAM = "torchscript.pt"
TEST_INPUT, TEST_OUTPUT = "test_input.npy", "test_output.npy"
DOCUMENTATION = "README.md"

ATTACHED = (DESCRIPTION, WEIGHTS)
"""What this program reads back, and others do not need."""
