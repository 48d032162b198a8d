"""Self-play by workers: the same games as in process, each received once, and never more than the learner can take."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from agents.alphazero.actors import Actors, LocalActors
from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.experiment import AlphaZero, build
from agents.alphazero.metrics import CATALOGUE
from agents.alphazero.records import FinishedGames, concatenate
from agents.search.dynamics import LeafCounts
from cluster.pool.connection import Connection
from cluster.pool.worker_pool import Done, Lost
from cluster.workers.actors import RayActors
from cluster.workers.actors import start as start_workers
from cluster.workers.processes import Played, pack
from cluster.workers.received_results import Origin, first_game_id
from lab.cli.main import main
from lab.errors import UserError
from lab.run import launch
from lab.run.metrics import read
from lab.train.device import Device
from tests.agents.small_alphazero import DEVICE, config, play_games, preset, selfplay
from tests.same_run import assert_same_bits

pytestmark = pytest.mark.usefixtures("ray_here")

Start = Callable[..., RayActors]
_VERSIONS = itertools.count(1)  # of the weights of `two`


@contextmanager
def begin(workers: int, **cluster: Any) -> Iterator[RayActors]:
    options = {"workers": workers, "worker_cpus": 0.25, "worker_threads": 1}
    settings = config(cluster=options | cluster)
    with start_workers(settings, DEVICE) as actors:
        actors.publish(0, network(settings))
        yield actors


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts actors that end with the test."""
    with ExitStack() as stack:
        yield lambda workers, **cluster: stack.enter_context(begin(workers, **cluster))


@pytest.fixture(scope="module")
def two(ray_here: Connection) -> Iterator[RayActors]:
    """Two workers that have begun to play; tests in any order may have them go on."""
    with begin(2, results_ahead=2, max_lag=3) as actors:
        while len(actors.processes()) < 2:
            actors.poll()
        yield actors


@contextmanager
def built(settings: AlphaZeroConfig, directory: Path, device: Device) -> Iterator[AlphaZero]:
    """An experiment with workers, which end with the context."""
    with launch.built(settings, directory, device) as experiment:
        assert isinstance(experiment, AlphaZero)
        yield experiment


def network(settings: AlphaZeroConfig, shift: float = 0.0) -> Any:
    torch.manual_seed(1)
    net = make_network(settings, settings.game.make())
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(shift)
    return net


def ids(games: list[FinishedGames]) -> list[int]:
    return [game for batch in games for game in batch.game_id.tolist()]


class InStep(NamedTuple):
    """What came of four polls, each with a new version of the weights."""

    received: list[list[FinishedGames]]
    metrics: list[dict[str, float]]
    counts: LeafCounts


def play_in_step(actors: Actors) -> InStep:
    received, metrics = [], []
    for version in range(4):
        actors.publish(version, network(config(), shift=version / 10))
        received.append(actors.poll())
        metrics.append(actors.metrics())
    return InStep(received, metrics, actors.counts())


@pytest.fixture(scope="module")
def in_step(ray_here: Connection) -> InStep:
    """By one worker that may not lag."""
    with begin(1, max_lag=0) as actors:
        return play_in_step(actors)


def test_a_worker_plays_the_games_that_would_be_played_in_process_with_the_same_weights(in_step: InStep) -> None:
    settings = config()
    local = LocalActors(settings.game.make(), settings, network(settings), DEVICE, first_game_id(0, 0))
    own = play_in_step(local)
    for ours, theirs in zip(own.received, in_step.received, strict=True):
        assert_same_bits(list(concatenate(ours).positions), list(concatenate(theirs).positions))
        assert_same_bits(list(concatenate(ours)[1:]), list(concatenate(theirs)[1:]))
    assert own.counts == in_step.counts


def test_positions_know_the_version_that_played_them(in_step: InStep) -> None:
    versions = [concatenate(games).positions.version for games in in_step.received]
    assert [int(seen.max()) for seen in versions] == [0, 1, 2, 3]
    assert int(versions[3].min()) < 3, "no game outlasted its weights: that was not put to the test"


def test_workers_measure_all_that_is_catalogued_of_them(in_step: InStep) -> None:
    assert in_step.metrics[0].keys() == {name for name in CATALOGUE if name.startswith("cluster/")}


def test_in_step_no_weights_play_that_are_not_the_newest(in_step: InStep) -> None:
    assert [values["cluster/max_policy_lag"] for values in in_step.metrics] == [0.0] * 4


def test_workers_share_no_game_and_all_of_them_play(two: RayActors) -> None:
    received: list[int] = []
    while {game >> 32 for game in received} != {first_game_id(worker, 0) >> 32 for worker in range(2)}:
        received += ids(two.poll())
    received += ids([games for _ in range(4) for games in two.poll()])
    assert len(set(received)) == len(received)


def lags(actors: RayActors, versions: Iterator[int]) -> list[float]:
    """Of the oldest weights, at each of eight new versions."""
    net, seen = network(config()), []
    for version in itertools.islice(versions, 8):
        actors.poll()
        seen.append(actors.metrics()["cluster/max_policy_lag"])
        actors.publish(version, net)
    return seen


def test_no_weights_play_that_are_older_than_allowed(two: RayActors) -> None:
    assert 0 < max(lags(two, _VERSIONS)) <= 3, "if none lagged, no call was out while weights were published"


@pytest.mark.slow
def test_nor_where_they_may_lag_by_one_version(start: Start) -> None:
    assert 0 < max(lags(start(1, max_lag=1), itertools.count(1))) <= 1


def test_a_poll_collects_as_many_results_as_there_are_workers(two: RayActors) -> None:
    before = two.counts()
    two.poll()
    assert two.counts().since(before).leaves == 2 * 8 * 4 * 5  # workers x boards x moves x (simulations + root)


def test_workers_pause_when_nothing_is_collected(two: RayActors) -> None:
    pool = two._pool
    assert pool is not None
    while any(version != two._weights.version for worker in pool.ready for version in pool.pending(worker)):
        two.poll()  # until nothing is left of versions that other tests published
    two.metrics()
    time.sleep(0.5)  # many calls' time
    two.publish(next(_VERSIONS), network(config()))
    stale = 0.0
    for _ in range(10):
        two.poll()
        stale += 2 * two.metrics()["cluster/policy_lag"]
    assert stale == 2 * 2  # workers x results ahead: what was played before the new weights


def test_what_does_not_fit_is_refused_with_what_there_is(start: Start, ray_here: Connection) -> None:
    with pytest.raises(
        UserError,
        match=rf"not enough free resources within 1 s for workers: 3 with 64 CPU each.* {ray_here.cpus:g} CPU",
    ):
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
    learned = [entry for entry in entries if "train/replay_ratio" in entry.metrics]
    assert all(entry.metrics["train/replay_ratio"] <= 2 for entry in learned)
    assert learned[-1].metrics["train/replay_ratio"] > 1.9


@pytest.mark.slow
def test_after_a_resume_no_worker_plays_a_game_again(tmp_path: Path) -> None:
    settings = config(cluster={"workers": 1, "worker_cpus": 0.25})
    with built(settings, tmp_path / "one", DEVICE) as one:
        received = ids([games for _ in range(6) for games in one.actors.poll()])
        state = one.state_dict()
    with built(settings, tmp_path / "other", DEVICE) as other:
        other.load_state_dict(state)
        received += ids([games for _ in range(6) for games in other.actors.poll()])
    assert len(set(received)) == len(received)
    assert len({game >> 32 for game in received}) == 2


def test_games_in_flight_in_process_outlast_workers(tmp_path: Path) -> None:
    local, back = build(config(), tmp_path / "local", DEVICE), build(config(), tmp_path / "back", DEVICE)
    local.actors.poll()
    with built(config(cluster={"workers": 1, "worker_cpus": 0.25}), tmp_path / "remote", DEVICE) as remote:
        remote.load_state_dict(local.state_dict())
        back.load_state_dict(remote.state_dict())
    assert_same_bits(back.actors.state_dict()["selfplay"], local.actors.state_dict()["selfplay"])


class WithALaggard:
    """A pool in which worker 0 is given up only once worker 1 has nothing left to do."""

    ready, restarts = (0, 1), 0

    def __init__(self, games: FinishedGames) -> None:
        self.calls: list[list[int]] = [[0], []]  # versions
        self.played, self._games = 0, games

    def pending(self, worker: int) -> list[int]:
        return self.calls[worker]

    def call(self, worker: int, method: str, version: int, weights: Any, tag: int) -> None:
        self.calls[worker].append(version)

    def next(self) -> Done | Lost:
        if not self.calls[1]:
            self.calls[0].clear()
            return Lost(0, [0], "no answer")
        version, number = self.calls[1].pop(0), self.played
        self.played += 1
        played = Played(Origin(1, 0, number), version, pack([self._games]), LeafCounts(), 1.0)
        return Done(1, version, played)

    def close(self) -> None:
        pass


def test_while_one_is_waited_for_the_others_do_not_play_more_than_a_window(start: Start) -> None:
    settings = config()
    games = concatenate(play_games(selfplay(settings.game.make(), boards=8), moves=10))
    actors = start(2, max_lag=1)
    actors.publish(5, network(settings))
    actors._results.next_incarnation(1)
    pool = WithALaggard(games)
    actors._pool = pool  # type: ignore[assignment]
    received = sum(len(batch.positions) for batch in actors.poll())
    ahead = actors._options.results_ahead
    assert settings.replay.window_start <= received < settings.replay.window_start + ahead * len(games.positions)
    assert received == pool.played * len(games.positions)
