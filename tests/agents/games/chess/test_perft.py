"""Counts of move sequences from hard positions (chessprogramming.org/Perft_Results)."""

import pytest
import torch

from agents.games.chess.fen import INITIAL, positions
from tests.agents.games.chess.perft import perft

KIWIPETE = "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1"
THIRD = "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1"
FOURTH = "r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1"
FOURTH_MIRRORED = "r2q1rk1/pP1p2pp/Q4n2/bbp1p3/Np6/1B3NBn/pPPP1PPP/R3K2R b KQ - 0 1"
FIFTH = "rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8"
SIXTH = "r4rk1/1pp1qppp/p1np1n2/2b1p1B1/2B1P1b1/P1NP1N2/1PP1QPPP/R4RK1 w - - 0 10"
COUNTS = {
    INITIAL: [20, 400, 8902, 197281, 4865609],
    KIWIPETE: [48, 2039, 97862, 4085603, 193690690],
    THIRD: [14, 191, 2812, 43238, 674624, 11030083],
    FOURTH: [6, 264, 9467, 422333, 15833292],
    FOURTH_MIRRORED: [6, 264, 9467, 422333, 15833292],
    FIFTH: [44, 1486, 62379, 2103487, 89941194],
    SIXTH: [46, 2079, 89890, 3894594, 164075551],
}
FAST, SLOW = 100_000, 6_000_000


@pytest.mark.parametrize("fen", COUNTS)
def test_numbers_of_move_sequences(fen: str) -> None:
    for depth, count in enumerate(COUNTS[fen], start=1):
        if count < FAST:
            assert perft(positions([fen], torch.device("cpu")), depth) == count


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fen", "depth"), [(f, d + 1) for f, counts in COUNTS.items() for d, n in enumerate(counts) if FAST <= n < SLOW]
)
def test_numbers_of_longer_move_sequences(fen: str, depth: int) -> None:
    assert perft(positions([fen], torch.device("cpu")), depth) == COUNTS[fen][depth - 1]


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("fen", "depth"), [(f, d + 1) for f, counts in COUNTS.items() for d, n in enumerate(counts) if n >= SLOW]
)
def test_numbers_of_many_millions_of_move_sequences(fen: str, depth: int) -> None:
    assert perft(positions([fen], torch.device("cpu")), depth) == COUNTS[fen][depth - 1]
