"""Optimizers: what decays, Muon against an independent implementation, states that resume bit for bit."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lab.train.config import OptimizerConfig
from lab.train.muon import Muon, orthogonalise
from lab.train.optimizers import load_optimizer, make_optimizer, set_learning_rate

OPTIMIZERS = ("adamw", "adam", "sgd", "muon")


class Net(nn.Module):
    """Every kind of parameter: embedding, filters, recurrent matrices, norm, biases, an output layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(5, 8)
        self.conv = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.rnn = nn.GRU(8, 6, batch_first=True)
        self.hidden = nn.Linear(4 * 9 + 6, 16)
        self.out = nn.Linear(16, 3)

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        image = torch.relu(self.norm(self.conv(images))).flatten(1)
        _, state = self.rnn(self.embedding(tokens))
        return self.out(torch.tanh(self.hidden(torch.cat([image, state[0]], 1))))


def config(optimizer: str, **settings: Any) -> OptimizerConfig:
    return OptimizerConfig.model_validate({"optimizer": optimizer, "learning_rate": 0.1} | settings)


def made(optimizer: str, net: Net, **settings: Any) -> torch.optim.Optimizer:
    return make_optimizer(net, config(optimizer, **settings), heads=[net.out])


def descend(net: Net, optimizer: torch.optim.Optimizer, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    images, tokens = torch.randn(7, 2, 3, 3, generator=draw), torch.randint(0, 5, (7, 4), generator=draw)
    optimizer.zero_grad()
    net(images, tokens).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weight_decay_spares_biases_and_norms_and_frozen_parameters_stay(optimizer: str) -> None:
    net = Net()
    net.hidden.requires_grad_(False)
    tool = made(optimizer, net, weight_decay=0.5, momentum=0.0)
    before = copy.deepcopy(net.state_dict())
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    tool.step()
    for name, parameter in net.named_parameters():
        decays = parameter.dim() > 1 and parameter.requires_grad
        if decays and optimizer != "adam":  # whose decay is part of the gradient, so that its size does not show
            torch.testing.assert_close(parameter.detach(), before[name] * (1 - 0.1 * 0.5), msg=name)
        assert torch.equal(parameter, before[name]) != decays, name


@pytest.mark.parametrize(
    ("optimizer", "plain"),
    [
        ("adamw", lambda parameters: torch.optim.AdamW(parameters, 0.1, (0.5, 0.7), weight_decay=0.0)),
        ("adam", lambda parameters: torch.optim.Adam(parameters, 0.1, (0.5, 0.7))),
        ("sgd", lambda parameters: torch.optim.SGD(parameters, 0.1, 0.8, nesterov=True)),
    ],
)
def test_settings_are_those_of_torchs_optimizers(optimizer: str, plain: Any) -> None:
    one, other = Net(), Net()
    ours = made(optimizer, one, beta1=0.5, beta2=0.7, momentum=0.8, weight_decay=0.0)
    theirs = plain(other.parameters())
    for seed in range(3):
        descend(one, ours, seed)
        descend(other, theirs, seed)
    torch.testing.assert_close(one.state_dict(), other.state_dict())


def test_the_learning_rate_is_set_for_all_parameters_and_muons_adamw_takes_its_fraction() -> None:
    net = Net()
    tool = made("muon", net, adamw_fraction=0.25, momentum=0.0, weight_decay=0.0)
    set_learning_rate(tool, 0.04)
    before = copy.deepcopy(net.state_dict())
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    tool.step()
    moved = {name: (before[name] - parameter).detach() for name, parameter in net.named_parameters()}
    torch.testing.assert_close(moved["out.weight"], torch.full((3, 16), 0.01))  # Adam's first step has its length
    assert float(torch.linalg.matrix_norm(moved["hidden.weight"], 2)) == pytest.approx(0.04, rel=0.35)


def test_muons_adamw_adds_epsilon_to_the_root_of_the_second_moment() -> None:
    net = Net()
    tool = made("muon", net, epsilon=3.0, weight_decay=0.0)
    set_learning_rate(tool, 0.04)
    before = net.out.weight.detach().clone()
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    tool.step()
    torch.testing.assert_close(before - net.out.weight.detach(), torch.full((3, 16), 0.04 / (1.0 + 3.0)))


# Muon


def reference_update(gradients: list[Tensor], momentum: float, steps: int = 5) -> Tensor:
    """The last of Muon's updates in float64, by the definition: Nesterov momentum, then a quintic iteration on the
    singular values alone, which is what its matrix products do (Jordan et al. 2024)."""
    buffer = torch.zeros_like(gradients[0], dtype=torch.float64)
    for gradient in gradients:
        buffer = momentum * buffer + (1.0 - momentum) * gradient.double()
    nesterov = (1.0 - momentum) * gradients[-1].double() + momentum * buffer
    matrix = nesterov.reshape(len(nesterov), -1)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    s = s / s.square().sum().sqrt()
    for _ in range(steps):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
    return (scale * (u * s @ v)).reshape(gradients[0].shape)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (24, 5), (8, 3, 3, 3), (5, 2, 7)])
def test_muon_is_an_independent_implementation_of_its_definition(shape: tuple[int, ...]) -> None:
    draw = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.randn(shape, generator=draw))
    tool = Muon([{"params": [weight], "orthogonal": True, "weight_decay": 0.3}], lr=0.02, momentum=0.9)
    gradients: list[Tensor] = []
    for _ in range(3):
        gradients.append(torch.randn(shape, generator=draw))
        weight.grad = gradients[-1].clone()
        expected = weight.detach().double() * (1.0 - 0.02 * 0.3) - 0.02 * reference_update(gradients, 0.9)
        tool.step()
        torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-4, atol=1e-5)


def test_muons_update_of_matrices_is_that_of_torch_but_for_its_bfloat16() -> None:
    draw = torch.Generator().manual_seed(0)
    one, other = (nn.Parameter(torch.zeros(12, 7)) for _ in range(2))
    ours = Muon([{"params": [one], "orthogonal": True}], lr=1.0, momentum=0.95)
    theirs = torch.optim.Muon([other], lr=1.0, momentum=0.95, weight_decay=0.0)
    for _ in range(3):
        one.grad = torch.randn(12, 7, generator=draw)
        other.grad = one.grad.clone()
        ours.step()
        theirs.step()
    torch.testing.assert_close(one, other, rtol=0.0, atol=0.05)


@pytest.mark.parametrize("shape", [(16, 16), (64, 8), (8, 64), (3, 10, 30)])
def test_singular_values_of_an_update_are_near_one(shape: tuple[int, ...]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 1e-3
    before, after = torch.linalg.svdvals(matrix), torch.linalg.svdvals(orthogonalise(matrix))
    large = before > 0.05 * before.amax(-1, keepdim=True)  # five steps lift no smaller ones
    assert bool(((after[large] > 0.65) & (after[large] < 1.25)).all())


def test_a_gradient_of_zeros_moves_nothing() -> None:
    assert torch.equal(orthogonalise(torch.zeros(3, 5)), torch.zeros(3, 5))


def test_muon_leaves_biases_norms_embeddings_and_outputs_to_adamw() -> None:
    net = Net()
    tool = made("muon", net)
    descend(net, tool, 0)
    names = {name: tool.state[parameter] for name, parameter in net.named_parameters()}
    orthogonal = {name for name, state in names.items() if "momentum_buffer" in state}
    assert orthogonal == {"conv.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0", "hidden.weight"}
    assert {name for name, state in names.items() if "exp_avg" in state} == names.keys() - orthogonal


@pytest.mark.parametrize("steps", [1, 3])
def test_newton_schulz_steps_and_normalised_weights_are_their_definition(steps: int) -> None:
    net = Net()
    tool = made(
        "muon", net, momentum=0.6, weight_decay=0.0, muon={"newton_schulz_steps": steps, "normalise_weights": True}
    )
    weight = net.conv.weight
    gradients: list[Tensor] = []
    for seed in range(3):
        gradients.append(torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)))
        weight.grad = gradients[-1].clone()
        before = weight.detach().double()
        tool.step()
        normalised = before * len(before) ** 0.5 / before.norm()
        expected = normalised - 0.1 * reference_update(gradients, 0.6, steps)
        torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-4, atol=1e-5)


SGD = {"others": "sgd", "bias_fraction": 2.0, "head_fraction": 0.5, "others_momentum": 0.8, "others_decay": 0.3}


def test_muons_sgd_is_torchs_with_its_rates_and_decay() -> None:
    one, other = Net(), Net()
    ours = made("muon", one, weight_decay=0.0, muon=SGD)
    hidden = ("conv.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0", "hidden.weight")
    others = {name: parameter for name, parameter in other.named_parameters() if name not in hidden}
    vectors = [parameter for parameter in others.values() if parameter.dim() == 1]
    groups = [([other.embedding.weight, other.out.weight], 0.5), (vectors, 2.0)]
    theirs = torch.optim.SGD(
        [{"params": params, "lr": 0.1 * share, "weight_decay": 0.3 / share} for params, share in groups],
        momentum=0.8,
        nesterov=True,
    )
    for seed in range(3):
        descend(one, ours, seed)
        descend(other, theirs, seed)
        for name in hidden:  # Muon's own
            other.get_parameter(name).data.copy_(one.get_parameter(name).data)
    torch.testing.assert_close(one.state_dict(), other.state_dict())


def test_muons_sgd_leaves_a_frozen_parameter_and_its_momentum() -> None:
    net = Net()
    tool = made("muon", net, muon=SGD)
    descend(net, tool, 0)
    net.norm.bias.requires_grad_(False)
    before, buffer = net.norm.bias.clone(), tool.state[net.norm.bias]["momentum_buffer"].clone()
    descend(net, tool, 1)
    assert torch.equal(net.norm.bias, before) and torch.equal(tool.state[net.norm.bias]["momentum_buffer"], buffer)


# States


@pytest.mark.parametrize(("optimizer", "settings"), [*((name, {}) for name in OPTIMIZERS), ("muon", {"muon": SGD})])
def test_a_state_read_back_goes_on_bit_for_bit(optimizer: str, settings: dict[str, Any]) -> None:
    one = Net().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    first = made(optimizer, one, **settings)
    descend(one, first, 0)
    other = copy.deepcopy(one)
    second = made(optimizer, other, **settings)
    # A checkpoint keeps numbers and not the memory layout.
    state = copy.deepcopy(first.state_dict())
    for moments in state["state"].values():
        moments.update({name: value.contiguous() for name, value in moments.items() if isinstance(value, Tensor)})
    load_optimizer(second, state)
    for seed in (1, 2):
        descend(one, first, seed)
        descend(other, second, seed)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    ours, theirs = first.state_dict()["state"], second.state_dict()["state"]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key][name], theirs[key][name]) for key in ours for name in ours[key])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_state_of_other_shapes_is_refused(optimizer: str) -> None:
    net, wider = Net(), Net()
    wider.hidden, wider.out = nn.Linear(4 * 9 + 6, 17), nn.Linear(17, 3)
    theirs = made(optimizer, wider)
    descend(wider, theirs, 0)
    with pytest.raises(ValueError, match="its parameter"):
        load_optimizer(made(optimizer, net), theirs.state_dict())
