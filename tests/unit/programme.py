"""The linear programme of antithetic pairs on cells of `z > 0`, solved by SciPy."""

import numpy as np
from scipy import sparse
from scipy.optimize import linprog


def pair_programme(cost, mass, c_s, c_n, limits, *, lower):
    """The smallest cost of pairs right on both sides, at z alone, and at −z alone.

    Each state has one variable in each cell, in this order; a cell holds at most its mass. `limits`
    are rows with their upper bounds. With `lower` the value is also at most the dual's.
    """
    cells = len(mass)
    one, zero = np.ones(cells), np.zeros(cells)
    equal = np.stack([np.concatenate([2 * one, zero, zero]), np.concatenate([zero, one, one])])
    room = sparse.hstack([sparse.eye_array(cells)] * 3)
    most = np.concatenate([mass, [bound for _, bound in limits]])
    found = linprog(
        cost,
        A_ub=sparse.vstack([room, *(sparse.csr_array(row[None]) for row, _ in limits)]),
        b_ub=most,
        A_eq=equal,
        b_eq=[c_s, c_n],
        bounds=(0, None),
        method="highs",
    )
    assert found.success
    if not lower:
        return found.fun
    # The value of the dual, which by weak duality is at most that of the primal.
    dual = found.ineqlin.marginals @ most + found.eqlin.marginals @ [c_s, c_n]
    return min(dual, found.fun)
