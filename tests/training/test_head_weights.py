"""Shares of the heads, against a search over all of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from napari_unetpp.training._head_weights import fit_head_weights

N = 6000


def _heads(n_classes, target, noise):
    """Return logits (H, K, n) of heads that know a target (n,), some better."""
    rng = np.random.default_rng(0)
    shares = np.stack([target == k for k in range(max(2, n_classes))]).astype(float)
    if n_classes == 1:
        shares = shares[1:] - 0.5
    return torch.from_numpy(
        np.stack([3 * shares + rng.normal(0, each, shares.shape) for each in noise])
    )


def _loss(logits, target, weights):
    if logits.shape[1] == 1:
        inside = torch.sigmoid(logits)
        each = torch.cat([1 - inside, inside], dim=1)
    else:
        each = torch.softmax(logits, dim=1)
    mean = torch.tensordot(torch.tensor(weights, dtype=each.dtype), each, 1)
    return float(-mean[target, torch.arange(N)].log().mean())


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_they_are_the_best_of_all(n_classes):
    rng = np.random.default_rng(1)
    target = rng.integers(0, max(2, n_classes), N)
    logits = _heads(n_classes, target, (4.0, 2.0, 1.5))
    truth = torch.from_numpy(target)
    found = fit_head_weights(logits, (1.0, 1.0, 1.0), truth)
    assert [len(shares) for shares in found] == [1, 2, 3]
    steps = np.linspace(0, 1, 21)
    for shares in found:
        assert sum(shares) == pytest.approx(1)
        assert min(shares) >= 0
        grid = [w for w in product(steps, repeat=len(shares)) if abs(sum(w) - 1) < 1e-9]
        best = min(_loss(logits[: len(shares)], truth, w) for w in grid)
        assert _loss(logits[: len(shares)], truth, shares) <= best + 1e-4
    assert found[2][0] < found[2][1] < found[2][2]


def test_shares_of_the_interior_are_a_target_too():
    rng = np.random.default_rng(2)
    inside = rng.random(N) > 0.5
    share = torch.from_numpy((rng.random(N) * inside).astype(np.float32))
    good = torch.stack([(share == 0) * 6.0, share * 6, (1 - share) * (share > 0) * 6])
    bad = torch.randn(good.shape, generator=torch.Generator().manual_seed(0)) * 3
    *_, shares = fit_head_weights(torch.stack([bad, good]), (1.0, 1.0), share)
    assert shares[1] > 0.95


def test_heads_that_are_alike_have_equal_shares():
    target = np.random.default_rng(3).integers(0, 2, N)
    logits = _heads(2, target, (1.0,)).expand(3, -1, -1)
    *_, shares = fit_head_weights(logits, (1.0,) * 3, torch.from_numpy(target))
    assert shares == pytest.approx((1 / 3,) * 3, abs=2e-3)
