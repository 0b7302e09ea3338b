"""The solver: patch tests that are exact, beams of the textbook, and balance."""

import json
from pathlib import Path

import numpy as np
import pytest

from trabecula.measure.elements.brick import Elements
from trabecula.measure.elements.multigrid import Cycle, interpolated, restricted
from trabecula.measure.elements.solver import Supports, solved


def pressed(modulus, spacing, *, poisson=0.3, by_mm=-0.04, **settings):
    """Press a block along its first axis between frictionless plates that just hold it in place."""
    elements = Elements(modulus=modulus, spacing=spacing, poisson=poisson)
    supports = Supports.none(elements)
    supports.fixed[0, 0] = supports.fixed[0, -1] = True
    supports.displacement[0, -1] = by_mm
    for axis in range(1, elements.axes):
        supports.fixed[(axis, *(slice(None),) * axis, 0)] = True
    return elements, solved(elements, supports, tolerance=1e-12, **settings)


@pytest.mark.parametrize(
    ("shape", "spacing", "area"), [((4, 3, 5), (1.0, 0.7, 1.3), 3 * 0.7 * 5 * 1.3), ((6, 4), (1.0, 0.5), 4 * 0.5)]
)
def test_uniaxial_patch_is_exact(shape, spacing, area):
    """Strain is uniform, the force is E A strain, and the sides move by Poisson's ratio."""
    elements, deformed = pressed(np.full(shape, 1000.0), spacing)
    strain = -0.04 / (shape[0] * spacing[0])
    assert deformed.forces[0, -1].sum() == pytest.approx(1000 * area * strain, rel=1e-9)
    found = elements.strain(deformed.displacement)
    assert found[0] == pytest.approx(strain, rel=1e-8)
    for side in range(1, elements.axes):
        assert found[side] == pytest.approx(-0.3 * strain, rel=1e-7)
    stress = elements.stress(deformed.displacement)
    assert stress[0] == pytest.approx(1000 * strain, rel=1e-8)
    assert np.abs(stress[1:]).max() < 1e-7
    assert deformed.energy == pytest.approx(0.5 * 1000 * area * strain**2 * shape[0] * spacing[0], rel=1e-8)


def test_layers_in_series_and_columns_in_parallel():
    """Of two materials: Reuss and Voigt, exact where Poisson's ratio is 0."""
    layers, columns = np.full((4, 2, 2), 1000.0), np.full((4, 2, 2), 1000.0)
    layers[2:], columns[:, :, 1] = 200.0, 200.0
    for modulus, together in ((layers, 2 / (1 / 1000 + 1 / 200)), (columns, 600.0)):
        _, deformed = pressed(modulus, (1.0, 1.0, 1.0), poisson=0.0)
        assert deformed.forces[0, -1].sum() == pytest.approx(together * 4 * -0.01, rel=1e-8)


@pytest.mark.parametrize("axes", [2, 3])
def test_a_cantilever_bends_as_timoshenko_says(axes):
    """Eight elements through the depth, ten depths long: within 2 %."""
    depth, length, width, n = 8.0, 80.0, 8.0, 8
    h = depth / n
    shape = (int(length / h), n) if axes == 2 else (int(length / h), n, 4)
    plate = width if axes == 2 else 1.0
    elements = Elements(modulus=np.full(shape, 1000.0 * plate), spacing=(h, h, width / 4)[:axes])
    supports = Supports.none(elements)
    supports.fixed[:, 0] = True
    share = np.ones(elements.nodes[1:])
    for axis in range(axes - 1):
        for end in (0, -1):
            share[(slice(None),) * axis + (end,)] /= 2
    supports.force[1, -1] = share / share.sum()
    tip = solved(elements, supports).displacement[1, -1].mean()
    inertia, shear, kappa = width * depth**3 / 12, 1000 / 2.6, 10 * 1.3 / (12 + 11 * 0.3)
    timoshenko = length**3 / (3 * 1000 * inertia) + length / (kappa * width * depth * shear)
    assert tip == pytest.approx(timoshenko, rel=0.02)


def test_forces_are_in_balance_and_the_matrix_is_symmetric():
    rng = np.random.default_rng(0)
    elements = Elements(modulus=rng.uniform(0, 1000, (5, 4, 6)) * (rng.random((5, 4, 6)) < 0.8), spacing=(1, 1.2, 0.9))
    u, v = rng.standard_normal((2, 3, *elements.nodes))
    assert elements.forces(u).sum(axis=(1, 2, 3)) == pytest.approx(0, abs=1e-8)
    assert np.vdot(v, elements.forces(u)) == pytest.approx(np.vdot(u, elements.forces(v)), rel=1e-10)
    unit = np.zeros_like(u)
    unit[1, 2, 2, 3] = 1.0
    assert elements.forces(unit)[1, 2, 2, 3] == pytest.approx(elements.diagonal[1, 2, 2, 3])
    rigid = np.broadcast_to(np.array([1.0, -2.0, 0.5])[:, None, None, None], u.shape)
    assert np.abs(elements.forces(np.array(rigid))).max() < 1e-9


@pytest.mark.parametrize("nodes", [(7, 5, 4), (6, 8), (9, 3)])
def test_restriction_is_the_transpose_of_interpolation(nodes):
    """And a field that is linear in space stays what it is."""
    rng = np.random.default_rng(3)
    coarse = tuple(n // 2 + 1 for n in nodes)
    fine, few = rng.standard_normal((2, *nodes)), rng.standard_normal((2, *coarse))
    up, down = interpolated(few, nodes), restricted(fine, coarse)
    assert np.vdot(up, fine) == pytest.approx(np.vdot(few, down), rel=1e-12)
    line = np.broadcast_to(2.0 * np.arange(coarse[0]).reshape(-1, *(1,) * (len(nodes) - 1)), (1, *coarse))
    assert interpolated(line, nodes)[0].ravel() == pytest.approx(
        np.repeat(np.arange(nodes[0]), np.prod(nodes[1:])), abs=1e-12
    )


def test_the_preconditioner_is_symmetric_and_positive():
    """What conjugate gradients ask of it, with holes and held nodes."""
    rng = np.random.default_rng(4)
    modulus = rng.uniform(1, 1000, (9, 7, 11)) * (rng.random((9, 7, 11)) < 0.8)
    elements = Elements(modulus=modulus, spacing=(1.0, 1.2, 0.9))
    free = np.array(np.broadcast_to(elements.occupied, (3, *elements.nodes)))
    free[:, 0] = False
    cycle = Cycle(elements, free)
    a, b = rng.standard_normal((2, 3, *elements.nodes)) * free
    assert np.vdot(a, cycle(b)) == pytest.approx(np.vdot(cycle(a), b), rel=1e-9)
    assert np.vdot(a, cycle(a)) > 0
    assert not cycle(a)[~free].any()


def test_steps_do_not_grow_with_the_grid():
    """A slender beam of twice as many elements a side takes about as many steps: the diagonal alone took twice."""
    steps = []
    for n in (4, 8):
        elements = Elements(modulus=np.full((10 * n, n, n), 1000.0), spacing=(8.0 / n,) * 3)
        supports = Supports.none(elements)
        supports.fixed[:, 0] = True
        supports.force[1, -1, n // 2, n // 2] = 1.0
        steps.append(solved(elements, supports, tolerance=1e-6).iterations)
    assert steps[1] < 1.6 * steps[0]


def test_pieces_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    elements = Elements(modulus=rng.uniform(1, 1000, (9, 4, 5)), spacing=(1.0, 1.0, 1.0))
    u = rng.standard_normal((3, *elements.nodes))
    whole = elements.forces(u)
    elements = Elements(modulus=elements.modulus, spacing=elements.spacing)
    monkeypatch.setattr("trabecula.measure.elements.brick._PIECE", 40)
    assert elements.forces(u) == pytest.approx(whole, abs=1e-9)


def test_what_hangs_in_the_air_bears_nothing():
    """A loose piece has no place of its own, but no strain either, and the rest does not know of it."""
    modulus = np.zeros((6, 5, 5))
    modulus[:, 1:3, 1:3] = 500.0
    reactions = []
    for loose in (0.0, 500.0):
        modulus[2, 4, 4] = loose
        elements = Elements(modulus=modulus, spacing=(1.0, 1.0, 1.0))
        supports = Supports.none(elements)
        supports.fixed[:, 0] = supports.fixed[:, -1] = True
        supports.displacement[0, -1] = -0.06
        deformed = solved(elements, supports)
        reactions.append(deformed.forces[0, -1].sum())
    assert reactions[1] == pytest.approx(reactions[0], rel=1e-6)
    assert reactions[0] < 0
    assert np.abs(elements.strain(deformed.displacement)[:, 2, 4, 4]).max() < 1e-8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"modulus": np.zeros((2, 2, 2))}, "mask empty"),
        ({"modulus": np.full((2, 2, 2), np.nan)}, "finite"),
        ({"poisson": 0.5}, "Poisson"),
        ({"spacing": (1.0, 1.0)}, "2 or 3 axes"),
    ],
)
def test_impossible_elements_are_refused(change, said):
    with pytest.raises(ValueError, match=said):
        Elements(**{"modulus": np.ones((2, 2, 2)), "spacing": (1.0, 1.0, 1.0), **change})


def test_what_cannot_be_solved_says_why():
    elements = Elements(modulus=np.ones((3, 2, 2)), spacing=(1.0, 1.0, 1.0))
    supports = Supports.none(elements)
    with pytest.raises(ValueError, match="nothing holds the body"):
        solved(elements, supports)
    supports.fixed[:, 0] = True
    supports.force[0, -1] = 1.0
    with pytest.raises(ValueError, match="out of balance"):
        solved(elements, supports, most=2)


ORACLE = json.loads((Path(__file__).parent / "scikit_fem_12_0_2.json").read_text())


@pytest.mark.parametrize("name", sorted(ORACLE["bodies"]))
def test_displacements_are_those_of_scikit_fem(name):
    """A block and a plate of uneven moduli with holes: every displacement, the reaction and the energy within 1e-6."""
    body = ORACLE["bodies"][name]
    elements = Elements(modulus=np.array(body["modulus"]), spacing=body["spacing"], poisson=ORACLE["poisson"])
    supports = Supports.none(elements)
    supports.fixed[:, 0] = supports.fixed[:, -1] = True
    supports.displacement[0, -1] = ORACLE["pushed_mm"]
    deformed = solved(elements, supports, tolerance=1e-11)
    known = np.moveaxis(np.reshape(body["displacement"], (*elements.nodes, elements.axes)), -1, 0)
    assert np.abs(deformed.displacement - known).max() < 1e-6 * np.abs(known).max()
    assert deformed.forces[0, -1].sum() == pytest.approx(body["reaction"], rel=1e-6)
    assert deformed.energy == pytest.approx(body["energy"], rel=1e-6)
