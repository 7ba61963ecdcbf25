"""Losses against the published formulae as plain loops in numpy, to 1e-6."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gnn.pretrain import losses  # noqa: E402

N, D = 7, 5


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(N, D)) * rng.uniform(0.2, 3, D)
    return first, first + 0.5 * rng.normal(size=(N, D))


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(a).requires_grad_() for a in arrays]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def tian(
    first: np.ndarray, second: np.ndarray, temperature: float, epsilon: float
) -> float:
    """Contrastive losses by pairs of distances (Tian, 2022, "Understanding Deep Contrastive
    Learning via Coordinate-wise Optimization", equation 1): φ = τ log(ε + x), ψ = e^(x/τ).

    Unit vectors: d² = 2 − 2 cos, so InfoNCE at temperature t is this at τ = 2 t, over τ.
    """
    tau = 2 * temperature
    views = np.concatenate([first, second])
    views = views / np.linalg.norm(views, axis=1, keepdims=True)
    total = 0.0
    for i in range(2 * N):
        partner = (i + N) % (2 * N)
        near = np.sum((views[i] - views[partner]) ** 2)
        x = sum(
            np.exp((near - np.sum((views[i] - views[j]) ** 2)) / tau)
            for j in range(2 * N)
            if j not in (i, partner)
        )
        total += np.log(epsilon + x)
    return total / (2 * N)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
@pytest.mark.parametrize("decoupled", [False, True])
def test_contrastive_losses_are_those_of_pairwise_distances(
    temperature: float, decoupled: bool
) -> None:
    first, second = pair(0)
    got = losses.nt_xent(
        *tensors(first, second), temperature=temperature, decoupled=decoupled
    )
    want = tian(first, second, temperature, 0.0 if decoupled else 1.0)
    assert got.item() == pytest.approx(want, abs=1e-6)


def test_nt_xent_is_the_cross_entropy_of_simclr() -> None:
    first, second = pair(1)
    total = 0.0
    views = np.concatenate([first, second])
    for i in range(2 * N):  # equation 1 of Chen et al. (2020), word for word
        scores = [np.exp(cosine(views[i], views[k]) / 0.5) for k in range(2 * N)]
        top = scores[(i + N) % (2 * N)]
        total -= np.log(top / sum(s for k, s in enumerate(scores) if k != i))
    got = losses.nt_xent(*tensors(first, second), temperature=0.5)
    assert got.item() == pytest.approx(total / (2 * N), abs=1e-6)


def test_info_nce_has_a_set_of_positives_and_of_negatives_for_each_anchor() -> None:
    rng = np.random.default_rng(2)
    positive, negative = rng.normal(size=(4, 3)) * 5, rng.normal(size=(4, 6)) * 5
    negative[1, 2:] = -np.inf  # an anchor with fewer negatives
    want = np.mean(
        [
            -np.log(np.exp(p) / (np.exp(p) + np.exp(negative[i]).sum()))
            for i in range(4)
            for p in positive[i]
        ]
    )
    got = losses.info_nce(*tensors(positive, negative))
    assert got.item() == pytest.approx(want, abs=1e-6)
    got.backward()


def test_extreme_scores_give_finite_losses_and_gradients() -> None:
    positive, negative = tensors(np.array([[-1e4]]), np.array([[1e4, -np.inf]]))
    loss = losses.info_nce(positive, negative)
    loss.backward()
    assert loss.item() == pytest.approx(2e4)
    assert torch.isfinite(positive.grad).all()


def test_vicreg_is_its_formula() -> None:
    first, second = pair(3)

    def variance(z: np.ndarray) -> float:
        return float(np.mean([max(0, 1 - np.sqrt(c.var(ddof=1) + 1e-4)) for c in z.T]))

    def covariance(z: np.ndarray) -> float:
        c = np.cov(z.T)
        return sum(c[i, j] ** 2 for i in range(D) for j in range(D) if i != j) / D

    want = (
        25 * np.mean((first - second) ** 2)
        + 25 * (variance(first) + variance(second)) / 2
        + covariance(first)
        + covariance(second)
    )
    assert losses.vicreg(*tensors(first, second)).item() == pytest.approx(want, rel=1e-6)


def test_constant_embeddings_leave_only_the_variance_term() -> None:
    constant = np.full((N, D), 0.7)
    got = losses.vicreg(*tensors(constant, constant), invariance=25, variance=1)
    assert got.item() == pytest.approx(0.99, abs=1e-12)


def test_barlow_twins_is_its_formula() -> None:
    first, second = pair(4)

    def normalised(z: np.ndarray) -> np.ndarray:
        return (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)

    a, b = normalised(first), normalised(second)
    want = 0.0
    for i in range(D):
        for j in range(D):
            c = sum(a[n, i] * b[n, j] for n in range(N)) / N
            want += (1 - c) ** 2 if i == j else 0.0051 * c**2
    got = losses.barlow_twins(*tensors(first, second))
    assert got.item() == pytest.approx(want, rel=1e-6)


def test_byol_and_simsiam_are_their_formulae_and_stop_the_gradient() -> None:
    p1, p2 = pair(5)
    z1, z2 = pair(6)
    unit = lambda z: z / np.linalg.norm(z, axis=1, keepdims=True)  # noqa: E731
    want = np.mean(
        np.sum((unit(p1) - unit(z2)) ** 2, axis=1)
        + np.sum((unit(p2) - unit(z1)) ** 2, axis=1)
    )
    given = tensors(p1, p2, z1, z2)
    loss = losses.byol(*given)
    loss.backward()
    assert loss.item() == pytest.approx(want, abs=1e-6)
    assert given[0].grad is not None
    assert given[2].grad is None

    want = -0.5 * np.mean([cosine(a, b) for a, b in zip(p1, z2, strict=True)])
    want -= 0.5 * np.mean([cosine(a, b) for a, b in zip(p2, z1, strict=True)])
    assert losses.simsiam(*tensors(p1, p2, z1, z2)).item() == pytest.approx(
        want, abs=1e-6
    )


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_scaled_cosine_error_is_its_formula(power: float) -> None:
    made, true = pair(7)
    want = np.mean([(1 - cosine(a, b)) ** power for a, b in zip(made, true, strict=True)])
    got = losses.scaled_cosine_error(*tensors(made, true), power=power)
    assert got.item() == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        losses.nt_xent,
        lambda a, b: losses.nt_xent(a, b, decoupled=True),
        losses.vicreg,
        losses.barlow_twins,
        lambda a, b: losses.scaled_cosine_error(a, b, power=2),
    ],
)
def test_gradients_are_those_of_finite_differences(loss: object) -> None:
    assert torch.autograd.gradcheck(loss, tensors(*pair(8)), atol=1e-6)


@pytest.mark.parametrize("loss", [losses.nt_xent, losses.vicreg, losses.barlow_twins])
def test_the_order_of_objects_and_of_views_does_not_matter(loss: object) -> None:
    first, second = tensors(*pair(9))
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loss(first[order], second[order]), loss(first, second))
    torch.testing.assert_close(loss(second, first), loss(first, second))


def test_nonsense_is_refused() -> None:
    first, second = tensors(*pair(10))
    with pytest.raises(ValueError, match="temperature: expected a positive number"):
        losses.nt_xent(first, second, temperature=0)
    with pytest.raises(ValueError, match=r"views: .* got \(7, 5\) and \(6, 5\)"):
        losses.vicreg(first, second[:6])
    with pytest.raises(ValueError, match="power"):
        losses.scaled_cosine_error(first, second, power=0.5)
