"""The interface of supervised tasks: settings, output layers, loss, evaluation and predictions."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator
from torch import Tensor

from lab.config.sections import Config
from lab.run.experiment import Evaluation
from lab.run.metrics import Metric
from lab.supervised.inference import Views
from lab.supervised.labelled_set import LabelledSet
from lab.supervised.network import Backbone, Network
from lab.train.device import Device
from lab.train.step import LossSum


def _as_text(value: Any) -> Any:
    """YAML reads the names of digits as numbers, and a single name as a text."""
    values = [value] if isinstance(value, str | int | float) and value != "" else value
    return [str(name) for name in values] if isinstance(values, list | tuple) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_text)]


class Batch(NamedTuple):
    """Network inputs, targets of the set, and the numbers [B] of the samples."""

    inputs: Tensor
    targets: Tensor
    numbers: Tensor


Loss = Callable[[Network, Batch], LossSum]
"""Sum of the losses of a batch: micro-batches then add up to the mean of the whole batch."""


class Task(Config):
    """Base of the tasks, which are configuration sections: each adds its fields and a `name`.

    metrics: the training loss first. best_metrics: allowed values of `evaluate.best`. targets: type of the targets.
    needs_images: tables are not supported. needs_sound: the data are recordings. networks: supported networks, by
    default all. writes_images: outputs are images in [-1, 1]. output_name: of the outputs, in exported files.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    targets: ClassVar[Literal["classes", "numbers"]] = "classes"
    needs_images: ClassVar[bool] = False
    needs_sound: ClassVar[bool] = False
    writes_images: ClassVar[bool] = False
    networks: ClassVar[tuple[str, ...]] = ()
    output_name: ClassVar[str] = "logits"

    name: str

    @property
    def best_metrics(self) -> tuple[str, ...]:
        return tuple(metric.name for metric in self.metrics[1:] if metric.higher_is_better is not None)

    @property
    def views(self) -> Views:
        """The views of an image over which predictions are averaged."""
        return Views()

    @abstractmethod
    def build(self, backbone: Backbone, shape: tuple[int, ...], classes: int) -> Network:
        """The backbone with output layers for inputs of `shape`, [C, R, R] or [F]."""

    @abstractmethod
    def loss(self, train: LabelledSet, device: Device, seed: int) -> Loss:
        """The training loss. Raises UserError if the task does not fit the training set."""

    @abstractmethod
    def evaluate(self, network: Network, test: LabelledSet, device: Device, seed: int) -> Evaluation:
        """Metrics and media of the test set; the network is in evaluation mode."""

    @abstractmethod
    def predictions(self, inputs: Tensor, outputs: Tensor, classes: Sequence[str]) -> list[dict[str, Any]]:
        """One record per sample, made from its output."""

    def select(self, train: LabelledSet, test: LabelledSet) -> LabelledSet:
        """The samples to train on. Raises UserError if there are too few."""
        return train

    def baselines(self, train: LabelledSet, test: LabelledSet, seed: int) -> dict[str, Mapping[str, float]]:
        """Metrics of methods without the network on the same sets, by the name of the method; none by default."""
        return {}
