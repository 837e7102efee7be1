"""What happens to a crop depends on the random numbers and the config alone."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.runs.augmentation import PRESETS, AugmentationConfig
from napari_dacapo_tasks.training.augmentation import Augmenter
from napari_dacapo_tasks.units import NANOMETRE, WorldUnit

ISOTROPIC, THICK, IMAGE = Coordinate(8, 8, 8), Coordinate(40, 4, 4), Coordinate(4, 4)
SHAPES = {ISOTROPIC: (24, 24, 24), THICK: (10, 40, 40), IMAGE: (48, 48)}


def augmenter(config, voxel_size=ISOTROPIC, unit=NANOMETRE, device="cpu"):
    if isinstance(config, str):
        config = AugmentationConfig.preset(config, tuple(voxel_size))
    return Augmenter(config, unit, voxel_size, device)


def size_of(voxel_size):
    return Coordinate(SHAPES[voxel_size]) * voxel_size


def draw(made, seed=0, **more):
    return made.draw(np.random.default_rng(seed), size_of(made.voxel_size), **more)


def crop(voxel_size):
    """Raw and ids over the network's input and much around it."""
    around = Coordinate(SHAPES[voxel_size]) * 3
    roi = Roi(size_of(voxel_size) * -1, around * voxel_size)
    random = np.random.default_rng(0)
    axes = ("z", "y", "x")[-len(around) :]
    raw = random.normal(0, 0.4, (1, *around)).astype(np.float32)
    labels = random.integers(1, 2**60, tuple(around))
    return (
        NumpyArray.from_np_array(raw, roi, voxel_size, ("c", *axes)),
        NumpyArray.from_np_array(labels, roi, voxel_size, axes),
    )


def made_of(made, augmentation, raw, labels):
    roi = Roi(size_of(made.voxel_size) * 0, size_of(made.voxel_size))
    if (way := augmentation.deformation) is not None:
        source = made.source(way, roi, roi, made.voxel_size)
        raw = made.deform_raw(way, raw.crop(source.intersect(raw.roi)), roi, roi)
        (labels,) = made.deform_labels(way, [labels.crop(source.intersect(labels.roi))], roi, roi)
    else:
        raw, labels = raw.crop(roi), labels.crop(roi)
    varied = made.vary(raw.data, augmentation)
    turn = augmentation.symmetry.apply
    return turn(varied), turn(labels.data)


@pytest.mark.parametrize("voxel_size", [ISOTROPIC, THICK, IMAGE])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_done(name, voxel_size):
    made = augmenter(name, voxel_size)
    given = crop(voxel_size)
    before = given[0].data.copy()
    for seed in range(6):
        augmentation = draw(made, seed)
        raw, labels = made_of(made, augmentation, *given)
        assert raw.shape == (1, *labels.shape)
        assert labels.shape == SHAPES[voxel_size]
        assert np.isfinite(raw).all()
        assert augmentation.describe()
    np.testing.assert_array_equal(given[0].data, before)  # what was given stays


def test_none_leaves_everything_and_light_only_turns_and_shades():
    for seed in range(20):
        nothing = draw(augmenter("none"), seed)
        assert nothing.symmetry.changes_nothing
        assert nothing.deformation is nothing.intensity is nothing.sections is None
        assert nothing.describe() == "as it is"
        light = draw(augmenter("light"), seed)
        assert light.deformation is light.sections is None
    raw = np.zeros((1, 4, 4, 4), np.float32)
    assert augmenter("none").vary(raw, draw(augmenter("none"))) is raw


def test_a_crop_depends_on_its_random_numbers_alone():
    made = augmenter("strong", THICK)
    given = crop(THICK)
    alone = [made_of(made, draw(made, seed), *given) for seed in range(6)]

    def again(seed):
        np.random.random()  # noqa: NPY002 - the states that all share are used by others
        torch.rand(2)
        augmentation = pickle.loads(pickle.dumps(draw(made, seed)))
        return made_of(made, augmentation, *given)

    with ThreadPoolExecutor(3) as pool:
        for seed, pair in enumerate(pool.map(again, list(range(6)))):
            for one, other in zip(pair, alone[seed], strict=True):
                np.testing.assert_array_equal(one, other)
    assert any(not np.array_equal(a[0], b[0]) for a, b in pairwise(alone))


def test_nothing_that_the_program_shares_is_changed(two_threads):
    made = augmenter("strong")
    raw, labels = crop(ISOTROPIC)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    for seed in range(4):
        made_of(made, draw(made, seed), raw, labels)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert torch.get_num_threads() == two_threads


def test_as_many_random_numbers_are_drawn_whatever_is_on():
    after = set()
    for name in PRESETS:
        random = np.random.default_rng(0)
        augmenter(name).draw(random, size_of(ISOTROPIC))
        after.add(int(random.integers(2**60)))
    assert len(after) == 1


def test_each_kind_has_random_numbers_of_its_own():
    full = augmenter("strong", THICK)
    config = full.config
    plain = augmenter(config.model_copy(update={"deform": 0.0, "intensity": 0.0}), THICK)
    for seed in range(10):
        one, other = draw(full, seed), draw(plain, seed)
        assert one.symmetry == other.symmetry
        assert one.sections == other.sections
        assert other.intensity is None
        slips = () if one.deformation is None else one.deformation.slips
        assert slips == (() if other.deformation is None else other.deformation.slips)


def test_nothing_leaves_the_plane_of_thick_sections():
    made = augmenter(
        AugmentationConfig(
            deform=1, rotation=180, scaling=0.3, elastic=10, elastic_spacing=200, transpose=True
        ),
        THICK,
    )
    for seed in range(10):
        way = draw(made, seed).deformation
        matrix = np.array(way.matrix)
        np.testing.assert_allclose(matrix[0], [1, 0, 0], atol=1e-12)
        np.testing.assert_allclose(matrix[:, 0], [1, 0, 0], atol=1e-12)
        assert not way.bending.coefficients[0].any()
        assert way.bending.coefficients[1:].any()
        assert draw(made, seed).symmetry.order[0] == 0


def test_rotation_and_scaling_are_as_far_as_said():
    made = augmenter(AugmentationConfig(deform=1, rotation=20, scaling=0.2))
    angles, factors = [], []
    for seed in range(200):
        matrix = np.array(draw(made, seed).deformation.matrix)
        factor = np.cbrt(1 / np.linalg.det(matrix))
        factors.append(factor)
        cosine = (np.trace(matrix * factor) - 1) / 2
        angles.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    assert 18 < max(angles) <= 20
    assert 0.8 <= min(factors) < 0.82
    assert 1.18 < max(factors) <= 1.2


def test_lengths_are_those_of_the_world_unit():
    config = AugmentationConfig(
        deform=1, elastic=8, elastic_spacing=160, shifted_sections=1, shift=24
    )
    nanometres = draw(augmenter(config))
    finer = Augmenter(config, WorldUnit("nm", 10), ISOTROPIC * 10)
    angstroms = finer.draw(np.random.default_rng(0), size_of(ISOTROPIC) * 10)
    one, other = nanometres.deformation, angstroms.deformation
    np.testing.assert_allclose(one.bending.coefficients * 10, other.bending.coefficients)
    assert one.bending.points == other.bending.points
    for a, b in zip(one.slips, other.slips, strict=True):
        np.testing.assert_allclose(np.array(a.move) * 10, b.move)
    assert nanometres.sections == angstroms.sections


def test_axes_are_exchanged_only_where_all_agrees():
    made = augmenter("light")
    size = size_of(ISOTROPIC)
    orders = {draw(made, seed).symmetry.order for seed in range(80)}
    assert len(orders) == 6
    orders = {draw(made, seed, alike=[(8, 16, 16)]).symmetry.order for seed in range(80)}
    assert orders == {(0, 1, 2), (0, 2, 1)}
    assert size == Coordinate(192, 192, 192)


def test_a_slip_is_a_deformation_and_moves_the_labels():
    config = AugmentationConfig(shifted_sections=0.3, shift=40, mirror=False, transpose=False)
    made = augmenter(config, THICK)
    raw, labels = crop(THICK)
    raw = NumpyArray.from_np_array(
        (labels.data % 1000)[None].astype(np.float32), raw.roi, raw.voxel_size, raw.axes
    )
    seen = 0
    for seed in range(20):
        augmentation = draw(made, seed)
        if augmentation.deformation is None or augmentation.sections is not None:
            continue
        seen += 1
        assert "shifted from one on" in augmentation.describe()
        _, ids = made_of(made, augmentation, raw, labels)
        middle = SHAPES[THICK][0] // 2
        inside = labels.crop(Roi((0, 0, 0), size_of(THICK))).data
        np.testing.assert_array_equal(ids[middle], inside[middle])
        assert (ids != inside).any()
    assert seen


def test_a_device_that_cannot_resample_leaves_it_to_the_processor():
    assert augmenter("em", device="mps").device == "cpu"
    assert augmenter("em", device="cuda:0").device == "cuda:0"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA card here")
def test_a_card_gives_the_same():
    one, other = augmenter("strong"), augmenter("strong", device="cuda:0")
    given = crop(ISOTROPIC)
    for seed in range(4):
        augmentation = draw(one, seed)
        (a, ids), (b, same) = (made_of(m, augmentation, *given) for m in (one, other))
        np.testing.assert_allclose(a, b, atol=2e-3)
        assert (ids == same).mean() > 0.999
