"""Configuration of a PPO experiment."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator, model_validator

from agents.environments.make import PARALLEL_PREFIX, EnvironmentConfig
from lab.config import sections
from lab.config.budget_defaults import from_first_budget
from lab.config.limits import BatchSize, Count, CountOrZero, Few, Length, Trials, Width
from lab.config.sections import Config, ExperimentConfig
from lab.train.config import ScheduledOptimizerConfig
from lab.train.schedules import Hyperparameter, within


class VectorConfig(EnvironmentConfig):
    """The environment and how many of it are stepped together."""

    count: Trials = Field(
        default=8, description="Environments that are stepped together; each may have several agents."
    )
    processes: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="Processes that step the environments while the policy computes; 0 steps them in this process.",
    )
    hang_timeout_s: PositiveFloat = Field(
        default=60.0, description="Seconds without an answer after which a process of environments is replaced."
    )
    vectorization: Literal["auto", "serial", "gymnasium"] = Field(
        default="auto",
        description="serial steps single environments one after the other; gymnasium uses its vectorised "
        "implementation; auto takes that where there is one.",
    )

    @model_validator(mode="after")
    def _processes_have_work(self) -> Self:
        if self.processes > self.count:
            raise ValueError(f"processes={self.processes} exceeds count={self.count}; lower one or raise the other")
        if self.id.startswith(PARALLEL_PREFIX) and (self.processes or self.vectorization == "gymnasium"):
            raise ValueError(
                "parallel environments of PettingZoo are stepped in this process; leave processes and vectorization out"
            )
        if self.processes and self.vectorization == "gymnasium":
            raise ValueError("processes step single environments; leave vectorization=gymnasium or processes out")
        return self


class ConvolutionConfig(Config):
    """Convolutions on images, without padding, one entry per layer; their output is flattened."""

    channels: tuple[Width, ...] = Field(default=(32, 64, 64), description="Channels of each layer.")
    kernels: tuple[Width, ...] = Field(default=(8, 4, 3), description="Kernel size of each layer.")
    strides: tuple[Width, ...] = Field(default=(4, 2, 1), description="Stride of each layer.")

    @model_validator(mode="after")
    def _one_entry_per_layer(self) -> Self:
        if not len(self.channels) == len(self.kernels) == len(self.strides):
            raise ValueError("channels, kernels and strides need one entry per layer each")
        return self


class NetworkConfig(Config):
    """Policy and value network."""

    hidden: tuple[Width, ...] = Field(default=(64, 64), description="Widths of the hidden layers.")
    activation: Literal["tanh", "relu", "silu", "gelu"] = Field(default="tanh", description="Activation.")
    shared: bool = Field(
        default=False, description="Policy and value share all layers but the last; else they have one network each."
    )
    recurrent: Literal["none", "lstm", "gru"] = Field(default="none", description="Recurrent layer after the others.")
    recurrent_size: Width = Field(default=64, description="Hidden features of the recurrent layer.")
    convolutions: ConvolutionConfig | None = Field(
        default=None,
        description="Convolutions on images; by default those of Mnih et al. 2015, on small images one of 16 channels.",
    )
    squash: bool = Field(
        default=False,
        description="Continuous actions: tanh of the Gaussian, scaled to the bounds, instead of clipping.",
    )
    initial_std: PositiveFloat = Field(
        default=1.0, description="Continuous actions: standard deviation of the policy before training."
    )


class NormalizeConfig(Config):
    """Normalisation by running statistics, which are part of the checkpoint."""

    observations: bool = Field(
        default=False, description="Subtract the mean of vectors, divide by their standard deviation."
    )
    rewards: bool = Field(
        default=False, description="Divide rewards by the standard deviation of the discounted return."
    )
    clip: PositiveFloat = Field(default=10.0, description="Largest magnitude after normalisation.")


class LearnerConfig(ScheduledOptimizerConfig):
    """PPO updates (Schulman et al. 2017)."""

    optimizer: Literal["adamw", "adam", "sgd", "muon"] = Field(
        default="adam",
        description="adamw, adam, sgd with Nesterov momentum, or muon for weight matrices with AdamW for the rest.",
    )
    learning_rate: Annotated[Hyperparameter, within(gt=0.0)] = Field(
        default=3e-4, description="Learning rate; with a schedule its peak."
    )
    schedule: Literal["constant", "linear", "cosine", "one-cycle"] = Field(
        default="linear", description="Learning-rate schedule: constant, linear, cosine or one-cycle."
    )
    epsilon: PositiveFloat = Field(
        default=1e-5, description="Added to the root of the second moment (adamw, adam, muon's AdamW)."
    )
    weight_decay: NonNegativeFloat = Field(default=0.0, description="Weight decay; biases and norms have none.")
    gradient_clip: PositiveFloat | None = Field(
        default=0.5, description="Gradient clipping: largest norm of the gradient; larger gradients are scaled down."
    )
    decay_steps: Count | None = Field(
        default=None,
        description="Environment steps at which the schedule ends; by default the budget at the run's creation.",
    )
    rollout_steps: Length = Field(default=128, description="Steps of every environment between two updates.")
    updates_per_iteration: Trials = Field(default=1, description="Rollouts, each with its update, per iteration.")
    epochs: Few = Field(default=4, description="Passes over a rollout.")
    minibatch: BatchSize = Field(
        default=256,
        description="Steps per optimizer step, about: an epoch is cut into minibatches of nearly equal size, with a "
        "recurrent policy of whole sequences.",
    )
    micro_batch: BatchSize | None = Field(default=None, description="Gradient accumulation: rows per forward pass.")
    sequence_length: Length | None = Field(
        default=None,
        description="Recurrent policy: steps through which gradients flow; by default the whole rollout.",
    )
    discount: float = Field(default=0.99, ge=0.0, le=1.0, description="Discount factor (gamma) of a step.")
    gae_lambda: float = Field(default=0.95, ge=0.0, le=1.0, description="Lambda of generalized advantage estimation.")
    clip_ratio: Annotated[Hyperparameter, within(gt=0.0)] = Field(
        default=0.2, description="Clipping range epsilon of the probability ratio (Schulman et al. 2017, equation 7)."
    )
    clip_value: PositiveFloat | None = Field(
        default=None,
        description="Clipping range of the value around that of the rollout, in units of the scaled returns; null for "
        "none.",
    )
    value_weight: Annotated[Hyperparameter, within(ge=0.0)] = Field(
        default=0.5, description="Weight of the value loss, a mean squared error."
    )
    entropy_weight: Annotated[Hyperparameter, within(ge=0.0)] = Field(
        default=0.0, description="Weight of the entropy bonus."
    )
    normalize_advantages: bool = Field(
        default=True,
        description="Subtract the mean of a minibatch's advantages and divide by their standard deviation.",
    )
    target_kl: PositiveFloat | None = Field(
        default=None,
        description="End an update after the optimizer step whose KL divergence from the old policy exceeds 1.5 times "
        "this.",
    )

    @property
    def period(self) -> int | None:
        return self.decay_steps


class EvaluateConfig(sections.EvaluateConfig):
    """Evaluations: whole episodes in environments of their own."""

    every: CountOrZero = Field(default=10, description="Iterations between evaluations; 0 for none.")
    best: str | None = Field(default="eval/return", description="Metric that chooses the best checkpoint.")
    episodes: int = Field(default=20, ge=1, le=10_000, description="Episodes of an evaluation.")
    max_steps: Count = Field(
        default=30_000, description="Steps after which an episode is cut; not all environments have a time limit."
    )
    deterministic: bool = Field(
        default=True,
        description="Take the most probable option, or the mean (with squash its tanh), instead of sampling.",
    )
    video: bool = Field(
        default=False,
        description="Record the first episode as MP4 in samples/ and W&B; needs the extra video and the time to draw "
        "every frame: a second for LunarLander, 20 s for HalfCheetah without a GPU.",
    )


class PPOConfig(ExperimentConfig):
    """A complete PPO experiment. The budget counts steps of the environments."""

    supports_workers: ClassVar[bool] = True
    reproducible_workers: ClassVar[bool] = True
    supports_learners: ClassVar[bool] = True
    perturbable: ClassVar[tuple[str, ...]] = (
        *("learner.learning_rate", "learner.final_fraction", "learner.gradient_clip", "learner.epochs"),
        *("learner.gae_lambda", "learner.clip_ratio", "learner.value_weight", "learner.entropy_weight"),
    )

    kind: Literal["ppo"] = Field(default="ppo", description="Kind of experiment.")
    precision: Literal["auto", "fp32"] = Field(
        default="fp32", description="Floating-point precision of networks: PPO computes in fp32, also where it is auto."
    )
    env: VectorConfig = Field(description="The environment and how many of it are stepped together.")
    network: NetworkConfig = Field(default=NetworkConfig(), description="Policy and value network.")
    normalize: NormalizeConfig = Field(default=NormalizeConfig(), description="Normalisation by running statistics.")
    learner: LearnerConfig = Field(default=LearnerConfig(), description="PPO updates.")
    evaluate: EvaluateConfig = Field(default=EvaluateConfig(), description="Evaluations by whole episodes.")

    @field_validator("precision", mode="before")
    @classmethod
    def _fp32(cls, precision: Any) -> Any:
        """In bf16 the policy that is trained would differ from the one that acted before the first update."""
        if precision == "bf16":
            raise ValueError("PPO computes in fp32; leave precision=bf16 out")
        return "fp32" if precision == "auto" else precision

    @model_validator(mode="before")
    @classmethod
    def _decay_over_first_budget(cls, settings: Any) -> Any:
        return from_first_budget(settings, "learner", "decay_steps")

    @model_validator(mode="after")
    def _workers_have_environments(self) -> Self:
        workers = self.cluster.workers
        if workers > self.env.count:
            raise ValueError(
                f"cluster.workers={workers} exceeds env.count={self.env.count}; lower one or raise the other"
            )
        if workers and self.env.processes:
            raise ValueError("env.processes and cluster.workers both say who steps the environments; leave one out")
        return self

    @model_validator(mode="after")
    def _sequences_divide_the_rollout(self) -> Self:
        length, steps = self.learner.sequence_length, self.learner.rollout_steps
        if length is not None and self.network.recurrent == "none":
            raise ValueError("learner.sequence_length needs a recurrent policy; set network.recurrent or leave it out")
        if length is not None and steps % length:
            raise ValueError(f"learner.rollout_steps {steps} is not a multiple of learner.sequence_length {length}")
        return self
