"""Counter-based random numbers: their distributions in closed form, and what a draw depends on."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from lab import rng

N = 200_000
SEEDS = [0, 1, -1, 12345, 2**63 - 1, -(2**63), 2**64 - 1, 2**200]
COUNTER = torch.arange(N)
EULER = 0.5772156649015329


def splitmix64(state: int) -> int:
    """Output of SplitMix64 for a state, in Python's integers (Vigna's reference code)."""
    z = (state + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def test_the_hash_is_splitmix64() -> None:
    # First outputs for seed 1234567, as published with the generator.
    assert [splitmix64((1234567 + k * 0x9E3779B97F4A7C15) % 2**64) for k in range(2)] == [
        6457827717110365317,
        3203168211198807973,
    ]
    for seed in SEEDS:
        assert int(rng.random_bits(seed)) % 2**64 == splitmix64(seed % 2**64)


def test_counters_step_the_state_as_the_generator_does() -> None:
    seed, counters = 42, [0, 1, 7, -3, 2**62]
    state = splitmix64(seed)
    expected = [splitmix64((state + c * 0x9E3779B97F4A7C15) % 2**64) for c in counters]
    assert [int(x) % 2**64 for x in rng.random_bits(seed, torch.tensor(counters))] == expected
    assert [int(rng.random_bits(seed, c)) % 2**64 for c in counters] == expected


DRAWS: dict[str, Callable[..., Tensor]] = {
    "random_bits": rng.random_bits,
    "uniform": rng.uniform,
    "gumbel": rng.gumbel,
    "normal": rng.normal,
    "integers": lambda *counters: rng.integers(7, *counters),
    "gamma": lambda *counters: rng.gamma(0.3, *counters),
}


@pytest.mark.parametrize("name", list(DRAWS))
def test_a_draw_depends_on_its_own_counters_alone(name: str) -> None:
    draw = DRAWS[name]
    games, plies = torch.tensor([5, 6, 2**40]), torch.tensor([0, 9, 3])
    together = draw(3, rng.Stream.ROLLOUT, games, plies)
    for i in range(3):
        assert draw(3, rng.Stream.ROLLOUT, games[i], plies[i]) == together[i]
        assert draw(3, int(rng.Stream.ROLLOUT), int(games[i]), int(plies[i])) == together[i]
    assert torch.equal(draw(3, rng.Stream.ROLLOUT, games.flip(0), plies.flip(0)), together.flip(0))
    table = draw(3, rng.Stream.ROLLOUT, games[:, None], plies)
    assert torch.equal(table.diagonal(), together)


@pytest.mark.parametrize("name", list(DRAWS))
def test_draws_leave_torchs_generator_alone(name: str) -> None:
    before = torch.get_rng_state()
    DRAWS[name](0, torch.arange(10))
    assert torch.equal(torch.get_rng_state(), before)


def test_different_counters_seeds_and_streams_give_different_bits() -> None:
    small = torch.arange(64)
    table = rng.random_bits(0, small[:, None, None], small[:, None], small)
    assert len(table.unique()) == 64**3, "the order of counters matters too"
    assert len({int(rng.random_bits(seed, 0)) for seed in range(1000)}) == 1000
    assert len({int(rng.random_bits(0, stream, 0, 0)) for stream in rng.Stream}) == len(rng.Stream)
    assert len(set(rng.Stream)) == len(rng.Stream.__members__), "no stream is an alias of another"


@pytest.mark.parametrize("seed", SEEDS)
def test_uniform_moments_and_range(seed: int) -> None:
    u = rng.uniform(seed, COUNTER).double()
    assert u.min() > 0.0 and u.max() < 1.0
    for power in (1, 2, 3):
        # Five standard errors.
        spread = math.sqrt((1 / (2 * power + 1) - 1 / (power + 1) ** 2) / N)
        assert (u**power).mean().item() == pytest.approx(1 / (power + 1), abs=5 * spread)


@pytest.mark.parametrize("bits", [0, -1, 2**63 - 1, -(2**63)])
def test_uniform_is_strictly_inside_for_the_extreme_bits(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def extreme(_seed: int, *counters: torch.Tensor | int, **_options: object) -> torch.Tensor:
        shape = torch.broadcast_shapes(*[counter.shape for counter in counters if isinstance(counter, torch.Tensor)])
        return torch.full(shape, bits)

    monkeypatch.setattr(rng, "random_bits", extreme)
    assert 0.0 < rng.uniform(0).item() < 1.0
    assert rng.gumbel(0).isfinite().item() and rng.normal(0).isfinite().item()
    assert 0 <= rng.integers(5, 0).item() < 5


def test_each_bit_is_a_fair_coin() -> None:
    bits = rng.random_bits(9, COUNTER)
    share = torch.stack([((bits >> k) & 1).double().mean() for k in range(64)])
    assert (share - 0.5).abs().max() < 5 * 0.5 / math.sqrt(N)


@pytest.mark.parametrize("lag", ["counter", "seed", "later counter", "stream"])
def test_neighbouring_draws_are_uncorrelated(lag: str) -> None:
    u = rng.uniform(0, 1, COUNTER, 0)
    other = {
        "counter": rng.uniform(0, 1, COUNTER + 1, 0),
        "seed": rng.uniform(1, 1, COUNTER, 0),
        "later counter": rng.uniform(0, 1, COUNTER, 1),
        "stream": rng.uniform(0, 2, COUNTER, 0),
    }[lag]
    assert abs(np.corrcoef(u.numpy(), other.numpy())[0, 1]) < 5 / math.sqrt(N)


def test_pairs_of_uniforms_fill_the_square_evenly() -> None:
    cells = (rng.uniform(0, COUNTER, 0) * 16).long() * 16 + (rng.uniform(0, COUNTER, 1) * 16).long()
    expected = N / 256
    chi_square = ((cells.bincount(minlength=256) - expected) ** 2 / expected).sum().item()
    assert abs(chi_square - 255) < 5 * math.sqrt(2 * 255)


def test_gumbel_moments() -> None:
    g = rng.gumbel(0, COUNTER).double()
    assert g.isfinite().all()
    deviation = math.pi / math.sqrt(6)
    assert g.mean().item() == pytest.approx(EULER, abs=5 * deviation / math.sqrt(N))
    assert g.std().item() == pytest.approx(deviation, rel=0.02)


def test_gumbel_argmax_samples_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    drawn = (logits + rng.gumbel(0, COUNTER[:, None], torch.arange(4))).argmax(1)
    p = logits.double().softmax(0)
    assert torch.allclose(drawn.bincount(minlength=4) / N, p.float(), atol=5 * 0.5 / math.sqrt(N))


def test_normal_moments() -> None:
    x = rng.normal(0, COUNTER).double()
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert (x**power).mean().item() == pytest.approx(moment, abs=5 * math.sqrt(variance / N))


@pytest.mark.parametrize("high", [1, 2, 7, 1000])
def test_integers_are_even_over_their_range(high: int) -> None:
    drawn = rng.integers(high, 0, COUNTER)
    assert drawn.dtype == torch.int64 and drawn.min() >= 0 and drawn.max() == high - 1
    expected = N / high
    chi_square = ((drawn.bincount(minlength=high) - expected) ** 2 / expected).sum().item()
    assert abs(chi_square - (high - 1)) <= 5 * math.sqrt(2 * (high - 1))


def test_integers_take_a_bound_for_each_element() -> None:
    high = COUNTER % 9 + 1
    drawn = rng.integers(high, 0, COUNTER)
    assert (drawn < high).all() and (drawn >= 0).all()
    assert all((drawn[high == h] == h - 1).any() for h in range(1, 10))


@pytest.mark.parametrize("alpha", [0.03, 0.3, 1.0, 2.5, 10.0])
def test_gamma_moments(alpha: float) -> None:
    x = rng.gamma(alpha, 0, COUNTER).double()
    assert x.isfinite().all() and (x >= 0).all()
    assert x.mean().item() == pytest.approx(alpha, abs=5 * math.sqrt(alpha / N))
    # Fourth central moment of Gamma(alpha, 1): 3 alpha^2 + 6 alpha.
    spread = math.sqrt((2 * alpha**2 + 6 * alpha) / N)
    assert x.var().item() == pytest.approx(alpha, abs=5 * spread)


@pytest.mark.parametrize("alpha", [0.03, 0.3, 1.0, 10.0])
def test_dirichlet_rows_sum_to_one_over_the_legal_actions(alpha: float) -> None:
    legal = torch.rand(5000, 7, generator=torch.Generator().manual_seed(0)) < 0.6
    legal[:, 3] |= ~legal.any(1)
    rows = rng.dirichlet(alpha, legal, 0, torch.arange(5000)[:, None])
    assert rows.dtype == torch.float32 and rows.shape == legal.shape
    assert torch.allclose(rows.sum(1), torch.ones(5000), atol=1e-5)
    assert (rows[~legal] == 0).all() and (rows >= 0).all()


@pytest.mark.parametrize("alpha", [0.3, 1.0, 10.0])
def test_dirichlet_moments(alpha: float) -> None:
    rows = rng.dirichlet(alpha, torch.ones(40_000, 7, dtype=torch.bool), 0, torch.arange(40_000)[:, None])
    total = 7 * alpha
    variance = (1 / 7) * (6 / 7) / (total + 1)
    assert torch.allclose(rows.mean(0), torch.tensor(1 / 7), atol=5 * math.sqrt(variance / 40_000))
    assert torch.allclose(rows.var(0), torch.tensor(variance), rtol=0.05)
    covariance = np.cov(rows[:, 0].numpy(), rows[:, 1].numpy())[0, 1]
    assert covariance == pytest.approx(-1 / 49 / (total + 1), rel=0.15)


def test_a_row_of_dirichlet_noise_does_not_depend_on_the_others() -> None:
    legal, games = torch.ones(6, 5, dtype=torch.bool), torch.arange(6)
    rows = rng.dirichlet(0.3, legal, 4, games[:, None])
    assert torch.equal(rng.dirichlet(0.3, legal[2:4], 4, games[2:4, None]), rows[2:4])


def test_no_legal_action_gives_zeros_and_no_nan() -> None:
    assert rng.dirichlet(0.3, torch.zeros(1, 4, dtype=torch.bool), 0, torch.zeros(1, 1).long()).tolist() == [
        [0, 0, 0, 0]
    ]


def test_integers_alone_are_drawn_on_the_device_asked_for() -> None:
    meta = torch.device("meta")
    assert rng.uniform(0, 1, 2, device=meta).device == meta
    assert rng.gumbel(0, 1, torch.zeros(3, dtype=torch.int64, device=meta)).device == meta
