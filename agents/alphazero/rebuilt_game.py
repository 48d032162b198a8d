"""The searches of a self-play game, rebuilt from its record and the checkpoints whose weights played it.

A game is a function of the seed, its id and the weights, up to the last bits of the network's outputs, which depend on
the batch in which a position was evaluated. So the moves are rebuilt as a resumed run would play them: with the whole
batch of games in progress that the checkpoint holds. Exact resuming makes the visit counts those of the record, bit for
bit. Games of workers are in no checkpoint; their positions are searched one by one, and rounding may make a difference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.alphazero.actors import LocalActors
from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.game_records import GameRecord, RecordedMove
from agents.alphazero.network import InferenceNet
from agents.alphazero.search import make_dynamics, make_search, make_selfplay_search
from agents.alphazero.selfplay import random_opening, root_temperature
from agents.games.game import Game, select
from agents.search import Root, RootSearch, SearchResult
from lab.errors import CheckpointError, UserError
from lab.run import checkpoint as checkpoints
from lab.run.load import load_run
from lab.run.origin import origin_of
from lab.train.device import Device


@dataclass(frozen=True)
class RebuiltMove:
    """The search of one move. prior: the network's policy by action. visits, q: by action, those visited.

    value: the root's value after search, for the player to move. action: the move that the search chose.
    checkpoint: the name of the directory whose weights searched. alone: whether the position was searched outside its
    batch.
    """

    action: int
    value: float
    visits: dict[int, int]
    q: dict[int, float]
    prior: dict[int, float]
    checkpoint: str
    alone: bool

    def equals(self, recorded: RecordedMove) -> bool:
        """Whether move, visit counts and value are those of the record, bit for bit."""
        return self.has_visits(recorded) and self.value == recorded.value

    def has_visits(self, recorded: RecordedMove) -> bool:
        """Whether move and visit counts are those of the record; the value may be rounded differently."""
        return (self.action, self.visits) == (recorded.action, recorded.visits)


@dataclass(frozen=True)
class RebuiltGame:
    """A recorded game. states: before each of the recorded moves, then the last one, B = 1 each, on the CPU.

    searches: the rebuilt search of each move, None where no checkpoint has its weights.
    """

    game: Game
    record: GameRecord
    states: Sequence[Any]
    searches: Sequence[RebuiltMove | None]


def rebuild(
    run: Path, record: GameRecord, config: AlphaZeroConfig, device: Device, progress: Callable[[int], None]
) -> RebuiltGame:
    """The game with the searches of all moves whose weights are kept. progress: called with each move searched.

    Raises UserError where the record is not of this run's game and seed, and for damaged checkpoints.
    """
    game = config.game.make()
    states = _states(game, record, config)
    found: dict[int, RebuiltMove] = {}
    wanted: dict[int, list[RecordedMove]] = {}
    for move in record.moves:
        wanted.setdefault(move.version, []).append(move)
    for version, path in kept_versions(run).items():
        if version in wanted:
            plies = {move.ply for move in wanted[version]}
            found |= _searched(path, record, config, device, plies, states, progress)
    return RebuiltGame(game, record, states, [found.get(move.ply) for move in record.moves])


def kept_versions(run: Path) -> dict[int, Path]:
    """The checkpoints of a run by the version of their weights, in ascending order."""
    directory, origin = run / "checkpoints", origin_of(run)
    found = {}
    for path in [directory / checkpoints.BEST, *checkpoints.numbered(directory)]:
        if path.is_dir():
            try:
                found[checkpoints.read_manifest(path, origin).counters["version"]] = path
            except (CheckpointError, KeyError):
                continue  # what is damaged is kept by no name
    return dict(sorted(found.items()))


def _states(game: Game, record: GameRecord, config: AlphaZeroConfig) -> list[Any]:
    """The states before each move and after the last one."""
    ids = torch.tensor([record.game_id])
    state, plies = random_opening(game, ids, config.seed, config.selfplay.opening_plies)
    states = [state]
    if int(plies) != record.moves[0].ply:
        raise UserError(f"the opening of game {record.game_id} differs: its record is of another run or configuration")
    for move in record.moves:
        if move.action >= game.num_actions or not bool(game.legal(state)[0, move.action]):
            raise UserError(
                f"the record of game {record.game_id} is damaged, or of another game than {game.name}: "
                f"move {move.ply + 1} is illegal"
            )
        state = game.step(state, torch.tensor([move.action]))
        states.append(state)
    return states


def _searched(
    path: Path,
    record: GameRecord,
    config: AlphaZeroConfig,
    device: Device,
    plies: set[int],
    states: Sequence[Any],
    progress: Callable[[int], None],
) -> dict[int, RebuiltMove]:
    """The searches of some plies by the weights of a checkpoint, by ply."""
    loaded = load_run(path, AlphaZeroConfig)
    game = config.game.make()
    net = make_network(config, game).to(device.device)
    with loaded.restoring("self-play") as state:
        weights, actors, version = state["learner"]["average"]["module"], state["actors"], state["version"]
        moves: dict[int, RebuiltMove] = {}
        if "selfplay" in actors or "groups" in actors:

            def watched(search: RootSearch) -> _Watch:
                return _Watch(search, record.game_id, path.name, progress, moves)

            # Built before the weights are known, as in the run.
            local = LocalActors(game, config, net, device, watch=watched)
            net.load_state_dict(weights)
            local.load_state_dict(actors)
            local.publish(version, net)
            local.poll()
        else:
            net.load_state_dict(weights)
            # Searched alone, a position has no tree to continue: its record may have another move than its search.
            search: RootSearch = make_search(config.search, game=game, device=device.device)
            if not config.search.reuse_tree:
                search = make_selfplay_search(config, game=game, device=device.device)
            watch = _Watch(search, record.game_id, path.name, progress, moves)
            watch.alone = True
            _search_alone(watch, game, net, config, device, record, plies, states)
    return {ply: move for ply, move in moves.items() if ply in plies}


def _search_alone(
    watch: "_Watch",
    game: Game,
    net: Any,
    config: AlphaZeroConfig,
    device: Device,
    record: GameRecord,
    plies: set[int],
    states: Sequence[Any],
) -> None:
    dynamics = make_dynamics(
        game,
        InferenceNet(net, precision=device.precision, form=device.form),
        config.selfplay.cache_slots,
        device.device,
        discount=config.search.discount,
    )
    ids = torch.tensor([record.game_id], device=device.device)
    for ply in sorted(plies):
        at = torch.tensor([ply], device=device.device)
        state = states[ply - record.moves[0].ply]
        root = dynamics.root(type(state)(*(field.to(device.device) for field in state)), game_id=ids, ply=at)
        watch(root, dynamics=dynamics, seed=config.seed, temperature=root_temperature(config.selfplay.temperature, at))


class _Watch:
    """A search that keeps what it finds for one game in `moves`, by ply."""

    def __init__(
        self,
        search: RootSearch,
        game_id: int,
        checkpoint: str,
        progress: Callable[[int], None],
        moves: dict[int, RebuiltMove],
    ) -> None:
        self.search, self.game_id, self.checkpoint, self.progress = search, game_id, checkpoint, progress
        self.moves = moves
        self.alone = False

    @torch.inference_mode()
    def __call__(self, root: Root, *, dynamics: Any, seed: int, temperature: Tensor | float) -> SearchResult:
        result = self.search(root, dynamics=dynamics, seed=seed, temperature=temperature)
        row = (root.game_id == self.game_id).nonzero()[:, 0]
        if len(row):
            one = select(result, row)
            prior = torch.softmax(torch.where(root.legal[row], root.logits[row], -torch.inf), 1)[0]
            actions, legal = one.actions[0].tolist(), root.legal[row][0].tolist()
            slots = [(slot, action) for slot, action in enumerate(actions) if legal[slot]]
            visits = {action: int(one.visits[0, slot]) for slot, action in slots}
            self.moves[int(root.ply[row])] = RebuiltMove(
                action=int(one.action[0]),
                value=float(one.value[0]),
                visits={action: count for action, count in visits.items() if count},
                q={action: float(one.q[0, slot]) for slot, action in slots if visits[action]},
                prior={action: float(prior[slot]) for slot, action in slots},
                checkpoint=self.checkpoint,
                alone=self.alone,
            )
        self.progress(1)
        return result
