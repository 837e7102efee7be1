from math import isnan

import numpy as np
import pytest
from funlib.geometry import Roi

from napari_dacapo_tasks.arrays import Array, Channel, GroundTruth, LabelsConfig, NumpyArray
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.evaluation.evaluate import evaluate
from napari_dacapo_tasks.evaluation.mistakes import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    MISTAKES,
    SPLIT,
    WRONG_CLASS,
)
from napari_dacapo_tasks.evaluation.truth import truth_for
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    DummyTaskConfig,
    OneHotTaskConfig,
    PretrainedTaskConfig,
)
from napari_dacapo_tasks.tasks.post_processors.post_processor import Labelling, result_of
from napari_dacapo_tasks.units import VOXEL, WorldUnit

AFFINITIES = AffinitiesTaskConfig(name="affs", neighborhood=[(1, 0, 0), (0, 1, 0), (0, 0, 1)])
CLASSES = OneHotTaskConfig(name="o", classes=["outside", "one", "other"])
SIZE = 8


def distance(*channels, **changes):
    values = {"scale_factor": 20, "clip_distance": 80, "tol_distance": 16, **changes}
    return DistanceTaskConfig(name="d", channels=list(channels) or ["a"], **values)


def placed(values, voxel_size=SIZE, offset=None, **more):
    values = np.asarray(values)
    axes = "zyx"[-3:] if values.ndim >= 3 else "yx"
    axes = axes if values.ndim <= 3 else f"c{axes}"
    axes = more.pop("axes", axes)
    dims = len(axes.replace("c", ""))
    size = (voxel_size,) * dims if isinstance(voxel_size, int) else voxel_size
    return NumpyArray(values, axes=axes, voxel_size=size, offset=offset, **more)


def truth_of(ids, mask=None, **config):
    channels = config.pop("channels", (Channel(name="a"),))
    return GroundTruth(
        ids if isinstance(ids, Array) else placed(ids),
        LabelsConfig(channels=channels, **config),
        None if mask is None else placed(mask),
    )


def score(task, segmentation, truth, mask=None, **more):
    return result_of(evaluate(task, segmentation, truth, mask, **more))


def kinds(evaluation, channel=None):
    rows = [row for row in evaluation.objects if channel in (None, row.channel)]
    return [(row.kind, row.id) for row in rows]


@pytest.fixture
def two():
    """Give two blocks that touch, with background around them."""
    ids = np.zeros((12, 14, 24), np.uint64)
    ids[2:10, 2:12, 2:12] = 2**40
    ids[2:10, 2:12, 12:22] = 7
    return ids


@pytest.mark.parametrize("task", [AFFINITIES, distance("a")])
def test_what_equals_the_truth_is_perfect(two, task):
    found = score(task, placed(two), truth_of(two))
    channel = "objects" if task is AFFINITIES else "a"
    assert found.scores[channel]["voi"] == 0
    assert found.scores[channel]["f1_score"] == 1
    assert kinds(found) == [("matched", 7), ("matched", 2**40)]
    assert not found.mistakes.data.any()
    assert found.mistakes.data.shape == (1, *two.shape)
    assert found.notices == ()
    assert found.unit == "nm"
    assert found.labelling is Labelling.INSTANCES
    assert found.roi == Roi((0, 0, 0), (96, 112, 192))
    assert {one.name for one in found.criteria} == set(found.scores[channel])


def test_shares_of_the_work_grow(two):
    steps = list(evaluate(AFFINITIES, placed(two), truth_of(two)))
    assert steps[0] == 0
    assert steps == sorted(steps)
    assert steps[-1] < 1


def test_leaving_cancels(two):
    steps = evaluate(AFFINITIES, placed(two), truth_of(two))
    next(steps)
    steps.close()
    assert list(steps) == []


def test_mistakes_lie_where_they_are_made(two):
    labels = two.copy()
    labels[2:10, 2:7, 2:12] = 5  # half of one object
    labels[:, :, 20:22] = 0
    labels[0, 0, :4] = 9
    found = score(AFFINITIES, placed(labels), truth_of(two))
    picture = found.mistakes.data[0]
    assert np.count_nonzero(picture == SPLIT) == 8 * 5 * 10
    assert np.count_nonzero(picture == FALSE_NEGATIVE) == 8 * 10 * 2
    assert picture[0, 0, :5].tolist() == [FALSE_POSITIVE] * 4 + [0]
    assert kinds(found) == [("matched", 7), ("split", 2**40), ("false", 9)]
    split = found.objects[1]
    assert split.partners == (5, 2**40)
    assert split.box == ((16, 16, 16), (80, 96, 96))
    assert two[split.voxel] == 2**40


def test_an_object_that_the_region_cuts_to_pieces_is_one_object_as_far_as_it_is_found_so():
    ids = np.zeros((12, 30), np.uint8)
    ids[:, 2:8] = ids[:, 20:26] = 3
    ids[:, 10:18] = 5
    apart = ids.copy()
    apart[:, 20:26] = 4
    task = AffinitiesTaskConfig(name="affs", neighborhood=[(1, 0), (0, 1)])
    for labels in (ids, apart):
        found = score(task, placed(labels), truth_of(ids))
        assert found.scores["objects"]["voi"] == 0
        assert {kind for kind, _ in kinds(found)} == {"matched"}
        assert {one for _, one in kinds(found)} == {3, 5}


def test_scores_are_those_of_the_evaluator(two):
    random = np.random.default_rng(0)
    labels = np.where(random.random(two.shape) < 0.8, two, 0)
    labels[:, 6:] += np.uint64(1)
    task = distance("a")
    method = task.task_type(task).methods[-1]
    found = score(task, placed(labels), truth_of(two), method=method)
    array = placed(labels[np.newaxis])
    truth, mask = truth_for(truth_of(two), array.roi, array, method, task.task_type(task))
    assert found.scores == method.evaluator.evaluate(array, truth, mask)


def test_foreground_has_regions_for_objects(two):
    labels = (two == 7).astype(np.uint8)
    labels[0, 0, 0] = 1
    found = score(distance(), placed(labels), truth_of(two))
    assert found.labelling is Labelling.FOREGROUND
    assert found.scores["a"]["recall"] == 0.5
    # Both blocks are one region, of which half is found: not more than that.
    assert kinds(found) == [("missed", 1), ("false", 2), ("false", 1)]
    picture = found.mistakes.data[0]
    np.testing.assert_array_equal(picture == FALSE_NEGATIVE, two == 2**40)
    assert np.argwhere(picture == FALSE_POSITIVE).tolist() == [[0, 0, 0]]


def test_the_method_is_that_of_the_labels_or_chosen(two):
    usual = score(distance(), placed(two), truth_of(two))
    assert usual.labelling is Labelling.INSTANCES
    again = score(distance(), placed(two), truth_of(two), method=usual.method)
    assert (again.scores, again.objects) == (usual.scores, usual.objects)
    chosen = score(distance(), placed(two), truth_of(two), method="Threshold")
    assert chosen.method == "Threshold"
    assert chosen.scores["a"]["dice"] == 1
    assert score(distance(), placed(two), truth_of(two), method=0).method == "Threshold"
    with pytest.raises(ConfigError, match=r"no method Thershold; did you mean Threshold\?"):
        score(distance(), placed(two), truth_of(two), method="Thershold")


def test_classes(two):
    ids = np.select([two == 2**40, two == 7], [1, 2]).astype(np.uint8)
    labels = ids.copy()
    labels[5] = 1
    ids[0] = 9  # no class
    labels[0] = 2
    found = score(CLASSES, placed(labels), truth_of(ids))
    assert found.labelling is Labelling.CLASSES
    assert found.objects == ()
    picture = found.mistakes.data[0]
    wrong = (ids != labels) & (ids != 9)
    np.testing.assert_array_equal(picture, np.where(wrong, WRONG_CLASS, 0))
    assert found.scores["all"]["accuracy"] == 1 - wrong.sum() / (ids != 9).sum()


def test_classes_in_two_dimensions_with_background_known_only_where_painted():
    ids = np.array([[0, 1, 1], [2, 2, 0]], np.uint8)
    found = score(CLASSES, placed(ids), truth_of(ids, zero_is_unlabelled=True))
    assert found.scores["all"]["accuracy"] == 1
    assert isnan(found.scores["outside"]["iou"])


def test_channels_are_found_by_their_names(two):
    channels = (Channel(name="b", labels=(7,)), Channel(name="a", labels=(2**40,)))
    labels = np.stack([two == 2**40, two == 7]).astype(np.uint8)
    found = score(distance("a", "b"), placed(labels), truth_of(two, channels=channels))
    assert {one["dice"] for one in found.scores.values()} == {1}
    assert found.channels == ("a", "b")
    assert [(row.channel, row.kind) for row in found.objects] == [
        ("a", "matched"),
        ("b", "matched"),
    ]
    assert found.notices == ()
    swapped = score(distance("b", "a"), placed(labels), truth_of(two, channels=channels))
    assert {one["dice"] for one in swapped.scores.values()} == {0}
    only_b = score(distance("b"), placed(labels[1]), truth_of(two, channels=channels))
    assert only_b.scores["b"]["dice"] == 1


def test_channels_of_other_names_are_taken_in_their_order_and_that_is_said(two):
    channels = (Channel(name="x", labels=(2**40,)), Channel(name="y", labels=(7,)))
    labels = np.stack([two == 2**40, two == 7]).astype(np.uint8)
    found = score(distance("a", "b"), placed(labels), truth_of(two, channels=channels))
    assert {one["dice"] for one in found.scores.values()} == {1}
    assert found.notices == (
        "The channels x, y of the ground truth are taken for a, b of the task, in this order.",
    )


def test_an_array_with_channels_may_be_the_truth(two):
    labels = np.stack([two == 2**40, two == 7]).astype(np.uint8)
    last = placed(np.moveaxis(labels, 0, -1), axes="zyxc")
    found = score(distance("a", "b"), placed(labels), last)
    assert {one["dice"] for one in found.scores.values()} == {1}
    assert score(AFFINITIES, placed(two), placed(two)).scores["objects"]["voi"] == 0
    with pytest.raises(DataError, match="The ground truth has no channels, but the task scores 2"):
        score(distance("a", "b"), placed(labels), placed(two))
    with pytest.raises(DataError, match="The ground truth has the channels a, but the task scores"):
        score(distance("x", "y"), placed(labels), truth_of(two))
    with pytest.raises(DataError, match="The segmentation has 2 channels, but the task scores 1"):
        score(AFFINITIES, placed(labels), placed(two))


def test_only_what_both_cover_is_scored_and_that_is_said(two):
    part = placed(two[3:9, :, 6:], offset=(3 * SIZE, 0, 6 * SIZE))
    found = score(AFFINITIES, part, truth_of(two))
    assert found.roi == part.roi
    assert found.scores["objects"]["voi"] == 0
    assert found.notices == (
        "Only 37.5 % of the known ground truth lies in the segmentation (6 x 14 x 18 of "
        "12 x 14 x 24 voxels): the scores are of that part.",
    )
    turned = score(AFFINITIES, placed(two), truth_of(part))
    assert turned.roi == part.roi
    assert turned.notices == (
        "The ground truth covers only 37.5 % of the segmentation: the scores are of that part.",
    )
    row = turned.objects[0]
    assert part.data[row.voxel] == row.id
    middle = placed(two)[Roi(row.centre, (SIZE,) * 3)]
    assert middle.ravel().tolist() == [row.id]


def test_without_an_overlap_there_is_no_score(two):
    far = placed(two, offset=(0, 0, 24 * SIZE))
    with pytest.raises(DataError, match="The segmentation and the ground truth do not overlap"):
        score(AFFINITIES, far, truth_of(two))
    unit = placed(two, unit=VOXEL)
    with pytest.raises(DataError, match="has a physical unit and some has none"):
        score(AFFINITIES, unit, truth_of(two))


def test_what_is_unknown_counts_nowhere(two):
    labels = two.copy()
    labels[:6] = 3
    mask = np.ones(two.shape, np.uint8)
    mask[:6] = 0
    by_mask = score(AFFINITIES, placed(labels), truth_of(two, mask))
    beside = score(AFFINITIES, placed(labels), truth_of(two), placed(mask))
    for found in (by_mask, beside):
        assert found.scores["objects"]["voi"] == 0
        assert found.roi.begin[0] == 6 * SIZE
        assert not found.mistakes.data.any()
        assert {row.voxels for row in found.objects} == {4 * 10 * 10}
    ignored = two.copy()
    ignored[:6] = 99
    assert score(AFFINITIES, placed(labels), truth_of(ignored, ignore_label=99)).scores == (
        by_mask.scores
    )
    small_mask = placed(np.ones((3, 14, 24), np.uint8), offset=(6 * SIZE, 0, 0))
    inside = score(AFFINITIES, placed(labels), truth_of(two), small_mask)
    assert inside.roi.shape[0] == 3 * SIZE
    with pytest.raises(DataError, match="Nothing of the ground truth is known where"):
        score(AFFINITIES, placed(labels), truth_of(two), placed(np.zeros_like(mask)))
    away = placed(mask, offset=(96 * SIZE, 0, 0))
    with pytest.raises(DataError, match="Nothing of the ground truth is known where"):
        score(AFFINITIES, placed(labels), truth_of(two), away)


def test_sparse_paint_is_scored_where_it_is(two):
    painted = np.zeros_like(two)
    painted[4:6, 4:10, 4:20] = two[4:6, 4:10, 4:20]
    found = score(AFFINITIES, placed(two), truth_of(painted, zero_is_unlabelled=True))
    assert found.roi == Roi((32, 32, 32), (16, 48, 128))
    assert {kind for kind, _ in kinds(found)} == {"matched"}


def test_a_region_of_the_ground_truth_stays_one(two):
    within = truth_of(two).within(Roi((0, 0, 0), (48, 112, 192)))
    assert score(AFFINITIES, placed(two), within).roi.shape == (48, 112, 192)


def test_voxels_of_whole_multiples_are_compared_with_the_nearest(two):
    coarse = placed(two[::2, ::2, ::2], voxel_size=2 * SIZE)
    found = score(AFFINITIES, coarse, truth_of(two))
    assert found.scores["objects"]["voi"] == 0
    assert found.mistakes.data.shape == (1, *two.shape)
    assert found.notices == (
        "The segmentation has voxels of 16 x 16 x 16 nm and the ground truth of 8 x 8 x 8 nm: each "
        "voxel of the ground truth is compared with the nearest one.",
    )
    turned = score(AFFINITIES, placed(two), truth_of(coarse))
    assert turned.scores["objects"]["voi"] == 0
    odd = placed(two, voxel_size=(SIZE, SIZE, 12))
    with pytest.raises(DataError, match="8 x 8 x 12 nm and the ground truth of 8 x 8 x 8 nm"):
        score(AFFINITIES, odd, truth_of(two))


def test_grids_of_other_steps_meet(two):
    fine = placed(two, voxel_size=80, unit=WorldUnit("nm", 10), offset=(40, 0, 0))
    found = score(AFFINITIES, fine, truth_of(two))
    assert found.scores["objects"]["voi"] == 0
    assert found.objects[0].centre[1] % SIZE == 0
    same = score(AFFINITIES, truth_of(two).labels, truth_of(placed(two, 80, unit=fine.unit)))
    assert same.objects == score(AFFINITIES, placed(two), truth_of(two)).objects


def test_lengths_are_nanometres_on_every_grid(two):
    labels = (two == 7).astype(np.uint8)
    task = distance(tol_distance=8)
    whole = score(task, placed(labels), truth_of(two))
    fine = WorldUnit("nm", 1000)
    tenths = score(
        task, placed(labels, SIZE * 1000, unit=fine), truth_of(placed(two, SIZE * 1000, unit=fine))
    )
    assert tenths.scores["a"] == pytest.approx(whole.scores["a"])
    assert whole.scores["a"]["hausdorff"] == 80


def test_dims_and_types_that_do_not_fit_are_refused(two):
    with pytest.raises(DataError, match="The segmentation has 2 spatial axes and the ground truth"):
        score(AFFINITIES, placed(two[0]), truth_of(two))
    with pytest.raises(DataError, match="The segmentation is float32, but labels are whole"):
        score(AFFINITIES, placed(two.astype(np.float32)), truth_of(two))
    with pytest.raises(DataError, match="The segmentation holds the negative id -1"):
        score(AFFINITIES, placed(np.where(two == 7, -1, 0)), truth_of(two))
    with pytest.raises(DataError, match="The ground truth holds the negative label -1"):
        score(AFFINITIES, placed(two), truth_of(np.where(two == 7, -1, 0)))
    with pytest.raises(DataError, match="The ground truth holds numbers of type float64"):
        score(AFFINITIES, placed(two), placed(two.astype(float)))
    none = DummyTaskConfig(name="nothing", embedding_dims=1, detection_threshold=0)
    with pytest.raises(ConfigError, match="The task nothing has no way to make a segmentation"):
        score(none, placed(two), truth_of(two))


def test_background_may_be_an_object(two):
    task = AFFINITIES.model_copy(update={"background_as_object": True})
    labels = np.where(two == 0, 50, two)
    found = score(task, placed(labels), truth_of(two))
    assert found.scores["objects"]["voi"] == 0
    assert sorted(kinds(found)) == [("matched", 0), ("matched", 7), ("matched", 2**40)]


def test_a_pretrained_task_is_scored_as_its_sub_task(two):
    task = PretrainedTaskConfig(name="p", sub_task_config=distance("a"), weights="somewhere")
    assert score(task, placed(two), truth_of(two)).scores["a"]["f1_score"] == 1


def test_all_mistakes_have_a_name():
    assert set(MISTAKES) == {1, 2, 3, 4, 5}


def test_what_is_known_is_looked_for_slab_by_slab(two, monkeypatch):
    from napari_dacapo_tasks.evaluation import truth as module

    monkeypatch.setattr(module, "_SLAB_VOXELS", 14 * 24 * 2)
    painted = np.zeros_like(two)
    painted[4:9, 4:10, 4:20] = two[4:9, 4:10, 4:20]
    found = score(AFFINITIES, placed(two), truth_of(painted, zero_is_unlabelled=True))
    assert found.roi == Roi((32, 32, 32), (40, 48, 128))
    with pytest.raises(DataError, match="Nothing of the ground truth is known"):
        score(AFFINITIES, placed(two), truth_of(painted * 0, zero_is_unlabelled=True))
