"""The learner: losses as defined, a replay ratio that holds, symmetries of the game, and averaged weights."""

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.alphazero.agent import make_network
from agents.alphazero.config import LearnerConfig
from agents.alphazero.learner import (
    Learner,
    alphazero_losses,
    ema_decay,
    learning_rate,
    steps_allowed,
    value_target,
)
from agents.alphazero.network import DRAW, LOSS, WIN
from agents.alphazero.records import Samples, blank, concatenate, pack_bits, pack_observation
from agents.games import make
from agents.games.testing import random_playout
from lab.run import checkpoint
from tests.agents.small_alphazero import CPU, DEVICE, config, play_games, selfplay
from tests.same_run import assert_same_bits

TIC_TAC_TOE = make("tic_tac_toe")


def learner(game_name: str = "tic_tac_toe", network: dict[str, Any] | None = None, **settings: Any) -> Learner:
    torch.manual_seed(0)
    game = make(game_name)
    net = make_network(config(game={"name": game_name}, network=network or {}), game)
    return Learner(net, game, LearnerConfig(**({"warmup_steps": 0, "batch_size": 16} | settings)), DEVICE, 0)


@cache
def some_positions(count: int = 16) -> Samples:
    """Positions of self-play, all different."""
    games = concatenate(play_games(selfplay(TIC_TAC_TOE, boards=8), moves=20)).positions
    rows = [int(i) for i in np.unique(games.planes.numpy(), axis=0, return_index=True)[1]][:count]
    return Samples(*(field[rows] for field in games))


# Losses


def test_losses_are_mean_divergences() -> None:
    rng = np.random.default_rng(0)
    logits, outcome_logits = rng.normal(size=(5, 7)), rng.normal(size=(5, 3))
    policy, outcome = rng.dirichlet(np.ones(7), 5), rng.dirichlet(np.ones(3), 5)

    def divergence(target: np.ndarray, scores: np.ndarray) -> float:
        predicted = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        return float((target * np.log(target / predicted)).sum(1).mean())

    losses = alphazero_losses(*(torch.from_numpy(a) for a in (logits, outcome_logits, policy, outcome)))
    assert float(losses["loss/policy"]) == pytest.approx(divergence(policy, logits))
    assert float(losses["loss/value"]) == pytest.approx(divergence(outcome, outcome_logits))
    assert float(losses["train/target_entropy"]) == pytest.approx(-float((policy * np.log(policy)).sum(1).mean()))


def test_losses_are_zero_at_their_targets_even_certain_ones() -> None:
    policy = torch.tensor([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0]])
    logits = torch.where(policy > 0, policy.clamp_min(1e-9).log(), -100.0)
    outcome = torch.tensor([[0.0, 0.0, 1.0], [0.5, 0.25, 0.25]])
    outcome_logits = torch.where(outcome > 0, outcome.clamp_min(1e-9).log(), -100.0)
    losses = alphazero_losses(logits, outcome_logits, policy, outcome)
    assert float(losses["loss/policy"]) == pytest.approx(0.0, abs=1e-6)
    assert float(losses["loss/value"]) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("outcome", "search_value", "believed_draw", "share", "expected"),
    [
        (1, -1.0, 0.4, 0.0, (1, 0, 0)),
        (0, 1.0, 0.4, 0.0, (0, 1, 0)),
        (-1, 1.0, 0.4, 0.0, (0, 0, 1)),
        (-1, 1.0, 0.4, 1.0, (1, 0, 0)),  # certain to win: no room for a draw
        (-1, 0.0, 0.4, 1.0, (0.3, 0.4, 0.3)),
        (-1, 0.5, 0.4, 1.0, (0.55, 0.4, 0.05)),
        (-1, -0.8, 0.4, 1.0, (0, 0.2, 0.8)),  # room for half of the believed draw
        (1, 0.0, 0.4, 0.5, (0.65, 0.2, 0.15)),
    ],
)
def test_value_target_mixes_the_outcome_with_the_searched_value(
    outcome: int, search_value: float, believed_draw: float, share: float, expected: tuple[float, float, float]
) -> None:
    belief = torch.zeros(1, 3)
    belief[0, DRAW] = math.log(2 * believed_draw / (1 - believed_draw))
    target = value_target(torch.tensor([outcome]), torch.tensor([search_value]), belief, share)[0]
    assert torch.allclose(target[[WIN, DRAW, LOSS]], torch.tensor(expected, dtype=torch.float32), atol=1e-6)


# The replay ratio


@pytest.mark.parametrize(("replay_ratio", "batch"), [(4.0, 256), (0.5, 100), (1.3, 7)])
def test_replay_ratio_is_never_exceeded_and_always_caught_up_with(replay_ratio: float, batch: int) -> None:
    config = LearnerConfig(replay_ratio=replay_ratio, batch_size=batch)
    received = trained = 0
    for arrived in np.random.default_rng(0).integers(0, 500, 300).tolist():
        received += arrived
        trained += batch * steps_allowed(config, received, trained, 1)
        assert trained <= replay_ratio * received < trained + batch


def test_no_step_before_the_minimum_nor_while_ahead() -> None:
    config = LearnerConfig(replay_ratio=2.0, batch_size=10)
    assert [steps_allowed(config, received, 0, 100) for received in (0, 99, 100)] == [0, 0, 20]
    assert [steps_allowed(config, 100, trained, 1) for trained in (180, 190, 191, 200, 900)] == [2, 1, 0, 0, 0]


# The learning rate


@pytest.mark.parametrize(("positions", "expected"), [(0, 1.0), (500, 0.55), (1000, 0.1), (10**9, 0.1)])
def test_learning_rate_is_half_a_cosine_then_constant(positions: int, expected: float) -> None:
    config = LearnerConfig(learning_rate=0.02, final_fraction=0.1, decay_positions=1000)
    assert learning_rate(config, positions) == pytest.approx(0.02 * expected)


def test_learning_rate_never_rises() -> None:
    rates = [learning_rate(LearnerConfig(decay_positions=300), positions) for positions in range(400)]
    assert rates == sorted(rates, reverse=True)


def test_the_first_steps_move_as_little_as_warmup_says() -> None:
    moved = []
    for steps in (0, 10):
        one = learner(optimizer="sgd", momentum=0.0, warmup_steps=steps, weight_decay=0.0, learning_rate=0.1)
        before = one.net.policy.weight.clone()
        one.step(some_positions(), 0)
        moved.append(one.net.policy.weight.detach() - before)
    torch.testing.assert_close(moved[1], moved[0] / 10, rtol=1e-3, atol=1e-7)


# Symmetries


@pytest.mark.parametrize(("name", "count"), [("tic_tac_toe", 8), ("connect_four", 2)])
def test_a_turned_position_is_a_position_in_which_the_turned_policy_means_the_turned_move(
    name: str, count: int
) -> None:
    """A policy that is certain of one move: playing it before turning the board is playing it after."""
    game: Any = make(name)
    teacher = learner(name)
    played = random_playout(game, 256)
    states, actions = played.states[5], played.actions[5]
    running = ~game.done(states)
    states, actions = type(states)(*(field[running] for field in states)), actions[running]
    policy = torch.nn.functional.one_hot(actions, game.num_actions).to(torch.float16)
    planes, _ = pack_observation(game, game.observe(states))
    samples = Samples(**blank(len(actions), game)._asdict() | {"planes": planes, "policy": policy})
    turned_planes, turned_policy, _, _ = teacher._batch(samples)

    tables = game.symmetries(CPU).planes
    images = game.observe(states).flatten(1)[:, tables]  # [N, S, D]
    after = game.observe(game.step(states, actions)).flatten(1)[:, tables]
    turned = game.from_observation(turned_planes.contiguous())
    assert game.legal(turned).gather(1, turned_policy.argmax(1, keepdim=True)).all()
    turned_after = game.observe(game.step(turned, turned_policy.argmax(1))).flatten(1)
    matches = (images == turned_planes.flatten(1)[:, None]).all(-1)
    arrives = (after == turned_after[:, None]).all(-1)
    assert matches.any(1).all()
    assert (matches & arrives).any(1).all()
    different = matches.sum(1) == 1  # boards without a symmetry of their own say which one was drawn
    drawn = torch.bincount(matches[different].float().argmax(1), minlength=count)
    assert len(drawn) == count and drawn.min() > 0.5 * drawn.sum() / count


def test_symmetries_change_from_step_to_step_and_can_be_turned_off() -> None:
    positions = some_positions()
    teacher, plain = learner(), learner(symmetries=False)
    first = teacher._batch(positions)[0]
    assert torch.equal(teacher._batch(positions)[0], first)
    teacher.steps += 1
    assert not torch.equal(teacher._batch(positions)[0], first)
    assert torch.equal(pack_bits(plain._batch(positions)[0].flatten(1)), positions.planes)


# Learning


@pytest.mark.parametrize(
    ("optimizer", "network"),
    [("adamw", {}), ("sgd", {}), ("muon", {}), ("adamw", {"heads": "convolutional", "head_channels": 16})],
    ids=["adamw", "sgd", "muon", "convolutional"],
)
def test_it_overfits_one_batch(optimizer: str, network: dict[str, Any]) -> None:
    positions = some_positions(16)
    rate = 5e-2 if optimizer == "sgd" else 1e-2
    student = learner(network=network, symmetries=False, weight_decay=0.0, optimizer=optimizer, learning_rate=rate)
    for _ in range(150):
        losses = student.step(positions, 0)
    assert float(losses["loss/policy"]) < 0.05
    assert float(losses["loss/value"]) < 0.05


def test_the_total_is_the_weighted_sum() -> None:
    losses = learner(value_weight=0.25).step(some_positions(), 0)
    assert float(losses["loss/total"]) == pytest.approx(float(losses["loss/policy"] + 0.25 * losses["loss/value"]))


def test_gradients_are_clipped_to_the_norm() -> None:
    student = learner(optimizer="sgd", momentum=0.0, weight_decay=0.0, gradient_clip=1e-3, learning_rate=1.0)
    before = [p.detach().clone() for p in student.net.parameters()]
    norm = student.step(some_positions(), 0)["train/gradient_norm"]
    moved = torch.cat([(p.detach() - b).flatten() for p, b in zip(student.net.parameters(), before, strict=True)])
    assert float(norm) > 0.01
    assert float(moved.norm()) == pytest.approx(1e-3, rel=0.01)


@pytest.mark.parametrize("micro_batch", [5, 16])
def test_losses_of_micro_batches_are_means_over_the_batch(micro_batch: int) -> None:
    without_norms = {"norm": "none"}
    whole, parts = learner(network=without_norms), learner(network=without_norms, micro_batch=micro_batch)
    one, other = whole.step(some_positions(), 0), parts.step(some_positions(), 0)
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, msg=name)


def test_weights_of_the_loss_follow_schedules() -> None:
    schedule = {"schedule": "linear", "start": 1.0, "end": 0.0, "until": 100}
    losses = learner(value_weight=schedule).step(some_positions(), 75)
    assert float(losses["loss/total"]) == pytest.approx(float(losses["loss/policy"] + 0.25 * losses["loss/value"]))


def test_the_ema_has_a_decay_a_schedule_or_a_half_life() -> None:
    schedule = {"schedule": "linear", "start": 0.5, "end": 0.9, "until": 100}
    assert ema_decay(LearnerConfig(ema_decay=0.75), 50) == 0.75
    assert ema_decay(LearnerConfig.model_validate({"ema_decay": schedule}), 50) == pytest.approx(0.7)
    assert ema_decay(LearnerConfig(batch_size=256, ema_half_life=512), 50) == pytest.approx(0.5**0.5)


def test_averaged_weights_follow_and_the_untrained_ones_do_not_count() -> None:
    student = learner(ema_decay=0.75, learning_rate=1e-2)
    history = []
    for _ in range(4):
        student.step(some_positions(), 0)
        history.append(student.net.policy.weight.detach().clone())
    factors = [0.75**k for k in (3, 2, 1, 0)]
    expected = sum(f * w for f, w in zip(factors, history, strict=True)) / sum(factors)
    torch.testing.assert_close(student.average.module.policy.weight, torch.as_tensor(expected))
    assert not torch.equal(student.average.module.policy.weight, history[-1])


@pytest.mark.parametrize(
    "settings", [{}, {"optimizer": "sgd"}, {"optimizer": "sgd", "momentum": 0.0}, {"optimizer": "muon"}]
)
def test_read_back_from_a_checkpoint_it_goes_on_bit_for_bit(tmp_path: Path, settings: dict[str, Any]) -> None:
    one, other = (learner(learning_rate=1e-2, **settings) for _ in range(2))
    for _ in range(3):
        one.step(some_positions(), 0)
    other.step(some_positions(), 0)  # whatever it had learnt is forgotten
    path = checkpoint.save(tmp_path, one.state_dict(), iteration=1, counters={})
    other.load_state_dict(checkpoint.load(path)[0])
    for _ in range(3):
        assert_same_bits(other.step(some_positions(), 0), one.step(some_positions(), 0))
    for part in ("net", "average", "steps"):
        assert_same_bits(other.state_dict()[part], one.state_dict()[part], part)
    assert_same_bits(other.state_dict()["optimizer"]["state"], one.state_dict()["optimizer"]["state"])
