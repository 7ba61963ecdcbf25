"""Rational approximation of a sampled response: the AAA algorithm.

Nakatsukasa, Sète and Trefethen, "The AAA algorithm for rational approximation", SIAM J. Sci.
Comput. 40(3), 2018, section 3: barycentric form, greedy support points, weights from an SVD.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from solvers.field.slab import Complex, Real


@dataclass(frozen=True, kw_only=True)
class Rational:
    """r(x) = Σ w_k y_k/(x − x_k) / Σ w_k/(x − x_k)."""

    nodes: Real
    values: Complex
    weights: Complex

    def __call__(self, x: Real) -> Complex:
        """Evaluate at real points; exact at the nodes."""
        x = np.asarray(x, float)
        difference = x[:, None] - self.nodes[None]
        at_node = difference == 0
        with np.errstate(divide="ignore", invalid="ignore"):
            cauchy = 1 / np.where(at_node, 1, difference)
            result = (cauchy @ (self.weights * self.values)) / (cauchy @ self.weights)
        rows, columns = np.nonzero(at_node)
        result[rows] = self.values[columns]
        return np.asarray(result)

    def poles_and_zeros(self) -> tuple[Complex, Complex]:
        """Return poles and zeros by the generalised eigenvalues of the barycentric form."""
        return (
            _barycentric_roots(self.nodes, self.weights),
            _barycentric_roots(self.nodes, self.weights * self.values),
        )


def fit(x: Real, y: Complex, *, tolerance: float, most_nodes: int = 60) -> Rational:
    """Fit samples y at distinct real x to a maximum error of `tolerance`, where possible."""
    count = len(x)
    support: list[int] = []
    weights = np.zeros(0, complex)
    approximation = np.full(count, y.mean())
    for _ in range(max(1, min(most_nodes, count // 2 + 1))):
        error = np.abs(y - approximation)
        error[support] = 0
        worst = int(error.argmax())
        if support and error[worst] < tolerance:
            break
        support.append(worst)
        rest = np.setdiff1d(np.arange(count), support)
        if len(rest) == 0:
            weights = np.ones(len(support), complex)
            break
        cauchy = 1 / (x[rest][:, None] - x[support][None])
        loewner = (y[rest][:, None] - y[support][None]) * cauchy
        weights = np.linalg.svd(loewner)[2][-1].conj()
        approximation = y.copy()
        with np.errstate(divide="ignore", invalid="ignore"):
            approximation[rest] = (cauchy @ (weights * y[support])) / (cauchy @ weights)
    return Rational(nodes=x[support], values=y[support], weights=weights)


def _barycentric_roots(nodes: Real, weights: Complex) -> Complex:
    """Zeros of Σ w_k/(x − x_k): finite eigenvalues of an arrowhead pencil."""
    size = len(nodes) + 1
    left, right = np.zeros((size, size), complex), np.eye(size)
    left[0, 1:], left[1:, 0] = weights, 1
    left[1:, 1:] = np.diag(nodes)
    right[0, 0] = 0
    values = scipy.linalg.eig(left, right, right=False)
    return np.asarray(values[np.isfinite(values) & (np.abs(values) < 1e6)])
