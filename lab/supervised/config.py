"""What a supervised experiment can be told."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from lab.config.budget_defaults import from_first_budget
from lab.config.sections import Config, ExperimentConfig, name_of
from lab.supervised.metrics import GRADES
from lab.train.config import TrainingConfig as CommonTrainingConfig


def _as_text(value: Any) -> Any:
    """YAML reads the names of digits as numbers."""
    return [str(name) for name in value] if isinstance(value, list | tuple) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_text)]
Activation = Literal["relu", "leaky_relu", "silu", "gelu", "tanh"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


class DataConfig(Config):
    """What is learned from, and what it is tested on; without `test_source`, a share `held_out` of the first is kept.

    source: a set of pictures (as `lab data inspect` takes), a table (FILE.csv with a header, or one by name, such as
    iris) or a function of one number by name (wave). target: the column of a table that is to be told, "target" or
    "label" unless given. classes: by name, those that are kept, numbered anew. fraction: of the examples to learn from
    that are kept, the same share of every class; the test stays whole.
    """

    source: str = "digits"
    test_source: str | None = None
    held_out: float = Field(default=0.2, gt=0.0, lt=1.0)
    target: str = ""
    classes: Names = ()
    fraction: float = Field(default=1.0, gt=0.0, le=1.0)


class CNNConfig(Config):
    """One 3x3 block per entry of `channels`, each halving the picture, then a hidden layer of features."""

    name: Literal["cnn"] = "cnn"
    channels: Widths = (16, 32, 64)
    features: PositiveInt = 64
    norm: Literal["batch", "none"] = "batch"
    activation: Activation = "relu"


class ResNetConfig(Config):
    """Stages of a 3x3 block and `blocks` residual blocks; every stage after the first halves the picture.

    logit_scale: what the last layer's answers are multiplied by, which keeps a high learning rate from running away
    with them (Page 2018).
    """

    name: Literal["resnet"] = "resnet"
    channels: Widths = (32, 64, 128, 256)
    blocks: tuple[NonNegativeInt, ...] = (0, 1, 0, 1)
    logit_scale: PositiveFloat = 0.125

    @model_validator(mode="after")
    def _one_number_a_stage(self) -> Self:
        if len(self.blocks) != len(self.channels):
            raise ValueError(
                f"{len(self.channels)} channels but {len(self.blocks)} blocks; give both one entry a stage"
            )
        return self


class TowerConfig(Config):
    """AlphaZero's residual tower, at the picture's own size throughout."""

    name: Literal["tower"] = "tower"
    channels: PositiveInt = 32
    blocks: NonNegativeInt = 3
    norm: Literal["batch", "group", "layer", "none"] = "batch"
    squeeze_excitation: NonNegativeInt = 0


class AlexNetConfig(Config):
    """Krizhevsky et al. 2012, for pictures from 16 pixels on; `width` scales every layer."""

    name: Literal["alexnet"] = "alexnet"
    width: PositiveFloat = 0.25
    dropout: Share = 0.5


class MLPConfig(Config):
    """Layers of the widths `hidden` over a row of a table or the pixels of a picture.

    spread: of a table, factor of the first layer's weights, whose biases are drawn along, at the start: above 1 its
    units turn more sharply, each at a place of its own, which functions with many turns need.
    """

    name: Literal["mlp"] = "mlp"
    hidden: Widths = (128,)
    activation: Activation = "relu"
    norm: Literal["batch", "layer", "none"] = "none"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    spread: PositiveFloat = 1.0


NetworkConfig = Annotated[
    Annotated[CNNConfig, Tag("cnn")]
    | Annotated[ResNetConfig, Tag("resnet")]
    | Annotated[TowerConfig, Tag("tower")]
    | Annotated[AlexNetConfig, Tag("alexnet")]
    | Annotated[MLPConfig, Tag("mlp")],
    Discriminator(name_of),
]


class ClassificationConfig(Config):
    """Cross-entropy. class_weights: of errors; "balanced" gives every class the same say, whatever its size.

    label_smoothing: share of the target that is spread over all classes. mirror: test pictures are also seen from the
    left to the right, and both answers averaged.
    """

    name: Literal["classification"] = "classification"
    class_weights: Literal["none", "balanced"] | tuple[PositiveFloat, ...] = "none"
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    mirror: bool = False


class RegressionConfig(Config):
    """Squared error of a number, relative to its variance."""

    name: Literal["regression"] = "regression"


class DenoisingConfig(Config):
    """Pictures without their noise, whose standard deviation is a share `noise` of the range of a pixel."""

    name: Literal["denoising"] = "denoising"
    noise: float = Field(default=0.1, gt=0.0, le=1.0)


class ReconstructionConfig(Config):
    """An autoencoder through `code` numbers. normal: classes it is trained on; all others are anomalies to be found."""

    name: Literal["reconstruction"] = "reconstruction"
    code: PositiveInt = 16
    normal: Names = ()


TaskConfig = Annotated[
    Annotated[ClassificationConfig, Tag("classification")]
    | Annotated[RegressionConfig, Tag("regression")]
    | Annotated[DenoisingConfig, Tag("denoising")]
    | Annotated[ReconstructionConfig, Tag("reconstruction")],
    Discriminator(name_of),
]


class AugmentConfig(Config):
    """What is done to every picture that is learned from, in this order; 0 or false is not.

    mirror: half of them left to right. crop: moved by up to so many pixels each way, `border` coming in. rotation: by
    up to so many degrees. scale: larger or smaller by up to this share. hue: colours turned by up to this share of
    their circle. grey: share of pictures that become black and white. noise: standard deviation as a share of the
    range of a pixel. cutout: side of a square that becomes grey, in pixels.
    """

    mirror: bool = False
    crop: NonNegativeInt = 2
    border: Literal["edge", "reflect", "black"] = "edge"
    rotation: float = Field(default=0.0, ge=0.0, le=180.0)
    scale: float = Field(default=0.0, ge=0.0, le=1.0)
    hue: float = Field(default=0.0, ge=0.0, le=0.5)
    grey: Share = 0.0
    noise: Share = 0.0
    cutout: NonNegativeInt = 0


class TrainingConfig(CommonTrainingConfig):
    """An iteration ends after `images_per_iteration`, be they pictures or rows, and the learning rate's schedule after
    `decay_images`; left out, that is the budget the run is created with, and a later change of the budget does not
    move it.
    """

    decay_images: PositiveInt | None = None
    images_per_iteration: PositiveInt = 3000

    @property
    def period(self) -> int:
        """`decay_images`, which a whole configuration has taken from the budget where it was left out."""
        assert self.decay_images is not None
        return self.decay_images


class TrunkConfig(Config):
    """Where the trunk, all but the last layers, comes from: the `checkpoint` of a supervised run, by name or path.

    freeze: it stays as it is, statistics included, and the layers after it alone learn.
    """

    run: str = ""
    checkpoint: str = "best"
    freeze: bool = False

    @model_validator(mode="after")
    def _something_to_freeze(self) -> Self:
        if self.freeze and not self.run:
            raise ValueError("freeze keeps a trunk as it was trained; name the run that it comes from in trunk.run")
        return self


class SupervisedConfig(ExperimentConfig):
    """A complete supervised experiment. The budget counts images, or rows, trained on."""

    supports_learners: ClassVar[bool] = True
    perturbable: ClassVar[tuple[str, ...]] = ("training.learning_rate", "training.batch_size", "augment.crop")
    names_runs: ClassVar[tuple[str, ...]] = ("trunk.run",)

    kind: Literal["supervised"] = "supervised"
    data: DataConfig = DataConfig()
    task: TaskConfig = ClassificationConfig()
    network: NetworkConfig = CNNConfig()
    trunk: TrunkConfig = TrunkConfig()
    augment: AugmentConfig = AugmentConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="before")
    @classmethod
    def _named_sections(cls, settings: Any) -> Any:
        """A network or task without a name is a CNN or a classification."""
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
        if self.training.batch_size < self.cluster.learners:
            raise ValueError(
                f"training.batch_size {self.training.batch_size} leaves some of {self.cluster.learners} learners "
                "without an image; lower cluster.learners"
            )
        if self.cluster.learners > 1 and self.training.micro_batch:
            raise ValueError(
                "training.micro_batch and cluster.learners both split a batch, and norms would see other parts of it "
                "than in one process; leave one out"
            )
        if self.cluster.learners > 1 and getattr(self.network, "dropout", None):
            raise ValueError("dropout draws other masks on several learners than in one process; set network.dropout=0")
        return self

    @model_validator(mode="after")
    def _network_can_do_the_task(self) -> Self:
        if self.task.name == "denoising" and self.network.name != "tower":
            raise ValueError(
                f"a {self.network.name} does not keep the picture's size, which denoising needs; use network.name=tower"
            )
        return self

    @model_validator(mode="after")
    def _the_best_is_a_grade_of_the_task(self) -> Self:
        best, task = self.evaluate.best, self.task
        finds_anomalies = isinstance(task, ReconstructionConfig) and task.normal
        grades = [name for name in GRADES[task.name] if name != "eval/auroc" or finds_anomalies]
        if best is not None and best not in grades:
            raise ValueError(f"evaluate.best: {task.name} has no grade {best!r}; use {' or '.join(grades)}")
        return self
