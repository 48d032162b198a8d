"""A flow is invertible, and its density is one: it integrates to 1 and agrees with the Jacobian."""

import math

import pytest
import torch
from torch import Tensor

from lab.errors import UserError
from lab.nets.flow import Coupling, Flow


def bent(features: int, seed: int = 0, *, deviation: float = 0.5) -> Flow:
    """A flow whose couplings are not the identity."""
    torch.manual_seed(seed)
    flow = Flow(features, couplings=4, hidden=8).double()
    for coupling in flow.couplings:
        assert isinstance(coupling, Coupling)
        torch.nn.init.normal_(coupling.out.weight, std=deviation)
    return flow


def test_a_new_flow_is_a_standard_normal() -> None:
    x = torch.randn(5, 3)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1)
    torch.testing.assert_close(Flow(3, couplings=2, hidden=4)(x), expected)


@pytest.mark.parametrize("features", [2, 5])
def test_the_inverse_restores(features: int) -> None:
    flow, x = bent(features), torch.randn(7, features).double()
    latent, _ = flow.latent(x)
    assert not torch.allclose(latent, x)
    torch.testing.assert_close(flow.inverse(latent), x)


def test_the_determinant_is_that_of_the_jacobian() -> None:
    flow, x = bent(4), torch.randn(4).double()

    def latent(row: Tensor) -> Tensor:
        return flow.latent(row[None])[0][0]

    jacobian = torch.autograd.functional.jacobian(latent, x)
    torch.testing.assert_close(flow.latent(x[None])[1][0], torch.linalg.slogdet(jacobian)[1])


def test_the_density_integrates_to_one() -> None:
    flow = bent(2, deviation=0.15)
    side = torch.linspace(-20.0, 20.0, 601).double()
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        total = flow(grid).exp().sum() * (side[1] - side[0]) ** 2
    assert math.isclose(float(total), 1.0, abs_tol=5e-3)


def test_one_column_cannot_be_coupled() -> None:
    with pytest.raises(UserError, match="two inputs"):
        Flow(1, couplings=2, hidden=4)
