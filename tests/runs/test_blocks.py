"""A validation block is never seen in training, and what lies beside it is used."""

from __future__ import annotations

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array, Channel, LabelsConfig
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.runs.blocks import block_region, boxes_beside, guard_band
from napari_dacapo_tasks.runs.data import Row, volumes_of
from napari_dacapo_tasks.runs.fit import crop_grid
from napari_dacapo_tasks.tasks import AffinitiesTaskConfig, DistanceTaskConfig

VOXEL = Coordinate(8, 8)
LABELS = LabelsConfig(channels=(Channel(name="a"),))
TASK = DistanceTaskConfig(
    name="a",
    channels=["a"],
    scale_factor=16,
    clip_distance=80,
    tol_distance=16,
    mask_distances=False,
)


def net(**changes: object) -> CNNectomeUNet:
    values = {
        "input_shape": (20, 20),
        "num_fmaps": 2,
        "fmaps_out": 2,
        "fmap_inc_factor": 2,
        "downsample_factors": [(2, 2)],
        "kernel_size_down": [[(3, 3)], [(3, 3)]],
        "kernel_size_up": [[(3, 3)]],
    }
    return CNNectomeUNet(**{**values, **changes})


def flat(shape: tuple[int, int], offset: tuple[int, int] = (0, 0), dtype: type = np.uint8) -> Array:
    values = np.random.default_rng(0).integers(0, 9, shape).astype(dtype)
    return Array(values, axes="yx", voxel_size=VOXEL, offset=offset)


@pytest.mark.parametrize(
    ("text", "begin", "shape"),
    [
        ("10:30,:", (10, 0), (20, 50)),
        ("-10:,5:-5", (30, 5), (10, 40)),
        (":10,40:900", (0, 40), (10, 10)),
        ("10:30 , :", (10, 0), (20, 50)),
    ],
)
def test_a_block_is_counted_in_voxels_of_the_labels(text, begin, shape):
    labels = flat((40, 50), offset=(16, -80))
    wanted = Roi(labels.roi.begin + Coordinate(begin) * 8, Coordinate(shape) * 8)
    assert block_region(text, labels) == wanted


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("10:30", r"not of as many ranges as the ground truth has axes, 2: .* such as 0:20,:\."),
        ("10:10,:", "is empty in a ground truth of 40 x 50 voxels"),
        ("30:10,:", "is empty"),
        ("40:,:", "is empty"),
        (":,:", "is the whole ground truth of 40 x 50 voxels, so nothing is left to train on"),
        ("0:40,-50:", "is the whole ground truth"),
    ],
)
def test_blocks_that_make_no_sense_are_refused(text, sentence):
    with pytest.raises(DataError, match=sentence):
        block_region(text, flat((40, 50)))


def test_the_guard_is_as_wide_as_what_the_network_sees_or_the_target_needs():
    raw = labels = flat((90, 90))
    valid = net()
    assert valid.context == (8, 8)
    assert guard_band(TASK, valid, raw, labels) == (32, 32)  # 4 voxels, as the target needs
    assert guard_band(TASK, net(padding="same"), raw, labels) == (32, 32)
    wide = TASK.model_copy(update={"scale_factor": 100})
    padding = wide.task_type(wide).predictor.padding(VOXEL)
    assert padding[0] > 40
    assert guard_band(wide, valid, raw, labels) == padding
    far = AffinitiesTaskConfig(name="far", neighborhood=[(0, -30)])
    assert guard_band(far, valid, raw, labels) == (32, 240)


def test_an_odd_context_is_rounded_up():
    odd = net(downsample_factors=[(3, 3)], input_shape=(20, 20))
    assert odd.context[0] % 2 == 1
    guard = guard_band(TASK, odd, flat((90, 90)), flat((90, 90)))
    assert guard[0] >= (odd.context[0] + 1) // 2 * 8


def test_boxes_reach_as_far_as_there_is_ground_truth():
    block, whole = Roi((80, 160), (80, 80)), Roi((0, 0), (320, 240))
    boxes = list(boxes_beside(block, Coordinate(16, 8), whole))
    assert [box.outputs for box in boxes] == [
        Roi((0, 0), (64, 240)),
        Roi((176, 0), (144, 240)),
        Roi((0, 0), (320, 152)),
    ]
    array = flat((40, 30))
    assert [box.of(array).roi for box in boxes] == [
        Roi((0, 0), (80, 240)),
        Roi((160, 0), (160, 240)),
        Roi((0, 0), (320, 160)),
    ]


@given(st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_no_training_sees_the_block_and_all_keep_to_the_guard(data):
    draw = data.draw
    shape = draw(st.tuples(st.integers(20, 60), st.integers(20, 60)))
    margin = draw(st.tuples(st.integers(0, 12), st.integers(0, 12)))
    factor = draw(st.sampled_from([2, 3]))
    padding = draw(st.sampled_from(["valid", "same"]))
    size = 20 if factor == 2 else 18 if padding == "same" else 20
    network = net(downsample_factors=[(factor, factor)], padding=padding, input_shape=(size, size))
    task = TASK.model_copy(update={"scale_factor": draw(st.sampled_from([16, 60]))})
    shift = draw(st.tuples(st.integers(-3, 3), st.integers(-3, 3)))  # part of a voxel
    labels = flat(shape, offset=shift)
    raw = flat(
        (shape[0] + 2 * margin[0], shape[1] + 2 * margin[1]),
        offset=(-8 * margin[0], -8 * margin[1]),
    )
    ends = [sorted(draw(st.tuples(*[st.integers(0, n)] * 2))) for n in shape]
    text = ",".join(f"{begin}:{end}" for begin, end in ends)
    row = Row(raw, labels, validation_block=text, share=3.0)
    try:
        found = volumes_of([row], task=task, architecture=network, labels=LABELS)
    except (ConfigError, DataError):
        assume(False)
    (validated,) = found.validate
    block = validated.ground_truth.roi
    lined_up = found.train[0].raw.unit, validated.ground_truth.labels.roi.begin
    assert lined_up[1] == (0, 0)
    assert block == Roi(Coordinate(b for b, _ in ends) * 8, Coordinate(e - b for b, e in ends) * 8)
    guard = guard_band(task, network, raw, labels)
    forbidden = block.grow(guard, guard)
    for volume in found.train:
        assert volume.raw.roi.intersect(block).empty
        assert volume.ground_truth.labels.roi.intersect(block).empty
        assert volume.ground_truth.roi.intersect(forbidden).empty
        grid = crop_grid(network, volume.raw, volume.ground_truth)
        for index in (Coordinate(0, 0), grid.counts - 1):
            assert grid.input_roi(index).intersect(block).empty
            assert grid.output_roi(index).intersect(forbidden).empty
        padding_of_target = task.task_type(task).predictor.padding(VOXEL)
        needed = volume.ground_truth.roi.grow(padding_of_target, padding_of_target)
        assert needed.intersect(block).empty
    voxels = np.array([np.prod(volume.ground_truth.roi.shape) for volume in found.train])
    shares = [volume.share for volume in found.train]
    np.testing.assert_allclose(shares, 3.0 * voxels / voxels.sum())


def test_a_block_that_leaves_no_room_says_how_much_is_needed():
    row = Row(flat((40, 40)), flat((40, 40)), validation_block="10:30,10:30")
    with pytest.raises(
        ConfigError,
        match=r"Beside the validation block 10:30,10:30 no room is left to train: training stays "
        r"4 x 4 voxels away from it on each side, and the network answers for 12 x 12 voxels",
    ):
        volumes_of([row], task=TASK, architecture=net(), labels=LABELS)


def test_a_block_too_near_to_the_border_for_the_network_is_refused():
    row = Row(flat((60, 60)), flat((60, 60)), validation_block="0:4,:")
    with pytest.raises(
        ConfigError, match=r"cannot answer for any of these 4 x 60 voxels .* looks "
    ):
        volumes_of([row], task=TASK, architecture=net(), labels=LABELS)


def test_parts_are_named_by_their_voxels():
    row = Row(flat((60, 60)), flat((60, 60)), validation_block="40:,:", name="left")
    found = volumes_of([row], task=TASK, architecture=net(), labels=LABELS)
    assert [volume.name for volume in found.train] == ["left (0:36,:)"]
    assert [volume.name for volume in found.validate] == ["left (40:60,:)"]
    assert {volume.crop for volume in (*found.train, *found.validate)} == {"left"}


def test_a_row_that_validates_uses_only_its_block():
    rows = [
        Row(flat((60, 60)), flat((60, 60))),
        Row(flat((60, 60)), flat((60, 60)), use="validate", validation_block="20:40,:"),
    ]
    found = volumes_of(rows, task=TASK, architecture=net(), labels=LABELS)
    assert [volume.name for volume in found.train] == ["crop 1"]
    assert [volume.ground_truth.roi.shape for volume in found.validate] == [(160, 480)]


def test_where_labels_are_sparse_sides_without_any_are_left_out():
    mask = np.zeros((60, 60), np.uint8)
    mask[40:, 20:40] = 1
    mask[22:28, 20:40] = 1  # in the block
    row = Row(
        flat((60, 60)),
        flat((60, 60)),
        Array(mask, axes="yx", voxel_size=VOXEL),
        validation_block="20:30,:",
    )
    found = volumes_of([row], task=TASK, architecture=net(), labels=LABELS)
    assert [volume.name for volume in found.train] == ["crop 1 (34:60,:)"]
    assert found.train[0].share == 1.0
