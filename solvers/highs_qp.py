"""Convex quadratic objectives over linear rows and continuous variables, for HiGHS.

The active-set solver gives no dual bound, so there is one of our own: a convex objective lies above
its tangent at any point, so the minimum of the tangent over the rows, a linear program, is a dual
bound.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import highspy
import numpy as np
from scipy import sparse

from solvers.extras import QuadraticForm
from solvers.types import Floats, MilpModel

_MOST_VARIABLES = 1_000  # in products; the test of convexity takes cubic time
_NEGATIVE = 1e-11  # relative; eigenvalues may be negative by rounding up to here


def why_not_convex(model: MilpModel) -> str | None:
    """Return the reason why HiGHS does not take a model with extras; None if it does.

    It takes convex quadratic objectives over continuous variables and linear rows.
    """
    extras = model.extras
    if (
        extras is None
        or extras.objective is None
        or extras.rows
        or extras.sets
        or extras.semi
    ):
        return (
            "it takes linear models and convex quadratic objectives, "
            f"and this one has {', '.join(model.beyond_linear)}"
        )
    if bool(model.integrality.any()):
        return (
            "it takes quadratic objectives over continuous variables only, "
            "and this one has integer variables"
        )
    return (
        None
        if _is_convex(extras.objective)
        else "its quadratic objective is not convex, or too large to tell"
    )


def pass_hessian(engine: Any, form: QuadraticForm, n: int) -> bool:
    """Pass ½ xᵀQx as the lower triangle of Q. Return False when HiGHS refuses it."""
    triangle = sparse.csc_matrix(
        (
            np.where(form.first == form.second, 2.0, 1.0) * form.values,
            (form.second, form.first),
        ),
        shape=(n, n),
    )
    hessian = highspy.HighsHessian()
    hessian.dim_ = n
    hessian.format_ = highspy.HessianFormat.kTriangular
    hessian.start_ = triangle.indptr.astype(np.int32)
    hessian.index_ = triangle.indices.astype(np.int32)
    hessian.value_ = triangle.data
    return bool(engine.passHessian(hessian) != highspy.HighsStatus.kError)


def tangent(model: MilpModel, x: Floats) -> MilpModel:
    """Return the linear model with the tangent of the objective at x (n,).

    It lies below a convex objective everywhere.
    """
    form = model.extras.objective if model.extras is not None else None
    if form is None:
        return model
    gradient = model.c.copy()
    np.add.at(gradient, form.first, form.values * x[form.second])
    np.add.at(gradient, form.second, form.values * x[form.first])
    offset = model.objective(x) - float(gradient @ x)
    return replace(model, c=gradient, offset=offset, extras=None)


def _is_convex(form: QuadraticForm) -> bool:
    used = np.unique(np.concatenate([form.first, form.second]))
    if len(used) > _MOST_VARIABLES:
        return False
    i, j = np.searchsorted(used, form.first), np.searchsorted(used, form.second)
    q = np.zeros((len(used), len(used)))
    np.add.at(q, (i, j), form.values)
    np.add.at(q, (j, i), form.values)
    eigenvalues = np.linalg.eigvalsh(q)
    return bool(
        eigenvalues[0]
        >= -_NEGATIVE * max(float(np.abs(eigenvalues).max()), 1e-300) * len(used)
    )
