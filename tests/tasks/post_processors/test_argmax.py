import numpy as np
import pytest

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.post_processors import post_processor
from napari_dacapo_tasks.tasks.post_processors.argmax import ArgmaxPostProcessor

ARGMAX = ArgmaxPostProcessor()


def test_the_highest_value_and_the_first_of_equal_ones(prediction, same_place):
    values = prediction([[[0.1, 0.4, 0.3]], [[0.7, 0.4, 0.3]], [[0.2, 0.2, 0.4]]])
    labels = ARGMAX.process(values, ARGMAX.default)
    assert labels.data.tolist() == [[[1, 0, 2]]]
    assert labels.data.dtype == np.uint8
    same_place(labels, values)


def test_nan_is_never_the_highest(prediction):
    nan = np.nan
    values = prediction([[[nan, 0.2, nan, nan]], [[0.1, nan, nan, nan]], [[-1, nan, 0.3, nan]]])
    assert ARGMAX.process(values, ARGMAX.default).data.tolist() == [[[1, 0, 2, 0]]]


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 12, 13), (5, 7, 8, 9)])
def test_as_numpy_does_part_by_part(prediction, same_place, monkeypatch, dtype, shape):
    monkeypatch.setattr(post_processor, "_SLAB_VALUES", 800)
    random = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    values = prediction(random, lazy=True)
    labels = ARGMAX.process(values, ARGMAX.default)
    np.testing.assert_array_equal(labels.data[0], random.argmax(axis=0))
    assert values.data.most <= 800
    same_place(labels, values)


def test_the_prediction_is_not_changed(prediction):
    values = prediction([[[0.1, np.nan]], [[0.7, 0.4]]])
    ARGMAX.process(values, ARGMAX.default)
    np.testing.assert_array_equal(values.data, [[[0.1, np.nan]], [[0.7, 0.4]]])


def test_more_than_256_classes(prediction):
    values = np.zeros((300, 1, 2))
    values[299, 0, 1] = 1
    labels = ARGMAX.process(prediction(values), ARGMAX.default)
    assert labels.data.tolist() == [[[0, 299]]]
    assert labels.data.dtype == np.uint16


def test_a_prediction_without_channels_is_refused():
    from napari_dacapo_tasks.arrays import NumpyArray

    bare = NumpyArray(np.zeros((4, 4)), axes="yx", voxel_size=(1, 1))
    with pytest.raises(DataError, match="has no channels"):
        ARGMAX.process(bare, ARGMAX.default)


def test_there_is_one_choice():
    assert list(ARGMAX.enumerate_parameters()) == [ARGMAX.default]
