"""A validation gives what predicting, segmenting and scoring by hand gives."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.runs.data import Volume
from napari_dacapo_tasks.runs.scores import Score
from napari_dacapo_tasks.runs.trainer_config import ValidationConfig
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    DummyTaskConfig,
    HotDistanceTaskConfig,
    OneHotTaskConfig,
    PretrainedTaskConfig,
)
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of
from napari_dacapo_tasks.training import scored_region, validation
from napari_dacapo_tasks.training.scored_region import Aim
from napari_dacapo_tasks.training.validation import Validator
from napari_dacapo_tasks.units import WorldUnit

NET = CNNectomeUNet(
    input_shape=(24, 24, 24),
    num_fmaps=2,
    fmaps_out=2,
    fmap_inc_factor=2,
    downsample_factors=[(2, 2, 2)],
    eval_shape_increase=(16, 16, 16),
)
"""Answers for 24 voxels a side, and sees 8 more on each."""

SMALL_TILES = NET.model_copy(update={"eval_shape_increase": Coordinate(0, 0, 0)})
"""The same for 8 voxels a side."""

RANGE = (0.0, 255.0)
AFFINITIES = AffinitiesTaskConfig(name="affs", neighborhood=[(1, 0, 0), (0, 1, 0), (0, 0, 1)])


@pytest.fixture
def distance(small_task) -> DistanceTaskConfig:
    return small_task


def model_of(config, architecture=NET):
    torch.manual_seed(0)
    return config.task_type(config).create_model(architecture)


def validator_of(config, *volumes, **settings) -> Validator:
    unit = volumes[0].ground_truth.labels.unit
    task = config.task_type(config.on_grid(unit))
    return Validator(volumes, task, RANGE, ValidationConfig(**settings))


def validated(config, *volumes, model=None, **settings) -> tuple[Score, list[str]]:
    validator = validator_of(config, *volumes, **settings)
    score = result_of(validator.validate(model or model_of(config), 7))
    return score, list(validator.notices())


def flat(scores) -> dict:
    """All numbers by crop, channel and criterion, nearly equal to others of that form."""
    return pytest.approx(
        {
            (crop, channel, name): value
            for crop, channels in scores.items()
            for channel, values in channels.items()
            for name, value in values.items()
        },
        nan_ok=True,
    )


@pytest.fixture
def whole(volume) -> Volume:
    return Volume("crop", volume.array(volume.raw), volume.ground_truth())


class TestScores:
    def test_are_those_of_the_steps_by_hand(self, volume, whole, distance):
        model = model_of(distance)
        score, notices = validated(distance, whole, model=model)
        raw = volume.raw.astype(np.float32) / 255 * 2 - 1
        with torch.no_grad():
            answer = model.eval()(torch.from_numpy(raw)[None, None])[0].numpy()
        inner = (slice(8, -8),) * 3
        roi = Roi((64,) * 3, (24 * 8,) * 3)
        place = {"roi": roi, "voxel_size": (8, 8, 8), "axes": "czyx"}
        segmentation = NumpyArray.from_np_array((answer > 0).astype(np.uint8), **place)
        truth = (volume.labels[inner] > 0).astype(np.uint8)[None]
        task = distance.task_type(distance)
        wanted = task.evaluator.evaluate(segmentation, NumpyArray.from_np_array(truth, **place))
        assert flat(score.scores) == flat({"crop": wanted}).expected
        assert score.value == pytest.approx(wanted["balls"]["dice"])
        assert (score.iteration, score.criterion, score.method) == (7, "dice", "Threshold")
        assert score.seconds > 0
        assert notices == [
            "Of the volume crop 24 x 24 x 24 of 40 x 40 x 40 voxels are scored: the network sees "
            "farther than there is raw data around the others."
        ]

    def test_context_is_read_beyond_the_ground_truth(self, volume, distance):
        inner = volume.array(volume.labels[8:-8, 8:-8, 8:-8], offset=(64,) * 3)
        around = Volume("crop", volume.array(volume.raw), volume.ground_truth(inner))
        score, notices = validated(distance, around)
        known = Volume(
            "crop",
            volume.array(volume.raw),
            volume.ground_truth().within(Roi((64,) * 3, (24 * 8,) * 3)),
        )
        assert flat(score.scores) == flat(validated(distance, known)[0].scores).expected
        assert notices == []

    def test_the_loss_is_the_task_s_on_what_losses_take(self, volume, whole):
        model = model_of(AFFINITIES)
        score, _ = validated(AFFINITIES, whole, model=model)
        raw = volume.raw.astype(np.float32) / 255 * 2 - 1
        with torch.no_grad():
            logits = model.eval().chain(torch.from_numpy(raw)[None, None])
        task = AFFINITIES.task_type(AFFINITIES)
        gt, mask = whole.ground_truth.read(whole.ground_truth.roi)
        target = task.predictor.create_target(gt).crop(Roi((64,) * 3, (192,) * 3))
        weight, _ = task.predictor.create_weight(gt, target, mask)
        wanted = task.loss.compute(
            logits,
            *(torch.from_numpy(one.data.astype(np.float32))[None] for one in (target, weight)),
        )
        assert score.loss == pytest.approx(float(wanted), rel=1e-4)

    @pytest.mark.parametrize("slab", [1, 1000, 10**9])
    def test_slabs_change_nothing(self, whole, monkeypatch, slab):
        config = HotDistanceTaskConfig(
            name="hot", channels=["balls"], scale_factor=24, clip_distance=80, tol_distance=16
        )
        model = model_of(config)
        usual, _ = validated(config, whole, model=model)
        monkeypatch.setattr(validation, "SLAB_VALUES", slab)
        again, _ = validated(config, whole, model=model)
        assert again.loss == pytest.approx(usual.loss, rel=1e-5)
        assert flat(again.scores) == flat(usual.scores).expected

    def test_lengths_are_in_nanometres_on_any_grid(self, volume, distance):
        fine = WorldUnit("nm", 10)
        usual = Volume("crop", volume.array(volume.raw), volume.ground_truth())
        finer = Volume(
            "crop",
            volume.array(volume.raw).on_grid(fine),
            volume.ground_truth(volume.array(volume.labels).on_grid(fine)),
        )
        model = model_of(distance)
        first, second = (validated(distance, one, model=model)[0] for one in (usual, finer))
        assert first.scores["crop"]["balls"]["hausdorff"] >= 8
        assert flat(first.scores) == flat(second.scores).expected

    def test_several_volumes_are_averaged_and_named_apart(self, volume, whole, distance):
        other = replace(whole, raw=volume.array(255 - volume.raw))
        third = replace(other, name="other")
        score, _ = validated(distance, whole, other, third)
        assert list(score.scores) == ["crop", "crop 2", "other"]
        dices = [crop["balls"]["dice"] for crop in score.scores.values()]
        assert dices[0] != dices[1] == dices[2]
        assert score.value == pytest.approx(sum(dices) / 3)
        alone = [validated(distance, one)[0].loss for one in (whole, other)]
        assert score.loss == pytest.approx((alone[0] + 2 * alone[1]) / 3)

    def test_what_is_unknown_does_not_count(self, volume, distance):
        mask = np.zeros_like(volume.labels)
        mask[10:30, 10:20, 10:30] = 1
        wrong = np.where(mask, volume.labels, 1)  # nonsense where nothing is known
        known = [
            Volume(
                "crop",
                volume.array(volume.raw),
                volume.ground_truth(volume.array(labels), volume.array(mask)),
            )
            for labels in (volume.labels, wrong)
        ]
        first, second = (validated(distance, one)[0] for one in known)
        names = ("dice", "precision", "recall", "false_positive_rate")
        for name in names:
            one, other = (score.scores["crop"]["balls"][name] for score in (first, second))
            assert one == pytest.approx(other, nan_ok=True)

    @pytest.mark.parametrize(
        ("config", "criterion", "method"),
        [
            (AFFINITIES, "voi", "Mutex watershed"),
            (
                OneHotTaskConfig(name="hot", classes=["none", "one", "two"]),
                "mean_iou",
                "Most probable",
            ),
            (
                PretrainedTaskConfig(name="pre", sub_task_config=AFFINITIES, weights="none"),
                "voi",
                "Mutex watershed",
            ),
        ],
        ids=lambda value: getattr(value, "name", None),
    )
    def test_every_task_has_its_own(self, volume, config, criterion, method):
        labels = volume.labels % 3 if isinstance(config, OneHotTaskConfig) else volume.labels
        one = Volume("crop", volume.array(volume.raw), volume.ground_truth(volume.array(labels)))
        inner = getattr(config, "sub_task_config", config)
        score, _ = validated(config, one, model=model_of(inner))
        assert score.criterion == criterion
        assert method in score.method
        assert np.isfinite([score.value, score.loss]).all()

    def test_a_task_without_segmentations_has_its_loss(self, whole):
        config = DummyTaskConfig(name="dummy", embedding_dims=2, detection_threshold=0.5)
        score, _ = validated(config, whole)
        assert (score.criterion, score.scores, score.method) == ("loss", {"crop": {}}, "")
        assert score.value == score.loss > 0

    def test_objects_that_the_region_cuts_are_one_each(self, volume):
        """A perfect network is perfect, though a U of one id is two pieces in the region."""
        labels = np.zeros((40, 40, 40), np.uint8)
        labels[10:30, 10:30, 10:14] = labels[10:30, 10:30, 26:30] = 1
        labels[10:30, 34:38, 10:30] = 1
        one = Volume(
            "crop",
            volume.array(volume.raw),
            volume.ground_truth(volume.array(labels)).within(Roi((80,) * 3, (160,) * 3)),
        )
        validator = validator_of(AFFINITIES, one)
        model = model_of(AFFINITIES)
        region = validator._all_regions(model)[0]
        aim = Aim.of(region, validator.task)
        segmentation = validator.task.post_processor.process(
            region.placed(aim.target), validator.task.post_processor.default
        )
        scores = validator._evaluate(region, segmentation)
        assert scores["objects"]["voi"] == 0


class TestCriterion:
    def test_is_the_task_s_first_or_any_other(self, whole, distance):
        assert validator_of(distance, whole).criterion.name == "dice"
        chosen = validator_of(distance, whole, criterion="hausdorff")
        assert not chosen.criterion.higher_is_better
        score = result_of(chosen.validate(model_of(distance)))
        assert score.value == score.scores["crop"]["balls"]["hausdorff"]

    def test_may_be_the_loss(self, whole, distance):
        score, _ = validated(distance, whole, criterion="loss")
        assert score.value == score.loss

    def test_another_name_is_refused(self, whole, distance):
        with pytest.raises(ConfigError, match=r"has no score dise: choose one of dice, .*, loss"):
            validator_of(distance, whole, criterion="dise")


class TestFaults:
    def test_nothing_in_sight_is_said_and_no_score(self, volume, distance):
        corner = volume.ground_truth().within(Roi((0,) * 3, (40,) * 3))
        score, notices = validated(distance, Volume("corner", volume.array(volume.raw), corner))
        assert isnan(score.value)
        assert isnan(score.loss)
        assert score.scores == {}
        assert notices == [
            "The volume corner is not scored: nothing is known in it where the network can answer."
        ]

    def test_raw_data_that_is_not_finite_is_said_once(self, volume, whole, distance):
        spoilt = volume.raw.astype(np.float32)
        spoilt[20, 20, 20] = nan
        validator = validator_of(
            distance, Volume("bad", volume.array(spoilt), volume.ground_truth()), whole
        )
        model = model_of(distance)
        score = result_of(validator.validate(model))
        assert score.scores["bad"] == {}
        assert score.value == score.scores["crop"]["balls"]["dice"]
        assert np.isfinite(score.loss)
        texts = list(validator.notices())
        assert any("bad is not scored: The raw data holds values that are NaN" in t for t in texts)
        result_of(validator.validate(model))
        assert list(validator.notices()) == []

    @pytest.mark.parametrize(
        ("error", "sentence"),
        [(DataError("too much."), "is not scored: too much."), (MemoryError(), "does not suffice")],
    )
    def test_a_segmentation_that_fails_leaves_the_loss(
        self, whole, distance, monkeypatch, error, sentence
    ):
        validator = validator_of(distance, whole)

        def fail(*args):
            raise error
            yield

        monkeypatch.setattr(validator._method.post_processor, "segment", fail)
        score = result_of(validator.validate(model_of(distance)))
        assert np.isfinite(score.loss)
        assert isnan(score.value)
        assert any(sentence in text for text in validator.notices())

    def test_our_own_mistakes_are_not_hidden(self, whole, distance, monkeypatch):
        validator = validator_of(distance, whole)
        monkeypatch.setattr(validator, "_evaluate", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            result_of(validator.validate(model_of(distance)))

    def test_without_memory_for_large_tiles_small_ones_do(self, volume, whole, distance):
        model = model_of(distance)
        seen = []

        def small_memory(module, inputs):
            seen.append(inputs[0].shape[2:])
            if inputs[0].shape[2] > 24:
                raise torch.OutOfMemoryError("CUDA out of memory")

        usual, _ = validated(distance, whole, model=model)
        model.register_forward_pre_hook(small_memory)
        # The chain alone gives what losses take.
        model.chain.register_forward_pre_hook(small_memory)
        score, notices = validated(distance, whole, model=model)
        assert flat(score.scores) == flat(usual.scores).expected
        assert {tuple(shape) for shape in seen[1:]} == {(24, 24, 24)}
        assert any("memory does not suffice for eval_shape_increase" in text for text in notices)
        model.input_shape = Coordinate(32, 32, 32)  # does not fit either, and that is said
        with pytest.raises(torch.OutOfMemoryError):
            validated(distance, whole, model=model)


class TestSteps:
    def test_shares_rise_to_the_end_and_modes_come_back(self, whole, distance):
        model = model_of(distance, SMALL_TILES).train()
        validator = validator_of(distance, whole, replace(whole, name="again"))
        shares = []
        for share in validator.validate(model):
            shares.append(share)
            assert model.training
            assert torch.is_grad_enabled()
        assert shares == sorted(shares)
        assert shares[0] == 0 < shares[-1] <= 1
        assert len(shares) > 8

    def test_can_be_left_at_any_step(self, whole, distance):
        model = model_of(distance)
        number = len(list(validator_of(distance, whole).validate(model)))
        for stop in range(number):
            steps = validator_of(distance, whole).validate(model)
            for _ in range(stop + 1):
                next(steps)
            steps.close()

    def test_leaving_it_ends_the_segmentation(self, whole, distance, monkeypatch):
        validator = validator_of(distance, whole)
        ended = []

        def segment(*args):
            try:
                while True:
                    yield 0.5
            finally:
                ended.append(True)

        monkeypatch.setattr(validator._method.post_processor, "segment", segment)
        steps = validator.validate(model_of(distance))
        while next(steps) < 0.8:
            pass
        assert not ended
        steps.close()
        assert ended

    @pytest.mark.parametrize("part", ["target", "scores"])
    def test_work_that_takes_long_can_be_left(self, whole, distance, monkeypatch, part):
        goes_on = Event()

        def take_long(*args):
            assert goes_on.wait(60)
            return {}

        validator = validator_of(distance, whole)
        if part == "target":
            monkeypatch.setattr(Aim, "of", take_long)
        else:
            monkeypatch.setattr(validator, "_evaluate", take_long)
        steps = validator.validate(model_of(distance))
        stands_at = 0.7 if part == "target" else 0.95
        while next(steps) != stands_at:
            pass
        assert next(steps) == next(steps) == stands_at
        steps.close()
        goes_on.set()

    def test_autocast_is_used(self, whole, distance):
        entered = []

        def autocast():
            entered.append(1)
            return torch.autocast("cpu", torch.bfloat16)

        model = model_of(distance, SMALL_TILES)
        validator = validator_of(distance, whole)
        half = result_of(validator.validate(model, 0, autocast))
        full = result_of(validator.validate(model, 0))
        assert len(entered) == 27
        assert half.loss == pytest.approx(full.loss, rel=0.05)

    def test_the_target_is_made_once_unless_it_is_too_large(self, whole, distance, monkeypatch):
        made = []
        of = Aim.of

        def counted(*args):
            made.append(1)
            return of(*args)

        monkeypatch.setattr(Aim, "of", counted)
        model = model_of(distance)
        for kept, number in (2**20, 1), (1000, 2):
            monkeypatch.setattr(validation, "KEPT_BYTES", kept)
            made.clear()
            validator = validator_of(distance, whole)
            losses = {result_of(validator.validate(model)).loss for _ in range(2)}
            assert (len(made), len(losses)) == (number, 1)


class TestSize:
    def test_of_a_large_volume_the_middle_is_scored(self, whole, distance, monkeypatch):
        monkeypatch.setattr(validation, "MOST_VALUES", 12**3 + 5)
        score, notices = validated(distance, whole)
        assert notices[1] == (
            "Of the volume crop only the middle is scored, 12 x 12 x 12 of 40 x 40 x 40 voxels: "
            "more would take too much time and memory again and again."
        )
        assert np.isfinite(score.value)

    def test_affinities_are_fewer_and_descriptors_do_not_count(self, whole, monkeypatch):
        monkeypatch.setattr(validation, "MOST_AFFINITIES", 3 * 10**3)
        config = AFFINITIES.model_copy(update={"lsds": True})
        validator = validator_of(config, whole)
        assert validator._all_regions(model_of(config))[0].voxels == 10**3

    def test_flat_volumes_are_cut_where_they_are_long(self):
        assert scored_region._edge(Coordinate(5, 300, 100), 5 * 100 * 100) == 100
        assert scored_region._edge(Coordinate(5, 300, 200), 5 * 100 * 100) == 100
        assert scored_region._edge(Coordinate(50, 50, 50), 7) == 1

    def test_sparse_labels_are_scored_where_they_are(self, volume, distance):
        mask = np.zeros_like(volume.labels)
        mask[33:36, 2:30, 10:12] = 1
        labels = volume.array(np.pad(volume.labels, ((0, 60), (0, 0), (0, 0))))
        raw = volume.array(np.pad(volume.raw, ((20, 60), (20, 20), (20, 20))), offset=(-160,) * 3)
        known = volume.array(np.pad(mask, ((0, 60), (0, 0), (0, 0))))
        sparse = Volume("sparse", raw, volume.ground_truth(labels, known))
        validator = validator_of(distance, sparse)
        region = validator._all_regions(model_of(distance))[0]
        assert region.roi == Roi((32 * 8, 0, 0), (32 * 8, 32 * 8, 32 * 8))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_networks_that_upsample(volume, padding):
    """The ground truth has the voxels of the answers; half of a raw voxel may stay beyond."""
    raw = volume.array(volume.raw[20], voxel_size=(8, 8), axes="yx")
    fine = volume.labels[20].repeat(2, axis=0).repeat(2, axis=1)
    labels = volume.array(fine, voxel_size=(4, 4), axes="yx")
    net = CNNectomeUNet(
        input_shape=(32, 32),
        num_fmaps=2,
        fmaps_out=2,
        fmap_inc_factor=2,
        downsample_factors=[(2, 2)],
        upsample_factors=[(2, 2)],
        padding=padding,
    )
    config = AffinitiesTaskConfig(name="affs", neighborhood=[(1, 0), (0, 1)])
    model = model_of(config, net)
    values = torch.from_numpy(volume.raw[20].astype(np.float32) / 255 * 2 - 1)[None, None]
    with torch.no_grad():
        answer = model.eval().chain(values)[0].numpy()
    before = (80 - answer.shape[1]) // 2
    # Beginning with a whole step of the network, and with half a raw voxel of it.
    truth = volume.ground_truth(labels).within(Roi(((before + 5) * 4, before * 4), (80, 124)))
    validator = validator_of(config, Volume("crop", raw, truth))
    region = validator._all_regions(model)[0]
    assert region.roi == truth.roi
    tiles = validation.Tiles(model)
    found = result_of(scored_region.predicted(region, model, tiles, RANGE, torch.no_grad))
    assert found.shape == (2, 20, 31)
    wanted = answer[:, 5:25, :31]
    # With padding a tile that begins elsewhere sees other made-up surroundings far away.
    np.testing.assert_allclose(found, wanted, atol=1e-5 if padding == "valid" else 0.2)


def test_real_volume_with_a_network_that_knows_nothing(real_volume):
    net = CNNectomeUNet.propose((10, 10, 10), (40, 250, 250), num_fmaps=2, fmap_inc_factor=2)
    score, _ = validated(AFFINITIES, real_volume, model=model_of(AFFINITIES, net))
    assert np.isfinite([score.value, score.loss]).all()


@pytest.fixture
def real_volume(volume):
    from napari_dacapo_tasks.arrays.open import open_array

    path = Path(__file__).parents[3] / "shared/data/fib25.ome.zarr"
    if not path.exists():
        pytest.skip("the volume ../shared/data/fib25.ome.zarr is not here")
    raw, labels = open_array(path), open_array(path / "labels/neurons")
    truth = volume.ground_truth(labels, channel="objects")
    begin = labels.roi.begin + Coordinate(130, 80, 80) * labels.voxel_size
    return Volume(
        "fib25", raw, truth.within(Roi(begin, Coordinate(20, 60, 60) * labels.voxel_size))
    )
