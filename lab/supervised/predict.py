"""Predictions of a run's network for image files or table rows."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lab.audio.sources import open_recordings
from lab.audio.wav import read_wav
from lab.data import decoding
from lab.data.csv_file import CsvFile, read_csv
from lab.data.image_files import MOST_BYTES
from lab.data.image_formats import HEAD, SUFFIXES, is_image
from lab.data.sources import Source, close_sources, open_source
from lab.data.tables import SUFFIX, read_rows
from lab.errors import UserError
from lab.files.plain import open_regular, read_regular
from lab.supervised.data import reading_of
from lab.supervised.inference import BATCH, as_inputs, predict_batch
from lab.supervised.tasks.speech_denoising import SpeechDenoising
from lab.supervised.transfer import Trained

_log = logging.getLogger(__name__)


def predictions(trained: Trained, source: Path) -> Iterator[tuple[list[str], Tensor, Tensor]]:
    """Names, network inputs and outputs [B, ...] on the CPU, batch by batch; numbers are in the unit of the target.

    source: an image, a folder or zip of images, a table, or recordings. Raises UserError.
    """
    if isinstance(trained.config.task, SpeechDenoising):
        batches = _recordings(trained.config.task, source)
    elif len(trained.shape) == 3:
        batches = _images(trained, source)
    elif source.suffix.lower() != SUFFIX:
        raise UserError(f"{source}: this run was trained on a table; give a .csv file with its columns")
    else:
        batches = table_rows(trained, read_csv(source))
    for names, rows in batches:
        yield names, *network_outputs(trained, rows)


def network_outputs(trained: Trained, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Network inputs and outputs on the CPU for images or preprocessed rows; numbers are in the unit of the target."""
    inputs = as_inputs(torch.from_numpy(rows).to(trained.device.device))
    with torch.no_grad():
        found = predict_batch(trained.network, inputs, views=trained.config.task.views).cpu()
    preprocessing = trained.preprocessing
    if preprocessing is not None and preprocessing.target_statistics is not None:
        found = torch.from_numpy(preprocessing.in_units(found.numpy()))
    return inputs.cpu(), found


def table_rows(trained: Trained, file: CsvFile) -> Iterator[tuple[list[str], np.ndarray]]:
    """Line numbers and preprocessed rows float32 [B, F] of a table, batch by batch. Raises UserError."""
    preprocessing = trained.preprocessing
    assert preprocessing is not None, "load_trained() refuses a table's run without one"
    inputs, schema = read_rows(file, preprocessing.schema, reading_of(trained.config.data))
    for note in preprocessing.notes(inputs, schema):
        _log.warning(f"{file.source}: {note}")
    for start in range(0, len(inputs), BATCH):
        part = slice(start, start + BATCH)
        yield [str(line) for line in file.lines[part]], preprocessing.encode(inputs[part], schema)


def _recordings(task: SpeechDenoising, source: Path) -> Iterator[tuple[list[str], np.ndarray]]:
    """The recordings of a WAV file, a folder or a zip, int16 [1, T] at the rate of the run. Raises UserError."""
    single = source.suffix.lower() == ".wav" and not source.is_dir()
    found = None if single else open_recordings(source)
    for name in [source.name] if found is None else found.names:
        recording = read_wav(source) if found is None else found.read(name)
        for remark in recording.remarks:
            _log.warning(f"{name}: {remark}")
        samples = recording.at(task.rate).mul(32768.0).round().clamp(-32768.0, 32767.0)
        yield [name], samples.to(torch.int16)[None].numpy()


def _images(trained: Trained, source: Path) -> Iterator[tuple[list[str], np.ndarray]]:
    if source.suffix.lower() == SUFFIX:
        raise UserError(f"{source} is a table and this run was trained on images: give an image, a folder or a zip")
    channels, side, _ = trained.shape
    fit = _fit(trained.rule)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.callback(close_sources)
        found = _open(source, Path(folder) / "unpacked.npy")
        for start in range(0, len(found.names), BATCH):
            names = found.names[start : start + BATCH]
            for name in names:
                info = decoding.inspect_image(found.read, name)
                if isinstance(info, str):
                    raise UserError(f"{source}: {name} cannot be read ({info})")
            yield names, np.stack([decoding.square_pixels(found.read, name, side, channels, fit) for name in names])


def _fit(rule: str) -> decoding.Fit:
    """How the images of a set became square, by its rule (see `lab.data.pack` and `lab.data.fetch`)."""
    start = rule.partition("(")[0]  # file names may follow
    if "centred on black" in start:
        return "pad"
    return "stretch" if start.startswith("stretched") else "crop"


def _open(source: Path, scratch: Path) -> Source:
    # Not by Path: it raises for names that are too long.
    if os.path.isfile(source) and source.suffix.lower() not in (".zip", ".npy", ".npz"):
        try:
            with open_regular(source) as file:
                single = is_image(source.name, file.read(HEAD))
        except OSError as error:
            raise UserError(f"cannot read {source}: {error.strerror or error}") from None
        if single:
            return Source([source.name], lambda name: read_regular(source, MOST_BYTES), None, ())
    found = open_source(source, scratch, "none")
    left_out = "; ".join(f"left out {line}" for line in found.left_out)
    if not found.names:
        raise UserError(f"{source} holds no images ({', '.join(SUFFIXES[:4])} ...)" + (left_out and f"; {left_out}"))
    if left_out:
        _log.warning("%s: %s", source, left_out)
    return found
