"""What a sequences experiment can be told."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveInt, field_validator, model_validator

from lab.config.budget_defaults import from_first_budget
from lab.config.sections import Config, ExperimentConfig
from lab.config.suggestions import did_you_mean
from lab.sequences.tasks import TASKS, Answer
from lab.train.config import TrainingConfig as CommonTrainingConfig

Shape = Literal["one_to_one", "one_to_many", "many_to_one", "many_to_many", "encoder_decoder", "language_model"]

ANSWERS: dict[str, tuple[Answer, ...]] = {
    "one_to_one": ("label", "number"),
    "one_to_many": ("sequence",),
    "many_to_one": ("label", "number"),
    "many_to_many": ("tags",),
    "encoder_decoder": ("sequence",),
    "language_model": (),
}
"""What each shape of network can answer; a language model goes on with a text instead."""

WRITERS = ("one_to_many", "encoder_decoder")
ONE_STEP = ("one_to_one", "one_to_many")


class DataConfig(Config):
    """What is learned from: a generated `task` of some `size`, or a file.

    source: tab-separated lines INPUT TAB ANSWER, JSON lines with "input" and "target" (.jsonl), or, for a language
    model, any text. A language model without one reads generated sentences. test_source: another such file. held_out:
    share of the inputs that is tested on, one in so many by a hash of the input; of a text its last part.
    input_words, target_words: symbols are words between spaces rather than characters. numbers: answers are numbers.
    longest: symbols that a sequence of a file may have. window: characters that a language model sees at once.
    """

    task: str | None = None
    size: PositiveInt | None = None
    source: str | None = None
    test_source: str | None = None
    held_out: float = Field(default=1 / 16, gt=0.0, le=0.5)
    input_words: bool = False
    target_words: bool = False
    numbers: bool = False
    longest: PositiveInt = 256
    window: PositiveInt = 64

    @field_validator("task")
    @classmethod
    def _known(cls, task: str | None) -> str | None:
        if task is not None and task not in TASKS:
            raise ValueError(f"no task {task!r}; {did_you_mean(task, TASKS)}")
        return task

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.task is not None:
            if self.source is not None:
                raise ValueError(
                    "task and source contradict each other: a task makes its own examples; give one (data.task=null "
                    "data.size=null for that of a file)"
                )
            sizes, counts = TASKS[self.task].sizes, TASKS[self.task].counts
            if self.size is not None and self.size not in sizes:
                raise ValueError(f"size of {self.task} ({counts}) is from {sizes[0]} to {sizes[-1]}, not {self.size}")
        elif self.size is not None:
            raise ValueError("size is that of a task; remove it, or name the task")
        if self.source is None and self.test_source is not None:
            raise ValueError("test_source goes with source, and there is none")
        return self

    @property
    def modulus(self) -> int:
        """One input in so many is held out."""
        return max(2, round(1.0 / self.held_out))


class NetworkConfig(Config):
    """A recurrent network of some shape.

    shape: one_to_one and one_to_many read an input of fixed length in one step, many_to_one answers after the last
    step, many_to_many at every step, encoder_decoder reads all and then writes; language_model goes on with a text.
    encoder_layers: of an encoder_decoder's encoder, as many as the decoder's `layers` unless given.
    bidirectional: what is read is read both ways. attention: of the encoder_decoder, after its decoder's last layer
    ("top") or after the first of several ("bottom"), so that the others remember what was read; heads: places that it
    can read at once.
    """

    shape: Shape = "encoder_decoder"
    cell: Literal["lstm", "gru"] = "lstm"
    hidden: PositiveInt = 128
    layers: PositiveInt = 1
    encoder_layers: PositiveInt | None = None
    bidirectional: bool = False
    attention: Literal["top", "bottom"] = "top"
    heads: PositiveInt = 1
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _reads_both_ways_what_is_there(self) -> Self:
        if self.bidirectional and self.shape == "language_model":
            raise ValueError("bidirectional: a language model would see what it is to foretell; set it to false")
        if self.bidirectional and self.shape in ONE_STEP:
            raise ValueError(f"bidirectional: {self.shape} reads one step, the same both ways; set it to false")
        if self.shape != "encoder_decoder":
            if self.encoder_layers is not None:
                raise ValueError(f"encoder_layers: {self.shape} has no encoder of its own; remove it")
            if self.attention != "top" or self.heads > 1:
                raise ValueError(f"attention and heads: {self.shape} has no attention; remove them")
        if self.attention == "bottom" and self.layers < 2:
            raise ValueError(
                "attention bottom lies between layers and there is one; set layers to 2, or attention to top"
            )
        return self


class TrainingConfig(CommonTrainingConfig):
    """teacher_forcing: share of the steps at which a writer reads the true symbol rather than its own (scheduled
    sampling, Bengio et al. 2015). The learning rate's schedule ends after `decay_examples`; left out, that is the
    budget the run is created with, and a later change of the budget does not move it.
    """

    gradient_clip: float | None = Field(default=1.0, gt=0.0)
    teacher_forcing: float = Field(default=1.0, ge=0.0, le=1.0)
    decay_examples: PositiveInt | None = None
    examples_per_iteration: PositiveInt = 10_000


class DecodingConfig(Config):
    """How sequences are written when the network is graded: greedily, or by a beam (see `lab.nets.beam`)."""

    beam: PositiveInt = 1
    length_penalty: NonNegativeFloat = 0.0


class SequencesConfig(ExperimentConfig):
    """A complete sequences experiment. The budget counts examples trained on."""

    supports_learners: ClassVar[bool] = True

    kind: str = "sequences"
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()

    @model_validator(mode="before")
    @classmethod
    def _decay_over_the_first_budget(cls, settings: Any) -> Any:
        return from_first_budget(settings, "training", "decay_examples")

    @model_validator(mode="after")
    def _the_shape_answers_the_task(self) -> Self:
        shape, task = self.network.shape, self.data.task
        if shape == "language_model":
            if task is not None:
                raise ValueError(
                    f"network.shape language_model reads a text, not the task {task!r}; set data.task=null and "
                    "data.size=null"
                )
        elif task is not None:
            made = TASKS[task].make(TASKS[task].sizes[0])  # what it answers is the same at every size
            fitting = [name for name, answers in ANSWERS.items() if made.answer in answers]
            fitting = [name for name in fitting if made.fixed or name not in ONE_STEP]
            if shape not in fitting:
                raise ValueError(f"network.shape {shape} does not fit the task {task!r}; use {' or '.join(fitting)}")
        elif self.data.source is None:
            raise ValueError(f"nothing to learn from: give data.task (one of {', '.join(TASKS)}) or data.source")
        if self.data.numbers and "number" not in ANSWERS[shape]:
            raise ValueError(f"data.numbers: {shape} answers no number; use network.shape many_to_one or one_to_one")
        return self

    @model_validator(mode="after")
    def _symbols_are_those_of_examples_in_a_file(self) -> Self:
        data, shape = self.data, self.network.shape
        for name in ("input_words", "target_words", "numbers"):
            if getattr(data, name) and (data.task is not None or shape == "language_model"):
                whose = "a language model reads characters" if data.task is None else "a task has symbols of its own"
                raise ValueError(f"data.{name} is for examples in a file, and {whose}; leave it false")
        if data.target_words and "label" in ANSWERS[shape]:
            raise ValueError(f"data.target_words has no effect on {shape}, whose answer is one label; leave it false")
        return self

    @model_validator(mode="after")
    def _writers_alone_are_forced(self) -> Self:
        if self.network.shape not in WRITERS:
            if self.training.teacher_forcing < 1.0:
                raise ValueError(f"training.teacher_forcing has no effect on {self.network.shape}; leave it at 1")
            if self.decoding.beam > 1 or self.decoding.length_penalty:
                raise ValueError(f"decoding has no effect on {self.network.shape}; leave beam at 1 and no penalty")
        return self

    @model_validator(mode="after")
    def _enough_for_the_learners(self) -> Self:
        if self.training.batch_size < self.cluster.learners:
            raise ValueError(
                f"training.batch_size {self.training.batch_size} leaves some of {self.cluster.learners} learners "
                "without an example; lower cluster.learners"
            )
        if self.cluster.learners > 1 and self.training.micro_batch:
            raise ValueError(
                "training.micro_batch and cluster.learners both split a batch, and norms would see other parts of it "
                "than in one process; leave one out"
            )
        if self.cluster.learners > 1 and self.network.dropout:
            raise ValueError("dropout draws other masks on several learners than in one process; set network.dropout=0")
        return self


def verbs_of(config: SequencesConfig) -> tuple[str, ...]:
    """What `lab` can do with a run: a language model writes text, every other network answers inputs."""
    return ("eval", "export", "sample" if config.network.shape == "language_model" else "predict")
