"""Running moments against NumPy's over all rows at once."""

import numpy as np
import torch

from agents.ppo.moments import Moments


def test_moments_of_many_batches_equal_those_of_all_rows() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(1e6, [1.0, 1e-3, 50.0], size=(1000, 3))
    moments = Moments(3)
    for part in np.split(rows, [1, 2, 300, 300, 950]):
        moments.update(torch.from_numpy(part))
    assert moments.count == 1000
    np.testing.assert_allclose(moments.mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, rows.var(0), rtol=1e-6)


def test_moments_continue_from_their_state() -> None:
    rows = torch.randn(100, 2, dtype=torch.float64)
    one, other = Moments(2), Moments(2)
    one.update(rows[:40])
    other.load_state_dict(one.state_dict())
    one.update(rows[40:])
    other.update(rows[40:])
    assert torch.equal(one.variance, other.variance)
    assert torch.equal(one.mean, other.mean)
