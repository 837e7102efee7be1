from contextlib import closing

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.arrays.growing_image import DataTakenError, GrowingImage, stored_attrs
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.numerics.contingency import Overlaps
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.segmentation import blocks, patchwork
from napari_dacapo_tasks.segmentation.blocks import segment_blockwise
from napari_dacapo_tasks.segmentation.patchwork import Patchwork
from napari_dacapo_tasks.segmentation.segment import segment
from napari_dacapo_tasks.tasks import AffinitiesTaskConfig, DistanceTaskConfig, OneHotTaskConfig
from napari_dacapo_tasks.tasks.post_processors import mutex_watershed
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of

COMPONENTS = "Threshold and connected components"
LENGTHS = {"scale_factor": 10, "clip_distance": 40, "tol_distance": 10}
OFFSETS = {
    2: [(1, 0), (0, -1), (1, -1), (5, 0)],
    3: [(1, 0, 0), (0, -1, 0), (0, 0, 1), (1, -1, 1), (0, 4, 0)],
}
SEVERAL = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def volumes(draw, channels):
    """Give smooth noise, with values on both sides of 0, and blocks to cut it into."""
    dims = draw(st.sampled_from([2, 3]))
    shape = draw(st.lists(st.integers(1, 14), min_size=dims, max_size=dims))
    blocks = draw(st.lists(st.integers(3, 15), min_size=dims, max_size=dims))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    wide = draw(st.sampled_from([0.0, 0.6, 1.2]))
    noise = random.normal(size=(channels, *shape)).astype(np.float32)
    return ndimage.gaussian_filter(noise, (0, *[wide] * dims)), blocks


def placed(values, kind=NumpyArray):
    dims = len(values.shape) - 1
    return kind(
        values,
        axes=("c", *"zyx"[-dims:]),
        voxel_size=(40, 4, 4)[-dims:],
        offset=(80, -8, 400)[-dims:],
    )


def distances(values, kind=NumpyArray):
    names = [f"channel {number}" for number in range(values.shape[0])]
    return Prediction(placed(values, kind), DistanceTaskConfig(name="a", channels=names, **LENGTHS))


def affinities(values):
    task = AffinitiesTaskConfig(name="a", neighborhood=OFFSETS[values.ndim - 1])
    return Prediction(placed(values), task)


def both(prediction, folder, method, parameters, block_shape, **more):
    """Segment the whole and in blocks, and check that both lie in the same place."""
    whole = result_of(segment(prediction, method, parameters)).array
    steps = segment_blockwise(
        prediction, folder, method, parameters, block_shape=block_shape, exists="overwrite", **more
    )
    made = result_of(steps).array
    assert (made.roi, made.voxel_size, made.axes) == (whole.roi, whole.voxel_size, whole.axes)
    assert (made.unit, made.dtype) == (whole.unit, whole.dtype)
    return whole.data, made[made.roi]


@SEVERAL
@given(
    case=st.integers(1, 2).flatmap(volumes),
    threshold=st.sampled_from([-0.5, -0.2, 0.0, 0.3]),
    min_size=st.integers(0, 8),
    fill_holes=st.sampled_from([0, 0, 2, 30]),
    workers=st.integers(1, 3),
)
def test_components_are_those_of_the_whole(
    tmp_path, case, threshold, min_size, fill_holes, workers
):
    values, block = case
    parameters = {"threshold": threshold, "min_size": min_size, "fill_holes": fill_holes}
    whole, made = both(
        distances(values), tmp_path / "out.zarr", COMPONENTS, parameters, block, workers=workers
    )
    np.testing.assert_array_equal(made, whole)


@SEVERAL
@given(
    case=st.integers(1, 2).flatmap(volumes),
    threshold=st.sampled_from([-0.5, -0.2, 0.0]),
    fill_holes=st.sampled_from([0, 1, 30]),
)
def test_foreground_is_that_of_the_whole(tmp_path, case, threshold, fill_holes):
    values, block = case
    parameters = {"threshold": threshold, "fill_holes": fill_holes}
    whole, made = both(distances(values), tmp_path / "out.zarr", 0, parameters, block)
    np.testing.assert_array_equal(made, whole)


@SEVERAL
@given(
    dims=st.sampled_from([2, 3]),
    seed=st.integers(0, 2**32 - 1),
    blocks=st.lists(st.integers(3, 9), min_size=3, max_size=3),
    attraction=st.sampled_from([0.1, 0.25, 0.4]),
    min_size=st.integers(0, 5),
    fill_holes=st.sampled_from([0, 30]),
)
def test_components_of_affinities_are_those_of_the_whole(
    tmp_path, dims, seed, blocks, attraction, min_size, fill_holes
):
    random = np.random.default_rng(seed)
    values = random.random((len(OFFSETS[dims]), *random.integers(1, 11, dims)))
    parameters = {"threshold": 1 - attraction, "min_size": min_size, "fill_holes": fill_holes}
    whole, made = both(affinities(values), tmp_path / "out.zarr", 1, parameters, blocks[-dims:])
    np.testing.assert_array_equal(made, whole)


@SEVERAL
@given(case=st.sampled_from([2, 3, 300]).flatmap(volumes))
def test_classes_are_those_of_the_whole(tmp_path, case):
    values, block = case
    task = OneHotTaskConfig(name="a", classes=[f"class {n}" for n in range(len(values))])
    whole, made = both(Prediction(placed(values), task), tmp_path / "out.zarr", None, None, block)
    np.testing.assert_array_equal(made, whole)


def test_holes_across_blocks_beside_a_border_and_between_objects(tmp_path):
    plane = np.full((12, 16), -1.0, np.float32)
    plane[1:11, 1:8] = plane[1:11, 9:15] = 1
    plane[3:9, 3:6] = -1  # across four blocks
    plane[0:3, 11] = -1  # open to the border
    plane[5, 10:13], plane[5, 11] = -1, 1  # two holes around a voxel of the object
    prediction = distances(plane[None])
    for parameters in ({"fill_holes": 18}, {"fill_holes": 17}, {"fill_holes": 99}):
        whole, made = both(prediction, tmp_path / "out.zarr", COMPONENTS, parameters, (5, 4))
        np.testing.assert_array_equal(made, whole)
        assert (made[0, 3:9, 3:6] == (1 if parameters["fill_holes"] > 17 else 0)).all()
        assert (made[0, 5, 9:15] == 2).all()
        assert (made[0, 0:3, 11] == 0).all()
        assert made.max() == 2


def cells(shape, number, smoothness):
    """Give distances to the boundaries of touching cells, with some noise, and the cells."""
    random = np.random.default_rng(3)
    centres = [random.integers(0, length, number) for length in shape]
    grid = np.indices(shape)[..., np.newaxis]
    squares = sum((axis - centre) ** 2.0 for axis, centre in zip(grid, centres, strict=True))
    nearest = np.sort(np.sqrt(squares), axis=-1)
    depth = (nearest[..., 1] - nearest[..., 0]) / 2 - 1
    noise = ndimage.gaussian_filter(random.normal(size=shape), smoothness)
    return (np.tanh(depth / 5) + 0.1 * noise / noise.std()).astype(np.float32), squares.argmin(-1)


def mean_agreement(first, second):
    """Give the share of voxels that are in each other's main object, background apart."""
    table = Overlaps.of(first, second)
    kept = (table.first > 0) & (table.second > 0)
    pairs = zip(table.first[kept], table.second[kept], table.voxels[kept], strict=True)
    best: dict[int, int] = {}
    for one, _, voxels in pairs:
        best[one] = max(best.get(one, 0), int(voxels))
    return sum(best.values()) / np.count_nonzero(first)


def test_a_watershed_is_close(tmp_path):
    values, _ = cells((40, 48, 52), 40, 1.5)
    prediction = Prediction(
        NumpyArray(values[None], axes="czyx", voxel_size=(4, 4, 4)),
        DistanceTaskConfig(
            name="a",
            channels=["cells"],
            scale_factor=20,
            **{
                "clip_distance": 40,
                "tol_distance": 10,
            },
        ),
    )
    parameters = {"seed_depth": 1.5, "min_size": 30}
    whole, made = both(prediction, tmp_path / "out.zarr", 1, parameters, (24, 24, 24))
    assert abs(int(made.max()) - int(whole.max())) <= 1
    assert mean_agreement(whole[0], made[0]) > 0.98
    assert mean_agreement(made[0], whole[0]) > 0.98
    np.testing.assert_array_equal(made > 0, whole > 0)


def test_a_mutex_watershed_is_close(tmp_path, monkeypatch):
    # Else all of this small volume would be seen in each of its blocks.
    monkeypatch.setattr(mutex_watershed, "CONTEXT", 8)
    _, ids = cells((24, 30, 32), 12, 1.5)
    offsets = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (3, 0, 0), (0, 3, 0), (0, 0, 3)]
    random = np.random.default_rng(0)
    values = np.zeros((len(offsets), *ids.shape), np.float32)
    for affinity, offset in zip(values, offsets, strict=True):
        rolled = np.roll(ids, [-step for step in offset], (0, 1, 2))
        affinity[...] = np.clip(np.where(ids == rolled, 0.85, 0.15), 0, 1)
    values += 0.12 * ndimage.gaussian_filter(random.normal(size=values.shape), (0, 1, 1, 1))
    task = AffinitiesTaskConfig(name="a", neighborhood=offsets)
    prediction = Prediction(NumpyArray(values, axes="czyx", voxel_size=(4, 4, 4)), task)
    whole, made = both(
        prediction, tmp_path / "out.zarr", 0, {"min_size": 20}, (24, 16, 16), workers=1
    )
    assert whole.max() > 8
    assert abs(int(made.max()) - int(whole.max())) <= 1
    assert mean_agreement(whole[0], made[0]) > 0.98
    assert mean_agreement(made[0], whole[0]) > 0.98


class Watched:
    """Data that is read part by part; can break at a place."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.most = self.reads = 0
        self.broken_after = None

    def __getitem__(self, index):
        part = self.values[index]
        self.reads += 1
        self.most = max(self.most, part.size)
        if self.broken_after is not None and self.reads > self.broken_after:
            raise DataError("The disk fell down.")
        return part


@pytest.fixture
def noise():
    random = np.random.default_rng(0).normal(size=(1, 20, 22, 24)).astype(np.float32)
    return ndimage.gaussian_filter(random, (0, 1, 1, 1))


def test_only_a_block_and_what_is_beside_it_is_read_at_once(tmp_path, noise):
    data = Watched(noise)
    steps = segment_blockwise(
        distances(data, Array), tmp_path / "out.zarr", 2, block_shape=(8, 8, 8), workers=2
    )
    shares = list(steps)
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.5 < shares[-1] <= 1
    assert data.most <= 10**3
    left = {path.name for path in (tmp_path / "out.zarr").iterdir()}
    assert not any("dacapo" in name for name in left), "nothing to go on with is left"


def test_a_block_is_on_the_disk_before_it_counts(tmp_path, noise, monkeypatch):
    safe, counted = [], []
    sync, put_in_place = patchwork.sync, patchwork.put_in_place

    def noted(files, below):
        safe.append({path.relative_to(below).as_posix() for path in files if path.exists()})
        sync(files, below)

    def named(partial, path):
        counted.append((path.name, len(safe)))
        put_in_place(partial, path)

    monkeypatch.setattr(patchwork, "sync", noted)
    monkeypatch.setattr(patchwork, "put_in_place", named)
    blocks_of_8 = {"block_shape": (8, 8, 8), "workers": 1}
    result_of(segment_blockwise(distances(noise), tmp_path / "out.zarr", COMPONENTS, **blocks_of_8))
    (until,) = (count for name, count in counted if name == "1.1.1.npz")
    first = {"labels/0.1.1.1", "found/1.1.1.partial.npz"}
    assert safe[until - 1] == first | {f"edges/1.1.1-{axis}.npy" for axis in range(3)}


@pytest.fixture
def found(monkeypatch):
    """Give the list of blocks in which objects were found."""
    blocks_found = []
    put = Patchwork.put

    def counted(self, index, labels):
        if self.folder.name == blocks.OBJECTS:
            blocks_found.append(index)
        return put(self, index, labels)

    monkeypatch.setattr(Patchwork, "put", counted)
    return blocks_found


BROKEN = {"block_shape": (8, 8, 8), "workers": 2}
WITH_HOLES = {"fill_holes": 9, "threshold": -0.1}


@pytest.mark.parametrize(
    ("method", "after"),
    [(0, 2), (0, 12), (0, 30), (0, 50), (COMPONENTS, 2), (COMPONENTS, 12), (COMPONENTS, 25)],
)
def test_what_broke_is_resumed_and_nothing_is_found_twice(tmp_path, noise, method, after, found):
    out = tmp_path / "out.zarr"
    data = Watched(noise)
    data.broken_after = after
    prediction = distances(data, Array)
    with pytest.raises(DataError, match="fell down"):
        result_of(segment_blockwise(prediction, out, method, WITH_HOLES, **BROKEN))
    assert open_array(out)[prediction.array.roi].shape == noise.shape, "readable"
    data.broken_after = None
    with pytest.raises(DataTakenError) as refused:
        result_of(segment_blockwise(prediction, out, method, WITH_HOLES, **BROKEN))
    assert refused.value.can_resume
    other = {**WITH_HOLES, "threshold": 0.3}
    with pytest.raises(DataTakenError):
        result_of(segment_blockwise(prediction, out, method, other, exists="resume"))
    result_of(segment_blockwise(prediction, out, method, WITH_HOLES, exists="resume"))
    whole = result_of(segment(distances(noise), method, WITH_HOLES)).array.data
    made = open_array(out)
    np.testing.assert_array_equal(made[made.roi], whole)
    assert len(found) == len(set(found)) == (0 if method == 0 else 27)


def test_a_full_disk_while_the_image_is_written(tmp_path, noise, found, monkeypatch):
    out = tmp_path / "out.zarr"
    written = []
    write = GrowingImage.write

    def full(self, roi, values):
        if len(written) == 10:
            raise DataError("There is no space left.")
        written.append(roi)
        write(self, roi, values)

    monkeypatch.setattr(GrowingImage, "write", full)
    data = Watched(noise)
    with pytest.raises(DataError, match="no space left"):
        result_of(segment_blockwise(distances(data, Array), out, 2, WITH_HOLES, **BROKEN))
    monkeypatch.setattr(GrowingImage, "write", write)
    data.reads = 0
    result_of(segment_blockwise(distances(data, Array), out, 2, WITH_HOLES, exists="resume"))
    whole = result_of(segment(distances(noise), 2, WITH_HOLES)).array.data
    made = open_array(out)
    np.testing.assert_array_equal(made[made.roi], whole)
    assert len(found) == 27
    assert data.reads == 1, "one voxel, to see whether the prediction fits"


@pytest.mark.parametrize("steps_taken", [1, 3, 6])
def test_leaving_stops_it_and_it_is_resumed(tmp_path, noise, steps_taken):
    out = tmp_path / "out.zarr"
    prediction = distances(noise)
    parameters = {"min_size": 5, "fill_holes": 5}
    settings = {"block_shape": (8, 8, 8), "workers": 1}
    with closing(segment_blockwise(prediction, out, 2, parameters, **settings)) as steps:
        for _ in range(steps_taken):
            next(steps)
    assert open_array(out)[prediction.array.roi].shape == noise.shape, "readable"
    steps = segment_blockwise(prediction, out, 2, parameters, exists="resume", **settings)
    made = result_of(steps).array
    whole = result_of(segment(prediction, 2, parameters)).array.data
    np.testing.assert_array_equal(made[made.roi], whole)


def test_how_it_was_made_is_stored(tmp_path, noise):
    out = tmp_path / "out.zarr"
    result_of(segment_blockwise(distances(noise), out, 2, {"min_size": 4}))
    stored = stored_attrs(out)["segmentation"]
    assert stored["method"] == COMPONENTS
    assert stored["parameters"] == {"threshold": 0.0, "min_size": 4, "fill_holes": 0}
    assert stored["task"]["channels"] == ["channel 0"]


def test_what_is_refused_leaves_no_folder(tmp_path, noise):
    out = tmp_path / "out.zarr"
    with pytest.raises(ConfigError, match="no method nothing"):
        result_of(segment_blockwise(distances(noise), out, "nothing"))
    with pytest.raises(DataError, match="1 channels, but the task needs 5"):
        result_of(segment_blockwise(affinities(noise), out))
    assert not out.exists()


def test_blocks_fit_into_memory(monkeypatch, noise):
    class Memory:
        available = 8 * 2**30

    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory)
    large = NumpyArray(
        np.broadcast_to(np.float32(0), (1, 2000, 2000, 2000)), axes="czyx", voxel_size=(4, 4, 4)
    )
    task = DistanceTaskConfig(name="a", channels=["a"], **LENGTHS)
    processor = task.task_type(task).methods[2].post_processor
    shape, workers = blocks._divided(large, processor, (1, 1, 1), 2)
    assert (shape, workers) == ([256] * 3, 2)
    monkeypatch.setattr(blocks, "available_cores", lambda: 16)
    for gigabytes, fewest in ((8, 16), (1, 1), (0.25, 1)):
        Memory.available = int(gigabytes * 2**30)
        shape, workers = blocks._divided(large, processor, (1, 1, 1), None)
        assert 128 <= shape[0] <= 256
        assert fewest <= workers <= 16
        needed = workers * (shape[0] + 2) ** 3 * processor.bytes_per_voxel(large)
        assert needed <= Memory.available / 4
    assert blocks._divided(large, processor, (1, 1, 1), 3) == ([64] * 3, 3), "as was wished"
