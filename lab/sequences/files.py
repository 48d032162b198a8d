"""Examples from files: a tab between input and answer, or JSON lines."""

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from lab.data.order import indices
from lab.errors import UserError
from lab.sequences.config import ONE_STEP, WRITERS, DataConfig, Shape
from lab.sequences.examples import Examples
from lab.sequences.symbols import END, Symbols, divide, padded


class Pair(NamedTuple):
    """An input and its answer, as text; `where` names its line in messages."""

    input: str
    target: str
    where: str


class Filed:
    """The examples of a file in the order of `lab.data.order`, and others to be tested on."""

    def __init__(self, config: DataConfig, shape: Shape, seed: int) -> None:
        assert config.source is not None
        self._seed, self._config, self._shape = seed, config, shape
        pairs = known = read_pairs(Path(config.source))  # a symbol that only the test has is one all the same
        if config.test_source is None:
            tested = [_held_out(pair.input, config.modulus) for pair in pairs]
            test = [pair for pair, held in zip(pairs, tested, strict=True) if held]
            pairs = [pair for pair, held in zip(pairs, tested, strict=True) if not held]
            if not test or not pairs:
                raise UserError(
                    f"{config.source}: too few different inputs to hold 1 in {config.modulus} out for the test; "
                    "add examples, raise data.held_out, or give data.test_source"
                )
        else:
            test = read_pairs(Path(config.test_source))
        self.inputs = Symbols.of((pair.input for pair in known), config.input_words)
        self.targets = None if config.numbers else self._target_symbols(known)
        self._train, self.test = self._examples(pairs), self._examples(test)
        width = 0 if config.numbers else max(self._train.targets.shape[1], self.test.targets.shape[1])
        self.longest = (max(int(part.lengths.max()) for part in (self._train, self.test)), width)
        digest = hashlib.sha256(repr([pair[:2] for pair in [*pairs, *test]]).encode()).hexdigest()
        self.fingerprint = f"{len(pairs)} and {len(test)} examples, {digest[:16]}"
        if shape in ONE_STEP:
            self._check_one_length()

    def at(self, start: int, count: int) -> Examples:
        rows = torch.from_numpy(indices(len(self._train.inputs), self._seed, start, count))
        return Examples(*(tensor[rows] for tensor in self._train))

    def _target_symbols(self, pairs: Sequence[Pair]) -> Symbols:
        if self._shape in (*WRITERS, "many_to_many"):
            return Symbols.of((pair.target for pair in pairs), self._config.target_words)
        return Symbols(tuple(sorted({pair.target for pair in pairs})), words=True)

    def _examples(self, pairs: Sequence[Pair]) -> Examples:
        longest = self._config.longest
        inputs = [self.inputs.encode(pair.input, pair.where) for pair in pairs]
        for pair, tokens in zip(pairs, inputs, strict=True):
            if not tokens:
                raise UserError(f"{pair.where}: the input has no symbols; a sequence has at least one")
            if len(tokens) > longest:
                raise UserError(f"{pair.where}: the input has {len(tokens)} symbols; raise data.longest from {longest}")
        lengths = torch.tensor([len(tokens) for tokens in inputs])
        if self.targets is None:
            return Examples(padded(inputs), lengths, torch.tensor([_number(pair) for pair in pairs]))
        return Examples(
            padded(inputs), lengths, padded([self._target(*both) for both in zip(pairs, inputs, strict=True)])
        )

    def _target(self, pair: Pair, tokens: list[int]) -> list[int]:
        assert self.targets is not None
        where, shape = f"{pair.where}, answer", self._shape
        if shape not in (*WRITERS, "many_to_many"):
            if pair.target not in self.targets.names:
                raise UserError(f"{where}: the label {pair.target!r} does not occur among the training examples")
            return [self.targets.names.index(pair.target) + len(Symbols(()))]
        target = self.targets.encode(pair.target, where)
        if shape == "many_to_many" and len(target) != len(tokens):
            raise UserError(f"{where}: {len(target)} tags for {len(tokens)} symbols; each symbol has one")
        if shape in WRITERS and len(target) > self._config.longest:
            raise UserError(f"{where}: it has {len(target)} symbols; raise data.longest from {self._config.longest}")
        return [*target, END] if shape in WRITERS else target

    def _check_one_length(self) -> None:
        found = sorted({int(length) for part in (self._train, self.test) for length in part.lengths})
        if len(found) > 1:
            raise UserError(
                f"network.shape {self._shape} reads inputs of one length, and these have {found[0]} to {found[-1]} "
                "symbols; use many_to_one or encoder_decoder, or data.input_words where an input is one word"
            )


def read_pairs(path: Path) -> list[Pair]:
    """The examples of a file, JSON lines by its suffix .jsonl. Raises UserError that names the line."""
    lines = read_text(path).split("\n")
    read = _from_json if path.suffix == ".jsonl" else _from_tabs
    pairs = [read(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not pairs:
        raise UserError(f"{path} holds no examples")
    return pairs


def read_text(path: Path) -> str:
    """A text file. Raises UserError where there is none or it is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8 text: byte {error.start} is wrong") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def check_symbols(text: str, symbols: Symbols, longest: int | None = None, what: str = "the input") -> list[int]:
    """Tokens of an input from a person. Raises UserError for an empty one or an unknown symbol."""
    tokens = symbols.encode(text, what)
    if not tokens:
        raise UserError(f"{what} has no symbols; a sequence has at least one")
    if longest is not None and len(tokens) != longest:
        raise UserError(f"{what}: this network reads inputs of {longest} symbols, and {text!r} has {len(tokens)}")
    return tokens


def _from_tabs(line: str, where: str) -> Pair:
    cells = line.rstrip("\r").split("\t")
    if len(cells) != 2:
        raise UserError(f"{where}: {len(cells) - 1} tabs; a line is INPUT, one tab, ANSWER")
    return _checked(Pair(cells[0], cells[1], where))


def _from_json(line: str, where: str) -> Pair:
    try:
        record = json.loads(line)
        given, target = record["input"], record["target"]
    except ValueError:
        raise UserError(f"{where} is no JSON") from None
    except (TypeError, KeyError):
        raise UserError(f'{where}: an example is an object with "input" and "target"') from None
    if not isinstance(given, str) or isinstance(target, bool) or not isinstance(target, str | int | float):
        raise UserError(f"{where}: input is to be text, and target text or a number")
    return _checked(Pair(given, str(target), where))


def _checked(pair: Pair) -> Pair:
    if not pair.input.strip():
        raise UserError(f"{pair.where}: the input is empty; a sequence has at least one symbol")
    if not divide(pair.target, words=False):
        raise UserError(f"{pair.where}: the answer is empty")
    return pair


def _number(pair: Pair) -> float:
    try:
        number = float(pair.target)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{pair.where}: the answer {pair.target!r} is no number") from None
    return number


def _held_out(text: str, modulus: int) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % modulus == 0
