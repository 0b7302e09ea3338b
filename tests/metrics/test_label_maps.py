"""Surface distances of solids whose distance is known, and against SimpleITK and MONAI on ragged ones."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from trabecula.metrics.label_maps import surface_distance

SPACING = (3.0, 0.7, 0.5)  # mm along k, j, i


def box(low, high, shape=(20, 60, 60)):
    mask = np.zeros(shape, dtype=int)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 1
    return mask


def ragged(seed, shape=(16, 40, 48)):
    """Three lumps, and the same ones moved a little."""
    rng = np.random.default_rng(seed)
    ground = gaussian_filter(rng.normal(size=shape), (2, 5, 5))
    moved = ground + gaussian_filter(rng.normal(size=shape), (2, 5, 5)) / 3
    return tuple(np.digitize(each, np.quantile(ground, [0.6, 0.8, 0.9])) for each in (ground, moved))


@pytest.mark.parametrize(("axis", "voxels"), [(0, 2), (1, 7), (2, 11)])
def test_a_plate_moved_along_its_thin_axis(axis, voxels):
    # All surface of a plate one voxel thick is as far from where it was moved to as it was moved.
    low, high = [2, 2, 2], [18, 50, 50]
    high[axis] = low[axis] + 1
    there = [list(end) for end in (low, high)]
    for end in there:
        end[axis] += voxels
    found = surface_distance(box(low, high), box(*there), SPACING)
    assert found == pytest.approx((voxels * SPACING[axis],) * 2)


def test_a_box_in_a_larger_one():
    # Two voxels wider along i on one side only: 1 mm; of the larger one's surface the far face and its rim alone.
    small, large = box((5, 10, 10), (9, 30, 30)), box((5, 10, 10), (9, 30, 32))
    found = surface_distance(small, large, SPACING)
    assert found.hausdorff95 == pytest.approx(1.0)
    assert 0 < found.mean < 1.0
    assert surface_distance(large, small, SPACING) == pytest.approx(found)
    assert surface_distance(small, small, SPACING) == (0, 0)


def test_spheres_in_one_another_lie_apart_by_the_difference_of_their_radii():
    grid = np.indices((60, 120, 120)) * np.array([1.0, 0.5, 0.5])[:, None, None, None]
    radius = np.sqrt(((grid - 29.75) ** 2).sum(axis=0))
    found = surface_distance((radius < 20).astype(int), (radius < 25).astype(int), (1.0, 0.5, 0.5))
    assert found.mean == pytest.approx(5, abs=0.25)  # half the smaller side of a voxel: the nearest of many is near
    assert found.hausdorff95 == pytest.approx(5, abs=0.6)  # a voxel of 1 mm


def itk_distances(truth, labels):
    """SimpleITK's recipe: contours of the masks, and the distance map of Maurer et al. from each contour."""
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is an oracle of tests only")
    contours, maps = [], []
    for mask in (truth, labels):
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing(SPACING[::-1])
        contour = sitk.LabelContour(image, fullyConnected=False)
        maps.append(np.abs(sitk.GetArrayFromImage(
            sitk.SignedMaurerDistanceMap(contour, squaredDistance=False, useImageSpacing=True)
        )))  # fmt: skip
        contours.append(sitk.GetArrayFromImage(contour) > 0)
    return maps[1][contours[0]], maps[0][contours[1]]


def test_simpleitk_agrees():
    truth, labels = (np.pad(each, 1) for each in ragged(0))  # its contours do not count the edge of the image
    wanted = []
    for label in (1, 2, 3):
        forth, back = itk_distances(truth == label, labels == label)
        ends = max(np.quantile(forth, 0.95), np.quantile(back, 0.95))
        wanted.append((np.r_[forth, back].mean(), ends))
        assert surface_distance(truth == label, labels == label, SPACING) == pytest.approx(wanted[-1], rel=1e-5)
    assert surface_distance(truth, labels, SPACING) == pytest.approx(tuple(np.mean(wanted, axis=0)), rel=1e-5)


@pytest.mark.slow  # to import it
@pytest.mark.filterwarnings("ignore")  # of MONAI about Torch
def test_monai_agrees():
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    truth, labels = (torch.tensor(each[None, None] == 2) for each in ragged(1))
    mean = compute_average_surface_distance(truth, labels, symmetric=True, spacing=SPACING, include_background=True)
    ends = compute_hausdorff_distance(truth, labels, percentile=95, spacing=SPACING, include_background=True)
    found = surface_distance(truth[0, 0].numpy(), labels[0, 0].numpy(), SPACING)
    assert found == pytest.approx((mean.item(), ends.item()), rel=1e-5)


def test_a_radiograph_is_flat_and_a_slice_of_a_volume_is_not():
    disc = np.hypot(*(np.indices((41, 41)) - 20)) < 15
    wider = np.hypot(*(np.indices((41, 41)) - 20)) < 18
    flat = surface_distance(disc.astype(int), wider.astype(int), (0.2, 0.2))
    assert flat.mean == pytest.approx(0.6, abs=0.06)
    assert surface_distance(disc[None] * 1, wider[None] * 1, (1.0, 0.2, 0.2)) == pytest.approx(flat)
    volume = np.zeros((2, 3, 41, 41), dtype=int)
    volume[:, 1] = disc, wider
    assert surface_distance(*volume, (1.0, 0.2, 0.2)).mean < flat.mean  # its inner voxels have a face to the outside


def test_no_answer_is_as_far_as_the_corners_of_the_image():
    truth = box((5, 10, 10), (9, 30, 30)) + 2 * box((12, 10, 10), (15, 30, 30))
    corners = math.hypot(20 * 3.0, 60 * 0.7, 60 * 0.5)
    assert surface_distance(truth, truth * (truth == 1), SPACING) == pytest.approx((corners / 2,) * 2)
    assert surface_distance(truth, truth + 9 * (truth == 0), SPACING) == (0, 0)  # a label that the truth does not know
    assert all(math.isnan(x) for x in surface_distance(0 * truth, truth, SPACING))


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.0, 1.0), (1.0, math.nan, 1.0)])
def test_errors_say_what_is_wanted(spacing):
    truth = box((5, 10, 10), (9, 30, 30))
    with pytest.raises(ValueError, match="length in mm"):
        surface_distance(truth, truth, spacing)
    with pytest.raises(ValueError, match="differ in shape"):
        surface_distance(truth, truth[1:], SPACING)
