"""A voice as an experiment: an acoustic model that learns from recordings with known phones and durations."""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lab.audio.griffin_lim import mel_to_wave
from lab.audio.wav import write_wav
from lab.errors import CheckpointError, UserError
from lab.nets.rnn import set_padding_masked
from lab.plots.images import save_png
from lab.plots.media import Image, Media
from lab.run import memory_needs
from lab.run.experiment import Evaluation, Experiment
from lab.speech.config import SpeechConfig
from lab.speech.dataset import SpeechBatch, open_speech
from lab.speech.evaluation import evaluate
from lab.speech.figures import spectrogram_picture
from lab.speech.memory import data_needs, training_needs
from lab.speech.metrics import CATALOGUE
from lab.speech.network import AcousticModel, losses
from lab.train.device import Device
from lab.train.learning_rate import learning_rate_at, warn_of_early_decay
from lab.train.modes import evaluating
from lab.train.step import GradientStep, LossTerm, StepResult, mean_of

_SHOWN = 3  # sentences of an evaluation that are kept as pictures and waves


class Speech(Experiment):
    """The acoustic model of a voice and its gradient step."""

    progress = "examples"
    catalogue = CATALOGUE

    def __init__(self, config: SpeechConfig, directory: Path, device: Device) -> None:
        # float32: a step is many small products of recurrent layers; bf16 has not been tried.
        self.config, self._directory, self._device = config, directory, replace(device, precision="fp32")
        memory_needs.check(data_needs(config), device)
        self.data = open_speech(config.data, config.mel)
        longest = max(self.data.training, key=lambda item: len(item.mel))
        memory_needs.check(training_needs(config, len(longest.phones), len(longest.mel), self._device), device)
        self.network = AcousticModel(config.network, config.mel.bands)
        self.network.set_scale(self.data.scale)
        self.network.to(device.device)
        # Packing is faster on a CPU; on a GPU it costs a host sync for the lengths.
        set_padding_masked(self.network, device.device.type != "cpu")
        assert config.training.decay_examples is not None, "set from the budget by the configuration"
        self._period = config.training.decay_examples
        warn_of_early_decay(config.training, config.budget, self._period, "examples")
        predictors = (self.network.duration, self.network.pitch, self.network.energy)
        self._gradient_step = GradientStep(
            self.network, config.training, self._device, heads=[*predictors, self.network.out]
        )
        self._examples = 0

    @property
    def counters(self) -> dict[str, int]:
        return {"examples": self._examples}

    def iterate(self) -> dict[str, float]:
        """Train on at least `examples_per_iteration` sentences."""
        training, start, first = self.config.training, time.perf_counter(), self._examples
        steps: list[StepResult] = []
        frames = 0
        while self._examples < first + training.examples_per_iteration:
            rate = self._learning_rate
            batch = self.data.batch(self._examples, training.batch_size, self.config.seed)
            frames += int(batch.durations.sum())
            steps.append(self._step(batch.to(self._device.device), rate))
        means = mean_of(steps)  # waits for the device, so that the time counts the work
        seconds = time.perf_counter() - start
        return {
            "loss/total": float(means.loss),
            **{f"loss/{name}": float(value) for name, value in means.statistics.items()},
            "train/gradient_norm": float(means.gradient_norm),
            "train/learning_rate": rate,
            "train/samples_per_s": (self._examples - first) / seconds,
            "train/frames_per_s": frames / seconds,
        }

    def step(self, rate: float | None = None) -> StepResult:
        """One batch, at the learning rate of the schedule unless `rate` is given."""
        batch = self.data.batch(self._examples, self.config.training.batch_size, self.config.seed)
        return self._step(batch.to(self._device.device), self._learning_rate if rate is None else rate)

    def evaluate(self) -> Evaluation:
        """Errors on held-out sentences, and some of them as pictures and waves in samples/."""
        settings, mel = self.config.evaluate, self.config.mel
        with evaluating(self.network):
            found = evaluate(self.network, self.data, mel, settings.sentences, self._device.device)
        media: list[Media] = []
        folder = self._directory / "samples"
        for index, (spoken, true) in enumerate(list(zip(found.spoken, found.true, strict=True))[:_SHOWN]):
            name = f"{self._examples:09d}-{index}"
            pixels = spectrogram_picture([true, spoken])
            save_png(folder / f"{name}.png", pixels)
            wave = mel_to_wave(spoken.T[None], mel, iterations=settings.iterations)[0]
            write_wav(folder / f"{name}.wav", wave, mel.rate)
            words = self.data.held_out_lines[index].words
            media.append(Image(f"spectrogram_{index}", pixels, f"recording above, voice below: {words}"))
        return Evaluation(found.metrics, media)

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self._gradient_step.state_dict(),
            "examples": self._examples,
            "data": self.data.fingerprint,
            "lexicon": self.data.lexicon,
            "rules": self.data.rules,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if not {"network", "data", "lexicon", "rules", "examples"} <= set(state):
            raise CheckpointError("it is not of a voice")
        check_same_data(self.config, self.data.fingerprint, str(state["data"]))
        if (state["lexicon"], state["rules"]) != (self.data.lexicon, self.data.rules):
            raise CheckpointError("its pronunciations are damaged")
        try:
            self.network.load_state_dict(state["network"])
        except (RuntimeError, TypeError, AttributeError):
            raise CheckpointError("its network is not the one of this run's config.yaml") from None
        self._gradient_step.load_state_dict(state.get("optimizer", {}))
        self._examples = state["examples"]

    @property
    def _learning_rate(self) -> float:
        return learning_rate_at(self.config.training, self._examples, self._period)

    def _step(self, batch: SpeechBatch, rate: float) -> StepResult:
        self.network.train()
        found = self._gradient_step(
            partial(self._losses, batch),
            rows=len(batch.phones),
            learning_rate=rate,
            micro_batch=self.config.training.micro_batch,
        )
        self._examples += self.config.training.batch_size
        return found

    def _losses(self, batch: SpeechBatch, rows: slice) -> LossTerm:
        part, weights = batch.part(rows), self.config.loss
        sums = losses(self.network(*part[:4]), part.mel, part.durations, part.pitch, part.energy)
        phones, frames = batch.lengths.sum(), batch.frames.sum()
        means = {name: value / (frames if name == "mel" else phones) for name, value in sums.items()}
        total = means["mel"]
        for name in ("duration", "pitch", "energy"):
            total = total + getattr(weights, name) * means[name]
        return LossTerm(total, means)


def check_same_data(config: SpeechConfig, fingerprint: str, trained_on: str) -> None:
    """Raise UserError for recordings that differ from those a run was trained on."""
    if fingerprint != trained_on:
        raise UserError(
            f"{config.data.source} is not the data this run was trained on: put the old data back, or start a new run"
        )


def build(config: SpeechConfig, directory: Path, device: Device) -> Speech:
    """The experiment of a run directory; see `lab.config.registry.Kind.build`."""
    return Speech(config, directory, device)
