"""Write what scikit-fem finds for a small block of random moduli and a plate: the outside reference of the solver.

    python3 -m venv ORACLE && ORACLE/bin/pip install scikit-fem==12.0.2
    ORACLE/bin/python bench/oracle_scikit_fem.py tests/measure/elements/scikit_fem_12_0_2.json

The body is made of whole numbers by a rule that needs no random generator, so that the test makes the same one. Its
first layer of nodes is held; the last is pushed along the first axis and held across it. Displacements are listed by
node in the order of the axes, as our solver has them. With `--time MODULUS.npy` the same is assembled and solved for
the bricks of 1 mm in that file, by a direct solver and by conjugate gradients, and seconds are printed.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import skfem
from skfem.helpers import ddot, eye, sym_grad, trace

SHAPES = {"solid": ((5, 4, 6), (1.0, 0.8, 1.3)), "plate": ((7, 6), (1.0, 0.8))}
POISSON = 0.3
PUSHED_MM = -0.05


def modulus_of(shape):
    """Return moduli in MPa between 100 and 1096, with holes that leave the body in one piece."""
    number = np.arange(np.prod(shape))
    values = 100.0 + (number * 7919 + 104729) % 997
    values[(number * 31) % 11 == 0] = 0.0
    values = values.reshape(shape)
    values[0] = values[-1] = np.maximum(values[0], 300.0)
    return values


def assembled(modulus, spacing):
    """Return scikit-fem's basis, matrix and the element modulus of each of its cells."""
    lines = [np.arange(n + 1) * mm for n, mm in zip(modulus.shape, spacing, strict=True)]
    if modulus.ndim == 3:
        mesh, element = skfem.MeshHex.init_tensor(*lines), skfem.ElementHex1()
        plane = POISSON / (1 - 2 * POISSON)
    else:
        mesh, element = skfem.MeshQuad.init_tensor(*lines), skfem.ElementQuad1()
        plane = POISSON / (1 - POISSON)
    centres = mesh.p[:, mesh.t].mean(axis=1)
    at = tuple(np.floor(c / mm).astype(int) for c, mm in zip(centres, spacing, strict=True))
    full = modulus[at]
    mesh, full = mesh.restrict(np.flatnonzero(full > 0)), full[full > 0]
    basis = skfem.Basis(mesh, skfem.ElementVector(element), intorder=3)
    scale = basis.with_element(skfem.ElementHex0() if modulus.ndim == 3 else skfem.ElementQuad0())

    @skfem.BilinearForm
    def stiffness(u, v, w):
        strain = sym_grad(u)
        stress = (strain + plane * eye(trace(strain), strain.shape[0])) / (1 + POISSON)
        return w.modulus * ddot(stress, sym_grad(v))

    return basis, stiffness.assemble(basis, modulus=scale.interpolate(full))


def pressed(basis):
    """Return the dofs that are given, and their values."""
    x, total = basis.mesh.p[0], basis.zeros()
    ends = [basis.nodal_dofs[:, np.isclose(x, end)] for end in (x.min(), x.max())]
    total[ends[1][0]] = PUSHED_MM
    return np.concatenate([end.ravel() for end in ends]), total


def solved(shape, spacing):
    """Return displacements `[node, axis]`, NaN-free, 0 where no element is, and the reaction of the last layer."""
    modulus = modulus_of(shape)
    basis, matrix = assembled(modulus, spacing)
    given, values = pressed(basis)
    found = skfem.solve(*skfem.condense(matrix, x=values, D=given))
    nodes = tuple(n + 1 for n in shape)
    at = tuple(np.rint(p / mm).astype(int) for p, mm in zip(basis.mesh.p, spacing, strict=True))
    field = np.zeros((*nodes, len(shape)))
    field[at] = found[basis.nodal_dofs].T
    last = basis.nodal_dofs[0, np.isclose(basis.mesh.p[0], basis.mesh.p[0].max())]
    return field.reshape(-1).tolist(), float((matrix @ found)[last].sum()), float(0.5 * found @ matrix @ found)


def timed(path, *, direct):
    """Print seconds and peak memory of assembling and solving a block of bricks of 1 mm."""
    from scipy.sparse.linalg import LinearOperator, cg

    start = time.process_time()
    basis, matrix = assembled(np.load(path), (1.0, 1.0, 1.0))
    given, values = pressed(basis)
    told = {"assemble_s": time.process_time() - start}
    a, b, x, free = skfem.condense(matrix, x=values, D=given)
    start, steps = time.process_time(), []
    diagonal = 1 / a.diagonal()
    jacobi = LinearOperator(a.shape, matvec=lambda r: diagonal * r)
    x[free], failed = cg(a, b, rtol=1e-6, maxiter=5000, M=jacobi, callback=steps.append)
    assert not failed
    told["cg_s"], told["steps"] = time.process_time() - start, len(steps)
    if direct:
        start = time.process_time()
        skfem.solve(a, b)
        told["direct_s"] = time.process_time() - start
    last = basis.nodal_dofs[0, np.isclose(basis.mesh.p[0], basis.mesh.p[0].max())]
    told["reaction_n"] = float((matrix @ x)[last].sum())
    told["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps(told))


def main() -> None:
    """Write the values, or time a block."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--time", type=Path)
    parser.add_argument("--direct", action="store_true")
    told = parser.parse_args()
    if told.time:
        timed(told.time, direct=told.direct)
        return
    written = {"version": skfem.__version__, "poisson": POISSON, "pushed_mm": PUSHED_MM, "bodies": {}}
    for name, (shape, spacing) in SHAPES.items():
        displacement, reaction, energy = solved(shape, spacing)
        written["bodies"][name] = {
            "modulus": modulus_of(shape).tolist(), "spacing": spacing, "displacement": displacement,
            "reaction": reaction, "energy": energy,
        }  # fmt: skip
    told.out.write_text(json.dumps(written) + "\n")


if __name__ == "__main__":
    main()
