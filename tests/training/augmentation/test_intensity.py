"""Intensities change within reason, the same way in any thread, and nothing else changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_dacapo_tasks.training.augmentation.intensity import Intensity


def raw_of(shape=(1, 24, 32, 32), seed=0):
    random = np.random.default_rng(seed)
    return random.normal(0, 0.4, shape).clip(-1, 1).astype(np.float32)


def drawn(seed, probability=1.0, voxel_size=(8, 8, 8)):
    return Intensity.draw(np.random.default_rng(seed), probability, voxel_size)


def changed(intensity, raw):
    result = raw.copy()
    intensity.apply(result)
    return result


@pytest.mark.parametrize("shape", [(1, 24, 32, 32), (3, 16, 24, 24), (1, 48, 48), (1, 1, 9, 9)])
@pytest.mark.parametrize("seed", range(4))
def test_values_stay_finite_and_about_as_large(shape, seed):
    raw = raw_of(shape)
    voxel_size = (40, 4, 4)[-(len(shape) - 1) :]
    result = changed(drawn(seed, voxel_size=voxel_size), raw)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert abs(result.mean() - raw.mean()) < 0.5
    assert 0.05 < result.std() < 2.5 * raw.std()
    assert np.abs(result).max() < 2.5
    assert not np.array_equal(result, raw)


def test_a_constant_crop_stays_finite():
    for seed in range(5):
        assert np.isfinite(changed(drawn(seed), np.full((1, 8, 8, 8), -1, np.float32))).all()


def test_probabilities_are_those_asked_for():
    random = np.random.default_rng(0)
    many = [Intensity.draw(random, 0.25, (8, 8, 8)) for _ in range(800)]
    for name in ("blur", "gamma", "contrast", "brightness", "noise"):
        share = np.mean([getattr(one, name) is not None for one in many])
        assert share == pytest.approx(0.25, abs=0.06)
    assert drawn(0, 0.0).changes_nothing
    assert drawn(0, 0.0).describe() == []
    assert len(drawn(0, 1.0).describe()) == 5


def test_what_does_not_happen_leaves_the_rest_as_it_is():
    always, often = drawn(4), drawn(4, 0.5)
    for name in ("blur", "gamma", "contrast", "brightness", "noise"):
        assert getattr(often, name) in (None, getattr(always, name))


def test_gamma_keeps_the_darkest_and_the_brightest():
    raw = raw_of()
    result = changed(Intensity(gamma=1.4), raw)
    assert result.min() == pytest.approx(raw.min(), abs=1e-5)
    assert result.max() == pytest.approx(raw.max(), abs=1e-5)
    share = (raw - raw.min()) / (raw.max() - raw.min())
    expected = share**1.4 * (raw.max() - raw.min()) + raw.min()
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_contrast_keeps_the_mean_of_each_channel_and_brightness_moves_it():
    raw = raw_of((2, 16, 16, 16))
    raw[1] += 0.5
    for intensity, moved in ((Intensity(contrast=0.7), 0), (Intensity(brightness=-0.2), -0.2)):
        result = changed(intensity, raw)
        for before, after in zip(raw, result, strict=True):
            assert after.mean() == pytest.approx(before.mean() + moved, abs=1e-5)
            factor = intensity.contrast or 1
            assert after.std() == pytest.approx(before.std() * factor, rel=1e-4)


def test_noise_is_as_strong_as_said_and_differs_by_channel():
    flat = np.zeros((2, 32, 32, 32), np.float32)
    result = changed(Intensity(noise=0.08, noise_seed=3), flat)
    assert result.std() == pytest.approx(0.08, rel=0.02)
    assert not np.array_equal(result[0], result[1])


def test_blur_is_as_wide_along_all_axes_of_the_world():
    (sigma_z, sigma_y, sigma_x) = drawn(0, voxel_size=(40, 4, 8)).blur
    assert sigma_y == pytest.approx(2 * sigma_x) == pytest.approx(10 * sigma_z)
    raw = raw_of()
    result = changed(Intensity(blur=(0.1, 1.0, 0.5)), raw)
    expected = gaussian_filter(raw[0].astype(float), (0, 1.0, 0.5), truncate=3)
    np.testing.assert_allclose(result[0], expected, atol=1e-5)


def test_threads_do_not_change_the_result():
    raw = raw_of((1, 48, 64, 64))
    many = [drawn(seed) for seed in range(6)]
    alone = [changed(one, raw) for one in many]

    def in_a_thread(one):
        torch.rand(3)  # others use the state of the program meanwhile
        return changed(one, raw)

    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(in_a_thread, many * 3))
    for i, result in enumerate(beside):
        np.testing.assert_array_equal(result, alone[i % len(many)])


def test_the_number_of_threads_of_torch_does_not_change_the_result():
    raw = raw_of((1, 64, 64, 64))
    before = torch.get_num_threads()
    results = []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            results.append(changed(drawn(1), raw))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
