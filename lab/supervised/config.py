"""Configuration of a supervised experiment."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lab.config.budget_defaults import from_first_budget
from lab.config.limits import Count, SideOrZero
from lab.config.sections import Config, ExperimentConfig
from lab.supervised.backbones import CNNConfig, NetworkConfig
from lab.supervised.tasks.classification import Classification
from lab.supervised.tasks.table import TaskConfig
from lab.supervised.tasks.task import Names
from lab.train.config import TrainingConfig as CommonTrainingConfig


class DataConfig(Config):
    """Training and test data; without a `test_source`, part of the source is held out for testing."""

    source: str = Field(
        default="digits",
        description="Image set (a name or a packed file), table (FILE.csv or a name such as iris), function (wave), or "
        "for speech_denoising WAV files (FILE.wav, a folder, a zip) or voices.",
    )
    test_source: str | None = Field(default=None, description="Test data; by default a held-out part of the source.")
    held_out: float = Field(
        default=0.2, gt=0.0, lt=1.0, description="Fraction of the source that is held out for testing."
    )
    target: str = Field(default="", description='Target column of a table; by default "target" or "label".')
    ignore: Names = Field(default=(), description="Columns of a table that are left out.")
    categories: Names = Field(
        default=(), description="Columns of a table that are read as text, such as numbers that are names of groups."
    )
    max_categories: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Largest number of different texts in a column: each becomes an input of the network (one-hot).",
    )
    blanks: Literal["impute", "refuse"] = Field(
        default="impute",
        description="Blank cells of a table (empty, NA, NaN, null): imputed by the mean with an input that indicates "
        "them, or refused.",
    )
    date_format: str = Field(
        default="",
        max_length=100,
        description="Format of dates in a table, such as dd/mm/yyyy HH:MM; by default ISO 8601 and common ones.",
    )
    classes: Names = Field(default=(), description="Names of the classes to keep, in their new order; by default all.")
    fraction: float = Field(
        default=1.0, gt=0.0, le=1.0, description="Fraction of the training samples to keep, the same in every class."
    )


class AugmentConfig(Config):
    """Data augmentation of training images, applied in this order; 0 or false disables an operation."""

    mirror: bool | Literal["alternate"] = Field(
        default=False,
        description="Flip half of the images left to right; alternate: half of them in the first epoch, then every "
        "image in every second epoch (Jordan 2024).",
    )
    crop: SideOrZero = Field(default=2, description="Largest shift of an image in pixels.")
    border: Literal["edge", "reflect", "black"] = Field(
        default="edge", description="Pixels outside the image after a shift."
    )
    rotation: float = Field(default=0.0, ge=0.0, le=180.0, description="Largest rotation in degrees.")
    scale: float = Field(default=0.0, ge=0.0, le=1.0, description="Largest relative change of size.")
    hue: float = Field(
        default=0.0, ge=0.0, le=0.5, description="Largest rotation of the hue, as a fraction of the colour circle."
    )
    grey: float = Field(default=0.0, ge=0.0, le=1.0, description="Fraction of the images that become greyscale.")
    noise: float = Field(
        default=0.0, ge=0.0, le=1.0, description="Standard deviation of added noise as a fraction of the pixel range."
    )
    cutout: SideOrZero = Field(default=0, description="Side in pixels of a square that is set to grey.")


class TrainingConfig(CommonTrainingConfig):
    """Gradient descent. Rows of a table count as images."""

    decay_images: Count | None = Field(
        default=None,
        description="Images after which the learning-rate schedule ends; by default the first budget.",
    )
    images_per_iteration: Count = Field(default=3000, description="Images per iteration.")

    @property
    def period(self) -> int:
        """`decay_images`, which the experiment's configuration sets to the budget if it is missing."""
        assert self.decay_images is not None
        return self.decay_images


class TrunkConfig(Config):
    """Transfer learning: the trunk (all layers before the output layers) is initialised from another run."""

    run: str = Field(default="", description="Name or path of the run of the trunk; empty for a new trunk.")
    checkpoint: str = Field(default="best", description="Checkpoint of that run: best, latest or an iteration.")
    freeze: bool = Field(
        default=False, description="Do not train the trunk or update its statistics; false: fine-tuning of all layers."
    )

    @model_validator(mode="after")
    def _freeze_needs_a_run(self) -> Self:
        if self.freeze and not self.run:
            raise ValueError("freeze needs a trained trunk; set trunk.run to its run")
        return self


class SupervisedConfig(ExperimentConfig):
    """A supervised experiment. The budget counts training images (or table rows)."""

    supports_learners: ClassVar[bool] = True
    perturbable: ClassVar[tuple[str, ...]] = ("training.learning_rate", "training.batch_size", "augment.crop")
    names_runs: ClassVar[tuple[str, ...]] = ("trunk.run",)

    kind: Literal["supervised"] = Field(default="supervised", description="Kind of experiment.")
    data: DataConfig = Field(default=DataConfig(), description="Training and test data.")
    task: TaskConfig = Field(default=Classification(), description="The task: targets, loss and evaluation.")
    network: NetworkConfig = Field(default=CNNConfig(), description="The network.")
    trunk: TrunkConfig = Field(default=TrunkConfig(), description="Transfer learning.")
    augment: AugmentConfig = Field(default=AugmentConfig(), description="Data augmentation.")
    training: TrainingConfig = Field(default=TrainingConfig(), description="Gradient descent.")

    @model_validator(mode="before")
    @classmethod
    def _named_sections(cls, settings: Any) -> Any:
        """The default names: a network is a CNN, a task a classification."""
        if not isinstance(settings, Mapping):
            return settings
        names = {"network": "cnn", "task": "classification"}
        given = {
            key: {"name": name, **settings[key]}
            for key, name in names.items()
            if isinstance(settings.get(key), Mapping)
        }
        return {**settings, **given}

    @model_validator(mode="before")
    @classmethod
    def _decay_over_the_first_budget(cls, settings: Any) -> Any:
        return from_first_budget(settings, "training", "decay_images")

    @model_validator(mode="after")
    def _enough_for_the_learners(self) -> Self:
        self.training.check_learners(self.cluster.learners, getattr(self.network, "dropout", None))
        return self

    @model_validator(mode="after")
    def _network_fits_the_task(self) -> Self:
        task, network = self.task, self.network.name
        if task.networks and network not in task.networks:
            fitting = " or ".join(task.networks)
            raise ValueError(
                f"task.name={task.name} does not work with network.name={network}; use network.name={fitting}"
            )
        return self

    @model_validator(mode="after")
    def _best_is_a_metric_of_the_task(self) -> Self:
        best, known = self.evaluate.best, self.task.best_metrics
        if best is not None and best not in known:
            raise ValueError(f"evaluate.best: {self.task.name} has no metric {best!r}; use {' or '.join(known)}")
        return self
