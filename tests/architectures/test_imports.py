import subprocess
import sys

CODE = """
import sys
from napari_dacapo_tasks.architectures import Architecture, CNNectomeUNet
unet = CNNectomeUNet.propose((40, 4, 4), (30, 300, 300))
assert isinstance(unet, Architecture)
CNNectomeUNet.model_validate(unet.model_dump(mode="json"))
unet.compute_output_shape(unet.input_shape), unet.context, unet.nearest_valid_shapes((1, 1, 1))
heavy = [name for name in ("torch", "napari", "qtpy") if name in sys.modules]
assert not heavy, heavy
from napari_dacapo_tasks.architectures import Model, WrappedArchitecture, load_weights
assert "torch" in sys.modules
try:
    import napari_dacapo_tasks.architectures as package
    package.Modell
except AttributeError as error:
    assert "Modell" in str(error)
else:
    raise AssertionError("a wrong name was accepted")
"""


def test_describing_a_network_imports_no_torch():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
