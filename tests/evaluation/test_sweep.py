from math import isnan
from weakref import ref

import numpy as np
import pytest

from napari_dacapo_tasks.arrays import Channel, GroundTruth, LabelsConfig, NumpyArray
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.evaluation.evaluate import evaluate
from napari_dacapo_tasks.evaluation.ranges import SweepRanges
from napari_dacapo_tasks.evaluation.sweep import SweepResult, SweepRow, SweepStep, sweep
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.segmentation.segment import segment
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    DummyTaskConfig,
    HotDistanceTaskConfig,
    OneHotTaskConfig,
)
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of
from napari_dacapo_tasks.tasks.post_processors.threshold import ThresholdPostProcessor

SIZE = 8
DISTANCES = {"scale_factor": 20, "clip_distance": 80, "tol_distance": 16}
DISTANCE = DistanceTaskConfig(name="d", channels=["a"], **DISTANCES)
TASKS = [
    DISTANCE,
    HotDistanceTaskConfig(name="h", channels=["a", "b"], **DISTANCES),
    AffinitiesTaskConfig(name="affs", neighborhood=[(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 3, 0)]),
]
METHODS = [(task, method) for task in TASKS for method in range(len(task.task_type(task).methods))]


def placed(values, **place):
    values = np.asarray(values)
    axes = place.pop("axes", "zyx")
    return NumpyArray(values, axes=axes, voxel_size=(SIZE,) * 3, **place)


@pytest.fixture(scope="module")
def truth():
    """Give touching blocks of several sizes."""
    ids = np.zeros((14, 16, 20), np.uint16)
    ids[1:9, 2:10, 1:9] = 1
    ids[1:9, 2:10, 9:18] = 2
    ids[10:13, 2:6, 2:6] = 3
    ids[10:12, 12:14, 12:14] = 4
    channels = (Channel(name="a"), Channel(name="b", labels=(1, 4)))
    return GroundTruth(placed(ids), LabelsConfig(channels=channels))


def predicted(task, truth, noise=0.15):
    """Give a perfect prediction with noise, in a little more than the ground truth covers."""
    built = task.task_type(task)
    config = truth.config
    if len(task.ground_truth_channels) == 1:
        config = config.model_copy(update={"channels": config.channels[:1]})
    gt, _ = GroundTruth(truth.labels, config).read(truth.roi)
    target = built.predictor.create_target(gt).data.astype(np.float32)
    target += np.random.default_rng(0).normal(0, noise, target.shape).astype(np.float32)
    target = np.pad(target, [(0, 0), (2, 0), (0, 3), (1, 1)])
    return Prediction(placed(target, axes="czyx", offset=(-2 * SIZE, 0, -SIZE)), task, "net")


def truth_for(task, truth):
    if len(task.ground_truth_channels) == 1:
        channels = (Channel(name="a"),)
        return GroundTruth(truth.labels, LabelsConfig(channels=channels))
    return truth


@pytest.mark.parametrize(("task", "method"), METHODS)
def test_each_row_is_what_segmenting_and_scoring_gives(task, method, truth):
    prediction, known = predicted(task, truth), truth_for(task, truth)
    processor = task.task_type(task).methods[method].post_processor
    ranges = SweepRanges.of(processor)
    first = next(iter(ranges.values))
    few = 1 if hasattr(processor, "neighborhood") else 2  # some start a process each time
    changed = {first: ranges.values[first][:few]}
    if "min_size" in type(processor.default).model_fields:
        changed = {"min_size": (0, 20, 5), **changed}
    ranges = SweepRanges({**changed, "fill_holes": (0, 3)})
    result = result_of(sweep(prediction, known, None, ranges, method))
    assert len(result.rows) == ranges.number
    assert set(result.names) == set(ranges.values)
    for row in result.rows:
        assert row.error == ""
        assert {name: getattr(row.parameters, name) for name in row.values} == row.values
        made = result_of(segment(prediction, method, row.parameters, known.roi))
        found = result_of(evaluate(task, made.array, known, method=made.method))
        assert set(row.scores) == set(found.scores)
        for channel, numbers in found.scores.items():
            assert row.scores[channel] == pytest.approx(numbers, nan_ok=True)
        assert found.notices == ()
    assert result.notices == (
        "The ground truth covers only 67 % of the prediction: the scores are of that part.",
    )


def test_rows_come_one_by_one_and_shares_grow(truth):
    steps = list(sweep(predicted(DISTANCE, truth), truth_for(DISTANCE, truth)))
    assert all(isinstance(step, SweepStep) for step in steps)
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    rows = [step.row for step in steps if step.row is not None]
    assert [row.values["threshold"] for row in rows] == [-0.1, 0.0, 0.1]
    assert {step.number for step in steps} == {3}


def test_leaving_ends_it_at_once(truth, monkeypatch):
    tried = []
    segment_all = ThresholdPostProcessor.segment

    def seen(self, prediction, parameters):
        tried.append(parameters.threshold)
        return segment_all(self, prediction, parameters)

    monkeypatch.setattr(ThresholdPostProcessor, "segment", seen)
    steps = sweep(predicted(DISTANCE, truth), truth_for(DISTANCE, truth))
    assert next(step for step in steps if step.row is not None).row.values == {"threshold": -0.1}
    steps.close()
    assert tried == [-0.1]


def test_a_larger_smallest_object_is_not_segmented_again(truth, monkeypatch):
    from napari_dacapo_tasks.tasks.post_processors.watershed import WatershedPostProcessor

    tried = []
    segment_all = WatershedPostProcessor.segment

    def seen(self, prediction, parameters):
        tried.append((parameters.seed_depth, parameters.min_size))
        return segment_all(self, prediction, parameters)

    monkeypatch.setattr(WatershedPostProcessor, "segment", seen)
    ranges = SweepRanges({"min_size": (1, 30, 60), "seed_depth": (0.75, 1.5)})
    method = "Instances by watershed"
    task = truth_for(DISTANCE, truth)
    result = result_of(sweep(predicted(DISTANCE, truth), task, None, ranges, method))
    assert tried == [(0.75, 1), (1.5, 1)]
    assert len(result.rows) == 6


def test_what_fails_is_a_row_with_its_sentence(truth, monkeypatch):
    segment_all = ThresholdPostProcessor.segment

    def failing(self, prediction, parameters):
        if parameters.threshold == 0:
            raise DataError("This one cannot be: take another.")
        if parameters.threshold == 0.1:
            raise MemoryError
        return segment_all(self, prediction, parameters)

    monkeypatch.setattr(ThresholdPostProcessor, "segment", failing)
    ranges = SweepRanges({"threshold": (0.0, "high", 0.1, 0.2)})
    known = truth_for(DISTANCE, truth)
    refused, high, memory, fine = result_of(
        sweep(predicted(DISTANCE, truth), known, None, ranges)
    ).rows
    assert refused.error == "This one cannot be: take another."
    assert refused.parameters is not None
    assert refused.scores == {}
    assert isnan(refused.score("dice"))
    assert "threshold" in high.error
    assert "high" in high.error
    assert high.parameters is None
    assert memory.error.startswith("The memory of this machine does not suffice")
    assert fine.error == ""
    assert fine.score("dice") > 0.5


def test_nothing_to_sweep_or_nothing_to_score_is_said_before_the_first_row(truth):
    known = truth_for(DISTANCE, truth)
    classes = OneHotTaskConfig(name="o", classes=["outside", "one"])
    prediction = Prediction(placed(np.zeros((2, 3, 3, 3)), axes="czyx"), classes)
    with pytest.raises(ConfigError, match="nothing to sweep: the method Most probable class"):
        result_of(sweep(prediction, known))
    none = DummyTaskConfig(name="nothing", embedding_dims=1, detection_threshold=0)
    with pytest.raises(ConfigError, match="The task nothing has no way"):
        result_of(sweep(Prediction(prediction.array, none), known))
    far = predicted(DISTANCE, truth).array.moved_to((10_000, 0, 0))
    with pytest.raises(DataError, match="The prediction and the ground truth do not overlap"):
        result_of(sweep(Prediction(far, DISTANCE), known))
    with pytest.raises(ConfigError, match="no parameter bias"):
        result_of(sweep(predicted(DISTANCE, truth), known, None, SweepRanges({"bias": (1,)})))


def test_only_what_is_known_is_read_and_segmented(truth):
    read = []

    class Watched:
        def __init__(self, values):
            self.values, self.shape, self.dtype = values, values.shape, values.dtype

        def __getitem__(self, index):
            read.append(self.values[index].shape)
            return self.values[index]

    prediction = predicted(DISTANCE, truth)
    prediction.array.data = Watched(prediction.array.data)
    mask = placed(np.ones((4, 5, 6), np.uint8), offset=(3 * SIZE, 2 * SIZE, 5 * SIZE))
    result = result_of(sweep(prediction, truth_for(DISTANCE, truth), mask))
    assert read == [(1, 4, 5, 6)]
    assert all(row.error == "" for row in result.rows)


def test_predictions_of_other_voxels_are_scored_by_the_nearest(truth):
    prediction = predicted(DISTANCE, truth, noise=0)
    coarse = NumpyArray(
        prediction.array.data[:, 2:, :16, 1:-1][:, ::2, ::2, ::2], axes="czyx", voxel_size=(16,) * 3
    )
    result = result_of(sweep(Prediction(coarse, DISTANCE), truth_for(DISTANCE, truth)))
    assert result.best("dice").score("dice") > 0.6
    assert "16 x 16 x 16 nm" in result.notices[-1]


def result(*scores):
    task = DISTANCE.task_type(DISTANCE)
    rows = tuple(
        SweepRow({"threshold": number}, task.post_processor.default, one)
        for number, one in enumerate(scores)
    )
    return SweepResult("M", ("threshold",), rows, tuple(task.evaluator.criteria), "nm", "d")


def test_the_best_is_by_the_direction_of_the_score():
    found = result(
        {"a": {"dice": 0.5, "voi": 1.0}, "b": {"dice": 0.9}},
        {"a": {"dice": 0.8, "voi": 0.5}, "b": {"dice": 0.5}},
        {"a": {"dice": 0.8, "voi": 0.5}, "b": {"dice": float("nan")}},
        {},
    )
    assert found.channels == ("a", "b")
    assert found.best("voi") is found.rows[1]
    assert found.best("dice", "a") is found.rows[1]
    assert found.best("dice", "b") is found.rows[0]
    assert found.best("dice") is found.rows[2]  # the mean of what is defined
    assert found.best("jaccard") is None
    with pytest.raises(ConfigError, match=r"There is no score dise; did you mean dice\?"):
        found.best("dise")


def test_no_segmentation_is_kept(truth, monkeypatch):
    made, alive = [], []
    segment_all = ThresholdPostProcessor.segment

    def seen(self, prediction, parameters):
        alive.append(sum(one() is not None for one in made))
        labels = yield from segment_all(self, prediction, parameters)
        made.append(ref(labels.data))
        return labels

    monkeypatch.setattr(ThresholdPostProcessor, "segment", seen)
    ranges = SweepRanges({"threshold": (0.0, 0.1, 0.2, 0.3)})
    known = truth_for(DISTANCE, truth)
    result_of(sweep(predicted(DISTANCE, truth), known, None, ranges, "Threshold"))
    assert alive == [0, 0, 0, 0]
