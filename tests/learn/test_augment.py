"""Augmentation moves pictures as it says, from the generator alone."""

import torch

from trabecula.learn.augment import Augment


def _pictures(n=4):
    return torch.rand(n, 1, 24, 24, generator=torch.Generator().manual_seed(1))


def _draw(augment, pictures, seed=0):
    return augment(pictures, torch.Generator().manual_seed(seed))


def test_nothing_asked_changes_nothing():
    assert torch.allclose(_draw(Augment(), _pictures()), _pictures(), atol=1e-5)


def test_the_generator_decides():
    augment = Augment(degrees=15, zoom=0.1, shift=0.1, flip=True, contrast=0.1)
    before = torch.get_rng_state()
    a, b, c = (_draw(augment, _pictures(), seed) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.allclose(a, c)
    assert torch.equal(before, torch.get_rng_state())


def test_flipping_mirrors_about_half():
    pictures = _pictures(64)
    flipped = _draw(Augment(flip=True), pictures)
    mirrored = (flipped - pictures.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-4
    kept = (flipped - pictures).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert (mirrored | kept).all()
    assert 16 < int(mirrored.sum()) < 48


def test_rotation_keeps_the_centre_and_shifting_does_not():
    spot = torch.zeros(32, 1, 25, 25)
    spot[:, :, 11:14, 11:14] = 1
    y, x = torch.meshgrid(torch.arange(25.0), torch.arange(25.0), indexing="ij")

    def centres(pictures):
        return torch.stack([(pictures[:, 0] * axis).sum(dim=(1, 2)) / 9 for axis in (y, x)], dim=1)

    assert (centres(_draw(Augment(degrees=30), spot)) - 12).abs().max() < 0.3
    moved = (centres(_draw(Augment(shift=0.1), spot)) - 12).abs()
    assert 1.5 < moved.max() <= 2.6


def test_zoom_changes_the_size():
    disc = torch.zeros(32, 1, 41, 41)
    y, x = torch.meshgrid(torch.arange(41.0), torch.arange(41.0), indexing="ij")
    disc[:, :, ((y - 20) ** 2 + (x - 20) ** 2) < 100] = 1
    areas = _draw(Augment(zoom=0.2), disc).sum(dim=(1, 2, 3)) / disc[0].sum()
    assert areas.min() < 0.85
    assert areas.max() > 1.15
    assert areas.max() < 1.5
