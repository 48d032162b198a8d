"""The sequences experiment: a recurrent network that is tested on held-out inputs."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab import rng
from lab.errors import CheckpointError
from lab.nets.rnn import set_padding_masked
from lab.plots.images import save_png
from lab.plots.media import Image, Media, Text
from lab.run import memory_needs
from lab.run.experiment import Evaluation, Experiment
from lab.sequences.attention_map import attention_map
from lab.sequences.batch import SequenceBatch
from lab.sequences.config import SequencesConfig
from lab.sequences.data import check_same_data, open_data, sizes_of
from lab.sequences.evaluation import (
    SetEvaluation,
    evaluate_set,
    evaluate_text,
    examples_table,
    lengths_table,
    with_frames,
)
from lab.sequences.memory import data_needs, training_needs
from lab.sequences.metrics import CATALOGUE
from lab.sequences.network import Decoding, EncoderDecoder, TokenClassifier, heads_of, loss_sum
from lab.sequences.sampling import sample
from lab.sequences.shapes import build_network
from lab.sequences.vocabulary import PAD
from lab.train.collectives import ranks
from lab.train.device import Device
from lab.train.learning_rate import learning_rate_at, warn_of_early_decay
from lab.train.measured_precision import for_gradient_steps
from lab.train.modes import evaluating
from lab.train.step import GradientStep, LossSum, StepResult, mean_of

_MAPS = 4  # attention maps of an evaluation
_SAMPLE, _TEMPERATURE = 400, 0.7  # of the sample text of an evaluation


class Sequences(Experiment):
    """A network and its gradient step.

    Each of several ranks computes its part of every batch, and all take the same steps.
    """

    progress = "examples"
    catalogue = CATALOGUE

    def __init__(self, config: SequencesConfig, directory: Path, device: Device) -> None:
        self.config, self._directory, self._device = config, directory, device
        memory_needs.check(data_needs(config), device)
        self.data = open_data(config, device.device)
        sizes = sizes_of(self.data.inputs, self.data.targets, self.data.longest)
        memory_needs.check(training_needs(config, sizes, self.data.longest, device), device)
        self.network = build_network(config.network, sizes)
        self.network.to(device.device)
        # Packing is faster on a CPU; on a GPU it costs a host sync for the lengths.
        set_padding_masked(self.network, device.device.type != "cpu")
        assert config.training.decay_examples is not None, "set from the budget by the configuration"
        self._period = config.training.decay_examples
        self._rows = ranks().rows(config.training.batch_size)
        rows = config.training.rows_at_once(self._rows.stop - self._rows.start)
        measured = for_gradient_steps(
            directory,
            device,
            self.network,
            lambda network, part: self._losses(network, self._batch(0, rows), 0, part),
            rows=rows,
        )
        self._gradient_step = GradientStep(self.network, config.training, measured, heads=heads_of(self.network))
        warn_of_early_decay(config.training, config.budget, self._period, "examples")
        self._examples = 0

    @property
    def counters(self) -> dict[str, int]:
        return {"examples": self._examples}

    def iterate(self) -> dict[str, float]:
        """Train on at least `examples_per_iteration` examples."""
        training, start, first = self.config.training, time.perf_counter(), self._examples
        steps: list[StepResult] = []
        tokens: list[Tensor] = []
        while self._examples < first + training.examples_per_iteration:
            rate = self._learning_rate
            step, predicted = self._advance(None)
            steps.append(step)
            tokens.append(predicted)
        numbers = self.data.targets is None
        means = mean_of(steps)  # waits for the device, so that the time counts the work
        seconds = time.perf_counter() - start
        values = {
            "loss/squared_error" if numbers else "loss/cross_entropy": float(means.loss) * self.data.scale.deviation**2,
            "train/gradient_norm": float(means.gradient_norm),
            "train/learning_rate": rate,
            "train/samples_per_s": (self._examples - first) / seconds,
        }
        of_all_ranks = float(torch.stack(tokens).sum()) * training.batch_size / (self._rows.stop - self._rows.start)
        return values if numbers else values | {"train/tokens_per_s": of_all_ranks / seconds}

    def step(self, rate: float | None = None) -> StepResult:
        """One batch, at the learning rate of the schedule unless `rate` is given."""
        return self._advance(rate)[0]

    def evaluate(self) -> Evaluation:
        with evaluating(self.network):
            return self._evaluate_text() if self.config.network.kind.is_language_model else self._evaluate_examples()

    def _evaluate_examples(self) -> Evaluation:
        data, settings = self.data, self.config.evaluate
        decoding = Decoding(data.longest[1], settings.beam, settings.length_penalty)
        found = evaluate_set(self.network, data.test, self._device.device, decoding, data.scale)
        if self.config.data.intents and data.targets is not None:
            found = with_frames(found, data.test, data.targets)
        media: list[Media] = [
            examples_table(found, data.test, data.inputs, data.targets),
            lengths_table(found, data.test),
            *self._attention(found),
        ]
        return Evaluation(found.metrics, media)

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self._gradient_step.state_dict(),
            "examples": self._examples,
            "data": self.data.fingerprint,
            "inputs": list(self.data.inputs.tokens),
            "targets": None if self.data.targets is None else list(self.data.targets.tokens),
            "longest": list(self.data.longest),
            "scale": list(self.data.scale),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        check_same_data(self.config, self.data, str(state.get("data")))
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError:
            raise CheckpointError("its network is not the one of this run's config.yaml") from None
        self._gradient_step.load_state_dict(state.get("optimizer", {}))
        self._examples = state["examples"]

    @property
    def _learning_rate(self) -> float:
        return learning_rate_at(self.config.training, self._examples, self._period)

    def _advance(self, rate: float | None) -> tuple[StepResult, Tensor]:
        """One step, and the number of target tokens of this rank, 0-d."""
        self.network.train()
        start, count = self._examples + self._rows.start, self._rows.stop - self._rows.start
        examples = self._batch(start, count)
        step = self._gradient_step(
            partial(self._losses, self.network, examples, start),
            rows=count,
            learning_rate=self._learning_rate if rate is None else rate,
            micro_batch=self.config.training.micro_batch,
        )
        self._examples += self.config.training.batch_size
        return step, (examples.targets != PAD).sum()

    def _batch(self, start: int, count: int) -> SequenceBatch:
        examples = self.data.at(start, count)
        if examples.inputs.device.type == "cpu" and count:
            examples = examples.trimmed()
        return examples.to(self._device.device)

    def _losses(self, network: Any, examples: SequenceBatch, start: int, rows: slice) -> LossSum:
        part = examples.part(rows)
        outputs = network(*part, forced=self._forced(part.targets, start + rows.start))
        return loss_sum(outputs, part.targets)

    def _forced(self, targets: Tensor, start: int) -> Tensor | None:
        """bool [B, T]: where the decoder reads the target token, drawn per example number and position."""
        probability = self.config.training.teacher_forcing
        if probability >= 1.0:
            return None
        numbers = torch.arange(start, start + len(targets), device=targets.device)[:, None]
        places = torch.arange(targets.shape[1], device=targets.device)
        return rng.uniform(self.config.seed, int(rng.Stream.TEACHER), numbers, places) < probability

    def _evaluate_text(self) -> Evaluation:
        assert isinstance(self.network, TokenClassifier)
        metrics = evaluate_text(self.network, self.data.test, self._device.device)
        prompt = self.data.test.inputs[:1, :1].to(self._device.device)
        written = sample(self.network, prompt, _SAMPLE, temperature=_TEMPERATURE)
        text = self.data.inputs.decode(torch.cat([prompt, written], dim=1)[0].tolist())
        return Evaluation(metrics, [Text("sample", text, f"at temperature {_TEMPERATURE}")])

    def _attention(self, found: SetEvaluation) -> Sequence[Image]:
        """Attention maps as media and in the run directory, wrong answers first."""
        if not isinstance(self.network, EncoderDecoder) or self.data.targets is None:
            return []
        chosen = torch.argsort(found.right.long(), stable=True)[:_MAPS]
        examples = SequenceBatch(*(tensor[chosen] for tensor in self.data.test))
        image = attention_map(self.network, examples, found.answers[chosen], self.data.inputs, self.data.targets)
        save_png(self._directory / "samples" / f"attention_{self._examples:09d}.png", image.pixels)
        return [image]


def build(config: SequencesConfig, directory: Path, device: Device) -> Sequences:
    """The experiment of a run directory; see `lab.config.registry.Kind.build`."""
    return Sequences(config, directory, device)
