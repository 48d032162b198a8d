"""Configuration of a sequences experiment."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, field_validator, model_validator

from lab.config import sections
from lab.config.budget_defaults import from_first_budget
from lab.config.limits import Count, Few, Length, RecurrentDepth, Width
from lab.config.sections import Config, ExperimentConfig
from lab.config.suggestions import did_you_mean
from lab.sequences.shapes import SHAPES, SequenceShape, ShapeName
from lab.sequences.tasks import TASKS
from lab.train.config import TrainingConfig as CommonTrainingConfig


class DataConfig(Config):
    """Examples of a generated task or of a file."""

    task: str | None = Field(default=None, description="Generated task; see `lab.sequences.tasks`.")
    size: Width | None = Field(default=None, description="Size of the task, such as its largest number of digits.")
    source: str | None = Field(
        default=None,
        description='File with a tab between input and target, .jsonl with "input" and "target", .csv with columns '
        "text and label, made texts by name (reviews, commands), or text for a language model; by default a "
        "language model reads generated sentences.",
    )
    test_source: str | None = Field(
        default=None, description="Test file; by default examples are held out of the source."
    )
    held_out: float = Field(
        default=1 / 16,
        gt=0.0,
        le=0.5,
        description="Fraction of the inputs held out for the test, by a hash of the input; of a text its last part.",
    )
    input_words: bool = Field(default=False, description="Tokens of inputs are words instead of characters.")
    target_words: bool = Field(default=False, description="Tokens of targets are words instead of characters.")
    numbers: bool = Field(default=False, description="Targets are numbers.")
    unknown: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="Fraction of the words of training inputs that are replaced by the unknown word. Above 0 any word "
        "can be read: in lower case, without punctuation, and as the unknown word if training lacks it.",
    )
    intents: bool = Field(
        default=False,
        description="The last tag of a target is the intent of the input; the others are slots: B-NAME, I-NAME, O.",
    )
    max_length: Length = Field(default=256, description="Largest number of tokens of a sequence in a file.")
    window: Length = Field(default=64, description="Characters of a training example of a language model.")

    @field_validator("task")
    @classmethod
    def _known(cls, task: str | None) -> str | None:
        if task is not None and task not in TASKS:
            raise ValueError(f"no task {task!r}; {did_you_mean(task, TASKS)}")
        return task

    @model_validator(mode="after")
    def _task_or_source(self) -> Self:
        if self.task is not None:
            if self.source is not None:
                raise ValueError(
                    "task and source contradict each other: a task generates its examples; give one (data.task=null "
                    "data.size=null to use the file)"
                )
            sizes, unit = TASKS[self.task].sizes, TASKS[self.task].unit
            if self.size is not None and self.size not in sizes:
                raise ValueError(f"size of {self.task} ({unit}) is from {sizes[0]} to {sizes[-1]}, not {self.size}")
        elif self.size is not None:
            raise ValueError("size belongs to a task; remove it, or name the task")
        if self.source is None and self.test_source is not None:
            raise ValueError("test_source needs source, which is not set")
        return self

    @property
    def modulus(self) -> int:
        """One of this many inputs is held out."""
        return max(2, round(1.0 / self.held_out))


class NetworkConfig(Config):
    """A recurrent network."""

    shape: ShapeName = Field(
        default="encoder_decoder",
        description="one_to_one and one_to_many read an input of fixed length in one step, many_to_one answers after "
        "the last token, many_to_many at every token, encoder_decoder generates a sequence after reading all tokens; "
        "language_model continues a text.",
    )
    cell: Literal["lstm", "gru"] = Field(default="lstm", description="Recurrent cell.")
    hidden: Width = Field(default=128, description="Units of each layer.")
    layers: RecurrentDepth = Field(default=1, description="Recurrent layers; of an encoder_decoder in the decoder.")
    encoder_layers: RecurrentDepth | None = Field(
        default=None, description="Layers of an encoder_decoder's encoder; by default `layers`."
    )
    bidirectional: bool = Field(default=False, description="Read inputs in both directions.")
    attention: Literal["top", "bottom"] = Field(
        default="top", description="Decoder layer that attention follows: the last, or the first of several."
    )
    heads: Width = Field(default=1, description="Attention heads.")
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0, description="Dropout probability between layers.")

    @property
    def kind(self) -> SequenceShape:
        """The entry of `shape` in the table of shapes."""
        return SHAPES[self.shape]

    @model_validator(mode="after")
    def _settings_of_the_shape(self) -> Self:
        kind = self.kind
        if self.bidirectional and kind.is_language_model:
            raise ValueError("bidirectional: a language model would see the tokens it predicts; set it to false")
        if self.bidirectional and kind.fixed_length:
            raise ValueError(f"bidirectional: {self.shape} reads one step, the same both ways; set it to false")
        if not kind.attends:
            if self.encoder_layers is not None:
                raise ValueError(f"encoder_layers: {self.shape} has no encoder of its own; remove it")
            if self.attention != "top" or self.heads > 1:
                raise ValueError(f"attention and heads: {self.shape} has no attention; remove them")
        if self.attention == "bottom" and self.layers < 2:
            raise ValueError("attention bottom needs two layers; set layers to 2, or attention to top")
        return self


class TrainingConfig(CommonTrainingConfig):
    """Gradient descent."""

    gradient_clip: float | None = Field(
        default=1.0,
        gt=0.0,
        description="Gradient clipping: largest norm of the gradient; larger gradients are scaled down.",
    )
    teacher_forcing: float = Field(
        default=1.0,
        ge=0.0,
        le=1.0,
        description="Fraction of steps at which the decoder reads the target token, not its own (scheduled sampling).",
    )
    decay_examples: Count | None = Field(
        default=None,
        description="Examples after which the learning-rate schedule ends; by default the first budget.",
    )
    examples_per_iteration: Count = Field(default=10_000, description="Examples per iteration.")

    @property
    def period(self) -> int | None:
        """`decay_examples`, which the experiment's configuration sets to the budget if it is missing."""
        return self.decay_examples


class EvaluateConfig(sections.EvaluateConfig):
    """When and how the network is evaluated."""

    beam: Few = Field(default=1, description="Width of the beam search for sequences; 1 is greedy decoding.")
    length_penalty: NonNegativeFloat = Field(
        default=0.0, description="Exponent of the length by which scores of a beam are divided."
    )


class SequencesConfig(ExperimentConfig):
    """A sequences experiment. The budget counts training examples."""

    supports_learners: ClassVar[bool] = True

    kind: str = Field(default="sequences", description="Kind of experiment.")
    data: DataConfig = Field(default=DataConfig(), description="Training and test examples.")
    network: NetworkConfig = Field(default=NetworkConfig(), description="The network.")
    training: TrainingConfig = Field(default=TrainingConfig(), description="Gradient descent.")
    evaluate: EvaluateConfig = Field(default=EvaluateConfig(), description="When and how the network is evaluated.")

    @property
    def predicts_numbers(self) -> bool:
        """Whether answers are numbers rather than tokens."""
        task = self.data.task
        return self.data.numbers if task is None else TASKS[task].make(TASKS[task].sizes[0]).answer == "number"

    @property
    def _metrics(self) -> tuple[str, ...]:
        """The metrics of an evaluation, the first the most telling."""
        if self.predicts_numbers:
            return ("eval/rmse", "eval/rounded_accuracy")
        if self.network.kind.is_language_model:
            return ("eval/perplexity", "eval/loss", "eval/bits_per_token", "eval/token_accuracy")
        if self.data.intents:
            return ("eval/exact_match", "eval/slot_f1", "eval/intent_accuracy", "eval/token_accuracy", "eval/loss")
        return ("eval/exact_match", "eval/token_accuracy", "eval/loss", "eval/perplexity")

    @model_validator(mode="before")
    @classmethod
    def _decay_over_the_first_budget(cls, settings: Any) -> Any:
        return from_first_budget(settings, "training", "decay_examples")

    @model_validator(mode="before")
    @classmethod
    def _perplexity_decides(cls, settings: Any) -> Any:
        """The best checkpoint of a language model is that of the lowest perplexity, unless another metric is given.

        Its accuracy peaks long before the probabilities that text is sampled from are at their best.
        """
        if not isinstance(settings, Mapping):
            return settings
        network, evaluate = settings.get("network"), settings.get("evaluate", {})
        if not isinstance(network, Mapping) or network.get("shape") != "language_model":
            return settings
        if not isinstance(evaluate, Mapping) or "best" in evaluate:
            return settings
        return {**settings, "evaluate": {**evaluate, "best": "eval/perplexity"}}

    @model_validator(mode="after")
    def _best_is_a_metric_of_the_shape(self) -> Self:
        best, known = self.evaluate.best, self._metrics
        if best is not None and best not in known:
            answers = "numbers" if self.predicts_numbers else self.network.shape
            raise ValueError(f"evaluate.best: {answers} has no metric {best!r}; use {' or '.join(known)}")
        return self

    @model_validator(mode="after")
    def _the_shape_answers_the_task(self) -> Self:
        shape, kind, task = self.network.shape, self.network.kind, self.data.task
        if kind.is_language_model:
            if task is not None:
                raise ValueError(
                    f"network.shape language_model reads a text, not the task {task!r}; set data.task=null and "
                    "data.size=null"
                )
        elif task is not None:
            made = TASKS[task].make(TASKS[task].sizes[0])  # the type of answer does not depend on the size
            fitting = [
                name
                for name, other in SHAPES.items()
                if made.answer in other.answers and (made.fixed_length or not other.fixed_length)
            ]
            if shape not in fitting:
                raise ValueError(f"network.shape {shape} does not fit the task {task!r}; use {' or '.join(fitting)}")
        elif self.data.source is None:
            raise ValueError(f"no data to train on: give data.task (one of {', '.join(TASKS)}) or data.source")
        if self.data.numbers and "number" not in kind.answers:
            raise ValueError(
                f"data.numbers: {shape} does not predict numbers; use network.shape many_to_one or one_to_one"
            )
        return self

    @model_validator(mode="after")
    def _token_settings_are_for_files(self) -> Self:
        data, kind = self.data, self.network.kind
        for name in ("input_words", "target_words", "numbers"):
            if getattr(data, name) and (data.task is not None or kind.is_language_model):
                why = "a language model reads characters" if data.task is None else "a task has its own vocabulary"
                raise ValueError(f"data.{name} is for examples in a file, and {why}; leave it false")
        if data.target_words and kind.labels:
            shape = self.network.shape
            raise ValueError(f"data.target_words has no effect on {shape}, whose answer is one label; leave it false")
        return self

    @model_validator(mode="after")
    def _words_for_unknown_words_and_intents(self) -> Self:
        data = self.data
        if data.unknown and not data.input_words:
            raise ValueError("data.unknown replaces words of inputs; set data.input_words=true, or leave it at 0")
        if data.intents:
            if "tags" not in self.network.kind.answers:
                raise ValueError(f"data.intents: {self.network.shape} gives no tags; use network.shape many_to_many")
            if not (data.input_words and data.target_words):
                raise ValueError(
                    "data.intents: tags and words are separated by spaces; set data.input_words=true "
                    "data.target_words=true"
                )
        return self

    @model_validator(mode="after")
    def _decoding_is_for_writers(self) -> Self:
        if not self.network.kind.writes:
            shape = self.network.shape
            if self.training.teacher_forcing < 1.0:
                raise ValueError(f"training.teacher_forcing has no effect on {shape}; leave it at 1")
            if self.evaluate.beam > 1 or self.evaluate.length_penalty:
                raise ValueError(
                    f"evaluate.beam and evaluate.length_penalty have no effect on {shape}; leave them at 1 and 0"
                )
        return self

    @model_validator(mode="after")
    def _enough_for_the_learners(self) -> Self:
        self.training.check_learners(self.cluster.learners, self.network.dropout)
        return self


def verbs_of(config: SequencesConfig) -> tuple[str, ...]:
    """Verbs of a run: a language model samples text, all other networks predict."""
    return ("eval", "export", "sample" if config.network.kind.is_language_model else "predict")
