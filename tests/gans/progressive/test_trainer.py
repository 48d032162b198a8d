"""A step of both networks: what it may depend on and what it must not touch."""

from typing import Any

import pytest
import torch

from gans.progressive.cost import convolutions
from gans.progressive.growth import Stage
from gans.progressive.trainer import GrowingTrainer
from lab.errors import CheckpointError
from tests.gans.small_gan import DEVICE, config


def trainer(**changes: Any) -> GrowingTrainer:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return GrowingTrainer(config(**changes), DEVICE)


def batch(count: int = 8) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("loss", ["wgan-gp", "non-saturating", "relativistic"])
def test_gradient_accumulation_equals_one_pass(loss: str) -> None:
    whole, parts = trainer(loss={"name": loss}), trainer(loss={"name": loss}, training={"micro_batch": 4})
    one, other = whole.step(batch()), parts.step(batch())
    for name in one:
        if name != "train/real_sign":
            torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-5)
    for name, value in whole.generator.state_dict().items():
        torch.testing.assert_close(value, parts.generator.state_dict()[name], rtol=1e-3, atol=1e-4)


def test_a_stage_trains_only_what_it_shows() -> None:
    one = trainer()
    before = {name: value.clone() for name, value in one.generator.state_dict().items()}
    one.step(batch())
    after = one.generator.state_dict()
    changed = {name.rsplit(".", 1)[0] for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {"blocks.0.dense", "blocks.0.conv.conv", "to_rgb.0"}


@pytest.mark.parametrize("loss", ["wgan-gp", "non-saturating", "relativistic"])
@pytest.mark.parametrize("augment", ["none", "diffaug", "ada"])
def test_every_loss_trains_every_stage_with_every_augmentation(loss: str, augment: str) -> None:
    one = trainer(loss={"name": loss}, augment={"mode": augment, "initial": 0.5})
    for images in (0, 120, 250, 300, 400):
        one.trainer.shown = images
        statistics = one.step(batch())
        assert all(torch.isfinite(value) for value in statistics.values())


@pytest.mark.parametrize(
    "change",
    [
        {"augment_probability": None},
        {"augment_probability": float("nan")},
        {"augment_probability": 1.5},
        {"shown": -8},
        {"shown": "8"},
        {"steps": True},
        {"average": None},
        {"optimizers": {}},
        {"generator": {"blocks.0.dense.weight": 1}},
    ],
    ids=str,
)
def test_a_state_with_a_wrong_part_is_refused(change: dict[str, Any]) -> None:
    one = trainer()
    with pytest.raises(CheckpointError):
        one.load_state_dict(one.state_dict() | change)
    without = {name: value for name, value in one.state_dict().items() if name not in change}
    with pytest.raises(CheckpointError):
        one.load_state_dict(without)


def test_the_discriminator_learns_to_tell_real_from_noise() -> None:
    one = trainer(growth={"stable_images": 10_000})
    noise = [value.detach().clone() for value in one.generator.parameters()]
    gaps = []
    for _ in range(60):
        with torch.no_grad():  # the generator stays as it began
            for parameter, value in zip(one.generator.parameters(), noise, strict=True):
                parameter.copy_(value)
        statistics = one.step(batch())
        gaps.append(float(statistics["train/real_score"] - statistics["train/fake_score"]))
    assert sum(gaps[-10:]) > sum(gaps[:10]) + 1.0


def test_the_average_is_the_plain_recursion_from_the_first_weights() -> None:
    one = trainer(training={"ema_decay": 0.5})
    name = "to_rgb.0.weight"
    expected = one.generator.state_dict()[name].clone()
    for _ in range(3):
        one.step(batch())
        expected = 0.5 * expected + 0.5 * one.generator.state_dict()[name]
    torch.testing.assert_close(one.average.module.state_dict()[name], expected)


def test_moments_are_forgotten_when_a_resolution_comes_in_if_so_configured() -> None:
    for reset in (True, False):
        one = trainer(training={"reset_optimizer": reset})
        one.step(batch())
        one.trainer.shown = 96  # the first step of the fade to 8 x 8
        one.step(batch())
        for name in ("generator", "discriminator"):
            moments = one.state_dict()["optimizers"][name]["state"].values()
            # Weights of 8 x 8 take their first step, those of 4 x 4 their second unless reset.
            assert max(int(state["step"]) for state in moments) == (1 if reset else 2)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["wgan-gp", "non-saturating"])
def test_compiled_passes_are_whole_graphs_that_serve_every_alpha(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_with, graphs = torch.compile, []

    def count(module: Any, inputs: Any) -> Any:
        graphs.append(module)
        return module.forward

    monkeypatch.setattr(
        torch, "compile", lambda net, **options: compile_with(net, backend=count, fullgraph=True, **options)
    )
    plain, fast = trainer(loss={"name": loss}), trainer(loss={"name": loss}, training={"compile": True})
    for images in (120, 130, 140):  # the same stage, fading
        plain.trainer.shown = fast.trainer.shown = images
        one, other = plain.step(batch()), fast.step(batch())
        for name in one:
            torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-5)
        if images == 130:  # after a step with the lazy penalty and one without
            made = len(graphs)
    assert 0 < made == len(graphs)


def test_the_bare_convolutions_are_those_of_the_networks() -> None:
    one = trainer()
    generator, discriminator = convolutions(one.config, Stage(2, 16, 0.5))
    names = {"3": 0, "1": 0}
    for module in [*one.generator.modules(), *one.discriminator.modules()]:
        if isinstance(module, torch.nn.Conv2d):
            names[str(module.kernel_size[0])] += 1
    assert sum(conv.kernel == 3 for conv in generator + discriminator) == names["3"]
    assert sum(conv.kernel == 1 for conv in generator + discriminator) == names["1"] - 2  # those of 4 x 4 are not shown


def test_muon_leaves_the_output_layers_of_both_networks_to_adamw() -> None:
    optimizers = trainer(training={"optimizer": "muon"}).state_dict()["optimizers"]
    by_adamw = {name: len(state["param_groups"][1]["params"]) for name, state in optimizers.items()}
    assert by_adamw == {"discriminator": 1, "generator": 3}  # the score layer; an image layer at each of 3 resolutions
