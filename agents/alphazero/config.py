"""What an AlphaZero experiment can be told."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from agents import games
from agents.games import Game
from lab.config import sections
from lab.config.budget_defaults import from_first_budget
from lab.config.sections import Config, ExperimentConfig
from lab.errors import UserError
from lab.train.config import ScheduledOptimizerConfig
from lab.train.schedules import Hyperparameter, within


class GameConfig(Config):
    """A game's name and options (rows, columns, length ...)."""

    name: str
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)

    def make(self) -> Game:
        return games.make(self.name, **self.options)


class NetworkConfig(Config):
    """A trunk and its heads.

    trunk: "residual", AlphaGo Zero's tower of `blocks` residual blocks, or "recurrent", `blocks` pairs of sweeps of a
    `cell` along the board's rows and columns. norm: of the tower and the heads, or of a recurrent trunk's heads alone.
    """

    trunk: Literal["residual", "recurrent"] = "residual"
    channels: PositiveInt = 64
    blocks: PositiveInt = 5
    cell: Literal["lstm", "gru"] = "gru"
    norm: Literal["batch", "group", "layer", "none"] = "batch"
    squeeze_excitation: NonNegativeInt = 0
    policy_planes: PositiveInt = 2
    value_planes: PositiveInt = 1
    value_hidden: PositiveInt = 64

    @model_validator(mode="after")
    def _sweeps_go_both_ways(self) -> Self:
        if self.trunk == "recurrent" and self.channels % 2:
            raise ValueError(f"a recurrent trunk has half of its {self.channels} channels each way; make them even")
        if self.trunk == "recurrent" and self.squeeze_excitation:
            raise ValueError("squeeze_excitation is of residual blocks; a recurrent trunk has none, set it to 0")
        return self


class SearchConfig(Config):
    """Gumbel AlphaZero or PUCT; options of the other algorithm have no effect.

    average_symmetries: agents that are graded or played against average the network over the board's symmetries;
    self-play, which wants many evaluations rather than good ones, never does.
    """

    algorithm: Literal["gumbel", "puct"] = "gumbel"
    simulations: PositiveInt = 32
    average_symmetries: bool = True
    max_considered_actions: PositiveInt = 16
    value_scale: PositiveFloat = 0.1
    visit_offset: PositiveFloat = 50.0
    gumbel_scale: NonNegativeFloat = 1.0
    c_init: PositiveFloat = 1.25
    c_base: PositiveFloat = 19652.0
    dirichlet_alpha: PositiveFloat = 1.0
    dirichlet_fraction: float = Field(default=0.25, ge=0.0, le=1.0)
    fpu_reduction: float = 0.0


class TemperatureConfig(Config):
    """Root temperature by ply: `start` until `decay_plies`, falling linearly to `end` there.

    It scales Gumbel's root noise, or sharpens PUCT's move choice.
    """

    start: NonNegativeFloat = 1.0
    end: NonNegativeFloat = 1.0
    decay_plies: NonNegativeInt = 0


class SelfPlayConfig(Config):
    """Batched self-play.

    opening_plies: each game starts after a uniformly drawn number of random plies, up to this one.
    resign_below: a side whose value after search falls below this loses; None (the default) plays games to the end.
    resign_audit: share of games that are played to the end all the same, to measure wrong resignations.
    cache_slots: entries of the table of evaluated positions (a power of two; CPU only; 0 is none).
    """

    boards: PositiveInt = 256
    moves_per_iteration: PositiveInt = 16
    opening_plies: NonNegativeInt = 0
    temperature: TemperatureConfig = TemperatureConfig()
    resign_below: float | None = Field(default=None, ge=-1.0, lt=0.0)
    resign_audit: float = Field(default=0.1, ge=0.0, le=1.0)
    cache_slots: NonNegativeInt = 2**18

    @model_validator(mode="after")
    def _power_of_two(self) -> Self:
        if self.cache_slots & (self.cache_slots - 1):
            raise ValueError(f"cache_slots must be a power of two or 0, not {self.cache_slots}")
        return self


class ReplayConfig(Config):
    """Positions kept for learning.

    The window holds all of the first `window_start` positions, then grows sublinearly with those seen (KataGo, Wu 2019,
    appendix C): window_start * (1 + window_scale * ((n / window_start) ** window_exponent - 1) / window_exponent).
    """

    capacity: PositiveInt = 2_000_000
    window_start: PositiveInt = 50_000
    window_exponent: float = Field(default=0.75, gt=0.0, le=1.0)
    window_scale: float = Field(default=0.4, gt=0.0, le=1.0)
    min_positions: PositiveInt = 4_000

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.window_start > self.capacity:
            raise ValueError(
                f"window_start {self.window_start} exceeds capacity {self.capacity}; lower one or raise the other"
            )
        if self.min_positions > self.window_start:
            raise ValueError(
                f"min_positions {self.min_positions} exceeds window_start {self.window_start}; "
                "learning would never start"
            )
        return self


class LearnerConfig(ScheduledOptimizerConfig):
    """Gradient descent on replayed positions."""

    batch_size: PositiveInt = Field(default=256, description="Positions per optimizer step, of all ranks together.")
    micro_batch: PositiveInt | None = Field(
        default=None, description="Positions per forward pass; gradients accumulate over a batch."
    )
    replay_ratio: PositiveFloat = Field(default=4.0, description="Times that a position is trained on, on average.")
    beta2: float = Field(
        default=0.99, ge=0.0, lt=1.0, description="Decay of the second moment (adamw, adam, muon's AdamW)."
    )
    weight_decay: NonNegativeFloat = Field(default=1e-4, description="Weight decay; biases and norms have none.")
    gradient_clip: PositiveFloat | None = Field(
        default=5.0, description="Largest norm of the gradient; longer gradients are scaled down to it."
    )
    final_fraction: float = Field(
        default=0.1, ge=0.0, le=1.0, description="Learning rate at the end of the schedule, as a fraction of its peak."
    )
    decay_positions: PositiveInt | None = Field(
        default=None,
        description="Self-play positions at which the schedule ends; by default the budget the run is created with.",
    )
    warmup_steps: NonNegativeInt = Field(
        default=100,
        description="Optimizer steps during which the learning rate rises linearly to that of the schedule.",
    )
    value_weight: Annotated[Hyperparameter, within(ge=0.0)] = Field(
        default=1.0, description="Weight of the value loss; the policy loss has weight 1."
    )
    search_value_share: Annotated[Hyperparameter, within(ge=0.0, le=1.0)] = Field(
        default=0.5, description="Share of the search's root value in the value target; the rest is the game's outcome."
    )
    ema_decay: Annotated[Hyperparameter, within(ge=0.0, lt=1.0)] = Field(
        default=0.99, description="Decay per step of the EMA of the weights, which plays."
    )
    ema_half_life: PositiveFloat | None = Field(
        default=None, description="Half-life of the EMA in positions trained on; replaces ema_decay."
    )
    symmetries: bool = Field(default=True, description="Train on each position under a random symmetry of the board.")


class EvaluateConfig(sections.EvaluateConfig):
    """Evaluations of the EMA network: solved positions, games against fixed opponents, and a sample game."""

    simulations: PositiveInt = Field(default=64, description="Simulations per decision.")
    games: NonNegativeInt = Field(default=0, description="Games against each fixed opponent; 0 plays none.")
    rollouts: PositiveInt = Field(default=100, description="Simulations per move of the rollout opponent.")


class AlphaZeroConfig(ExperimentConfig):
    """A complete AlphaZero experiment. The budget counts positions of finished self-play games."""

    supports_workers: ClassVar[bool] = True
    supports_learners: ClassVar[bool] = True
    perturbable: ClassVar[tuple[str, ...]] = (
        *("learner.learning_rate", "learner.final_fraction", "learner.replay_ratio", "learner.gradient_clip"),
        *("learner.value_weight", "learner.search_value_share", "learner.ema_decay"),
        *("search.value_scale", "search.visit_offset", "search.gumbel_scale"),
        *("search.c_init", "search.c_base", "search.dirichlet_alpha", "search.dirichlet_fraction"),
        *("search.fpu_reduction", "selfplay.temperature.start", "selfplay.temperature.end"),
        "selfplay.temperature.decay_plies",
    )

    kind: Literal["alphazero"] = "alphazero"
    game: GameConfig
    network: NetworkConfig = NetworkConfig()
    search: SearchConfig = SearchConfig()
    selfplay: SelfPlayConfig = SelfPlayConfig()
    replay: ReplayConfig = ReplayConfig()
    learner: LearnerConfig = LearnerConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="before")
    @classmethod
    def _decay_over_the_first_budget(cls, settings: Any) -> Any:
        return from_first_budget(settings, "learner", "decay_positions")

    @model_validator(mode="after")
    def _enough_for_the_learners(self) -> Self:
        if self.learner.batch_size < self.cluster.learners:
            raise ValueError(
                f"learner.batch_size {self.learner.batch_size} leaves some of {self.cluster.learners} learners without "
                "a position; lower cluster.learners"
            )
        if self.cluster.learners > 1 and self.learner.micro_batch:
            raise ValueError(
                "learner.micro_batch and cluster.learners both divide a batch, and batch norms would take their "
                "statistics of other parts than in one process; leave one out"
            )
        return self

    @model_validator(mode="after")
    def _game_exists(self) -> Self:
        try:
            game = self.game.make()
        except UserError as error:
            raise ValueError(str(error)) from None
        if self.selfplay.opening_plies >= game.max_plies:
            raise ValueError(
                f"selfplay.opening_plies {self.selfplay.opening_plies} leaves nothing of a game of at most "
                f"{game.max_plies} plies"
            )
        return self
