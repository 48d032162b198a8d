"""Batched self-play: many games advance together; a finished game is recorded and replaced by a new one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agents.alphazero.auxiliary_targets import final_boards, horizon_values
from agents.alphazero.move_recorder import MoveRecorder
from agents.alphazero.playout_cap import is_full_search
from agents.alphazero.records import FinishedGames, RecordFormat, Samples, blank, likeliest, pack_observation
from agents.alphazero.selfplay_config import SelfPlayConfig, TemperatureConfig
from agents.alphazero.surprise import copies, surprise, weights
from agents.games.codec import encode
from agents.games.game import Game, select, where
from agents.search import RootSearch
from agents.search.dynamics import GameDynamics, legal_slots, slot_actions
from agents.search.reuse import TreeReuse
from lab import rng
from lab.files.plain import is_count
from lab.train.cuda_graph import GraphReplay

_MOST_SURPRISE = 1e6  # nats, more than logits of a network can give


@dataclass
class _Records:
    """Positions of unfinished games; row b, column t is the t-th searched position of board b."""

    planes: Tensor  # uint8 [B, T, bytes]
    numbers: Tensor  # float32 [B, T, P]
    policy: Tensor  # float16 [B, T, R]
    actions: Tensor  # int16 [B, T, R or 0]
    state: Tensor  # uint8 [B, T, E or 0]
    search_value: Tensor  # float16 [B, T]
    version: Tensor  # int32 [B, T]
    cheap: Tensor  # uint8 [B, T, 1 or 0]
    surprise: Tensor  # float32 [B, T, 2 or 0]
    player: Tensor  # int8 [B, T]
    length: Tensor  # int64 [B]
    resigner: Tensor  # int8 [B], the player who would have resigned first, else -1


class SelfPlay:
    """Plays B games at once with a search and returns finished games.

    A game is a function of the seed, its id and the weights. Ids count up from `first_game_id` in
    steps of `game_id_stride`, so that no two workers play the same game. form: what is recorded, by default what
    `config` says, which has no auxiliary targets.
    """

    def __init__(
        self,
        game: Game,
        *,
        search: RootSearch,
        dynamics: GameDynamics,
        config: SelfPlayConfig,
        seed: int,
        device: torch.device,
        first_game_id: int = 0,
        game_id_stride: int = 1,
        form: RecordFormat | None = None,
    ) -> None:
        self._form = form or config.record_format
        self.game, self.search, self.dynamics, self.config = game, search, dynamics, config
        self.seed, self.device = seed, device
        self._stride = game_id_stride
        boards, plies = config.boards, game.max_plies
        rows = blank(boards * plies, game, config.record_format, device=device)

        def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(boards, *shape, dtype=dtype, device=device)

        def recorded(field: Tensor) -> Tensor:
            return field.view(boards, plies, *field.shape[1:])

        self._records = _Records(
            planes=recorded(rows.planes),
            numbers=recorded(rows.numbers),
            policy=recorded(rows.policy),
            actions=recorded(rows.actions),
            state=recorded(rows.state),
            search_value=recorded(rows.search_value),
            version=recorded(rows.version),
            cheap=recorded(rows.cheap),
            surprise=zeros(plies, 2 if config.surprise_weighting else 0, dtype=torch.float32),
            player=zeros(plies, dtype=torch.int8),
            length=zeros(dtype=torch.int64),
            resigner=zeros(dtype=torch.int8) - 1,
        )
        self._recorder = MoveRecorder(game, min(config.recorded_boards, boards), device)
        self._rows = torch.arange(boards, device=device)
        self._ids = first_game_id + self._rows * game_id_stride
        self._next_id = first_game_id + boards * game_id_stride
        self._state, self._plies = random_opening(game, self._ids, seed, config.opening_plies)
        self._version = torch.zeros((), dtype=torch.int32, device=device)
        # The search and the dynamics of the graph: with others, which measure or replace them, nothing is replayed.
        self._captured = search, dynamics
        # Tree reuse allocates new trees with every move, which a graph cannot.
        graphs = device.type == "cuda" and not isinstance(search, TreeReuse)
        self._replay = GraphReplay(self.play, device, "self-play") if graphs else None

    @torch.inference_mode()
    def move(self, version: int) -> FinishedGames | None:
        """Plays one move on every board with the weights of this version; returns the games that ended, on the CPU.

        On a CUDA GPU the move is one CUDA graph, and the host waits for the device when the move has been played.
        """
        self._version.fill_(version)
        as_captured = self._captured[0] is self.search and self._captured[1] is self.dynamics
        over, resigned = self._replay() if self._replay is not None and as_captured else self.play()
        ended = over.nonzero()[:, 0]  # host sync, once per move
        if not len(ended):
            return None
        finished = self._collect(ended, resigned)
        self._restart(ended)
        return finished

    def play(self) -> tuple[Tensor, Tensor]:
        """Plays and records one move on every board: which games are over, and which by resignation, bool `[B]`.

        Shapes do not depend on data and nothing waits for the device. On a GPU all that lasts stays in its storage.
        """
        game, state, records = self.game, self._state, self._records
        root = self.dynamics.root(state, game_id=self._ids, ply=self._plies)
        temperature = root_temperature(self.config.temperature, self._plies)
        result = self.search(root, dynamics=self.dynamics, seed=self.seed, temperature=temperature)
        player = game.player(state)
        at = (self._rows, records.length)
        records.planes[at], numbers = pack_observation(game, game.observe(state))
        if game.number_planes:
            records.numbers[at] = numbers
        policy, actions = result.policy, result.actions
        if (entries := records.policy.shape[2]) < policy.shape[1]:
            policy, actions = likeliest(policy, actions, entries)
        records.policy[at] = policy.to(torch.float16)
        if records.actions.shape[2]:
            records.actions[at] = actions.to(torch.int16)
        if self.config.record_states:
            records.state[at] = encode(state)
        records.search_value[at] = result.value.to(torch.float16)
        records.version[at] = self._version
        if self.config.full_search_fraction < 1.0:
            full = is_full_search(self.config.full_search_fraction, self.seed, self._ids, self._plies)
            records.cheap[at] = (~full).to(torch.uint8)[:, None]
        if self.config.surprise_weighting:
            records.surprise[at] = surprise(root, result)
        records.player[at] = player.to(torch.int8)
        self._recorder.record(records.length, self._ids, self._plies, result, self._version)
        records.length += 1
        self._plies += 1
        self._keep(game.step(state, result.action))
        resigned = self._resignations(result.value, player)
        return game.done(self._state) | resigned, resigned

    def _keep(self, state: Any) -> None:
        """The next state; on a GPU in the storage of the state before it, which a CUDA graph reads."""
        if self.device.type == "cpu":
            self._state = state
            return
        # Copied first: a field of the new state may be another field of the old one.
        for own, new in zip(self._state, [field.clone() for field in state], strict=True):
            own.copy_(new)

    def forget_trees(self) -> None:
        """Start new search trees with the next move, as the owner must when it changes the weights."""
        if isinstance(self.search, TreeReuse):
            self.search.forget()

    def state_dict(self) -> dict[str, Any]:
        """Unfinished games with their partial records."""
        return {
            "state": list(self._state),
            "ids": self._ids,
            "next_id": self._next_id,
            "plies": self._plies,
            "records": dict(vars(self._records)),
            "moves": self._recorder.state_dict(),
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Continue the games of `state_dict`. Raises ValueError or KeyError for those of other boards or games."""
        records = saved["records"]
        if records.keys() != vars(self._records).keys():
            raise ValueError("records of other games")
        for own, loaded in [
            *zip(self._state, saved["state"], strict=True),
            *((value, records[name]) for name, value in vars(self._records).items()),
            (self._ids, saved["ids"]),
            (self._plies, saved["plies"]),
        ]:
            if not isinstance(loaded, Tensor) or (loaded.shape, loaded.dtype) != (own.shape, own.dtype):
                raise ValueError("games on boards of other shapes")
        limits = {
            "length": (0, self.game.max_plies - 1),
            "player": (0, 1),
            "resigner": (-1, 1),
            "actions": (-1, self.game.num_actions - 1),
            "cheap": (0, 1),
            "surprise": (0.0, _MOST_SURPRISE),
        }
        if any(not _within(records[name], *limit) for name, limit in limits.items()) or not is_count(saved["next_id"]):
            raise ValueError("records that no game has")
        if not _within(saved["plies"], 0, self.game.max_plies) or not _within(saved["ids"], 0, saved["next_id"] - 1):
            raise ValueError("games that were never begun")
        self._recorder.load_state_dict(saved.get("moves"))
        self._state = type(self._state)(*(t.to(self.device) for t in saved["state"]))
        self._ids = saved["ids"].to(self.device)
        self._next_id = saved["next_id"]
        self._plies = saved["plies"].to(self.device)
        self._records = _Records(**{name: t.to(self.device) for name, t in records.items()})
        if self._replay is not None:
            self._replay.forget()

    def _resignations(self, value: Tensor, player: Tensor) -> Tensor:
        """bool `[B]`, boards whose mover resigns; audited games only record the player who would have resigned."""
        records = self._records
        if self.config.resign_below is None:
            return torch.zeros_like(value, dtype=torch.bool)
        audited = rng.uniform(self.seed, int(rng.Stream.RESIGNATION_AUDIT), self._ids) < self.config.resign_audit
        # In games that are not audited, a side cannot resign with the move that ends the game.
        lost = (value < self.config.resign_below) & (audited | ~self.game.done(self._state)) & (records.resigner < 0)
        records.resigner.copy_(torch.where(lost, player.to(torch.int8), records.resigner))
        return lost & ~audited

    def _collect(self, ended: Tensor, resigned: Tensor) -> FinishedGames:
        records = self._records
        reward = self.game.reward(self._state).index_select(0, ended)
        gave_up, resigner = resigned[ended], records.resigner[ended].to(torch.int64)
        lost = torch.nn.functional.one_hot(resigner.clamp_min(0), 2) * -2.0 + 1.0
        reward = torch.where(gave_up[:, None], lost, reward)
        wrong = (reward.gather(1, resigner.clamp_min(0)[:, None])[:, 0] > -1).to(torch.int8)
        wrong = torch.where((resigner >= 0) & ~gave_up, wrong, -1)
        length = records.length[ended]
        column = torch.arange(records.player.shape[1], device=self.device)
        game, ply = (column < length[:, None]).nonzero(as_tuple=True)
        at = (ended[game], ply)
        positions = Samples(
            planes=records.planes[at],
            numbers=records.numbers[at],
            policy=records.policy[at],
            actions=records.actions[at],
            state=records.state[at],
            outcome=reward[game, records.player[at].to(torch.int64)].to(torch.int8),
            search_value=records.search_value[at],
            version=records.version[at],
            cheap=records.cheap[at],
            **self._auxiliary_targets(ended, game, ply, reward),
        )
        games = (self._ids[ended], self._plies[ended], reward[:, 0].to(torch.int8), gave_up, wrong)
        moves = self._recorder.collect(ended, records.length)
        positions = Samples(*(t.cpu() for t in positions))
        if (kept := self._kept(ended, column < length[:, None])) is not None:
            positions = Samples(*(t.index_select(0, kept) for t in positions))
        return FinishedGames(positions, moves, *(t.cpu() for t in games))

    def _kept(self, ended: Tensor, played: Tensor) -> Tensor | None:
        """int64 `[N]`, on the CPU: the rows to record of all positions of the games that ended; None for each once.

        played: bool `[G, T]`, the columns of the games that have positions.
        """
        config, records = self.config, self._records
        if not config.surprise_weighting and (config.record_cheap or config.full_search_fraction == 1.0):
            return None
        played, cheap = played.cpu(), records.cheap[ended].cpu().bool().any(-1)
        count = played.to(torch.int64)
        if config.surprise_weighting:
            weight = weights(records.surprise[ended].cpu(), played & ~cheap)
            count *= copies(weight, self.seed, self._ids[ended].cpu())
        if not config.record_cheap:
            count *= ~cheap
        of_rows = count[played]
        return torch.arange(len(of_rows)).repeat_interleave(of_rows)

    def _auxiliary_targets(self, ended: Tensor, game: Tensor, ply: Tensor, reward: Tensor) -> dict[str, Tensor]:
        """The last fields of `Samples` for positions `ply` int64 [N] of games `game`, rows of `ended` and `reward`."""
        records, form = self._records, self._form
        length, board = records.length[ended], ended[game]
        fields = blank(len(ply), self.game, form, device=self.device)
        found = {name: getattr(fields, name) for name in ("reply", "reply_actions", "horizon_values", "final_board")}
        if form.replies:
            follows, after = ply + 1 < length[game], (board, (ply + 1).clamp(max=records.player.shape[1] - 1))
            if form.cheap:
                follows = follows & (records.cheap[after][:, 0] == 0)  # policies of cheap searches are no targets
            found["reply"] = torch.where(follows[:, None], records.policy[after], 0.0)
            if records.actions.shape[2]:
                found["reply_actions"] = torch.where(follows[:, None], records.actions[after], -1)
        mover = records.player[board, ply].to(torch.int64)
        if form.horizons:
            sign = 1.0 - 2.0 * records.player[ended].to(torch.float32)  # of values for the mover to those for player 0
            values = horizon_values(records.search_value[ended] * sign, reward[:, 0], length, form.horizons)
            found["horizon_values"] = (values[game, ply] * sign[game, ply, None]).to(torch.float16)
        if form.final_board:
            boards = final_boards(self.game, select(self._state, ended))
            found["final_board"] = boards[game, mover]
        return found

    def _restart(self, ended: Tensor) -> None:
        self._ids[ended] = self._next_id + torch.arange(len(ended), device=self.device) * self._stride
        self._next_id += len(ended) * self._stride
        self._records.length[ended] = 0
        self._records.resigner[ended] = -1
        self._recorder.restart(ended)
        fresh, self._plies[ended] = random_opening(self.game, self._ids[ended], self.seed, self.config.opening_plies)
        for field, new in zip(self._state, fresh, strict=True):
            field[ended] = new


def _within(values: Tensor, lowest: float, highest: float) -> bool:
    return bool(((values >= lowest) & (values <= highest)).all())


def root_temperature(config: TemperatureConfig, plies: Tensor) -> Tensor:
    """float32 [B] for plies int64 [B]: linear from start to end over `decay_plies`, then constant."""
    progress = (plies / config.decay_plies).clamp(max=1.0) if config.decay_plies else torch.ones_like(plies)
    return config.start + (config.end - config.start) * progress


def random_opening(game: Game, ids: Tensor, seed: int, max_plies: int) -> tuple[Any, Tensor]:
    """Boards after 0 to `max_plies` uniformly random plies, and the plies played int64 [B]; none is over.

    Random openings make the positions of self-play more diverse (Wu 2019, section 5.1).
    ids: int64 `[B]`; with the seed they determine the first position and the plies.
    """
    state = game.sample_initial(seed, ids)
    plies = torch.zeros_like(ids)
    stream = int(rng.Stream.RANDOM_OPENING)
    wanted = rng.integers(max_plies + 1, seed, stream, ids)
    for ply in range(max_plies):
        actions = slot_actions(game, state)
        numbers = torch.arange(game.num_actions, device=ids.device) if actions is None else actions
        noise = rng.uniform(seed, stream, ids[:, None], ply + 1, numbers)
        slot = (noise * legal_slots(game, state, actions)).argmax(1)
        after = game.step(state, slot if actions is None else actions.gather(1, slot[:, None])[:, 0])
        played = (ply < wanted) & ~game.done(after)
        state = where(played, after, state)
        plies = plies + played
    return state, plies
