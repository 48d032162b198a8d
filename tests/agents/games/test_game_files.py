"""Games as files: what is written is read again, and so is what Lichess exports."""

import io
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from agents.games import make
from agents.games.chess.pgn_writing import pawns
from agents.games.game_files import games_text, read_game, suffix_of
from agents.games.moves import play_moves
from agents.games.played import PlayedGame
from agents.games.testing import random_playout, same
from lab.errors import UserError

CPU = torch.device("cpu")
CHESS: Any = make("chess")
MATE = "f2f3 e7e5 g2g4 d8h4"
LICHESS = """[Event "Rated blitz game"]
[Site "https://lichess.org/abcdefgh"]
[Date "2026.11.01"]
[White "first"]
[Black "second \\"two\\""]
[Result "1-0"]
[UTCDate "2026.11.01"]
[WhiteElo "1500"]
[Variant "Standard"]
[TimeControl "300+3"]
[ECO "C20"]
[Opening "King's Pawn Game: Wayward Queen Attack"]
[Termination "Normal"]
[Annotator "lichess.org"]

1. e4 { [%eval 0.17] [%clk 0:05:00] } 1... e5 { [%eval 0.19] [%clk 0:05:00] } 2. Qh5?! { (0.19 -> -0.53)
Inaccuracy. Nf3 was best. } { [%eval -0.53] [%clk 0:05:01] } (2. Nf3 Nc6 { [%csl Gc6] } (2... Nf6 $5) 3. Bb5)
2... Nc6 $6 { [%clk 0:04:58] } 3. Bc4 { [%clk 0:05:02] } 3... Nf6?? { [%eval #1] } 4. Qxf7# { [%clk 0:05:01] } 1-0


[Event "Another"]

1. d4 *
"""


def played(game: Any, moves: str, **about: Any) -> PlayedGame:
    return PlayedGame(game, game.initial(1, CPU), play_moves(game, moves, CPU)[1], **about)


def read(tmp_path: Path, game: Any, text: str | bytes) -> Any:
    path = tmp_path / "game.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_game(path, game)


@pytest.mark.parametrize(
    ("name", "moves", "suffix"),
    [
        ("chess", MATE, ".pgn"),
        ("go", "D4 Q16 pass", ".sgf"),
        ("connect_four", "4435", ".sgf"),
        ("tic_tac_toe", "519", ".json"),
        ("breakthrough", "a2a3 b7b6", ".json"),
    ],
)
def test_a_written_game_is_read_again(name: str, moves: str, suffix: str, tmp_path: Path) -> None:
    game = make(name)
    one = played(game, moves, values=[0.25, None, -0.5], players=("A b", "Ç"))
    assert suffix_of(game) == suffix
    again, left_out = read(tmp_path, game, games_text([one]))
    assert (again.actions, again.players, left_out) == (one.actions, ("A b", "Ç"), 0)
    assert same(again.start, one.start)
    # Of several games in one file the first is read.
    several = read(tmp_path, game, games_text([one, played(game, moves.split()[0][:4])]))
    assert several.played.actions == one.actions


def test_a_game_exported_by_lichess_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, CHESS, LICHESS).played
    *_, last = found.states()
    assert CHESS.fen(last).startswith("r1bqkb1r/pppp1Qpp/2n2n2/4p3/2B1P3/8/PPPP1PPP/RNB1K1NR b")
    assert found.players == ("first", 'second "two"')
    with pytest.raises(UserError, match="of the variant 'Atomic', and only standard chess is known"):
        read(tmp_path, CHESS, LICHESS.replace("Standard", "Atomic"))


def test_en_passant_may_be_said_with_and_without_a_space(tmp_path: Path) -> None:
    for words in ("exd6 e.p.", "exd6e.p.", "exd6"):
        assert len(read(tmp_path, CHESS, f"1. e4 a6 2. e5 d5 3. {words} cxd6 *").played.actions) == 6


def test_null_moves_are_only_skipped_in_variations(tmp_path: Path) -> None:
    assert len(read(tmp_path, CHESS, "1. e4 (1. -- e5) 1... e5 *").played.actions) == 2
    with pytest.raises(UserError, match="'--', which is no move of chess"):
        read(tmp_path, CHESS, "1. e4 -- 2. d4 *")


def test_a_pgn_has_the_tags_the_moves_and_the_evaluations() -> None:
    text = games_text(
        [played(CHESS, MATE, values=[0.0, None, -0.5, 1.0], players=('A "b"', ""), event="x", date="2026-11-29")]
    )
    heading, moves = text.split("\n\n", 1)
    assert heading.splitlines() == [
        '[Event "x"]',
        '[Site "?"]',
        '[Date "2026.11.29"]',
        '[Round "?"]',
        '[White "A \\"b\\""]',
        '[Black "?"]',
        '[Result "0-1"]',
        '[Annotator "Rivals"]',
    ]
    assert " ".join(moves.split()) == (
        "1. f3 { [%eval 0.00] value +0.00 (50%) } 1... e5 2. g4 { [%eval -2.98] value -0.50 (25%) } "
        "2... Qh4# { [%eval -26.90] value +1.00 (100%) } 0-1"
    )
    assert max(map(len, text.splitlines())) <= 80 and text.endswith("\n\n")
    # 100 centipawns are winning chances of 59% on Lichess.
    assert pawns(2 * 0.591 - 1) == pytest.approx(1.0, abs=0.01)


def test_a_game_from_a_position_keeps_it_and_its_numbers(tmp_path: Path) -> None:
    fen = "2kr4/8/8/8/8/8/8/5RK1 b - - 6 31"
    one = PlayedGame(CHESS, CHESS.from_fen([fen], CPU), [], winner=1, ending="time")
    text = games_text([one])
    assert f'[FEN "{fen}"]' in text and '[Result "0-1"]' in text and '[Termination "time"]' in text
    state, actions = play_moves(CHESS, f'[FEN "{fen}"]\n31... Rd1 32. Rxd1', CPU)
    moved = PlayedGame(CHESS, one.start, actions)
    assert "31... Rd1 32. Rxd1 *" in games_text([moved])
    *_, last = read(tmp_path, CHESS, games_text([moved])).played.states()
    assert same(last, state)


def test_python_chess_reads_what_is_written() -> None:
    pgn = pytest.importorskip("chess.pgn")
    one = played(CHESS, "e2e4 e7e5 g1f3 b8c6 f1b5 a7a6 b5c6 d7c6 e1g1", values=[v / 10 for v in range(-4, 5)])
    text = games_text([one, played(CHESS, MATE)])
    file = io.StringIO(text)
    first, second, none = pgn.read_game(file), pgn.read_game(file), pgn.read_game(file)
    assert none is None and not first.errors and not second.errors
    assert first.end().board().fen().startswith("r1bqkbnr/1pp2ppp/p1p5/4p3/4P3/5N2/PPPP1PPP/RNBQ1RK1 b")
    evaluations = [node.eval().white().score() for node in first.mainline()]
    expected = [round(100 * pawns(v / 10 * (1 - 2 * (ply % 2)))) for ply, v in enumerate(range(-4, 5))]
    assert evaluations == pytest.approx(expected, abs=1)
    assert second.headers["Result"] == "0-1"


def test_moves_after_a_draw_that_nobody_claimed_are_left_out(tmp_path: Path) -> None:
    shuffle = "Nf3 Nf6 Ng1 Ng8 " * 2 + "e4 e5"
    found = read(tmp_path, CHESS, shuffle)
    assert (len(found.played.actions), found.left_out) == (8, 2)


def test_another_encoding_and_a_mark_at_the_start_are_read(tmp_path: Path) -> None:
    text = '[White "Müller"]\n\n1. e4 *\n'
    for encoding in ("utf-8-sig", "latin-1", "utf-16"):
        found = read(tmp_path, CHESS, text.encode(encoding)).played
        assert len(found.actions) == 1 and found.players[0] == "Müller"
    with pytest.raises(UserError, match="it is no text"):
        read(tmp_path, CHESS, b"\xff\xfe\x00")


def test_text_before_a_game_in_sgf_is_skipped(tmp_path: Path) -> None:
    found = read(tmp_path, make("go", size=9), "From: a server\n\n(;SZ[9];B[ee])").played
    assert len(found.actions) == 1


@pytest.mark.parametrize("name", ["go", "hex", "othello", "connect_four", "chess", "tic_tac_toe"])
def test_a_file_with_random_errors_is_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    sizes = {"go": {"size": 5}, "hex": {"size": 5}, "othello": {"size": 6}, "chess": {"max_plies": 12}}
    options: dict[str, Any] = sizes.get(name, {})
    game, random = make(name, **options), Random(7)
    actions = [int(action) for action in random_playout(game, 1).actions][:12]
    values = [0.1] * len(actions)
    whole = games_text([PlayedGame(game, game.initial(1, CPU), actions, values, players=("a", "b"))]).encode()
    refused = 0
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(random.randint(1, 4)):
            place = random.randrange(len(data))
            match random.randrange(3):
                case 0:
                    data[place] = random.randrange(256)
                case 1:
                    del data[place : place + random.randint(1, 30)]
                case 2:
                    data[place:place] = random.choice([b"(", b")", b"[", b"]", b"{", b"\\", b";B[]", b"\xff", b"\x00"])
            data = data or bytearray(b" ")
        try:
            read(tmp_path, game, bytes(data))
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 5


def test_json_has_names_of_moves_values_and_the_result() -> None:
    game = make("tic_tac_toe")
    record = json.loads(games_text([played(game, "15293", values=[0.5, None], event="x")]))
    assert record == {
        "game": "tic_tac_toe",
        "options": dict(game.options),
        "players": ["", ""],
        "event": "x",
        "result": None,
        "moves": ["1", "5", "2", "9", "3"],
        "values": [0.5, None, None, None, None],
    } | {"result": 1.0}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("tic_tac_toe", '{"moves": 3}', 'a list of "moves"'),
        ("tic_tac_toe", "[]", 'a list of "moves"'),
        ("tic_tac_toe", "{", "this is no JSON"),
        ("tic_tac_toe", '{"game": "chess", "moves": []}', "a game of 'chess', and the run plays tic_tac_toe"),
        ("tic_tac_toe", '{"moves": ["1", "1"]}', "move 2, 1, is illegal in tic_tac_toe: the cell is taken"),
        ("chess", "1. e4 e4", "move 1 of Black, e4, is illegal in chess"),
        ("go", "(;SZ[19];B[zz])", "move 1, 'zz', is no point of a 19x19 board"),
        ("go", b"\x00\xff" * 50, "no move of go"),
    ],
)
def test_a_broken_file_is_named_with_its_mistake(name: str, text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, make(name), text)
    assert str(caught.value).startswith(f"{tmp_path / 'game.txt'}: ") and "\n" not in str(caught.value)
    with pytest.raises(UserError, match="there is no such file"):
        read_game(tmp_path / "none.sgf", make(name))
