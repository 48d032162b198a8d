"""Configuration of an AlphaZero experiment."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from agents import games
from agents.alphazero.auxiliary_config import AuxiliaryConfig
from agents.alphazero.records import RecordFormat
from agents.games import Game
from lab.config import sections
from lab.config.budget_defaults import from_first_budget
from lab.config.limits import (
    BatchSize,
    Count,
    CountOrZero,
    Depth,
    Simulations,
    Slots,
    Trials,
    TrialsOrZero,
    Width,
    WidthOrZero,
)
from lab.config.sections import Config, ExperimentConfig
from lab.errors import UserError
from lab.train.config import ScheduledOptimizerConfig
from lab.train.schedules import Hyperparameter, within


class GameConfig(Config):
    """The game and its options."""

    name: str = Field(description="Name of a built-in game or of one from an entry point of rivals.games.")
    options: dict[str, bool | int | float | str | None] = Field(
        default_factory=dict, description="Options of the game, such as rows, columns, length or komi."
    )

    def make(self) -> Game:
        return games.make(self.name, **self.options)


class NetworkConfig(Config):
    """Policy and value network: a trunk with two heads."""

    trunk: Literal["residual", "recurrent"] = Field(
        default="residual",
        description="Residual tower of AlphaGo Zero, or recurrent sweeps along the board's rows and columns.",
    )
    channels: Width = Field(default=64, description="Channels of the trunk.")
    blocks: Depth = Field(default=5, description="Residual blocks, or pairs of sweeps of a recurrent trunk.")
    cell: Literal["lstm", "gru"] = Field(default="gru", description="Cell of a recurrent trunk.")
    heads: Literal["linear", "convolutional"] = Field(
        default="linear",
        description=(
            "Fully connected heads for one size of board, or a convolutional policy and globally pooled features, "
            "whose weights fit every size."
        ),
    )
    norm: Literal["batch", "group", "layer", "none"] = Field(
        default="batch", description="Normalisation of the tower and the heads; of a recurrent trunk's heads only."
    )
    squeeze_excitation: WidthOrZero = Field(
        default=0, description="Hidden features of squeeze-and-excitation in residual blocks; 0 leaves it out."
    )
    global_pooling: CountOrZero = Field(
        default=0,
        description="Residual blocks that add globally pooled features to every cell, spread over the tower; 0 for "
        "none. KataGo has one in three (Wu 2019, section 4.1).",
    )
    policy_planes: Width = Field(default=2, description="Linear heads: channels of the policy's 1x1 convolution.")
    value_planes: Width = Field(default=1, description="Linear heads: channels of the value's 1x1 convolution.")
    head_channels: Width = Field(
        default=32, description="Convolutional heads: channels of each head's 1x1 convolutions."
    )
    value_hidden: Width = Field(default=64, description="Hidden features of the value head.")

    @model_validator(mode="after")
    def _sweeps_in_both_directions(self) -> Self:
        if self.trunk == "recurrent" and self.channels % 2:
            raise ValueError(
                f"a recurrent trunk uses half of its channels in each direction, and {self.channels} is odd; "
                "make network.channels even"
            )
        if self.trunk == "recurrent" and self.squeeze_excitation:
            raise ValueError("squeeze_excitation is for residual blocks; set it to 0 for a recurrent trunk")
        if self.trunk == "recurrent" and self.global_pooling:
            raise ValueError("global_pooling is for residual blocks; set it to 0 for a recurrent trunk")
        if self.global_pooling > self.blocks:
            raise ValueError(f"global_pooling {self.global_pooling} exceeds the {self.blocks} blocks of the network")
        if self.global_pooling and self.channels < 2:
            raise ValueError("global_pooling needs at least 2 channels")
        return self


class SearchConfig(Config):
    """MCTS: Gumbel AlphaZero or PUCT. Settings of the other algorithm have no effect."""

    algorithm: Literal["gumbel", "puct"] = Field(default="gumbel", description="Gumbel AlphaZero or PUCT.")
    simulations: Simulations = Field(default=32, description="Simulations per move of self-play.")
    discount: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="Factor of a value for each ply that it is away; below 1 sooner wins are better. Only the "
        "search's share of the value target is discounted (learner.search_value_fraction), not the game's outcome.",
    )
    average_symmetries: bool = Field(
        default=True,
        description="Evaluation and play average the network over the board's symmetries; self-play does not.",
    )
    solver: bool = Field(
        default=False,
        description="Prove wins, losses and draws in the trees: proven moves are not searched further, and policy and "
        "value keep to what is proven (MCTS-Solver, Winands et al. 2008).",
    )
    reuse_tree: bool = Field(
        default=False,
        description="Self-play continues the subtree of the move that was played (Silver et al. 2017). Each move has "
        "all its simulations beside the inherited visits; trees start anew with every iteration's weights.",
    )
    max_considered_actions: Width = Field(
        default=16, description="Gumbel: actions that the root samples without replacement."
    )
    value_scale: PositiveFloat = Field(default=0.1, description="Gumbel: c_scale of the Q transform.")
    visit_offset: PositiveFloat = Field(default=50.0, description="Gumbel: c_visit of the Q transform.")
    gumbel_scale: NonNegativeFloat = Field(default=1.0, description="Gumbel: scale of the root noise in self-play.")
    c_init: PositiveFloat = Field(default=1.25, description="PUCT: exploration constant at few visits.")
    c_base: PositiveFloat = Field(default=19652.0, description="PUCT: visits at which exploration starts to grow.")
    dirichlet_alpha: PositiveFloat = Field(default=1.0, description="PUCT: concentration of the root noise.")
    dirichlet_fraction: float = Field(
        default=0.25, ge=0.0, le=1.0, description="PUCT: weight of the noise in the root's prior in self-play."
    )
    fpu_reduction: float = Field(
        default=0.0, description="PUCT: an unvisited action's Q is this much below its parent's value."
    )
    forced_playouts: NonNegativeFloat = Field(
        default=0.0,
        description="PUCT: k of forced playouts in self-play; a visited action of the root gets at least sqrt(k P N) "
        "visits, and the policy target loses those that only the force explains (Wu 2019, section 3.2: 2). 0: off.",
    )


class TemperatureConfig(Config):
    """Root temperature by ply: scale of the root noise (Gumbel), or of the sampling of moves from visits (PUCT)."""

    start: NonNegativeFloat = Field(default=1.0, description="Temperature of the first ply.")
    end: NonNegativeFloat = Field(default=1.0, description="Temperature from ply decay_plies on.")
    decay_plies: CountOrZero = Field(
        default=0, description="Plies over which the temperature changes linearly from start to end."
    )


class SelfPlayConfig(Config):
    """Batched self-play."""

    boards: Trials = Field(default=256, description="Games played at once by one actor.")
    moves_per_iteration: Trials = Field(default=16, description="Moves on every board per iteration.")
    overlap: bool = Field(
        default=False,
        description="Train while the games of the iteration are played, in a second thread and CUDA stream. Training "
        "then sees the games of earlier iterations alone: one more iteration of policy lag.",
    )
    opening_plies: CountOrZero = Field(
        default=0, description="Largest number of random plies before the first searched move; uniform per game."
    )
    temperature: TemperatureConfig = Field(default=TemperatureConfig(), description="Root temperature by ply.")
    resign_below: float | None = Field(
        default=None,
        ge=-1.0,
        lt=0.0,
        description="A side resigns when its value after search is below this; null for never.",
    )
    resign_audit: float = Field(
        default=0.1, ge=0.0, le=1.0, description="Fraction of games without resignation, to measure wrong resignations."
    )
    cache_slots: Slots | None = Field(
        default=None,
        description="Entries of the evaluation cache, a power of two or 0; null: at most 64 MiB and 2**18. CPU only.",
    )
    policy_entries: Trials | None = Field(
        default=None,
        description="Largest number of actions of a recorded policy, the most likely ones; null for all legal actions.",
    )
    record_states: bool = Field(
        default=False,
        description="Also record the exact state of every position, from which it can be searched or played on.",
    )
    full_search_fraction: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="Playout cap randomization (Wu 2019, section 3.1): probability that a move has a full search of "
        "search.simulations. The policies of other moves are not trained on; 1 searches every move fully. CPU only.",
    )
    cheap_simulations: Simulations = Field(
        default=8, description="Simulations of moves without a full search; their root has no Dirichlet noise."
    )
    cheap_temperature: NonNegativeFloat = Field(
        default=0.0, description="Factor of the temperature of moves without a full search; 0 plays their best move."
    )
    record_cheap: bool = Field(
        default=True,
        description="Whether positions without a full search are recorded and train the value; else they are dropped.",
    )
    surprise_weighting: bool = Field(
        default=False,
        description="Record the positions of a game in proportion to how much the search changed the network's policy "
        "and value (KataGo's policy surprise weighting): 0.4 uniform, 0.5 for the policy, 0.1 for the value.",
    )
    recorded_boards: CountOrZero = Field(
        default=4,
        description="Boards of each actor whose games are kept in games/selfplay, move by move with the visit counts, "
        "for `lab replay`; 0 for none.",
    )

    @model_validator(mode="after")
    def _power_of_two(self) -> Self:
        if self.cache_slots is not None and self.cache_slots & (self.cache_slots - 1):
            raise ValueError(f"cache_slots must be a power of two or 0, not {self.cache_slots}")
        return self

    @property
    def record_format(self) -> RecordFormat:
        """What is recorded of each position."""
        cheap = self.full_search_fraction < 1.0
        return RecordFormat(entries=self.policy_entries, states=self.record_states, cheap=cheap)


class ReplayConfig(Config):
    """Replay buffer.

    The window holds all of the first `window_start` positions and then grows sublinearly with the n positions received
    (Wu 2019, appendix C): window_start * (1 + window_scale * ((n / window_start) ** window_exponent - 1) /
    window_exponent).
    """

    capacity: Count = Field(default=2_000_000, description="Largest number of positions that are kept.")
    window_start: Count = Field(default=50_000, description="Positions at which the window starts to move.")
    window_exponent: float = Field(default=0.75, gt=0.0, le=1.0, description="Exponent of the window's growth.")
    window_scale: float = Field(default=0.4, gt=0.0, le=1.0, description="Slope of the window's growth at its start.")
    min_positions: Count = Field(default=4_000, description="Positions received before training starts.")
    reanalyse_fraction: float = Field(
        default=0.0,
        ge=0.0,
        le=16.0,
        description="Positions of the window that are searched again with the newest weights, for each one received "
        "after min_positions (MuZero Reanalyse, Schrittwieser et al. 2021); their policies and search values are "
        "replaced. 0 for none; needs selfplay.record_states.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.window_start > self.capacity:
            raise ValueError(
                f"window_start {self.window_start} exceeds capacity {self.capacity}; lower one or raise the other"
            )
        if self.min_positions > self.window_start:
            raise ValueError(
                f"min_positions {self.min_positions} exceeds window_start {self.window_start}; "
                "training would never start"
            )
        return self


class LearnerConfig(ScheduledOptimizerConfig):
    """Gradient descent on replayed positions."""

    batch_size: BatchSize = Field(default=256, description="Positions per optimizer step, over all ranks.")
    micro_batch: BatchSize | None = Field(
        default=None, description="Gradient accumulation: positions per forward pass."
    )
    replay_ratio: PositiveFloat = Field(default=4.0, description="Mean number of times that a position is trained on.")
    beta2: float = Field(
        default=0.99, ge=0.0, lt=1.0, description="Decay of the second moment (adamw, adam, muon's AdamW)."
    )
    weight_decay: NonNegativeFloat = Field(default=1e-4, description="Weight decay; biases and norms have none.")
    gradient_clip: PositiveFloat | None = Field(
        default=5.0, description="Gradient clipping: largest norm of the gradient; longer ones are scaled down."
    )
    final_fraction: float = Field(
        default=0.1, ge=0.0, le=1.0, description="Learning rate at the end of the schedule, as a fraction of its peak."
    )
    decay_positions: Count | None = Field(
        default=None,
        description="Self-play positions at which the schedule ends; by default the budget at the run's creation.",
    )
    warmup_steps: CountOrZero = Field(
        default=100,
        description="Optimizer steps during which the learning rate rises linearly to that of the schedule.",
    )
    value_weight: Annotated[Hyperparameter, within(ge=0.0)] = Field(
        default=1.0, description="Weight of the value loss; the policy loss has weight 1."
    )
    search_value_fraction: Annotated[Hyperparameter, within(ge=0.0, le=1.0)] = Field(
        default=0.5,
        description="Weight of the search's root value in the value target; the rest is the game's outcome.",
    )
    ema_decay: Annotated[Hyperparameter, within(ge=0.0, lt=1.0)] = Field(
        default=0.99, description="Decay per step of the EMA of the weights; the EMA plays."
    )
    ema_half_life: PositiveFloat | None = Field(
        default=None, description="Half-life of the EMA in positions trained on; replaces ema_decay."
    )
    symmetries: bool = Field(default=True, description="Train on each position under a random symmetry of the board.")
    auxiliary: AuxiliaryConfig = Field(
        default=AuxiliaryConfig(), description="Auxiliary targets, which improve the features of the trunk."
    )


class StartConfig(Config):
    """Weights that training starts from."""

    run: str = Field(
        default="", description="Name or path of the run whose EMA weights training starts from; empty for new weights."
    )
    checkpoint: str = Field(default="best", description="Checkpoint of that run: best, latest or an iteration.")


class EvaluateConfig(sections.EvaluateConfig):
    """Evaluations of the EMA network: solved positions, games against fixed opponents, and a sample game."""

    simulations: Simulations = Field(default=64, description="Simulations per decision.")
    games: TrialsOrZero = Field(default=0, description="Games against each fixed opponent; 0 plays none.")
    lcb_stdevs: NonNegativeFloat = Field(
        default=0.0,
        description="Evaluation and play choose the move with the largest lower confidence bound, this many standard "
        "deviations below its mean (KataGo: 5); 0 for the choice of self-play, without noise.",
    )
    rollouts: Simulations = Field(default=100, description="Simulations per move of the rollout opponent.")


class AlphaZeroConfig(ExperimentConfig):
    """A complete AlphaZero experiment. The budget counts positions of finished self-play games."""

    supports_workers: ClassVar[bool] = True
    supports_evaluator: ClassVar[bool] = True
    supports_learners: ClassVar[bool] = True
    perturbable: ClassVar[tuple[str, ...]] = (
        *("learner.learning_rate", "learner.final_fraction", "learner.replay_ratio", "learner.gradient_clip"),
        *("learner.value_weight", "learner.search_value_fraction", "learner.ema_decay"),
        *("search.value_scale", "search.visit_offset", "search.gumbel_scale"),
        *("search.c_init", "search.c_base", "search.dirichlet_alpha", "search.dirichlet_fraction"),
        *("search.fpu_reduction", "selfplay.temperature.start", "selfplay.temperature.end"),
        "selfplay.temperature.decay_plies",
    )

    names_runs: ClassVar[tuple[str, ...]] = ("start.run",)

    kind: Literal["alphazero"] = Field(default="alphazero", description="Kind of experiment.")
    game: GameConfig = Field(description="The game and its options.")
    network: NetworkConfig = Field(default=NetworkConfig(), description="Policy and value network.")
    start: StartConfig = Field(default=StartConfig(), description="Weights that training starts from.")
    search: SearchConfig = Field(default=SearchConfig(), description="Monte Carlo tree search.")
    selfplay: SelfPlayConfig = Field(default=SelfPlayConfig(), description="Batched self-play.")
    replay: ReplayConfig = Field(default=ReplayConfig(), description="Replay buffer.")
    learner: LearnerConfig = Field(default=LearnerConfig(), description="Training on replayed positions.")
    evaluate: EvaluateConfig = Field(default=EvaluateConfig(), description="Evaluations of the EMA network.")

    @model_validator(mode="before")
    @classmethod
    def _decay_over_first_budget(cls, settings: Any) -> Any:
        return from_first_budget(settings, "learner", "decay_positions")

    @model_validator(mode="after")
    def _enough_for_the_learners(self) -> Self:
        if self.learner.batch_size < self.cluster.learners:
            raise ValueError(
                f"learner.batch_size {self.learner.batch_size} is less than one position for each of "
                f"{self.cluster.learners} learners; lower cluster.learners"
            )
        if self.cluster.learners > 1 and self.learner.micro_batch:
            raise ValueError(
                "learner.micro_batch and cluster.learners cannot be combined: BatchNorm statistics would differ "
                "from those of one process; remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _cheap_is_cheaper(self) -> Self:
        cheap, full = self.selfplay.cheap_simulations, self.search.simulations
        if self.selfplay.full_search_fraction < 1.0 and cheap >= full:
            raise ValueError(
                f"selfplay.cheap_simulations {cheap} must be below search.simulations {full} of a full search; "
                "lower it, or set selfplay.full_search_fraction to 1"
            )
        if self.selfplay.full_search_fraction < 1.0 and self.search.reuse_tree:
            raise ValueError(
                "search.reuse_tree continues the trees of all boards, and selfplay.full_search_fraction searches some "
                "of them more than others; set one of them to its default"
            )
        return self

    @model_validator(mode="after")
    def _states_to_search_again(self) -> Self:
        if self.replay.reanalyse_fraction and not self.selfplay.record_states:
            raise ValueError(
                "replay.reanalyse_fraction searches recorded states again; set selfplay.record_states=true"
            )
        return self

    @property
    def mean_simulations(self) -> float:
        """Simulations of a move of self-play, mean over full and cheap searches."""
        fraction = self.selfplay.full_search_fraction
        return fraction * self.search.simulations + (1.0 - fraction) * self.selfplay.cheap_simulations

    @model_validator(mode="after")
    def _game_exists(self) -> Self:
        try:
            game = self.game.make()
        except UserError as error:
            raise ValueError(str(error)) from None
        if self.network.heads == "convolutional" and game.action_layout is None:
            raise ValueError(
                f"the actions of {game.name} have no place on its board, which network.heads=convolutional needs; "
                "use network.heads=linear"
            )
        if self.learner.auxiliary.final_board and not game.has_final_board:
            raise ValueError(
                f"{game.name} does not say who holds the cells of its final board; set learner.auxiliary.final_board=0"
            )
        if self.selfplay.opening_plies >= game.max_plies:
            raise ValueError(
                f"selfplay.opening_plies {self.selfplay.opening_plies} must be below the {game.max_plies} plies of "
                "the longest game"
            )
        return self

    @property
    def record_format(self) -> RecordFormat:
        """What is recorded of each position, auxiliary targets included."""
        auxiliary = self.learner.auxiliary
        return self.selfplay.record_format._replace(
            replies=auxiliary.opponent_reply > 0,
            horizons=auxiliary.value_horizons,
            final_board=auxiliary.final_board > 0,
        )
