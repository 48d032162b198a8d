"""Options of every registered game: of the wrong type, out of range; each mistake is one line."""

import inspect
from typing import Any

import pytest

from agents.games import GAMES, make
from lab.cli.main import main
from lab.errors import UserError

PARAMETERS = [
    (game, name, parameter.annotation)
    for game, factory in GAMES.items()
    for name, parameter in inspect.signature(factory, eval_str=True).parameters.items()
]
NUMBERS = [(game, name) for game, name, kind in PARAMETERS if kind in (int, int | None, float)]


def refused(game: str, option: str, value: Any) -> str:
    with pytest.raises(UserError) as raised:
        make(game, **{option: value})
    message = str(raised.value)
    assert "\n" not in message and len(message) < 300
    assert message.startswith(f"{game}: ")
    return message


def test_every_game_has_options() -> None:
    assert {game for game, _, _ in PARAMETERS} == set(GAMES)


OF_ANOTHER_TYPE: list[tuple[str, str, Any]] = [
    (game, option, value)
    for game, option, kind in PARAMETERS
    for value in ([1], {"a": 1}, "x" * 10_000, 1.5j)
    if not (kind is str and isinstance(value, str))
]


@pytest.mark.parametrize(
    ("game", "option", "value"),
    OF_ANOTHER_TYPE,
    ids=[f"{game}-{option}-{type(value).__name__}" for game, option, value in OF_ANOTHER_TYPE],
)
def test_a_value_of_another_type_is_refused(game: str, option: str, value: Any) -> None:
    assert f"option {option} must be" in refused(game, option, value)


@pytest.mark.parametrize(("game", "option"), NUMBERS)
@pytest.mark.parametrize("value", [-(10**9), 10**9, 10**40])
def test_a_number_out_of_range_is_refused_before_anything_is_allocated(game: str, option: str, value: int) -> None:
    assert option in refused(game, option, value) or "rows" in refused(game, option, value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["game.name=go", "game.options={size: 50}"], "go: size must be from 2 to 19, not 50"),
        (["game.name=go", "game.options={size: big}"], "go: option size must be int, not 'big'"),
        (["game.name=chess", "game.options={start: nonsense}"], "nonsense"),
        (["game.name=chess", "game.options={rows: 8}"], "chess has no option 'rows'"),
    ],
)
def test_a_training_with_bad_options_is_one_line(
    overrides: list[str], message: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "alphazero/tic_tac_toe", *overrides, "--runs-dir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("lab: ") and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
