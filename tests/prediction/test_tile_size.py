"""How large tiles may be is counted, and kept to."""

from __future__ import annotations

from itertools import pairwise

import psutil
import pytest
import torch
from funlib.geometry import Coordinate
from trained_models import FLAT, PADDED, SOLID, trained

from napari_dacapo_tasks.architectures.tiles import Tiles
from napari_dacapo_tasks.prediction import tile_size as module
from napari_dacapo_tasks.prediction.tile_size import (
    free_bytes,
    halved,
    held_bytes,
    in_flight_bytes,
    largest_tiles,
)

LIMIT = 3_000_000
"""Bytes; enough for some hundred thousand voxels."""


@pytest.fixture
def scarce(monkeypatch):
    monkeypatch.setattr(module, "MOST_ON_PROCESSOR", LIMIT)


def taken(network, shape, waiting=0):
    flight = waiting * in_flight_bytes(network.outline, network.tiles, shape)
    return held_bytes(network.outline, shape, torch.float32) + flight


def test_what_a_forward_pass_holds_is_counted():
    """By hand, for a network of one convolution after another of known size."""
    module_ = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3)
    ).to("meta")

    class Outline:
        num_in_channels, chain = 1, module_

    raw, first, second = 20 * 20, 4 * 18 * 18, 2 * 16 * 16
    # Input, the first convolution's output and its rectified copy; then the last one.
    expected = 4 * max(raw + 2 * first, raw + first + second)
    assert held_bytes(Outline(), (20, 20), torch.float32) == expected
    assert held_bytes(Outline(), (20, 20), torch.bfloat16) == expected // 2


def test_it_grows_with_the_tile():
    network = trained(SOLID)
    small, large = taken(network, (60, 60, 60)), taken(network, (120, 120, 120))
    assert 8 <= large / small < 12  # what is lost at the border is a smaller part of it


@pytest.mark.parametrize("architecture", [FLAT, SOLID, PADDED], ids=["2d", "3d", "same"])
def test_tiles_are_the_largest_for_which_there_is_room(scarce, architecture):
    network = trained(architecture)
    most = (5000,) * architecture.dims
    tiles = largest_tiles(network.outline, most, "cpu", torch.float32, waiting=3)
    assert taken(network, tiles.largest, waiting=3) <= LIMIT
    larger = network.tiles.input_shape(tiles.output_shape(tiles.largest) + network.tiles.step * 8)
    assert taken(network, larger, waiting=3) > LIMIT


def test_they_are_no_larger_than_needed(scarce):
    network = trained(FLAT)
    tiles = largest_tiles(network.outline, (30, 5000), "cpu", torch.float32, waiting=3)
    assert tiles.largest[0] <= 30 + 40 + 4
    assert tiles.largest[1] > 500


def test_where_not_even_the_usual_fits_they_are_smaller(monkeypatch):
    network = trained(FLAT.model_copy(update={"input_shape": Coordinate(204, 204)}))
    monkeypatch.setattr(module, "MOST_ON_PROCESSOR", taken(network, (120, 120)))
    tiles = largest_tiles(network.outline, (999, 999), "cpu", torch.float32, waiting=0)
    assert 44 <= max(tiles.largest) <= 120
    monkeypatch.setattr(module, "MOST_ON_PROCESSOR", 1)
    tiles = largest_tiles(network.outline, (999, 999), "cpu", torch.float32, waiting=0)
    assert tiles.largest == (44, 44)  # there is nothing smaller


def test_half_precision_has_room_for_more(scarce):
    network = trained(SOLID)
    most = (999, 999, 999)
    full = largest_tiles(network.outline, most, "cpu", torch.float32, waiting=0)
    half = largest_tiles(network.outline, most, "cpu", torch.bfloat16, waiting=0)
    assert half.largest[0] > full.largest[0]


def test_a_processor_takes_a_part_of_the_memory_that_is_free(monkeypatch):
    class Memory:
        available = 2**30

    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory)
    assert free_bytes("cpu") == 2**28
    Memory.available = 2**40
    assert free_bytes("cpu") == module.MOST_ON_PROCESSOR


@pytest.mark.parametrize("architecture", [FLAT, SOLID, PADDED], ids=["2d", "3d", "same"])
def test_half_as_large_again_and_again_ends_with_the_smallest(architecture):
    network = trained(architecture)
    tiles = Tiles(network.outline, (120,) * architecture.dims)
    sizes = [torch.Size(tiles.largest).numel()]
    while (smaller := halved(network.outline, tiles, tiles.largest)) is not None:
        tiles = smaller
        sizes.append(torch.Size(tiles.largest).numel())
    assert all(b <= a / 2 for a, b in pairwise(sizes[:-1]))
    assert sizes[-1] < sizes[-2]
    least = network.tiles.input_shape((1,) * architecture.dims)
    assert sizes[-1] <= 2 * torch.Size(least).numel()
