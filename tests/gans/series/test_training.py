"""Steps of a series GAN's networks: what they may depend on, and that the penalty is what it says."""

import math
from typing import Any

import pytest
import torch

from gans.losses import Batch
from gans.series.config import NetworkConfig
from gans.series.dataset import open_series
from gans.series.experiment import make_trainer
from gans.series.network import Discriminator, Generator
from gans.series.noise import noise
from gans.trainer import Trainer
from lab.nets.second_order import penalised
from tests.gans.small_series import DEVICE, config

LOSSES = ["wgan-gp", "non-saturating", "relativistic"]
DISCRIMINATORS: dict[str, dict[str, Any]] = {
    "gru": {"discriminator": "rnn"},
    "lstm": {"discriminator": "rnn", "cell": "lstm", "bidirectional": False},
    "cnn": {"discriminator": "cnn", "discriminator_layers": 2},
}


def trainer(classes: int = 0, **changes: Any) -> Trainer[Generator]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return make_trainer(config(**changes), 2, classes, DEVICE)


def windows(count: int = 8) -> torch.Tensor:
    data = open_series(config().data, 0)
    return data.windows(data.training[:count])


def batch(count: int = 8, first: int = 0, classes: int = 0) -> Batch:
    labels = torch.arange(count) % classes if classes else None
    return Batch(windows(count), torch.arange(first, first + count), count, labels)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("discriminator", DISCRIMINATORS)
@pytest.mark.parametrize("classes", [0, 3])
def test_every_loss_trains_every_discriminator(loss: str, discriminator: str, classes: int) -> None:
    one = trainer(classes, loss={"name": loss, "lazy": 2}, network=DISCRIMINATORS[discriminator])
    before = [
        parameter.detach().clone() for net in (one.generator, one.discriminator) for parameter in net.parameters()
    ]
    for _ in range(2):
        statistics = one.step(batch(classes=classes))
        assert all(torch.isfinite(value) for value in statistics.values())
        assert float(statistics["loss/penalty"]) > 0 or loss == "non-saturating"
    after = [parameter for net in (one.generator, one.discriminator) for parameter in net.parameters()]
    # A Wasserstein or relativistic loss does not see a constant added to every score: the last bias may stay.
    assert sum(torch.equal(*pair) for pair in zip(before, after, strict=True)) <= 1


@pytest.mark.parametrize("discriminator", DISCRIMINATORS)
def test_the_penalty_s_gradient_is_that_of_finite_differences(discriminator: str) -> None:
    torch.manual_seed(1)
    net = Discriminator(
        NetworkConfig.model_validate({"discriminator_hidden": 5} | DISCRIMINATORS[discriminator]), 2
    ).double()
    series = torch.randn(3, 6, 2, dtype=torch.float64, requires_grad=True)
    weight = next(net.parameters())

    def squared() -> torch.Tensor:
        with penalised():
            scores = net(series)
        (slope,) = torch.autograd.grad(scores.sum(), series, create_graph=True)
        return slope.square().sum()

    found = torch.autograd.grad(squared(), weight)[0]
    for place in ((0, 0), (1, 1)):
        moved = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                weight[place].add_(step)
            moved.append(float(squared().detach()))
            with torch.no_grad():
                weight[place].sub_(step)
        expected = (moved[0] - moved[1]) / 2e-5
        assert float(found[place].sum()) == pytest.approx(expected, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("discriminator", ["gru", "lstm"])
def test_a_penalised_discriminator_does_without_cudnn_which_has_no_second_derivative(discriminator: str) -> None:
    net = Discriminator(NetworkConfig.model_validate(DISCRIMINATORS[discriminator]), 2)
    assert net.rnn is not None
    enabled: list[bool] = []
    net.rnn.rnn.register_forward_hook(lambda *_: enabled.append(torch.backends.cudnn.enabled))
    net(windows())
    with penalised():
        net(windows())
    net(windows())
    assert enabled == [True, False, True]


def test_the_wasserstein_penalty_of_a_linear_discriminator_is_known() -> None:
    one = trainer(network={"discriminator": "cnn", "discriminator_layers": 1}, loss={"drift": 0.0})
    assert isinstance(one.discriminator, Discriminator)
    cnn = one.discriminator.cnn
    assert cnn is not None
    with torch.no_grad():
        for parameter in cnn.parameters():
            parameter.zero_()
        # One feature, above 0 for all that is shown: its slope in the middle step of channel 0 is 0.3 / 8.
        weights = dict(cnn.named_parameters())
        weights["block0.conv.weight"][0, 0, 1, 1] = 0.3
        weights["block0.conv.bias"][0] = 100.0
        weights["out.weight"][0, 0] = 1.0
    statistics = one.step(batch())
    norm = math.sqrt(8) * 0.3 / 8
    assert float(statistics["loss/penalty"]) == pytest.approx(10.0 * (1.0 - norm) ** 2, rel=1e-4)


def test_the_discriminator_learns_to_tell_series_from_noise() -> None:
    loss = {"name": "non-saturating", "gamma": 0.0}
    one = trainer(loss=loss, training={"discriminator_steps": 1000, "discriminator_learning_rate": 0.02})
    generated = [value.detach().clone() for value in one.generator.parameters()]
    series = batch()
    found = [one.step(series) for _ in range(40)]
    gaps = [float(step["train/real_score"] - step["train/fake_score"]) for step in found]
    assert gaps[0] < 0.1 and min(gaps[-5:]) > 1.0
    assert all(torch.equal(a, b) for a, b in zip(generated, one.generator.parameters(), strict=True))


def test_the_generator_steps_on_every_nth_step_of_the_discriminator() -> None:
    one = trainer(training={"discriminator_steps": 3})
    assert ["loss/generator" in one.step(batch()) for _ in range(6)] == [False, False, True] * 2
    assert one.average.updates == 2 and one.shown == 48


def test_the_learning_rate_follows_its_schedule() -> None:
    one = trainer(training={"learning_rate": {"schedule": "cosine", "start": 0.01, "until": 100}})
    for series, rate in ((0, 0.01), (50, 0.005), (100, 0.0), (1000, 0.0)):
        one.shown = series
        assert one.learning_rate == pytest.approx(rate, abs=1e-12)


def test_noise_of_a_series_depends_on_its_number_alone() -> None:
    network = config().network
    many, one = noise(network, 8, torch.arange(5), 3, 0), noise(network, 8, torch.tensor([4]), 3, 0)
    assert torch.equal(many.steps[4:], one.steps) and torch.equal(many.series[4:], one.series)
    values = noise(network, 50, torch.arange(400), 0, 0).steps
    assert float(values.mean()) == pytest.approx(0.0, abs=0.02) and float(values.std()) == pytest.approx(1.0, abs=0.02)
    assert len(values.unique()) > 0.99 * values.numel()


def test_the_generator_is_causal_and_follows_its_class() -> None:
    torch.manual_seed(0)
    net = Generator(NetworkConfig(hidden=6, latent=2, series_latent=3), 2, classes=2)
    drawn = noise(NetworkConfig(latent=2, series_latent=3), 8, torch.arange(4), 0, 0)
    labels = torch.zeros(4, dtype=torch.int64)
    made = net(*drawn, labels)
    later = drawn.steps.clone()
    later[:, 5:] += 1.0
    changed = net(later, drawn.series, labels)
    assert torch.equal(made[:, :5], changed[:, :5]) and not torch.equal(made[:, 5:], changed[:, 5:])
    assert not torch.equal(made, net(*drawn, labels + 1))


def test_scores_of_a_discriminator_do_not_depend_on_the_batch() -> None:
    for discriminator in DISCRIMINATORS.values():
        net = Discriminator(NetworkConfig.model_validate(discriminator), 2, 2)
        series, labels = windows(), torch.arange(8) % 2
        torch.testing.assert_close(net(series, labels)[3:4], net(series[3:4], labels[3:4]))


@pytest.mark.parametrize("discriminator", ["rnn", "cnn"])
def test_muon_leaves_the_output_layers_of_both_networks_to_adamw(discriminator: str) -> None:
    one = trainer(network={"discriminator": discriminator}, training={"optimizer": "muon"})
    groups = {name: state["param_groups"][1] for name, state in one.state_dict()["optimizers"].items()}
    assert {name: len(group["params"]) for name, group in groups.items()} == {"discriminator": 1, "generator": 1}
