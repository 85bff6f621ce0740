"""Losses against an independent oracle in float64 NumPy, and at their limits."""

import math

import numpy as np
import pytest
import torch

from napari_unetpp.config import TrainingConfig
from napari_unetpp.errors import SettingsError
from napari_unetpp.nn import (
    bce_dice_loss,
    log_cosh_dice_loss,
    probabilities,
    supervised_loss,
)
from napari_unetpp.nn._losses import class_shares, dice

LOSSES = {"bce_dice": bce_dice_loss, "log_cosh_dice": log_cosh_dice_loss}
SHAPES = {"one class": (2, 1, 6, 5), "3 classes": (2, 3, 6, 5), "3-D": (2, 4, 3, 4, 5)}


def oracle_probabilities(logits):
    """Sigmoid, as background and foreground; or softmax over axis 1."""
    if logits.shape[1] == 1:
        p = 1 / (1 + np.exp(-logits[:, 0]))
        return np.stack([1 - p, p], 1)
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def oracle(name, logits, target):
    """The loss pixel by pixel, looking only at those that are labelled."""
    p = oracle_probabilities(logits)
    log_likelihood = [
        math.log(p[(n, target[n, *pixel], *pixel)])
        for n, *pixel in np.argwhere(target >= 0)
    ]
    entropy = -np.mean(log_likelihood) if log_likelihood else 0.0
    classes = [1] if logits.shape[1] == 1 else range(logits.shape[1])
    dices = []
    for n in range(len(target)):
        labelled = target[n] >= 0
        for c in classes:
            found, truth = p[n, c][labelled], target[n][labelled] == c
            both = (found * truth).sum()
            dices.append((2 * both + 1) / (found.sum() + truth.sum() + 1))
    distance = 1 - np.array(dices)
    if name == "bce_dice":
        return 0.5 * entropy + distance.mean()
    return np.log(np.cosh(distance)).mean()


def example(shape, seed=0, ignored=0.3):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, shape)
    target = rng.integers(0, max(2, shape[1]), (shape[0], *shape[2:]))
    target[rng.random(target.shape) < ignored] = -1
    return logits, target


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("ignored", [0.0, 0.3, 0.97])
def test_loss_is_that_of_the_oracle(name, shape, ignored):
    for seed in range(5):
        logits, target = example(shape, seed, ignored)

        loss = LOSSES[name](torch.tensor(logits), torch.tensor(target))

        assert loss.item() == pytest.approx(oracle(name, logits, target), abs=2e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_gradient_is_that_of_the_oracle(name, shape):
    logits, target = example(shape)
    tensor = torch.tensor(logits, requires_grad=True)

    LOSSES[name](tensor, torch.tensor(target)).backward()

    rng = np.random.default_rng(1)
    for index in rng.permutation(logits.size)[:25]:
        place = np.unravel_index(index, shape)
        step = np.zeros(shape)
        step[place] = 1e-4
        rise = oracle(name, logits + step, target) - oracle(name, logits - step, target)
        assert tensor.grad[place].item() == pytest.approx(rise / 2e-4, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_ignored_pixels_are_in_no_sum(name, shape):
    logits, target = example(shape)
    ignored = np.broadcast_to(target[:, None] < 0, shape)
    changed = np.where(ignored, 50.0, logits)
    results = []
    for values in (logits, changed):
        tensor = torch.tensor(values, requires_grad=True)
        loss = LOSSES[name](tensor, torch.tensor(target))
        loss.backward()
        results.append((loss.item(), tensor.grad.numpy()))

    assert results[0][0] == results[1][0]
    for _, gradient in results:
        assert (gradient[ignored] == 0).all()
    np.testing.assert_array_equal(results[0][1], results[1][1])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_cutting_ignored_pixels_away_changes_nothing(name, shape):
    logits, target = example(shape, ignored=0)
    target[..., 3:] = -1

    masked = LOSSES[name](torch.tensor(logits), torch.tensor(target))
    cut = LOSSES[name](torch.tensor(logits[..., :3]), torch.tensor(target[..., :3]))

    assert masked.item() == pytest.approx(cut.item(), abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("n_classes", [1, 3])
@pytest.mark.parametrize("value", [-1, 0, 1])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_patches_of_one_value_are_finite(name, n_classes, value, scale, dtype):
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(2, n_classes, 8, 8, generator=generator)
    logits = (scale * random).to(dtype).requires_grad_()
    target = torch.full((2, 8, 8), value)

    loss = LOSSES[name](logits, target)
    loss.backward()

    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    if value == -1:
        assert loss.item() == pytest.approx(0, abs=1e-6)
        assert (logits.grad == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_answer_costs_nothing(name):
    target = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    perfect = 200.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1)

    assert LOSSES[name](perfect, target).item() == pytest.approx(0, abs=1e-6)


def test_log_cosh_lies_between_its_limits_and_follows_the_definition():
    worst = torch.full((1, 1, 64, 64), 40.0)
    target = torch.zeros(1, 64, 64, dtype=torch.int64)

    assert log_cosh_dice_loss(worst, target).item() == pytest.approx(0.4338, abs=1e-3)
    assert log_cosh_dice_loss(-worst, target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_summed_in_single(name, dtype):
    """262,144 pixels: a float16 sum would overflow at 65,504."""
    target = torch.ones(1, 512, 512, dtype=torch.int64)
    logits = torch.full((1, 1, 512, 512), 2.0, dtype=dtype)

    loss = LOSSES[name](logits, target)

    assert loss.item() == LOSSES[name](logits.float(), target).item()


def test_two_softmax_channels_are_one_sigmoid_channel():
    logits = torch.tensor(example((2, 1, 6, 5))[0])
    two = torch.cat([torch.zeros_like(logits), logits], 1)

    torch.testing.assert_close(probabilities(two)[:, 1:], probabilities(logits))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weights", [(), (1.0, 1.0, 1.0), (1.0, 0.0, 3.0)])
def test_heads_are_weighed_as_asked(name, weights):
    shape = SHAPES["3 classes"]
    target = example(shape)[1]
    logits = [example(shape, seed)[0] for seed in (1, 2, 3)]
    config = TrainingConfig(epochs=1, loss=name, head_weights=weights, dice="image")

    total, per_head = supervised_loss(
        tuple(torch.tensor(each) for each in logits), torch.tensor(target), config
    )

    expected = [oracle(name, each, target) for each in logits]
    assert [loss.item() for loss in per_head] == pytest.approx(expected, abs=2e-6)
    mean = np.average(expected, weights=weights or None)
    assert total.item() == pytest.approx(mean, abs=2e-6)


def test_a_head_of_weight_zero_learns_nothing():
    logits = tuple(torch.zeros(1, 1, 4, 4, requires_grad=True) for _ in range(2))
    target = torch.ones(1, 4, 4, dtype=torch.int64)
    config = TrainingConfig(epochs=1, head_weights=(0, 1))

    supervised_loss(logits, target, config)[0].backward()

    assert (logits[0].grad == 0).all()
    assert (logits[1].grad != 0).all()


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 1.0, 1.0), (0.0, 0.0), (-1.0, 2.0)])
def test_weights_that_do_not_fit_are_refused(weights):
    logits = (torch.zeros(1, 1, 4, 4),) * 2
    config = TrainingConfig(epochs=1, head_weights=weights)

    with pytest.raises(SettingsError, match="2 weights of at least 0 are needed"):
        supervised_loss(logits, torch.zeros(1, 4, 4, dtype=torch.int64), config)


def test_dice_of_a_batch_is_that_of_its_images_side_by_side():
    logits, target = (torch.as_tensor(a) for a in example((3, 3, 6, 5)))
    pooled = log_cosh_dice_loss(logits, target, pooled="batch")
    beside = log_cosh_dice_loss(
        torch.cat(list(logits), 1)[None], torch.cat(list(target), 0)[None]
    )
    torch.testing.assert_close(pooled, beside)


@pytest.mark.parametrize("n_classes", [1, 3])
def test_balanced_cross_entropy_does_not_see_how_common_a_class_is(n_classes):
    logits = torch.randn(1, n_classes, 8, 8, generator=torch.manual_seed(0))
    logits[..., 2:, :] = logits[..., :1, :1]  # pixels that repeat the first one
    few = torch.full((1, 8, 8), -1)
    few[0, 0], few[0, 1] = 0, 1
    few[0, 0, 1:] = -1
    many = few.clone()
    many[0, 2, :6] = 0  # like the one of class 0
    seen = [
        bce_dice_loss(logits, each, balanced=True) - (1 - dice(logits, each)).mean()
        for each in (few, many)
    ]
    torch.testing.assert_close(seen[0], seen[1])


def test_settings_choose_the_weights_of_classes_and_what_dice_is_pooled_over():
    logits, target = (torch.as_tensor(a) for a in example((3, 3, 6, 5)))
    for settings, options in (
        ({"class_weights": "balanced", "dice": "batch"}, (True, "batch")),
        ({"class_weights": "none", "dice": "image"}, (False, "image")),
    ):
        config = TrainingConfig(epochs=1, **settings)
        wanted = bce_dice_loss(logits, target, balanced=options[0], pooled=options[1])
        torch.testing.assert_close(
            supervised_loss((logits,), target, config)[0], wanted
        )


@pytest.mark.parametrize("pooled", ["image", "batch"])
def test_gradients_are_finite_where_nothing_is_labelled(pooled):
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    target = torch.full((2, 4, 4), -1)
    bce_dice_loss(logits, target, balanced=True, pooled=pooled).backward()
    assert torch.isfinite(logits.grad).all()


def shares_example(seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (2, 3, 6, 5))
    target = np.clip(rng.normal(0.4, 0.5, (2, 6, 5)), 0, 1)
    target[rng.random(target.shape) < 0.2] = -1
    return logits, target


@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_shares_of_the_interior_is_that_of_the_oracle(name):
    logits, target = shares_example()
    p = oracle_probabilities(logits)
    truth = np.stack(
        [target == 0, target * (target > 0), (1 - target) * (target > 0)], 1
    )
    counted = target >= 0
    entropy = -(truth * np.log(p)).sum(1)[counted].mean()
    both = (truth * p * counted[:, None]).sum((2, 3))
    total = ((truth + p) * counted[:, None]).sum((2, 3))
    distance = 1 - (2 * both + 1) / (total + 1)
    expected = {
        "bce_dice": 0.5 * entropy + distance.mean(),
        "log_cosh_dice": np.log(np.cosh(distance)).mean(),
    }[name]

    loss = LOSSES[name](torch.tensor(logits), torch.tensor(target))

    assert loss.item() == pytest.approx(expected, abs=2e-6)


def test_shares_of_zero_and_one_are_class_indices():
    logits, index = example((2, 3, 6, 5))
    index[index == 2] = 1
    for name, loss in LOSSES.items():
        as_index = loss(torch.tensor(logits), torch.tensor(index))
        as_share = loss(torch.tensor(logits), torch.tensor(index, dtype=torch.float32))
        assert as_share.item() == pytest.approx(as_index.item(), abs=1e-6), name
    np.testing.assert_array_equal(
        class_shares(torch.tensor(index), 3),
        class_shares(torch.tensor(index, dtype=torch.float32), 3),
    )


def test_balanced_shares_weigh_rare_classes_more():
    target = torch.zeros(1, 8, 8)
    target[0, 0, :2] = torch.tensor([1.0, 0.2])
    logits = torch.zeros(1, 3, 8, 8)
    wrong_inside = logits.clone()
    wrong_inside[0, :, 0, 0] = torch.tensor([5.0, -5.0, -5.0])
    plain, balanced = (
        bce_dice_loss(wrong_inside, target, balanced=b)
        - bce_dice_loss(logits, target, balanced=b)
        for b in (False, True)
    )
    assert balanced > 2 * plain > 0
