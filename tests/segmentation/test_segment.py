import numpy as np
import pytest
from funlib.geometry import Roi

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.segmentation.segment import method_of, parameters_of, segment
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    DummyTaskConfig,
    OneHotTaskConfig,
)
from napari_dacapo_tasks.tasks.post_processors.argmax import ArgmaxPostProcessorParameters
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of
from napari_dacapo_tasks.tasks.post_processors.threshold import ThresholdPostProcessorParameters
from napari_dacapo_tasks.units import WorldUnit

CONFIG = DistanceTaskConfig(
    name="cells", channels=["cells"], scale_factor=10, clip_distance=40, tol_distance=10
)
TASK = CONFIG.task_type(CONFIG)
ROW = [-1, 0.5, 0.5, -0.2, 0.9, 0.9, -1, 0.3]


@pytest.fixture
def prediction():
    array = NumpyArray(
        np.array(ROW, np.float32).reshape(1, 1, -1),
        axes="cyx",
        voxel_size=(40, 40),
        offset=(80, 400),
        unit=WorldUnit("nm", 10),
    )
    return Prediction(array, CONFIG)


def test_the_usual_way(prediction):
    made = result_of(segment(prediction))
    assert made.method.title == "Threshold"
    assert made.parameters == ThresholdPostProcessorParameters()
    assert made.task is CONFIG
    assert made.array.data.tolist() == [[[0, 1, 1, 0, 1, 1, 0, 1]]]
    assert (made.array.roi, made.array.unit) == (prediction.array.roi, prediction.array.unit)


def test_another_way_with_changes_by_name(prediction):
    made = result_of(segment(prediction, 2, {"threshold": "-0.5", "min_size": "2"}))
    assert made.method.title == "Threshold and connected components"
    assert (made.parameters.threshold, made.parameters.min_size) == (-0.5, 2)
    assert made.array.data.tolist() == [[[0, 1, 1, 1, 1, 1, 0, 0]]]


def test_lengths_of_the_task_are_on_the_predictions_grid(prediction):
    # A scale factor of 10 nm is 100 grid steps here: seeds are where the tanh says so.
    shallow = result_of(segment(prediction, "Instances by watershed", {"seed_depth": 0.1}))
    assert shallow.method.post_processor.scale_factor == 100
    assert shallow.array.data.tolist() == [[[0, 1, 1, 0, 2, 2, 0, 3]]]


def test_a_part_of_it(prediction):
    made = result_of(segment(prediction, 2, roi=Roi((80, 480), (40, 200))))
    assert made.array.data.tolist() == [[[1, 0, 2, 2, 0]]]
    assert made.array.roi == Roi((80, 480), (40, 200))


def test_a_region_beside_it_is_refused(prediction):
    with pytest.raises(DataError, match=r"The region .* holds no voxel of the prediction"):
        result_of(segment(prediction, roi=Roi((0, 0), (40, 40))))


def test_parameters_of_another_method_are_refused(prediction):
    with pytest.raises(ConfigError, match="ArgmaxPostProcessorParameters belongs to another"):
        result_of(segment(prediction, 0, ArgmaxPostProcessorParameters()))


def test_a_prediction_of_another_task_is_refused(prediction):
    classes = OneHotTaskConfig(name="a", classes=["a", "b"])
    assert result_of(segment(Prediction(prediction.array, classes))).array.data.max() == 0
    affinities = AffinitiesTaskConfig(name="a", neighborhood=[(0, 1), (1, 0)])
    with pytest.raises(DataError, match="1 channels, but the task needs 2"):
        result_of(segment(Prediction(prediction.array, affinities)))


@pytest.mark.parametrize(
    ("name", "title"),
    [
        (None, "Threshold"),
        (1, "Instances by watershed"),
        ("threshold", "Threshold"),
        ("Threshold and", "Threshold and connected components"),
        (" instances ", "Instances by watershed"),
    ],
)
def test_methods_have_names(name, title):
    assert method_of(TASK, name).title == title


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mutex", r"no method mutex; known are Threshold, Instances by watershed, .*\.$"),
        ("Treshold", r"no method Treshold; did you mean Threshold\?$"),
        ("thres", r"no method thres; did you mean Threshold\?$"),
        ("", "no method ; known are"),
        (3, r"no method number 3: the first is 0, the last 2 \(Threshold, "),
        (-1, "no method number -1"),
    ],
)
def test_other_methods_are_refused(name, said):
    with pytest.raises(ConfigError, match=said):
        method_of(TASK, name)


def test_a_task_without_any_way_is_refused():
    config = DummyTaskConfig(name="nothing", embedding_dims=1, detection_threshold=0.5)
    with pytest.raises(ConfigError, match="The task nothing has no way to make a segmentation"):
        method_of(config.task_type(config), None)


def test_parameters_are_read_from_texts():
    components = method_of(TASK, 2).post_processor
    assert parameters_of(components, {}) == components.default
    made = parameters_of(components, {"threshold": "0.1", "fill_holes": "20"})
    assert (made.threshold, made.min_size, made.fill_holes) == (0.1, 0, 20)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"treshold": "1"}, r"the field treshold is not known; did you mean threshold\?"),
        ({"min_size": "-3"}, r"min_size: .* greater than or equal to 0 \(got '-3'\)"),
        ({"threshold": "high"}, "threshold: .* valid number"),
        ({"threshold": "nan"}, "threshold: .* finite number"),
    ],
)
def test_parameters_that_are_refused(values, said):
    with pytest.raises(ConfigError, match=said):
        parameters_of(method_of(TASK, 2).post_processor, values)
