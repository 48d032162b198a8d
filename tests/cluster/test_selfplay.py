"""Self-play by workers: the same games as in process, each received once, and never more than the learner can take."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.alphazero.actors import LocalActors
from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.experiment import AlphaZero
from agents.alphazero.metrics import CATALOGUE
from agents.alphazero.records import FinishedGames, concatenate
from cluster.connect import Connection
from cluster.ledger import first_game_id
from cluster.selfplay import RayActors
from cluster.selfplay import start as start_workers
from lab.cli import main
from lab.errors import UserError
from lab.metrics import read
from tests.agents.small_alphazero import DEVICE, config, preset
from tests.same_run import assert_same_bits

pytestmark = pytest.mark.usefixtures("ray_here")

Start = Callable[..., RayActors]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts actors that end with the test."""
    started: list[RayActors] = []

    def begin(workers: int, **cluster: Any) -> RayActors:
        options = {"workers": workers, "worker_cpus": 0.25, "worker_threads": 1}
        settings = config(cluster=options | cluster)
        actors, _ = start_workers(settings, network(settings), DEVICE)
        assert isinstance(actors, RayActors)
        started.append(actors)
        return actors

    yield begin
    for actors in started:
        actors.close()


def network(settings: AlphaZeroConfig) -> Any:
    torch.manual_seed(1)
    return make_network(settings, settings.game.make())


def ids(games: list[FinishedGames]) -> list[int]:
    return [game for batch in games for game in batch.game_id.tolist()]


def test_a_worker_plays_the_games_that_would_be_played_in_process(start: Start) -> None:
    actors = start(1)
    received = concatenate([games for _ in range(4) for games in actors.poll()])
    settings = config()
    local = LocalActors(settings.game.make(), settings, network(settings), DEVICE, first_game_id(0, 0))
    played = concatenate([games for _ in range(4) for games in local.poll()])
    assert len(received.game_id) >= 8
    assert_same_bits(list(received.positions), list(played.positions))
    assert_same_bits(list(received[1:]), list(played[1:]))
    assert actors.counts() == local.counts()


def test_workers_share_no_game_and_all_of_them_play(start: Start) -> None:
    actors = start(2)
    received: list[int] = []
    while {game >> 32 for game in received} != {first_game_id(worker, 0) >> 32 for worker in range(2)}:
        received += ids(actors.poll())  # which of them comes up first is not known
    received += ids([games for _ in range(4) for games in actors.poll()])
    assert len(set(received)) == len(received)


def test_positions_know_the_version_that_played_them(start: Start) -> None:
    actors = start(1, max_lag=0)
    net = network(config())
    for version in range(1, 5):
        actors.publish(version, net)
        positions = [games.positions for games in actors.poll()]
    assert {int(v) for p in positions for v in p.version} <= {1, 2, 3, 4}
    assert max(int(p.version.max()) for p in positions) == 4


def test_published_weights_are_played_with(start: Start) -> None:
    settings = config()
    actors, net = start(1, max_lag=0), network(settings)
    actors.poll()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1)
    actors.publish(1, net)
    received = [games for _ in range(3) for games in actors.poll()]
    local = LocalActors(settings.game.make(), settings, network(settings), DEVICE, first_game_id(0, 0))
    local.poll()
    local.publish(1, net)
    played = [games for _ in range(3) for games in local.poll()]
    assert_same_bits(concatenate(received).positions.policy, concatenate(played).positions.policy)


@pytest.mark.parametrize("most", [0, 1, 3])
def test_no_weights_play_that_are_older_than_allowed(start: Start, most: int) -> None:
    actors = start(1, max_lag=most)
    net, seen = network(config()), []
    for version in range(1, 9):
        actors.poll()
        seen.append(actors.metrics()["cluster/lag_most"])
        actors.publish(version, net)
    assert max(seen) <= most
    if most:
        assert max(seen) > 0, "no call was out while weights were published: the limit was not put to the test"


def test_workers_pause_when_nothing_is_collected(start: Start) -> None:
    actors = start(1, results_ahead=2)
    actors.poll()
    time.sleep(1.5)  # a hundred calls' time
    before = actors.counts()
    actors.poll()
    assert actors.counts().since(before).leaves == 8 * 4 * 5  # one call: boards x moves x (simulations + root)
    assert len(ids(actors.poll())) <= 2 * 8


def test_what_does_not_fit_is_refused_with_what_there_is(start: Start, ray_here: Connection) -> None:
    with pytest.raises(UserError, match=rf"no room within 1 s for workers: 3 with 64 CPU each.* {ray_here.cpus:g} CPU"):
        start(3, worker_cpus=64, place_timeout_s=1)


def test_a_run_with_workers_is_trained_resumed_in_process_and_with_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = preset(tmp_path, cluster={"workers": 1, "worker_cpus": 0.25})
    assert main(["train", str(settings), "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    assert "1 workers on" in capsys.readouterr().out
    run = tmp_path / "run"
    assert main(["resume", str(run), "budget=800", "cluster.workers=0"]) == 0
    assert main(["resume", str(run), "budget=1200", "cluster.workers=2"]) == 0
    entries = read(run / "metrics.jsonl")
    assert entries[-1].counters["positions"] >= 1200
    learned = [entry for entry in entries if "learner/reuse" in entry.metrics]
    assert all(entry.metrics["learner/reuse"] <= 2 for entry in learned)
    assert learned[-1].metrics["learner/reuse"] > 1.9


def test_workers_measure_all_that_is_catalogued_of_them(start: Start) -> None:
    actors = start(1)
    actors.poll()
    assert actors.metrics().keys() == {name for name in CATALOGUE if name.startswith("cluster/")}


def test_after_a_resume_no_worker_plays_a_game_again(tmp_path: Path) -> None:
    settings = config(cluster={"workers": 1, "worker_cpus": 0.25})
    one = AlphaZero(settings, tmp_path / "one", DEVICE)
    received = ids([games for _ in range(6) for games in one.actors.poll()])
    state = one.state_dict()
    one.close()
    other = AlphaZero(settings, tmp_path / "other", DEVICE)
    other.load_state_dict(state)
    received += ids([games for _ in range(6) for games in other.actors.poll()])
    other.close()
    assert len(set(received)) == len(received)
    assert len({game >> 32 for game in received}) == 2


def test_games_in_flight_in_process_outlast_workers(tmp_path: Path) -> None:
    local = AlphaZero(config(), tmp_path / "local", DEVICE)
    local.actors.poll()
    remote = AlphaZero(config(cluster={"workers": 1, "worker_cpus": 0.25}), tmp_path / "remote", DEVICE)
    remote.load_state_dict(local.state_dict())
    remote.actors.poll()
    back = AlphaZero(config(), tmp_path / "back", DEVICE)
    back.load_state_dict(remote.state_dict())
    remote.close()
    assert_same_bits(back.actors.state_dict()["selfplay"], local.actors.state_dict()["selfplay"])
