"""Configuration of an AlphaZero experiment."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from agents.alphazero.auxiliary_config import AuxiliaryConfig
from agents.alphazero.network_config import GameConfig, NetworkConfig
from agents.alphazero.records import RecordFormat
from agents.alphazero.search_config import SearchConfig
from agents.alphazero.selfplay_config import SelfPlayConfig
from lab.config import sections
from lab.config.budget_defaults import from_first_budget
from lab.config.limits import (
    BatchSize,
    Count,
    CountOrZero,
    Simulations,
    TrialsOrZero,
)
from lab.config.sections import Config, ExperimentConfig
from lab.errors import UserError
from lab.train.config import ScheduledOptimizerConfig
from lab.train.schedules import Hyperparameter, within


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
