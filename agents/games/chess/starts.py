"""First positions of games: given as FEN, or random endings of given material, such as KQvKR.

`start` of `chess` is a text of one or several of them, separated by semicolons. A game with several first positions
draws one of the entries and, for an ending, the squares of its pieces. White is always to move.
"""

import re
from typing import NamedTuple

import torch
from torch import Tensor

from agents.games.chess.bits import one_bit
from agents.games.chess.draws import insufficient_material
from agents.games.chess.fen import PIECES, positions
from agents.games.chess.geometry import PAWN, tables
from agents.games.chess.legal_moves import legal_moves, other_king_attacked
from agents.games.chess.position import Position
from agents.games.chess.state import RESULTS, RUNNING, Limits, begun
from lab import rng
from lab.config.suggestions import shortened
from lab.errors import UserError

_MATERIAL = re.compile(r"(K[QRBNP]*)v(K[QRBNP]*)")
_MOST_PIECES = 10
_TRIES = 32  # placements of an ending, of which the first legal one counts; a fixed number, for static shapes
_PROBED = 64  # games with which an entry is tried
_LEAST = 0.2  # of placements: with so many legal ones all tries fail less than once in a thousand games
_BACK_RANKS = ~0x00FFFFFFFFFFFF00
_CPU = torch.device("cpu")


class Starts(NamedTuple):
    """N entries.

    words: int64 [N, 9] and clock: int64 [N], the position of a FEN (see `Position`), or one placement of an ending.
    kinds: int64 [N, P], 0 to 5 for a pawn to a king of an ending, -1 for none. white: bool [N, P].
    """

    words: Tensor
    clock: Tensor
    kinds: Tensor
    white: Tensor


def read_starts(text: str, limits: Limits) -> Starts:
    """The entries of a text. Raises UserError that names the wrong one and why."""
    entries = [entry.strip() for entry in text.split(";") if entry.strip()]
    if not entries:
        raise UserError(f"chess: `start` is {shortened(text, 40)}; give a FEN or an ending's material, such as KQvK")
    rows = [_ending(entry) if _MATERIAL.fullmatch(entry) else _fixed(entry) for entry in entries]
    width = max(row.kinds.shape[1] for row in rows)
    found = Starts(
        torch.cat([row.words for row in rows]),
        torch.cat([row.clock for row in rows]),
        torch.cat([torch.nn.functional.pad(row.kinds, (0, width - row.kinds.shape[1]), value=-1) for row in rows]),
        torch.cat([torch.nn.functional.pad(row.white, (0, width - row.white.shape[1])) for row in rows]),
    )
    outcomes = begun(Position(found.words, found.clock, torch.zeros_like(found.clock)), limits).outcome.tolist()
    for entry, outcome in zip(entries, outcomes, strict=True):
        if outcome != RUNNING:
            raise UserError(
                f"chess: the game is over in the position `start` {shortened(entry, 100)} ({RESULTS[outcome]}); "
                "give one with a legal move"
            )
    return found


def first_entry(starts: Starts, batch: int, device: torch.device) -> Position:
    """The position of the first entry on B boards."""
    words, clock = (field[:1].to(device) for field in (starts.words, starts.clock))
    clock = clock.repeat(batch)
    return Position(words.repeat(batch, 1), clock, torch.zeros_like(clock))


def sampled(starts: Starts, seed: int, game_ids: Tensor) -> Position:
    """The first positions of games, a function of the seed and the ids int64 [B]."""
    number = rng.integers(len(starts.clock), seed, int(rng.Stream.INITIAL_POSITION), game_ids)
    rows = Starts(*(field.to(game_ids.device).index_select(0, number) for field in starts))
    zeros = torch.zeros_like(number)
    if not starts.kinds.shape[1]:
        return Position(rows.words, rows.clock, zeros)
    words, legal = placements(rows, seed, game_ids)
    first = legal.to(torch.int8).argmax(1)
    found = words[torch.arange(len(first), device=first.device), first]
    drawn = legal.any(1) & (rows.kinds[:, 0] >= 0)
    return Position(torch.where(drawn[:, None], found, rows.words), rows.clock, zeros)


def placements(rows: Starts, seed: int, game_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Random placements of the endings of B games: words int64 [B, T, 9]; bool [B, T], whether a game runs there."""
    device, (batch, pieces) = game_ids.device, rows.kinds.shape
    tries, squares = torch.arange(_TRIES, device=device), torch.arange(64, device=device)
    noise = rng.random_bits(
        seed, int(rng.Stream.INITIAL_POSITION), game_ids[:, None, None], tries[:, None] + 1, squares
    )
    bits = one_bit(noise.topk(pieces).indices)  # different squares
    kinds = rows.kinds[:, :, None] == torch.arange(len(PIECES), device=device)  # [B, P, 6]
    by_kind = (bits[..., None] * kinds[:, None]).sum(2)
    own = (bits * (rows.white & (rows.kinds >= 0))[:, None]).sum(2, keepdim=True)
    words = torch.cat([by_kind, own, torch.zeros_like(own), torch.zeros_like(own)], 2)
    return words, _legal_and_running(words.flatten(0, 1)).view(batch, _TRIES)


def _legal_and_running(words: Tensor) -> Tensor:
    """bool [B] of words int64 [B, 9]: a game can reach and continue the position, as far as FEN is checked."""
    zeros = torch.zeros_like(words[:, 0])
    position, table = Position(words, zeros, zeros), tables(words.device)
    moves = legal_moves(position, table).words
    reached = ((words[:, PAWN] & _BACK_RANKS) == 0) & ~other_king_attacked(position, table)
    return reached & (moves != 0).any(1) & ~insufficient_material(position)


def _fixed(entry: str) -> Starts:
    """The entry of a FEN."""
    position = positions([entry], _CPU)
    if int(position.plies) % 2:
        raise UserError(
            f"chess: White is to move in the position `start`, not in {shortened(entry, 100)}; "
            "exchange the colours of the pieces"
        )
    none = torch.zeros((1, 0), dtype=torch.int64)
    return Starts(position.words, position.clock, none, none.bool())


def _ending(entry: str) -> Starts:
    """The entry of an ending, with a legal placement."""
    match = _MATERIAL.fullmatch(entry)
    assert match is not None
    sides = match.groups()
    letters = "".join(sides)
    if len(letters) > _MOST_PIECES:
        raise UserError(f"chess: the ending {shortened(entry, 40)} has {len(letters)} pieces, more than {_MOST_PIECES}")
    kinds = torch.tensor([[PIECES.index(letter.lower()) for letter in letters]])
    white = torch.arange(len(letters))[None] < len(sides[0])
    unknown = Starts(torch.zeros((1, 9), dtype=torch.int64), torch.zeros(1, dtype=torch.int64), kinds, white)
    many = Starts(*(field.repeat_interleave(_PROBED, 0) for field in unknown))
    words, legal = placements(many, 0, torch.arange(_PROBED))
    if float(legal.float().mean()) < _LEAST:
        raise UserError(
            f"chess: too few placements of the ending {entry} are legal and not over; give other or fewer pieces"
        )
    return unknown._replace(words=words[legal][:1])
