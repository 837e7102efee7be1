"""Sections are spoilt along the right axis, and only those that were drawn."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dacapo_tasks.training.augmentation.sections import (
    SectionOdds,
    Sections,
    section_axis,
)


def raw_of(shape=(1, 10, 16, 16)):
    return np.random.default_rng(0).normal(0, 0.4, shape).astype(np.float32)


def spoilt(sections, raw):
    result = raw.copy()
    sections.apply(result)
    return result


def untouched(result, raw, axis, numbers):
    """Whether all other sections are as before."""
    keep = [n for n in range(raw.shape[axis + 1]) if n not in numbers]
    return np.array_equal(result.take(keep, axis + 1), raw.take(keep, axis + 1))


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize(("blank", "level"), [("darkest", np.min), ("brightest", np.max)])
def test_a_missing_section_is_blank(axis, blank, level):
    raw = raw_of()
    result = spoilt(Sections(axis, missing=((4, blank),)), raw)
    assert (result.take(4, axis + 1) == level(raw)).all()
    assert untouched(result, raw, axis, [4])


def test_a_missing_section_can_be_grey():
    raw = raw_of() + 0.25
    result = spoilt(Sections(0, missing=((0, "mean"),)), raw)
    np.testing.assert_allclose(result[:, 0], raw.mean(), atol=1e-6)


def test_a_dark_section_is_darker_and_has_less_contrast():
    raw = raw_of()
    result = spoilt(Sections(0, dark=((3, 0.2, 0.5),)), raw)
    assert result[:, 3].std() == pytest.approx(0.2 * raw[:, 3].std(), rel=1e-3)
    middle = (raw[:, 3].mean() + raw.min()) / 2
    assert result[:, 3].mean() == pytest.approx(middle, abs=1e-4)
    assert untouched(result, raw, 0, [3])


@pytest.mark.parametrize("step", [(0, 3, -2), (0, -5, 0), (0, 40, 17)])
def test_a_displaced_section_lies_beside_its_place(step):
    raw = raw_of()
    result = spoilt(Sections(0, displaced=((6, step),)), raw)
    wide = np.pad(raw[0, 6], 64, mode="symmetric")
    dy, dx = step[1:]
    expected = wide[64 - dy : 64 - dy + 16, 64 - dx : 64 - dx + 16]
    np.testing.assert_array_equal(result[0, 6], expected)
    assert untouched(result, raw, 0, [6])


def test_sections_follow_each_other_along_the_thickest_axis_or_the_first():
    assert section_axis((40, 4, 4)) == 0
    assert section_axis((4, 4, 30)) == 2
    assert section_axis((8, 8, 8)) == 0


def test_odds_are_those_asked_for_and_do_not_change_each_other():
    size, voxels = (40 * 400, 400, 400), (40, 4, 4)
    sections, slips = SectionOdds(0.1, 0.2, 0.1, 60).draw(np.random.default_rng(0), size, voxels)
    assert len(sections.missing) == pytest.approx(40, abs=18)
    assert len(sections.dark) == pytest.approx(80, abs=24)
    assert len(sections.displaced) == pytest.approx(20, abs=12)
    assert len(slips) == pytest.approx(20, abs=12)
    assert {blank for _, blank in sections.missing} == {"darkest", "mean", "brightest"}
    less, none = SectionOdds(0.1, 0, 0, 0).draw(np.random.default_rng(0), size, voxels)
    assert less.missing == sections.missing
    assert less.dark == less.displaced == none == ()


def test_nothing_is_spoilt_without_odds():
    sections, slips = SectionOdds(0, 0, 0, 0).draw(
        np.random.default_rng(0), (800, 80, 80), (40, 4, 4)
    )
    assert sections.changes_nothing
    assert sections.describe() == []
    assert slips == ()


def test_displacements_stay_in_the_plane_and_within_reach():
    for seed in range(20):
        odds = SectionOdds(0, 0, 0.3, 60)
        size, voxels = (40 * 30, 400, 400), (40, 4, 4)
        sections, slips = odds.draw(np.random.default_rng(seed), size, voxels)
        for _, (dz, dy, dx) in sections.displaced:
            assert dz == 0
            assert np.hypot(dy, dx) <= 16
        moves = {0.0: np.zeros(3)}
        for slip in slips:
            assert slip.move[0] == 0
            assert np.hypot(*slip.move[1:]) <= 120
            moves[slip.start] = np.array(slip.move)
        assert [slip.start for slip in slips] == sorted(slip.start for slip in slips)
        # The section in the middle stays: 15 of 30 begins at 0.
        if slips:
            last = [slip.move for slip in slips if slip.start <= 0]
            assert not last or last[-1] == (0, 0, 0)
