"""Previews of every kind of task as layers: channels, pictures, masks, pins."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi
from napari.components import ViewerModel
from napari.layers import Image, Labels
from numpy.typing import NDArray
from qtpy.QtCore import QObject

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.tasks.predictors.predictor import Composite
from napari_dacapo_tasks.tasks.preview import HISTOGRAM_BINS, ChannelStatistics, Preview
from napari_dacapo_tasks.widgets.colormaps import BACKGROUND, COLOURS, LEFT_OUT_COLOUR, colour
from napari_dacapo_tasks.widgets.pictures import draw
from napari_dacapo_tasks.widgets.preview_layers import PreviewLayers
from napari_dacapo_tasks.widgets.result_layers import Anchor, ResultLayers, is_result

SHAPE = (4, 5, 6)
VOXEL = (40, 8, 8)
UNIT_RANGE, SIGNED = (0.0, 1.0), (-1.0, 1.0)
AFFINITIES = ["z+1", "y+1", "x+1"]
NEAREST = Composite("nearest", (0, 1, 2))


def placed(values: NDArray[Any]) -> NumpyArray:
    size = Coordinate(VOXEL)
    roi = Roi(size * 2, Coordinate(SHAPE) * size)
    return NumpyArray.from_np_array(values, roi, size, ("c", "z", "y", "x"))


def preview(
    channels: Sequence[str],
    ranges: Sequence[tuple[float, float]],
    composites: Sequence[Composite] = (),
    target: NDArray[Any] | None = None,
    masks: dict[str, int] | None = None,
    highest_weight: float = 4.0,
) -> Preview:
    """Make a preview whose targets are 1 / (number of the channel + 1), or as given."""
    count = len(channels)
    if target is None:
        steps = 1 / (1 + np.arange(count, dtype=np.float32))
        target = np.broadcast_to(steps[:, None, None, None], (count, *SHAPE)).copy()
    weight = np.full((count, *SHAPE), highest_weight, np.float32)
    known = np.ones((1, *SHAPE), np.uint8)
    histogram = np.zeros(HISTOGRAM_BINS, np.int64)
    return Preview(
        roi=placed(known).roi,
        channels=list(channels),
        gt=placed(known),
        known=placed(known),
        target=placed(target),
        weight=placed(weight),
        masks={name: placed(np.zeros((n, *SHAPE), np.uint8)) for name, n in (masks or {}).items()},
        target_ranges=list(ranges),
        composites=list(composites),
        statistics=[
            ChannelStatistics(name, 0.5, 0.0, 0.0, (0.5, highest_weight), histogram)
            for name in channels
        ],
        seconds=0.1,
    )


def distances(*channels: str, **more: Any) -> Preview:
    return preview(
        channels, [SIGNED] * len(channels), masks={"distance mask": len(channels)}, **more
    )


def hot_distances(*channels: str) -> Preview:
    names = [f"{name} {what}" for what in ("one-hot", "distance") for name in channels]
    ranges = [UNIT_RANGE] * len(channels) + [SIGNED] * len(channels)
    return preview(names, ranges, masks={"distance mask": len(channels)})


def affinities(names: Sequence[str] = AFFINITIES, **more: Any) -> Preview:
    return preview(names, [UNIT_RANGE] * len(names), [NEAREST], **more)


def classes(*names: str, target: NDArray[Any]) -> Preview:
    every = Composite("classes", tuple(range(len(names))), exclusive=True)
    return preview(names, [UNIT_RANGE] * len(names), [every], target)


class Show:
    """A viewer, and previews in it."""

    def __init__(self) -> None:
        self.viewer = ViewerModel()
        place = Anchor.at_array(placed(np.zeros((1, *SHAPE), np.uint8))).geometry
        labels = np.zeros(SHAPE, np.uint8)
        self.viewer.add_labels(labels, name="labels", **place.layer_options())
        self.parent = QObject()
        self.layers = PreviewLayers(self.viewer, self.parent)
        self.told: list[int] = []
        self.layers.channelShown.connect(self.told.append)

    def __call__(self, preview: Preview) -> None:
        pictures = draw(preview.target.data, preview.composites, preview.target_ranges)
        self.layers.show(preview, pictures, Anchor.at_array(preview.gt))

    def __getitem__(self, name: str) -> Any:
        return self.viewer.layers[name]

    @property
    def names(self) -> list[str]:
        """All but the labels, the lowest first."""
        return [layer.name for layer in self.viewer.layers if layer.name != "labels"]

    @property
    def seen(self) -> list[str]:
        return [name for name in self.names if self[name].visible]


@pytest.fixture
def show(qtbot: Any) -> Show:
    return Show()


# Channels


def test_affinities_are_one_layer_with_a_slider_and_a_picture(show: Show) -> None:
    made = affinities()
    show(made)
    assert show.names == ["weight: z+1", "target: z+1", "target: nearest"]
    assert show.seen == ["target: nearest"]
    target, picture = show["target: z+1"], show["target: nearest"]
    assert target.data is made.target.data
    assert target.axis_labels == ("channel", "z", "y", "x")
    assert picture.axis_labels == ("z", "y", "x")
    assert tuple(target.contrast_limits) == UNIT_RANGE
    for layer in (target, show["weight: z+1"]):
        np.testing.assert_array_equal(layer.translate[1:], picture.translate)
        np.testing.assert_array_equal(layer.scale[1:], picture.scale)
        assert layer.translate[0] == 0


def test_the_slider_names_the_channel_of_target_and_weight(show: Show) -> None:
    show(affinities())
    show.told.clear()
    show.viewer.dims.set_current_step(0, 2)
    assert show.names == ["weight: x+1", "target: x+1", "target: nearest"]
    assert show.told == [2]
    target, weight = show["target: x+1"], show["weight: x+1"]
    target.visible = weight.visible = True
    np.testing.assert_array_equal(target._slice.image.raw, np.full(SHAPE[1:], np.float32(1 / 3)))
    show.viewer.dims.set_current_step(1, 3)
    assert show.told == [2]


def test_a_channel_that_is_chosen_comes_in_place_of_the_picture_and_back(show: Show) -> None:
    show(affinities())
    show.layers.show_channel(1)
    assert show.seen == ["target: y+1"]
    assert show.viewer.dims.current_step[0] == 1
    assert show.told[-1] == 1
    show.layers.show_picture(0)
    assert show.seen == ["target: nearest"]
    show["weight: y+1"].visible = True
    show.layers.show_channel(2)
    assert show.seen == ["weight: x+1", "target: x+1"]


def test_a_weight_that_is_looked_at_is_not_covered_by_choosing_a_channel(show: Show) -> None:
    show(affinities())
    show["target: nearest"].visible = False
    show["weight: z+1"].visible = True
    show.layers.show_channel(2)
    assert show.seen == ["weight: x+1"]


def test_each_of_few_channels_has_its_own_range_and_colours(show: Show) -> None:
    show(hot_distances("mito"))
    assert show.names == [
        "weight: mito one-hot",
        "weight: mito distance",
        "target: mito one-hot",
        "target: mito distance",
        "distance mask: mito distance",
    ]
    one_hot, distance = show["target: mito one-hot"], show["target: mito distance"]
    assert (tuple(one_hot.contrast_limits), one_hot.colormap.name) == (UNIT_RANGE, "inferno")
    assert (tuple(distance.contrast_limits), distance.colormap.name) == (SIGNED, "blue to red")


def test_a_mask_of_fewer_channels_is_seen_with_those_that_it_is_of(show: Show) -> None:
    show(hot_distances("mito", "er"))
    assert show.seen == ["target: mito one-hot"]
    show.layers.show_channel(3)
    assert show.seen == ["target: er distance", "distance mask: er distance"]
    show.layers.show_channel(1)
    assert show.seen == ["target: er one-hot"]
    show.layers.show_channel(2)
    assert show.seen == ["target: mito distance", "distance mask: mito distance"]
    show["distance mask: mito distance"].visible = False
    show(hot_distances("mito", "er"))
    show.layers.show_channel(0)
    show.layers.show_channel(3)
    assert show.seen == ["target: er distance"]


def test_a_mask_of_fewer_channels_keeps_in_step_with_the_slider(show: Show) -> None:
    show(hot_distances("a", "b", "c"))
    assert show.names == ["weight: a one-hot", "target: a one-hot", "distance mask"]
    mask, target = show["distance mask"], show["target: a one-hot"]
    assert tuple(target.contrast_limits) == SIGNED
    assert mask.data.shape == (3, *SHAPE)
    assert mask._slice.empty
    show.viewer.dims.set_current_step(0, 4)
    assert show.names == ["weight: b distance", "target: b distance", "distance mask: b distance"]
    assert not mask._slice.empty
    assert round(mask.world_to_data(show.viewer.dims.point)[0]) == 1


def test_weights_follow_their_highest_value_until_a_person_sets_limits(show: Show) -> None:
    show(distances("mito"))
    weight = show["weight: mito"]
    assert tuple(weight.contrast_limits) == (0, 4)
    show(distances("mito", highest_weight=9.0))
    assert tuple(weight.contrast_limits) == (0, 9)
    weight.contrast_limits = (0, 2)
    weight.colormap = "magma"
    show(distances("mito", highest_weight=3.0))
    assert tuple(weight.contrast_limits) == (0, 2)
    assert weight.colormap.name == "magma"


def test_a_weight_of_zero_has_no_colour_and_a_low_one_has(show: Show) -> None:
    show(affinities())
    none, low = show["weight: z+1"].colormap.map(np.array([0.0, 0.001]))
    assert none[3] == 0
    assert low[3] == 1


# Pictures


def test_the_picture_of_floats_is_a_view_of_the_target(show: Show) -> None:
    made = affinities([*AFFINITIES, "z+5"])
    show(made)
    picture = show["target: nearest"]
    assert isinstance(picture, Image)
    assert picture.rgb
    assert picture.data.shape == (*SHAPE, 3)
    assert np.shares_memory(picture.data, made.target.data)
    np.testing.assert_allclose(picture.data[1, 2, 3], [1, 1 / 2, 1 / 3])


def test_whole_numbers_become_full_colours(show: Show) -> None:
    target = np.zeros((3, *SHAPE), np.uint8)
    target[0, 1, 2, 3] = target[2, 1, 2, 3] = target[1, 0, 0, 0] = 1
    show(affinities(target=target))
    picture = show["target: nearest"].data
    assert picture.dtype == np.uint8
    assert picture[1, 2, 3].tolist() == [255, 0, 255]
    assert picture[0, 0, 0].tolist() == [0, 255, 0]


def test_of_two_channels_blue_stays_dark(show: Show) -> None:
    pair = Composite("pair", (2, 0))
    show(preview(AFFINITIES, [UNIT_RANGE, UNIT_RANGE, SIGNED], [pair]))
    # A third of the way from -1 to 1, and 1 of 0 to 1.
    assert show["target: pair"].data[0, 0, 0].tolist() == [170, 255, 0]


def test_several_pictures_of_which_the_first_is_seen_on_top(show: Show) -> None:
    names = [*AFFINITIES, *(f"lsd {i}" for i in range(4))]
    pictures = [NEAREST, Composite("offset", (3, 4, 5))]
    show(preview(names, [UNIT_RANGE] * 7, pictures))
    assert show.names == ["weight: z+1", "target: z+1", "target: offset", "target: nearest"]
    assert show.seen == ["target: nearest"]
    show.layers.show_picture(1)
    assert show.seen == ["target: offset"]
    show(preview(names, [UNIT_RANGE] * 7, pictures))
    assert show.seen == ["target: offset"]


def one_hot(labels: NDArray[Any], count: int) -> NDArray[np.uint8]:
    return np.stack([labels == index for index in range(count)]).astype(np.uint8)


def test_classes_are_labels_with_the_colours_of_the_legend(show: Show) -> None:
    labels = np.zeros(SHAPE, np.int64)
    labels[0], labels[1, 2], labels[2] = 1, 2, 3
    show(classes("background", "er", "mito", target=one_hot(labels, 3)))
    layer = show["target: classes"]
    assert isinstance(layer, Labels)
    np.testing.assert_array_equal(layer.data, labels)  # 3 is no class
    assert layer.get_color(0) is None  # nothing is drawn
    for value, expected in ((1, COLOURS[0]), (2, COLOURS[1])):
        rgb = [int(expected[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        np.testing.assert_allclose(layer.get_color(value), (*rgb, 1), atol=1e-6)
    np.testing.assert_allclose(layer.get_color(3), LEFT_OUT_COLOUR)
    assert layer.features["class"].tolist() == ["background", "er", "mito", "none"]
    assert show.seen == ["target: classes"]
    assert is_result(layer)


def test_another_list_of_classes_colours_the_same_layer_anew(show: Show) -> None:
    labels = np.full(SHAPE, 2)
    show(classes("background", "er", "mito", target=one_hot(labels, 3)))
    layer = show["target: classes"]
    show(classes("background", "er", target=one_hot(labels, 2)))
    assert show["target: classes"] is layer
    assert (layer.data == 2).all()
    np.testing.assert_allclose(layer.get_color(2), LEFT_OUT_COLOUR)
    assert layer.features["class"].tolist() == ["background", "er", "none"]


def test_a_prediction_is_the_class_of_the_highest_probability() -> None:
    values = np.array([[0.2, 0.5], [0.5, 0.1], [0.3, 0.4]], np.float32).reshape(3, 1, 2)
    (picture,) = draw(values, [Composite("classes", (0, 1, 2), exclusive=True)], [UNIT_RANGE] * 3)
    assert picture.values.tolist() == [[1, 0]]


def test_any_number_of_colours_differ() -> None:
    assert len({*(colour(index) for index in range(60)), BACKGROUND}) == 61


# From one task to the next


@pytest.mark.parametrize("last", ["distances", "affinities", "classes"])
def test_going_from_task_to_task_leaves_no_layer_of_another(show: Show, last: str) -> None:
    labels = one_hot(np.zeros(SHAPE), 5)
    every = {
        "distances": distances("mito", "er"),
        "hot": hot_distances("mito"),
        "hot with slider": hot_distances("a", "b", "c"),
        "affinities": affinities(),
        "long": affinities([*AFFINITIES, "z+5", "y+5"]),
        "classes": classes("background", "a", "b", "c", "d", target=labels),
        "two classes": classes("background", "a", target=labels[:2]),
    }
    fresh = Show()
    fresh(every[last])
    for first in every:
        show(every[first])
        show.layers.show_channel(len(every[first].channels) - 1)
        show(every[last])
        assert show.layers._layers.present().keys() == fresh.layers._layers.present().keys()
        assert len(show.names) == len(fresh.names)
        layers = [show[name] for name in show.names]
        assert {layer.data.dtype for layer in layers if "target:" in layer.name} == {
            every[last].target.data.dtype,
            *([np.dtype(np.uint8)] if last == "classes" else []),
        }
        for entry, layer in show.layers._present():
            assert layer.data is entry.values
            if isinstance(layer, Image) and not layer.rgb:
                assert tuple(layer.contrast_limits) == tuple(entry.look["contrast_limits"])


def test_names_are_free_of_numbers_once_those_who_had_them_are_gone(show: Show) -> None:
    show(hot_distances("a", "b", "c"))  # a layer with a slider, at "a one-hot"
    show(hot_distances("a"))
    assert "target: a one-hot" in show.names
    assert not any("[" in name for name in show.names)
    show.viewer.add_points(np.zeros((1, 3)), name="target: a distance")
    show(hot_distances("b"))
    show(hot_distances("a"))
    assert "target: a distance [1]" in show.names


def test_where_there_is_no_picture_any_more_the_channels_are_seen(show: Show) -> None:
    show(affinities([*AFFINITIES, "z+5", "y+5", "x+5"]))
    show(hot_distances("a", "b", "c"))
    assert show.seen == ["target: a one-hot", "distance mask"]
    show(affinities())
    assert show.seen[-1] == "target: nearest"


def test_the_channel_stays_with_its_name(show: Show) -> None:
    show(distances("mito", "er"))
    show.layers.show_channel(1)
    show(distances("golgi", "mito", "er"))
    assert show.told[-1] == 2
    show(distances("golgi", "mito", "endo"))
    assert show.told[-1] == 2
    show(affinities([*AFFINITIES, "z+5"]))
    assert show.told[-1] == 0
    assert show.viewer.dims.current_step[0] == 0


def test_of_another_list_of_channels_the_first_is_seen(show: Show) -> None:
    show(distances("mito", "er"))
    show.layers.show_channel(1)
    show(hot_distances("mito", "er"))
    assert show.seen == ["target: mito one-hot"]
    assert show.told[-1] == 0
    show.layers.show_channel(3)
    assert show.seen == ["target: er distance", "distance mask: er distance"]
    show(distances("mito", "er"))
    assert show.seen == ["target: mito", "distance mask: mito"]


def test_what_a_person_set_on_a_picture_stays(show: Show) -> None:
    show(affinities())
    picture, target = show["target: nearest"], show["target: z+1"]
    picture.opacity, picture.name = 0.3, "mine"
    picture.visible, target.visible = False, True
    show(affinities())
    assert show["mine"] is picture
    assert picture.opacity == 0.3
    assert show.seen == ["target: z+1"]


def test_a_picture_that_was_removed_comes_back_in_its_place(show: Show) -> None:
    show(affinities(masks={"distance mask": 3}))
    before = show.names
    show.viewer.layers.remove("target: nearest")
    show(affinities(masks={"distance mask": 3}))
    assert show.names == before


def test_new_layers_lie_where_the_others_of_the_preview_lie(show: Show) -> None:
    show(distances("mito"))
    show.viewer.add_points(np.zeros((1, 3)), name="mine")
    show(affinities())
    assert show.names[-1] == "mine"


def test_a_second_dock_takes_the_layers_over(show: Show) -> None:
    show(affinities())
    before = list(show.viewer.layers)
    again = PreviewLayers(show.viewer, show.parent)
    made = affinities([*AFFINITIES, "z+5"])
    again.show(
        made, draw(made.target.data, [NEAREST], made.target_ranges), Anchor.at_array(made.gt)
    )
    assert list(show.viewer.layers) == before


# Pins


def test_pins_of_every_kind_stay_when_the_task_changes(show: Show) -> None:
    show(affinities())
    show.viewer.dims.set_current_step(0, 1)
    data = show["target: nearest"].data
    show.layers.pin("a")
    labels = np.full(SHAPE, 1)
    show(classes("background", "er", target=one_hot(labels, 2)))
    show.layers.pin("b")
    show(distances("mito"))
    pinned = [name for name in show.names if name.endswith("]")]
    assert pinned == [
        *("weight [a]", "target [a]", "target: nearest [a]"),
        *("weight [b]", "target [b]", "target: classes [b]"),
    ]
    assert show["target: nearest [a]"].data is data
    assert show["target: nearest [a]"].rgb
    np.testing.assert_allclose(
        show["target: classes [b]"].get_color(1)[:3],
        [int(COLOURS[0][at : at + 2], 16) / 255 for at in (1, 3, 5)],
        atol=1e-6,
    )
    assert show["target: classes [b]"].features["class"].tolist()[1] == "er"
    assert show.seen == ["target: mito", "distance mask: mito"]
    assert all(is_result(show[name]) for name in show.names)


# In three dimensions


def test_flat_pictures_come_while_three_dimensions_are_shown(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer(show=False)
    viewer.add_image(np.zeros((2, 5, 6), np.uint8))
    viewer.dims.ndisplay = 3
    values = np.random.default_rng(0).random((3, 5, 6, 3), np.float32)
    layers = ResultLayers(viewer, "test")
    place = {"scale": (1, 1), "translate": (0, 0), "units": ("pixel",) * 2, "axis_labels": "yx"}
    for visible in (True, False):
        look = {"rgb": True, "contrast_limits": (0, 1), "visible": visible}
        layer = layers.show(str(visible), "picture", values[0], place, look)
        assert layer.visible == visible
        assert not layers.pin(str(visible), "pinned").visible
        layers.show(str(visible), "picture", values[1], place, look)
    viewer.dims.ndisplay = 2
    layer.visible = True
    np.testing.assert_array_equal(layer._slice.image.raw, values[1])


def test_three_dimensions_show_every_kind_without_a_complaint(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer(show=False)
    viewer.dims.ndisplay = 3
    layers = PreviewLayers(viewer, QObject(viewer.window._qt_window))
    for made in (
        affinities(),
        affinities(target=np.ones((3, *SHAPE), np.uint8)),
        classes("background", "a", "b", target=one_hot(np.ones(SHAPE), 3)),
        hot_distances("a"),
    ):
        pictures = draw(made.target.data, made.composites, made.target_ranges)
        layers.show(made, pictures, Anchor.at_array(made.gt))
        for layer in viewer.layers:
            layer.visible = True
        viewer.screenshot(flash=False)
        viewer.dims.ndisplay = 2
        viewer.screenshot(flash=False)
        viewer.dims.ndisplay = 3
