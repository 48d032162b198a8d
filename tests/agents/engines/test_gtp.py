"""GTP engines: answers, rules of the protocol, clocks, analysis."""

import json
import re
from pathlib import Path

import pytest

from agents.engines.gtp_analysis import Request, parse_request
from agents.engines.gtp_clock import PlayerClock, TimeSettings
from tests.agents.engines.clients import gtp


def test_ids_comments_control_characters_and_empty_lines() -> None:
    with gtp(size=5) as client:
        assert client.gtp("  7\tprotocol_version # comment") == "=7 2"
        assert client.gtp("pro\x01tocol_version") == "= 2"
        client.send("", "# only a comment", "8 nonsense", "9")
        assert client.answer() == "?8 unknown command"
        assert client.answer() == "?9 unknown command"
        assert client.gtp("10 quit") == "=10"


def test_every_listed_command_is_known_and_only_those() -> None:
    with gtp(size=5) as client:
        listed = client.gtp("list_commands").removeprefix("= ").split("\n")
        required = {"protocol_version", "name", "version", "known_command", "list_commands", "quit", "boardsize",
                    "clear_board", "komi", "play", "genmove"}  # fmt: skip
        assert required <= set(listed)
        assert all(client.gtp(f"known_command {name}") == "= true" for name in listed)
        assert client.gtp("known_command resign") == "= false"


def test_play_undo_and_errors() -> None:
    with gtp(size=5) as client:
        assert client.gtp("play b c3") == "="
        assert client.gtp("play white C3") == "? illegal move"
        assert client.gtp("play white I3") == "? illegal move"
        assert client.gtp("play green C4") == "? invalid color"
        assert client.gtp("gg-undo 2") == "? cannot undo"
        assert client.gtp("undo") == "=" and client.gtp("undo") == "? cannot undo"
        assert client.gtp("gogui-play_sequence b a1 w b1 b c1") == "="
        assert client.gtp("gg-undo x") == client.gtp("gg-undo -1") == "? not a number of moves"
        assert client.gtp("gg-undo 4") == "? cannot undo"
        assert client.gtp("gg-undo 2") == "=" and client.gtp("final_status_list alive") == "= A1"
        assert client.gtp("boardsize 9") == "? unacceptable size"
        assert client.gtp("boardsize x") == "? boardsize not an integer"
        assert client.gtp("boardsize 5") == "="


def test_go_takes_several_moves_of_one_colour_and_asks_either_colour_for_a_move() -> None:
    with gtp(size=5) as client:
        assert client.gtp("gogui-play_sequence b a1 b a2 b a3") == "="
        assert client.gtp("gogui-rules_side_to_move") == "= white"
        assert client.gtp("genmove b").startswith("= ")
        assert {"A1", "A2", "A3"} <= set(client.gtp("final_status_list alive").split())


def test_a_sequence_is_played_whole_or_not_at_all() -> None:
    with gtp() as client:
        assert client.gtp("play b a1") == "="
        before = client.gtp("showboard")
        assert client.gtp("gogui-play_sequence w b1 b c1 w a1") == "? illegal move"
        assert client.gtp("showboard") == before
        assert client.gtp("undo") == "=" and client.gtp("undo") == "? cannot undo"


def test_go_goes_on_after_two_passes() -> None:
    with gtp(size=5) as client:
        assert client.gtp("gogui-play_sequence b c3 w pass b pass") == "="
        assert client.gtp("gogui-rules_legal_moves") == "="
        assert client.gtp("final_score") == "= B+17.5"  # 25 points of area, komi 7.5
        assert client.gtp("genmove w") == "= pass"
        assert client.gtp("play w a1") == "="
        assert client.gtp("gogui-rules_side_to_move") == "= black"


def test_komi_changes_the_score_and_not_the_board() -> None:
    with gtp(size=5) as client:
        client.gtp("play b c3")
        assert client.gtp("komi 0.5") == "="
        assert client.gtp("final_score") == "= B+24.5"
        assert client.gtp("komi x") == "? komi not a float"
        assert client.gtp("komi nan").startswith("? go: komi must be a multiple of 0.5")


@pytest.mark.parametrize(
    ("count", "stones"),
    [
        ("2", "D4 Q16"),
        ("5", "D4 D16 K10 Q4 Q16"),
        ("6", "D4 D10 D16 Q4 Q10 Q16"),
        ("9", "D4 D10 D16 K4 K10 K16 Q4 Q10 Q16"),
    ],
)
def test_fixed_handicap_is_that_of_the_standard(count: str, stones: str) -> None:
    with gtp(size=19, max_plies=10) as client:
        answer = client.gtp(f"fixed_handicap {count}")
        assert sorted(answer.removeprefix("= ").split()) == sorted(stones.split())
        assert client.gtp("gogui-rules_side_to_move") == "= white"
        assert client.gtp("fixed_handicap 2") == "? board not empty"


def test_free_handicap() -> None:
    with gtp(size=5) as client:
        assert client.gtp("fixed_handicap 2") == "? invalid number of stones"
        assert len(client.gtp("place_free_handicap 3").split()) == 4
        client.gtp("clear_board")
        assert client.gtp("set_free_handicap A1 A1") == "? bad vertex list"
        assert client.gtp("set_free_handicap A1 C3") == "="
        assert client.gtp("final_status_list alive") == "= C3 A1"


def test_resignation_is_off_unless_asked_for() -> None:
    with gtp(size=5, resign_below=-0.999) as client:
        assert client.gtp("genmove b") != "= resign"
    with gtp(size=5, resign_below=1.0) as client:
        assert client.gtp("genmove b") == "= resign"


def test_reg_genmove_does_not_play() -> None:
    with gtp(size=5) as client:
        first = client.gtp("reg_genmove b")
        assert client.gtp("reg_genmove b") == first != "= resign"


def test_a_record_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "game one.sgf"
    file.write_text("(;GM[1]SZ[5]KM[7.5];B[cc];W[aa];B[bb])")
    with gtp(size=5) as client:
        assert client.gtp(f"loadsgf {file}") == "="
        assert client.gtp("final_status_list alive") == "= B4 C3 A5"
        assert client.gtp(f"loadsgf {file} 2") == "="
        assert client.gtp("final_status_list alive") == "= C3"
        assert client.gtp("loadsgf nowhere.sgf") == "? cannot open file"
        for wrong in ("B[zz]", "B[dd];W[dd]"):
            file.write_text(f"(;GM[1]SZ[5];{wrong})")
            assert client.gtp(f"loadsgf {file}").startswith("? ")
            assert client.gtp("final_status_list alive") == "= C3"  # the position of before


def test_rules_of_go_in_the_words_of_katago() -> None:
    with gtp(size=5, ko="simple") as client:
        rules = json.loads(client.gtp("kata-get-rules").removeprefix("= "))
        assert (rules["ko"], rules["scoring"], rules["suicide"]) == ("SIMPLE", "AREA", False)


@pytest.mark.parametrize("dialect", ["lz", "kata"])
def test_analysis_goes_on_until_the_next_line_of_the_client(dialect: str) -> None:
    with gtp(size=5) as client:
        client.send(f"3 {dialect}-analyze b interval 1 maxmoves 2")
        assert client.line() == "=3"
        lines = [client.line() for _ in range(3)]
        client.send("")
        assert client.answer().startswith("info move")
        number = r"-?\d+\.\d+" if dialect == "kata" else r"\d+"
        move = (
            rf"info move \S+ visits \d+ (utility {number} )?winrate {number} prior {number} order \d pv [A-Eapss1-5 ]+"
        )
        assert all(re.fullmatch(rf"{move}info {move[5:]}|{move}", line or "") for line in lines), lines
        assert client.gtp("4 protocol_version") == "=4 2"


def test_analysis_keeps_to_the_allowed_moves_and_tells_the_root() -> None:
    with gtp(size=5) as client:
        client.send("kata-analyze b 1 allow b C3,d4 1 avoid b D4 1 rootInfo true", "name")
        assert client.line() == "="
        text = client.answer()
        assert set(re.findall(r"info move (\S+)", text)) == {"C3"}
        assert re.search(r"rootInfo visits \d+ utility \S+ winrate \S+", text)
        assert client.answer() == "= Rivals hashed"
        assert client.gtp("lz-analyze b nonsense 1") == "? cannot parse the arguments of the analysis"


def test_a_move_with_analysis_ends_with_the_move() -> None:
    with gtp(size=5) as client:
        text = client.gtp("kata-genmove_analyze b 1")
        assert re.fullmatch(r"=\n(info move .*\n)+play ([A-E][1-5]|pass)", text)
        assert client.gtp("gogui-rules_side_to_move") == "= white"


def test_gogui_interrupts_a_long_move() -> None:
    with gtp(size=5, simulations=10**6) as client:
        client.send("genmove b", "# interrupt", "protocol_version")
        assert re.fullmatch(r"= ([A-E][1-5]|pass)", client.answer())
        assert client.answer() == "= 2"


def test_a_clock_ends_a_move() -> None:
    with gtp(size=5, simulations=10**6) as client:
        assert client.gtp("time_settings 0 1 5") == "="
        assert client.gtp("genmove b").startswith("= ")
        assert client.gtp("time_left w 0 1") == "="
        assert client.gtp("genmove w").startswith("= ")
        assert client.gtp("time_settings 1 2") == "? not three integers"
        assert client.gtp("time_left w x 1") == "? time and stones not two integers"


def test_time_settings() -> None:
    assert TimeSettings(0, 1, 0).unlimited and not TimeSettings(300, 0, 0).unlimited
    absolute = PlayerClock(TimeSettings(300, 0, 0))
    absolute.use(100)
    assert absolute.clock().left_s == 200 and absolute.clock().moves is None
    canadian = PlayerClock(TimeSettings(10, 60, 2))
    canadian.use(11)
    assert (canadian.left_s, canadian.stones) == (60, 2)
    canadian.use(20)
    assert (canadian.clock().left_s, canadian.clock().moves) == (40, 1)
    canadian.use(20)
    assert (canadian.left_s, canadian.stones) == (60, 2)


def test_arguments_of_an_analysis() -> None:
    assert parse_request(["W", "50"]) == Request(player=1, interval_s=0.5)
    assert parse_request(["interval", "10", "minmoves", "3"]) == Request(interval_s=0.1, fewest=3)
    assert parse_request(["avoid", "b", "A1,B2", "5", "ownership", "true"]) == Request(avoided=((0, "A1"), (0, "B2")))
    for wrong in (["b", "interval"], ["avoid", "x", "A1", "1"], ["maxmoves", "-1"], ["rootInfo", "perhaps"]):
        with pytest.raises((KeyError, ValueError)):
            parse_request(wrong)
