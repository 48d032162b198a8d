"""The policy and value network, and its inference form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from agents.alphazero import fused as fused_module
from agents.alphazero.network import DRAW, LOSS, WIN, InferenceNet, PolicyValueNet, expected_value
from lab.nets.init import EQUALIZED
from lab.train.device import Form

SHAPE = (2, 6, 7)
ACTIONS = 7
BATCHES = [1, 7, 256]
VARIANTS: list[dict[str, Any]] = [
    {},
    {"init": EQUALIZED},
    {"norm": "none"},
    {"norm": "group"},
    {"squeeze_excitation": 4},
    {"global_pooling": 1},
    {"policy_planes": 4, "value_planes": 3},
    {"trunk": "recurrent", "blocks": 1},
    {"trunk": "recurrent", "cell": "lstm"},
]


def small(**options: Any) -> PolicyValueNet:
    torch.manual_seed(0)
    return PolicyValueNet(SHAPE, ACTIONS, **({"channels": 16, "blocks": 2} | options))


def move(net: PolicyValueNet) -> PolicyValueNet:
    """New weights and running statistics."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        net.train()(torch.rand(64, *SHAPE))
    return net.eval()


def assert_same(inference: InferenceNet, net: PolicyValueNet, batch: int, tolerance: float) -> None:
    observation = (torch.rand(batch, *SHAPE) > 0.5).float()
    logits, value = inference(observation)
    with torch.no_grad():
        expected_logits, outcome = net(observation)
    assert logits.dtype == value.dtype == torch.float32
    torch.testing.assert_close(logits, expected_logits, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(value, expected_value(outcome), rtol=tolerance, atol=tolerance)


def test_shapes() -> None:
    logits, outcome = small()(torch.rand(5, *SHAPE))
    assert logits.shape == (5, ACTIONS) and outcome.shape == (5, 3)


def test_parameter_count_is_the_closed_form() -> None:
    channels, blocks, pixels, hidden = 64, 5, 42, 64
    stem = SHAPE[0] * channels * 9 + 2 * channels
    block = 2 * (channels * channels * 9 + 2 * channels)
    policy = channels * 2 + 2 * 2 + 2 * pixels * ACTIONS + ACTIONS
    value = channels * 1 + 2 * 1 + pixels * hidden + hidden + hidden * 3 + 3
    net = PolicyValueNet(SHAPE, ACTIONS, channels=channels, blocks=blocks, value_hidden=hidden)
    assert sum(p.numel() for p in net.parameters()) == stem + blocks * block + policy + value


def test_expected_value_is_chance_to_win_minus_chance_to_lose() -> None:
    chances = torch.zeros(2, 3)
    chances[:, WIN], chances[:, DRAW], chances[:, LOSS] = torch.tensor([[0.5, 0.1], [0.3, 0.2], [0.2, 0.7]]).unbind(0)
    torch.testing.assert_close(expected_value(chances.log()), torch.tensor([0.3, -0.6]))


def test_overfits_one_batch() -> None:
    net = small()
    observation, action, outcome = (
        torch.rand(16, *SHAPE),
        torch.randint(ACTIONS, (16,)),
        torch.randint(3, (16,)),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(60):
        logits, outcomes = net(observation)
        loss = functional.cross_entropy(logits, action) + functional.cross_entropy(outcomes, outcome)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


@pytest.mark.slow
def test_exported_network_computes_the_same() -> None:
    net, observation = small().eval(), torch.rand(3, *SHAPE)
    exported = torch.export.export(net, (observation,)).module()
    torch.testing.assert_close(exported(observation), net(observation))


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("form", ["fused", "plain"])
def test_inference_equals_the_evaluated_network_before_and_after_update(options: dict[str, Any], form: Form) -> None:
    net = move(small(**options))
    inference = InferenceNet(net, form=form)
    for batch in BATCHES:
        assert_same(inference, net, batch, 1e-4)
    move(net)
    inference.update(net)
    for batch in BATCHES:
        assert_same(inference, net, batch, 1e-4)


def test_update_keeps_addresses() -> None:
    net = small()
    inference = InferenceNet(net)
    addresses = [p.data_ptr() for p in inference.folded.parameters()]
    inference.update(move(net))
    assert [p.data_ptr() for p in inference.folded.parameters()] == addresses


def test_training_goes_on_unseen_until_update() -> None:
    net, observation = small().eval(), torch.rand(3, *SHAPE)
    inference = InferenceNet(net)
    before, _ = inference(observation)
    move(net)
    assert torch.equal(inference(observation)[0], before)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_cpu_runs_the_fused_form_where_there_is_one() -> None:
    assert InferenceNet(small()).form == "fused"
    assert InferenceNet(small(), form="plain").form == "plain"
    assert InferenceNet(small(norm="group")).form == "plain"
    assert InferenceNet(small(trunk="recurrent")).form == "plain"


@pytest.mark.parametrize("error", [AttributeError, RuntimeError, NotImplementedError])
def test_missing_operations_leave_the_plain_form(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def absent(*_: object) -> None:
        raise error

    monkeypatch.setattr(fused_module, "FusedTower", absent)
    net = small().eval()
    inference = InferenceNet(net)
    assert inference.form == "plain"
    assert_same(inference, net, 7, 1e-4)


def test_wrong_results_leave_the_plain_form(monkeypatch: pytest.MonkeyPatch) -> None:
    net = move(small())
    monkeypatch.setattr("lab.nets.fused_cpu.PackedLinear.relu", lambda self, x: torch.zeros(len(x), 3))
    assert InferenceNet(net).form == "plain"


@pytest.mark.parametrize("form", ["fused", "plain"])
@pytest.mark.parametrize("options", VARIANTS)
def test_bf16_is_close_to_float32_and_answers_in_it(options: dict[str, Any], form: Form) -> None:
    net = move(small(**options))
    inference = InferenceNet(net, precision="bf16", form=form)
    assert_same(inference, net, 7, 0.1)
    move(net)
    inference.update(net)
    assert_same(inference, net, 7, 0.1)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_fused_evaluation_does_not_depend_on_its_batch(precision: str) -> None:
    inference = InferenceNet(move(small(channels=32)), precision=precision, form="fused")
    assert inference.form == "fused"
    observation = torch.rand(300, *SHAPE)  # two chunks
    together = inference(observation)
    for rows in (slice(0, 1), slice(7, 10), slice(250, 267), slice(0, 128)):
        alone = inference(observation[rows])
        assert all(torch.equal(part, whole[rows]) for part, whole in zip(alone, together, strict=True))


def test_layout_of_the_observation_does_not_matter() -> None:
    inference = InferenceNet(small())
    observation = torch.rand(4, *SHAPE)
    strided = torch.rand(4, 4, 6, 7)
    strided[:, ::2] = observation
    expected, _ = inference(observation)
    torch.testing.assert_close(inference(strided[:, ::2])[0], expected)
    torch.testing.assert_close(inference(observation.to(memory_format=torch.channels_last))[0], expected)
