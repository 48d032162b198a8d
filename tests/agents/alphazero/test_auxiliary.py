"""Auxiliary targets: what they are at the end of a game, that symmetries turn them, and that search never sees them."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.alphazero.agent import make_network
from agents.alphazero.auxiliary import MINE, NOBODY, THEIRS, UNKNOWN, board_loss, policy_loss, softened, values_loss
from agents.alphazero.auxiliary_targets import horizon_values
from agents.alphazero.config import AlphaZeroConfig, LearnerConfig
from agents.alphazero.experiment import build
from agents.alphazero.learner import Learner
from agents.alphazero.network import InferenceNet
from agents.alphazero.records import RecordFormat, Samples, blank, reply_policy, row_bytes, unpack_bits
from agents.games import make
from agents.search import GumbelSearch
from lab.errors import UserError
from lab.run import checkpoint
from lab.train import random_state
from tests.agents.alphazero.test_selfplay import Game, split
from tests.agents.small_alphazero import CPU, DEVICE, config, play_games, selfplay
from tests.same_run import assert_same_bits

TIC_TAC_TOE: Any = make("tic_tac_toe")
CONNECT_FOUR: Any = make("connect_four", rows=4, columns=5, length=3)
ALL = {"opponent_reply": 0.15, "soft_policy": 8.0, "value_horizons": [2, 5], "final_board": 1.5}
FORM = RecordFormat(replies=True, horizons=(2.0, 5.0), final_board=True)


@cache
def played(game: Any = CONNECT_FOUR, form: RecordFormat = FORM, **settings: Any) -> dict[int, Game]:
    search = GumbelSearch(simulations=4, max_considered_actions=4)
    return split(game, play_games(selfplay(game, search=search, form=form, **settings), moves=14))


def learner(auxiliary: dict[str, Any], network: dict[str, Any] | None = None, **settings: Any) -> Learner:
    torch.manual_seed(0)
    options = {"warmup_steps": 0, "batch_size": 16, "auxiliary": auxiliary} | settings
    changed = config(learner=options, network=network or {})
    return Learner(make_network(changed, TIC_TAC_TOE), TIC_TAC_TOE, LearnerConfig.model_validate(options), DEVICE, 0)


@cache
def samples() -> Samples:
    games = [game.positions for game in played(TIC_TAC_TOE).values()]
    return Samples(*(torch.cat(field)[:16] for field in zip(*games, strict=True)))


# Targets of a finished game


def test_the_reply_is_the_policy_of_the_next_position_and_nothing_in_the_last() -> None:
    for game in played().values():
        assert torch.equal(game.positions.reply[:-1], game.positions.policy[1:])
        assert not game.positions.reply[-1].any()


def test_replies_of_some_actions_name_the_actions() -> None:
    form = RecordFormat(entries=2, replies=True)
    for game in played(form=form, policy_entries=2).values():
        dense = reply_policy(game.positions, CONNECT_FOUR.num_actions)
        own = torch.zeros_like(dense).scatter_(1, game.positions.actions.long(), game.positions.policy.float())
        assert torch.equal(dense[:-1], own[1:])
        assert not dense[-1].any()


def test_horizon_values_are_the_weighted_mean_of_what_follows_for_the_mover() -> None:
    for game in played().values():
        values, length = game.positions.search_value.double(), len(game.positions)
        sign = [1 - 2 * ((game.plies - length + ply) % 2) for ply in range(length)]
        for column, horizon in enumerate(FORM.horizons):
            share = 1 / horizon
            for ply in range(length):
                later = range(ply, length)
                mean = sum(share * (1 - share) ** (k - ply) * float(values[k]) * sign[k] for k in later)
                mean += (1 - share) ** (length - ply) * game.first_reward
                assert float(game.positions.horizon_values[ply, column]) == pytest.approx(mean * sign[ply], abs=2e-3)


def test_a_horizon_of_one_ply_is_the_search_value() -> None:
    values = torch.rand(3, 4)
    found = horizon_values(values, torch.ones(3), torch.full((3,), 4), (1.0,))
    torch.testing.assert_close(found[..., 0], values)


def test_the_final_board_is_the_last_position_and_one_stone_of_its_mover() -> None:
    for game in played().values():
        before = unpack_bits(game.positions.planes, 40)
        final = unpack_bits(game.positions.final_board, 40)
        stone = final[-1] - before[-1]
        assert stone.sum() == 1 and stone[:20].sum() == 1 and (stone >= 0).all()
        for seen, mine in zip(final.flip(0), [True, False] * len(final), strict=False):
            assert torch.equal(seen, final[-1] if mine else final[-1].roll(20))  # the opponent sees it swapped


def test_a_game_that_was_given_up_has_no_final_board() -> None:
    games = played(resign_below=-0.3, resign_audit=0.0).values()
    assert {game.resigned for game in games} == {True, False}
    for game in games:
        assert bool(game.positions.final_board.any()) != game.resigned


def test_targets_do_not_depend_on_the_batch() -> None:
    whole = played()
    some = played(boards=5)
    shared = whole.keys() & some.keys()
    assert len(shared) >= 4
    for game_id in shared:
        assert_same_bits(some[game_id], whole[game_id])


def test_what_is_off_has_no_bytes_and_no_weights() -> None:
    off, on = config(), config(learner={"auxiliary": ALL})
    assert all(field.numel() == 0 for field in blank(3, TIC_TAC_TOE, off.record_format)[8:])
    assert row_bytes(TIC_TAC_TOE, on.record_format) > row_bytes(TIC_TAC_TOE, off.record_format)
    assert not list(make_network(off, TIC_TAC_TOE).auxiliary.parameters())


# Losses


def test_losses_are_zero_at_their_targets() -> None:
    policy = torch.tensor([[0.25, 0.75], [0.0, 0.0]])
    assert float(policy_loss(policy.clamp_min(1e-9).log(), policy)) == pytest.approx(0.0, abs=1e-6)
    values = torch.tensor([[0.5, -1.0], [0.0, 1.0]])
    win = ((values + 1) / 2).clamp(1e-9, 1 - 1e-7)
    assert float(values_loss((win / (1 - win)).log(), values)) == pytest.approx(0.0, abs=1e-5)
    holders = torch.tensor([[MINE, THEIRS, NOBODY, UNKNOWN]])
    logits = 100.0 * torch.nn.functional.one_hot(holders.clamp_min(0), 3).movedim(2, 1).float()
    assert float(board_loss(logits.unflatten(2, (2, 2)), holders)) == pytest.approx(0.0, abs=1e-6)


def test_the_soft_policy_is_the_fourth_root() -> None:
    expected = torch.tensor([[2.0, 1.0, 0.0]]) / 3
    torch.testing.assert_close(softened(torch.tensor([[16.0, 1.0, 0.0]]) / 17), expected)


@pytest.mark.slow
@pytest.mark.parametrize("heads", ["linear", "convolutional"])
def test_every_head_overfits_one_batch(heads: str) -> None:
    student = learner(
        ALL, {"heads": heads, "channels": 16}, symmetries=False, weight_decay=0.0, learning_rate=1e-2, replay_ratio=1.0
    )
    first = student.step(samples(), 0)
    for _ in range(120):
        last = student.step(samples(), 0)
    assert float(first["loss/total"]) > 5 * float(last["loss/total"])
    for name in ("opponent_reply", "soft_policy", "value_horizons", "final_board"):
        assert float(last[f"loss/{name}"]) < 0.2 * float(first[f"loss/{name}"]), name


def test_the_total_is_the_weighted_sum() -> None:
    losses = learner(ALL).step(samples(), 0)
    weights = {"policy": 1.0, "value": 1.0, "value_horizons": 0.6}
    weights |= {name: ALL[name] for name in ("opponent_reply", "soft_policy", "final_board")}  # type: ignore[misc]
    expected = sum(weight * float(losses[f"loss/{name}"]) for name, weight in weights.items())
    assert float(losses["loss/total"]) == pytest.approx(expected, rel=1e-5)


def test_losses_of_micro_batches_are_means_over_the_batch() -> None:
    whole, parts = (learner(ALL, {"norm": "none"}, micro_batch=size) for size in (None, 5))
    one, other = whole.step(samples(), 0), parts.step(samples(), 0)
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, msg=name)


def test_targets_are_turned_with_their_position() -> None:
    """A final board that is the position itself, and a reply that is the policy, stay so under every symmetry."""
    same = Samples(**samples()._asdict() | {"final_board": samples().planes, "reply": samples().policy})
    observation, policy, _, _, reply, _, holders = learner(ALL)._batch(same)
    mine, theirs = observation.flatten(2).unbind(1)
    occupied = (mine + theirs).any(1)
    assert torch.equal(reply, policy)
    assert torch.equal(holders[occupied] == MINE, mine[occupied] > 0)
    assert torch.equal(holders[occupied] == THEIRS, theirs[occupied] > 0)
    assert not torch.equal(observation, learner(ALL, symmetries=False)._batch(same)[0])


# Inference, configuration, resuming


def test_inference_has_no_auxiliary_weights_and_the_same_answers() -> None:
    net = learner(ALL).net
    inference = InferenceNet(net)
    assert not any(name.startswith("auxiliary") for name in inference.folded.state_dict())
    observation = TIC_TAC_TOE.observe(TIC_TAC_TOE.initial(3, CPU))
    expected = net.eval()(observation)[0]
    torch.testing.assert_close(inference(observation)[0], expected)
    with torch.no_grad():
        net.policy.weight += 1.0
    inference.update(net)
    torch.testing.assert_close(inference(observation)[0], net(observation)[0])


def test_a_game_without_final_boards_refuses_the_head() -> None:
    settings = {
        "kind": "alphazero",
        "budget": 100,
        "game": {"name": "chess"},
        "learner": {"auxiliary": {"final_board": 1.5}},
    }
    with pytest.raises(ValueError, match="chess does not say who holds the cells"):
        AlphaZeroConfig.model_validate(settings)


def test_read_back_from_a_checkpoint_a_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    settings = config(learner={"auxiliary": ALL})
    runs = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        random_state.seed_everything(0)
        runs.append(build(settings, tmp_path / name, DEVICE))
    one, other = runs
    for _ in range(4):
        one.iterate()
    path = checkpoint.save(tmp_path, one.state_dict(), iteration=1, counters={})
    (tmp_path / "one" / "replay").rename(tmp_path / "other" / "replay")
    other.load_state_dict(checkpoint.load(path)[0])
    for run in runs:
        for _ in range(2):
            run.iterate()
    assert one.learner.steps > 2
    for part in ("learner", "actors"):
        assert_same_bits(other.state_dict()[part], one.state_dict()[part], part)
    assert_same_bits(other.replay.sample(8, 0, 0), one.replay.sample(8, 0, 0))


def test_training_with_auxiliary_targets_starts_from_a_run_without(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    plain = build(config(), tmp_path / "plain", DEVICE)
    from agents.alphazero.transfer import _load

    other = make_network(config(learner={"auxiliary": ALL}), TIC_TAC_TOE)
    _load(other, plain.learner.net, "the network")
    assert_same_bits(other.for_inference().state_dict(), plain.learner.net.state_dict())
    with pytest.raises(UserError, match="does not fit"):
        _load(make_network(config(network={"channels": 16}), TIC_TAC_TOE), other, "the network")
