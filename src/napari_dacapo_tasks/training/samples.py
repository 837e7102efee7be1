"""From the data of a run to crops with a target and a weight.

1. Where: `Places` draws a volume and a position where something is known.
2. What happens to it: `Augmenter` draws that.
3. Target: where nothing is resampled, from a `TargetCache` and turned; else it is made of the
   resampled ground truth with its context, as the preview makes it.
4. Raw is brought between -1 and 1, resampled with the labels, and changed by itself.
5. Weight: its masks in any thread (`Sampler.draft`), its balance in the order of crops
   (`Sampler.weigh`), as it depends on the classes counted before.

Everything depends on seed, iteration, number of the crop and attempt only, so any thread or
process can make any crop. `loader` makes batches of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.numerics.balance import anything_counted
from napari_dacapo_tasks.numerics.symmetries import Symmetry
from napari_dacapo_tasks.runs.data import TrainingData, Volume
from napari_dacapo_tasks.runs.data_config import SamplingConfig
from napari_dacapo_tasks.runs.intensity import check_finite, normalised
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import Task
from napari_dacapo_tasks.training.augmentation import Augmentation, Augmenter, Deformation
from napari_dacapo_tasks.training.crops import Crop, Draft
from napari_dacapo_tasks.training.places import Place, Places, Shapes
from napari_dacapo_tasks.training.rejections import MOST_TRIES, Reason, Rejections
from napari_dacapo_tasks.training.target_cache import MOST_KEPT, TargetCache, turned

__all__ = ["Crop", "Draft", "Sampler", "Shapes"]

LOOKED_AT = 24
"""Places among which the one for snapshots is chosen."""


class Sampler:
    """Random crops of the data of a run; for any number of threads.

    Parameters
    ----------
    data
        Volumes with raw data and ground truth.
    task
        Makes target and weight; built with lengths in grid steps.
    shapes
        Of the network.
    config
        Seed, augmentation and where to resample.
    sampling
        Where crops are taken from.
    device
        Where training takes place.

    Raises
    ------
    DataError
        Where the network does not fit into the data, or nothing of it is known.
    """

    def __init__(
        self,
        data: TrainingData,
        task: Task,
        shapes: Shapes,
        config: TrainerConfig,
        sampling: SamplingConfig,
        device: str = "cpu",
    ) -> None:
        self.data = data
        self.predictor = task.predictor
        self.shapes = shapes
        self.seed = config.seed
        self.least_known = sampling.least_known
        self.rejections = Rejections(task.config, sampling.least_known)
        self.places = Places(data.train, shapes, sampling.rare_labels)
        self._told = False
        self._caches: list[TargetCache] = []
        for number in range(len(data.train)):
            kept = MOST_KEPT - sum(cache.size for cache in self._caches)
            self._caches.append(self._cache(number, kept))
        grid = self.places.volumes[0].grid
        labels = data.train[0].ground_truth.labels
        self._alike = (grid.output_size, shapes.output_voxel_size)
        offset = grid.output_offset
        # An output that does not lie in the middle would lie elsewhere in a mirrored input.
        self._centred = [
            2 * before + out == all_of_it
            for before, out, all_of_it in zip(
                offset, grid.output_size, grid.input_size, strict=True
            )
        ]
        self.augmenter = Augmenter(
            config.augmentation,
            labels.unit,
            data.train[0].raw.voxel_size,
            device if config.execution.deform_on_device else "cpu",
        )
        self._identity = Augmentation(Symmetry.identity(labels.dims))
        self._lock = Lock()
        self._shown_at: Place | None = None

    def first_draft(self, iteration: int, index: int) -> Draft:
        """Make the first crop of this number that can be used; see `draft`.

        Raises
        ------
        DataError
            Where none can be used, or raw data is not finite.
        """
        reasons = []
        for attempt in range(MOST_TRIES):
            found = self._attempt(iteration, index, attempt)
            if isinstance(found, Draft):
                return found
            reasons.append(found)
        raise self.rejections.error(max(Reason, key=reasons.count))

    def draft(self, iteration: int, index: int, attempt: int = 0) -> Draft | None:
        """Make a crop, None where it cannot be used and another attempt is to be made.

        Parameters
        ----------
        iteration
            Number of the step.
        index
            Number of the crop in the step, over all processes.
        attempt
            How many were made before.
        """
        found = self._attempt(iteration, index, attempt)
        return found if isinstance(found, Draft) else None

    def weigh(self, draft: Draft, counts: Any) -> tuple[Crop, Any]:
        """Balance the classes of a crop with those of earlier ones.

        Parameters
        ----------
        counts
            What the crop before left, None for the first one.

        Returns
        -------
        Crop, and counts with those of this crop.
        """
        weighting = self.predictor.weigh(draft.gt, draft.target, draft.mask, counts, draft.masks)
        volume = self.data.train[draft.place.volume]
        done = draft.augmentation.describe(volume.raw.axes)
        return Crop(draft.raw, draft.target, weighting.weight, volume.name, done), weighting.counts

    def fixed(self) -> Crop:
        """Give one crop for looking at: always the same, one that shows objects and background.

        Nothing is done to it, and its weight is balanced over this crop alone.
        """
        with self._lock:
            places = self._fixed_places() if self._shown_at is None else iter([self._shown_at])
            reasons = []
            for place in places:
                found = self.made(place, self._identity)
                if isinstance(found, Draft):
                    self._shown_at = place
                    return self.weigh(found, None)[0]
                reasons.append(found)
        raise self.rejections.error(max(Reason, key=reasons.count))

    def notices(self) -> list[str]:
        """Say what a person should know and was not told yet, a sentence each."""
        found = [] if self._told else list(self._beyond_reach())
        self._told = True
        return [*found, *self.rejections.notices()]

    def made(self, place: Place, augmentation: Augmentation) -> Draft | Reason:
        """Make the crop of a place, or say why it cannot be used."""
        volume = self.data.train[place.volume]
        grid = self.places.volumes[place.volume].grid
        roi = grid.output_roi(place.index)
        symmetry, deformation = augmentation.symmetry, augmentation.deformation
        cache = self._caches[place.volume]
        lasts = cache.lasts and deformation is None
        voxel_size = volume.ground_truth.labels.voxel_size
        around = self.predictor.padding_beside_lasting if lasts else self.predictor.padding
        # Axes are exchanged after reading, so each is read as far as it will have to reach then.
        context = Coordinate(symmetry.inverse.lengths(around(voxel_size)))
        gt, mask = self._ground_truth(volume, roi, deformation, context)
        known = float((mask[roi] != 0).mean())
        if not known or known < self.least_known:
            return Reason.UNKNOWN
        gt, mask = turned(gt, symmetry, roi), turned(mask, symmetry, roi)
        if lasts:
            lasting = cache.read(roi)
            assert lasting is not None, "it lasts"
            lasting = turned(lasting, symmetry, roi)
            target = self.predictor.turned_target(gt, roi, lasting, symmetry)
        else:
            target = self.predictor.create_target(gt).crop(roi)
        counts, masks = self.predictor.count(gt, target, mask)
        if not anything_counted(counts):
            return Reason.WEIGHTLESS
        raw = self._raw(volume, grid.input_roi(place.index), roi, augmentation)
        return Draft(raw, target, gt, mask, counts, masks, place, augmentation)

    def prepared(self, volume: Volume, roi: Roi) -> NumpyArray:
        """Read raw data as a network sees it: float32, channels first, between -1 and 1."""
        raw = volume.raw
        values = raw[roi]
        check_finite(values)
        values = normalised(values, self.data.intensity_range)
        axes = raw.axes if raw.num_channels is not None else (CHANNEL, *raw.axes)
        shaped = values if raw.num_channels is not None else values[np.newaxis]
        return NumpyArray.from_np_array(shaped, roi, raw.voxel_size, axes, raw.unit)

    def _attempt(self, iteration: int, index: int, attempt: int) -> Draft | Reason:
        # Random numbers of their own, so that places stay where they are under any augmentation.
        number = [self.seed, iteration, index, attempt]
        place = self.places.draw(np.random.default_rng([*number, 0]))
        found = self.made(place, self._drawn(np.random.default_rng([*number, 1])))
        self.rejections.note(None if isinstance(found, Draft) else found)
        return found

    def _drawn(self, random: np.random.Generator) -> Augmentation:
        input_size = self.places.volumes[0].grid.input_size
        drawn = self.augmenter.draw(random, input_size, self._alike)
        if all(self._centred):
            return drawn
        mirrored = drawn.symmetry.mirrored
        kept = tuple(one and whole for one, whole in zip(mirrored, self._centred, strict=True))
        return replace(drawn, symmetry=Symmetry(drawn.symmetry.order, kept))

    def _ground_truth(
        self, volume: Volume, roi: Roi, deformation: Deformation | None, context: Coordinate
    ) -> tuple[NumpyArray, NumpyArray]:
        """Read labels and mask with context, resampled where they are to be."""
        labels = volume.ground_truth.labels
        wanted = roi.grow(context, context)
        if deformation is None:
            return volume.ground_truth.read(wanted.intersect(labels.roi))
        source = self.augmenter.source(deformation, wanted, roi, labels.voxel_size)
        read = volume.ground_truth.read(source.intersect(labels.roi))
        gt, mask = self.augmenter.deform_labels(deformation, read, wanted, roi)
        return gt, mask

    def _raw(
        self, volume: Volume, roi: Roi, answered: Roi, augmentation: Augmentation
    ) -> NumpyArray:
        """Make raw data as the network sees it, with all that is done to it."""
        deformation = augmentation.deformation
        if deformation is None:
            raw = self.prepared(volume, roi)
        else:
            source = self.augmenter.source(deformation, roi, answered, volume.raw.voxel_size)
            around = self.prepared(volume, source.intersect(volume.raw.roi))
            raw = self.augmenter.deform_raw(deformation, around, roi, answered)
        if augmentation is not self._identity:
            values = self.augmenter.vary(raw.data, augmentation)
            raw = NumpyArray.from_np_array(values, roi, raw.voxel_size, raw.axes, raw.unit)
        return turned(raw, augmentation.symmetry, roi)

    def _cache(self, number: int, kept: int) -> TargetCache:
        places = self.places.volumes[number]
        return TargetCache(
            self.data.train[number].ground_truth,
            self.predictor,
            places.grid.reachable,
            places.known_blocks,
            places.grid.output_size,
            kept=kept,
        )

    def _fixed_places(self) -> Iterator[Place]:
        """Give places for looking at, the most promising first."""
        random = np.random.default_rng(self.seed)
        places = [self.places.draw(random) for _ in range(MOST_TRIES)]
        middle = Place(0, self.places.volumes[0].grid.counts // 2)
        varied = [middle, *places[:LOOKED_AT]]
        yield from sorted(varied, key=self._variety, reverse=True)
        yield from places[LOOKED_AT:]

    def _variety(self, place: Place) -> float:
        """Share of the rarer of objects and background, in the channel where that is least."""
        roi = self.places.volumes[place.volume].grid.output_roi(place.index)
        gt, mask = self.data.train[place.volume].ground_truth.read(roi)
        known = mask.data != 0
        if not known.any():
            return 0.0
        shares = [float((channel[known] != 0).mean()) for channel in gt.data]
        return float(known.mean()) * min(min(share, 1 - share) for share in shares)

    def _beyond_reach(self) -> Iterator[str]:
        """Say where there are labels that a network never answers for, raw data being elsewhere."""
        for volume, places in zip(self.data.train, self.places.volumes, strict=True):
            labels, reached = volume.ground_truth.labels, places.grid.reachable
            if volume.raw.roi == labels.roi or reached == volume.ground_truth.roi:
                continue
            of_name = f" of {volume.name}" if len(self.data.train) > 1 else ""
            used = " x ".join(str(n) for n in reached.shape / labels.voxel_size)
            yield (
                f"Raw data and ground truth{of_name} do not cover the same region: training uses "
                f"the {used} voxels of ground truth in which the network can answer."
            )
