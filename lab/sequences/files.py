"""Examples from files: lines with a tab between input and answer, JSON lines or tables; and made ones by name."""

import hashlib
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab import rng
from lab.config.suggestions import shortened
from lab.data.csv_file import read_csv, texts
from lab.data.order import indices
from lab.errors import UserError
from lab.files.plain import parse_json, read_regular
from lab.sequences.batch import SequenceBatch
from lab.sequences.config import DataConfig
from lab.sequences.made.table import MADE
from lab.sequences.number_scale import UNSCALED, NumberScale
from lab.sequences.pair import Pair
from lab.sequences.shapes import SHAPES, ShapeName
from lab.sequences.vocabulary import END, FIRST, Vocabulary, pad_rows


class FileData:
    """The training examples of a file in the order of `lab.data.order`, and test examples."""

    def __init__(self, config: DataConfig, shape: ShapeName, seed: int) -> None:
        assert config.source is not None
        self._seed, self._config, self._shape, self._kind = seed, config, shape, SHAPES[shape]
        pairs, test = MADE[config.source]() if is_made(config) else (read_pairs(Path(config.source)), [])
        # Closed vocabularies include tokens that occur only in held-out examples; open ones are made anew below.
        is_open = config.unknown > 0.0
        self.inputs = Vocabulary.from_texts((pair.input for pair in [*pairs, *test]), config.input_words, is_open)
        self.targets = None if config.numbers else self._target_vocabulary([*pairs, *test])
        if config.test_source is None and not test:
            tested = [_held_out(self.inputs.normalize(pair.input), config.modulus) for pair in pairs]
            test = [pair for pair, held in zip(pairs, tested, strict=True) if held]
            pairs = [pair for pair, held in zip(pairs, tested, strict=True) if not held]
            if not test or not pairs:
                raise UserError(
                    f"{config.source}: too few different inputs to hold out 1 in {config.modulus} for the test; "
                    "add examples, raise data.held_out, or give data.test_source"
                )
        elif config.test_source is not None:
            test = read_pairs(Path(config.test_source))
        if is_open:
            self.inputs = Vocabulary.from_texts((pair.input for pair in pairs), config.input_words, is_open)
        self.train_pairs, self.test_pairs = pairs, test
        self._train, self.test = self._examples(pairs), self._examples(test)
        self.scale = UNSCALED
        if config.numbers:
            self.scale = NumberScale.fitted(self._train.targets.tolist(), config.source)
            self._train = self._train._replace(targets=self.scale.standardize(self._train.targets))
        if self._kind.fixed_length:
            self._check_one_length(pairs, test)
        width = 0 if config.numbers else max(self._train.targets.shape[1], self.test.targets.shape[1])
        self.longest = (max(int(part.lengths.max()) for part in (self._train, self.test)), width)
        digest = hashlib.sha256(repr([pair[:2] for pair in [*pairs, *test]]).encode()).hexdigest()
        self.fingerprint = f"{len(pairs)} and {len(test)} examples, {digest[:16]}"

    def at(self, start: int, count: int) -> SequenceBatch:
        rows = torch.from_numpy(indices(len(self._train.inputs), self._seed, start, count))
        found = SequenceBatch(*(tensor[rows] for tensor in self._train))
        return found._replace(inputs=self._with_unknown(found.inputs, start)) if self._config.unknown else found

    def _with_unknown(self, inputs: Tensor, start: int) -> Tensor:
        """Inputs [N, S] of examples `start` to `start` + N, some of whose words are unknown."""
        numbers, places = torch.arange(start, start + len(inputs))[:, None], torch.arange(inputs.shape[1])
        drawn = rng.uniform(self._seed, int(rng.Stream.UNKNOWN_WORD), numbers, places)
        return torch.where((drawn < self._config.unknown) & (inputs > FIRST), FIRST, inputs)

    def _target_vocabulary(self, pairs: Sequence[Pair]) -> Vocabulary:
        if self._kind.labels:
            return Vocabulary(tuple(sorted({_label(pair) for pair in pairs})), words=True)
        return Vocabulary.from_texts((pair.target for pair in pairs), self._config.target_words)

    def _examples(self, pairs: Sequence[Pair]) -> SequenceBatch:
        longest = self._config.max_length
        inputs = [self.inputs.encode(pair.input, pair.where) for pair in pairs]
        for pair, tokens in zip(pairs, inputs, strict=True):
            if not tokens:
                raise UserError(f"{pair.where}: the input has no tokens; a sequence has at least one")
            if len(tokens) > longest:
                raise UserError(
                    f"{pair.where}: the input has {len(tokens)} tokens; raise data.max_length from {longest}"
                )
        if self._config.intents:
            inputs = [[*tokens, END] for tokens in inputs]
        lengths = torch.tensor([len(tokens) for tokens in inputs])
        if self.targets is None:
            numbers = torch.tensor([_number(pair) for pair in pairs], dtype=torch.float64)
            return SequenceBatch(pad_rows(inputs), lengths, numbers)
        return SequenceBatch(
            pad_rows(inputs), lengths, pad_rows([self._target(*both) for both in zip(pairs, inputs, strict=True)])
        )

    def _target(self, pair: Pair, tokens: list[int]) -> list[int]:
        assert self.targets is not None
        where, writes = f"{pair.where}, answer", self._kind.writes
        if self._kind.labels:
            if _label(pair) not in self.targets.tokens:
                raise UserError(f"{where}: the label {_label(pair)!r} does not occur in the training examples")
            return [self.targets.tokens.index(_label(pair)) + FIRST]
        target = self.targets.encode(pair.target, where)
        if not writes and len(target) != len(tokens):
            intent = " and the intent after them" if self._config.intents else ""
            raise UserError(f"{where}: {len(target)} tags for {len(tokens)} tokens; each token needs one{intent}")
        longest = self._config.max_length
        if writes and len(target) > longest:
            raise UserError(f"{where}: it has {len(target)} tokens; raise data.max_length from {longest}")
        return [*target, END] if writes else target

    def _check_one_length(self, pairs: Sequence[Pair], test: Sequence[Pair]) -> None:
        lengths = torch.cat([self._train.lengths, self.test.lengths])
        for number in (lengths != lengths[0]).nonzero()[:1, 0].tolist():
            raise UserError(
                f"{[*pairs, *test][number].where}: the input has {int(lengths[number])} tokens, and that of "
                f"{pairs[0].where} has {int(lengths[0])}; network.shape {self._shape} reads inputs of one length: use "
                "many_to_one or encoder_decoder, or data.input_words if an input is one word"
            )


def is_made(config: DataConfig) -> bool:
    """Whether the examples are made ones."""
    return config.source in MADE


def read_pairs(path: Path) -> list[Pair]:
    """The examples of a file, JSON lines or a table by its suffix. Raises UserError that names the line."""
    if path.suffix == ".csv":
        return _from_table(path)
    read = _from_json if path.suffix == ".jsonl" else _from_tabs
    pairs = [read(line, where) for line, where in _lines(read_text(path), str(path))]
    if not pairs:
        raise UserError(f"{path} holds no examples")
    return pairs


def read_inputs(path: Path | None) -> list[tuple[str, str]]:
    """Inputs and the names of their lines: text up to the first tab, or "input" in a .jsonl; None: standard input.

    Raises UserError that names the line.
    """
    name = "standard input" if path is None else str(path)
    as_json = path is not None and path.suffix == ".jsonl"
    lines = _lines(_standard_input() if path is None else read_text(path), name)
    if not lines:
        raise UserError(f"{name} holds no inputs")
    return [(_input(_record(line, where), where) if as_json else line.split("\t")[0], where) for line, where in lines]


def read_text(path: Path) -> str:
    """The content of a text file, lines separated by "\\n". Raises UserError if it cannot be read or is not text."""
    try:
        return _decoded(read_regular(Path(os.path.expanduser(path))), str(path))
    except OSError as error:
        hint = "; data.source names the file" if isinstance(error, FileNotFoundError) else ""
        raise UserError(f"cannot read {shortened(str(path), 300)}: {error.strerror or error}{hint}") from None


def encode_input(text: str, vocabulary: Vocabulary, length: int | None = None, what: str = "the input") -> list[int]:
    """Token ids of a user's input. Raises UserError for an empty one, an unknown token or another `length`."""
    tokens = vocabulary.encode(text, what)
    if not tokens:
        raise UserError(f"{what} has no tokens; a sequence has at least one")
    if length is not None and len(tokens) != length:
        raise UserError(f"{what}: this network reads inputs of {length} tokens, and {text!r} has {len(tokens)}")
    return tokens


def _standard_input() -> str:
    if sys.stdin is None:
        raise UserError("standard input is closed; give a file or an input")
    stream = getattr(sys.stdin, "buffer", None)  # bytes: the text layer decodes by the locale and keeps "\\r\\n"
    given = sys.stdin.read() if stream is None else stream.read()
    return _decoded(given.encode() if isinstance(given, str) else given, "standard input")


def _decoded(content: bytes, name: str) -> str:
    """UTF-8 text without a byte order mark, every line ending as "\\n"."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text: byte {error.start} is invalid") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _lines(text: str, name: str) -> list[tuple[str, str]]:
    """Lines that are not blank, and their names in messages."""
    return [(line, f"{name}, line {number}") for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _from_table(path: Path) -> list[Pair]:
    """The rows of a table with the columns text and label, or input and target."""
    file = read_csv(Path(os.path.expanduser(path)))
    known = [names for names in (("text", "label"), ("input", "target")) if set(names) <= set(file.columns)]
    if not known:
        raise UserError(
            f"{path} has the columns {', '.join(file.columns[:20])}; a table of examples has text and label, or input "
            "and target"
        )
    cells = [texts(file, name) for name in known[0]]
    places = (f"{path}, line {line}" for line in file.lines)
    return [_checked(Pair(*row)) for row in zip(*cells, places, strict=True)]


def _from_tabs(line: str, where: str) -> Pair:
    cells = line.split("\t")
    if len(cells) != 2:
        raise UserError(f"{where}: {len(cells) - 1} tabs; a line is INPUT, one tab, ANSWER")
    return _checked(Pair(cells[0], cells[1], where))


def _from_json(line: str, where: str) -> Pair:
    record = _record(line, where)
    given, target = _input(record, where), record.get("target")
    if isinstance(target, bool) or not isinstance(target, str | int | float):
        raise UserError(f'{where}: "target" must be text or a number')
    return _checked(Pair(given, str(target), where))


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        record = parse_json(line)
        json.dumps(record, ensure_ascii=False).encode()  # raises for half of a surrogate pair
    except ValueError as error:
        reason = "" if isinstance(error, json.JSONDecodeError | UnicodeError) else f": {error}"
        raise UserError(f"{where} is not JSON{reason}") from None
    if not isinstance(record, dict):
        raise UserError(f'{where}: an example is an object with "input" and "target"')
    return record


def _input(record: dict[str, Any], where: str) -> str:
    given = record.get("input")
    if not isinstance(given, str):
        raise UserError(f'{where}: "input" must be text')
    return given


def _checked(pair: Pair) -> Pair:
    if not pair.input.strip():
        raise UserError(f"{pair.where}: the input is empty; a sequence has at least one token")
    if not pair.target.strip():
        raise UserError(f"{pair.where}: the answer is empty")
    return pair


def _label(pair: Pair) -> str:
    return " ".join(pair.target.split())


def _number(pair: Pair) -> float:
    try:
        number = float(pair.target)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{pair.where}: the answer {shortened(pair.target)} is not a number") from None
    return number


def _held_out(text: str, modulus: int) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % modulus == 0
