"""Presets suit the voxels, and what cannot be done is refused in a sentence."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from napari_dacapo_tasks.runs.augmentation import MOST_BENDING, PRESETS, AugmentationConfig

VOXEL_SIZES = [(8, 8, 8), (40, 4, 4), (5.24, 4, 4), (4, 4), (40, 4), (1, 1, 1), (0.5, 0.5, 0.5)]


@pytest.mark.parametrize("voxel_size", VOXEL_SIZES)
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_known_again(name, voxel_size):
    config = AugmentationConfig.preset(name, voxel_size)
    assert config.preset_name(voxel_size) == name
    read_again = AugmentationConfig.model_validate_json(config.model_dump_json())
    assert read_again.preset_name(voxel_size) == name


def test_the_default_is_light():
    assert AugmentationConfig().preset_name((8, 8, 8)) == "light"


def test_what_a_person_changed_is_no_preset():
    changed = AugmentationConfig.preset("em", (40, 4, 4)).model_copy(update={"rotation": 46.0})
    assert changed.preset_name((40, 4, 4)) is None
    assert AugmentationConfig.preset("em", (40, 4, 4)).preset_name((8, 8, 8)) is None


def test_presets_rise():
    none, light, em, strong = (AugmentationConfig.preset(name, (40, 4, 4)) for name in PRESETS)
    assert not none.mirror
    assert none.intensity == 0
    assert light.deform == 0
    assert light.mirror
    assert light.intensity < em.intensity < strong.intensity
    assert 0 < em.elastic < strong.elastic
    assert 0 < em.missing_sections < strong.missing_sections


def test_lengths_of_presets_follow_the_voxels():
    fine, coarse = (AugmentationConfig.preset("em", (s, s, s)) for s in (4, 8))
    assert coarse.elastic == 2 * fine.elastic
    assert coarse.elastic_spacing == 2 * fine.elastic_spacing
    assert coarse.shift == 2 * fine.shift


def test_sections_that_were_cut_have_more_defects_than_milled_ones_and_images_none():
    cut, milled, image = (
        AugmentationConfig.preset("em", size) for size in [(40, 4, 4), (8, 8, 8), (4, 4)]
    )
    assert cut.missing_sections > milled.missing_sections > 0
    assert image.missing_sections == image.dark_sections == image.shifted_sections == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"elastic": 20, "elastic_spacing": 100, "deform": 1}, "elastic_spacing of at least 250"),
        ({"elastic": 5, "deform": 1}, "at least 62.5, not 0"),
        ({"deform": 0.5}, "there is nothing to do"),
        ({"shifted_sections": 0.1}, "shift is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(values, said):
    with pytest.raises(ValidationError, match=said):
        AugmentationConfig(**values)


def test_as_much_bending_as_is_said_is_possible():
    config = AugmentationConfig(deform=1, elastic=MOST_BENDING * 300, elastic_spacing=300)
    assert config.elastic == pytest.approx(24)
