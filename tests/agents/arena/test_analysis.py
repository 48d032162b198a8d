"""Analysis of one position, held to exact solutions of tic-tac-toe."""

import pytest
import torch

from agents.alphazero.agent import Agent, make_agent, make_network
from agents.arena.minimax import Solution, solve
from agents.games import select
from agents.games.moves import parse_moves, state_after
from lab.errors import UserError
from tests.agents.small_alphazero import CPU, DEVICE, config


def untrained(algorithm: str) -> Agent:
    settings = config(search={"algorithm": algorithm})
    torch.manual_seed(0)
    return make_agent("untrained", settings, make_network(settings, settings.game.make()).eval(), DEVICE)


@pytest.fixture(scope="module")
def agent() -> Agent:
    return untrained("gumbel")


@pytest.fixture(scope="module")
def solution() -> Solution:
    return solve(config().game.make())


def test_moves_may_be_written_in_four_ways(agent: Agent) -> None:
    for moves in ("513", "5 1 3", "5,1,3", ["5", "1", "3"], [5, 1, 3]):
        assert parse_moves(agent.game, moves) == [4, 0, 2]
    assert parse_moves(agent.game, "") == []


def test_names_longer_than_a_character_need_separators() -> None:
    game = config(game={"name": "connect_four", "options": {"columns": 10}}).game.make()
    assert parse_moves(game, "10 1") == [9, 0]
    with pytest.raises(UserError, match="move 1 is '101'"):
        parse_moves(game, "101")


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        ("5x", "move 2 is 'x', which is no move of tic_tac_toe"),
        ("55", "move 2, 5, is illegal in tic_tac_toe: the cell is taken; legal moves are 1, 2, 3, 4, 6, 7, 8, 9"),
        ("142537", "illegal in tic_tac_toe: the game is over"),
        ("14253", "the game is over; there is nothing to analyse"),
    ],
)
def test_moves_that_cannot_be_played_are_named(agent: Agent, moves: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        agent.think(moves)


def test_several_boards_belong_to_decide(agent: Agent) -> None:
    with pytest.raises(UserError, match="one board, not 2; use `decide`"):
        agent.think(agent.game.initial(2, CPU))


def test_a_state_and_its_moves_have_the_same_analysis(agent: Agent) -> None:
    by_moves = agent.think("51", simulations=8)
    by_state = agent.think(state_after(agent.game, "51", CPU), simulations=8)
    assert by_moves.policy.tolist() == by_state.policy.tolist()
    assert by_moves.principal_variation == by_state.principal_variation


def test_an_analysis_says_what_the_search_found(agent: Agent) -> None:
    analysis = agent.think("51", simulations=20, line_plies=3)
    decision = agent.decide(state_after(agent.game, "51", CPU), 20)
    assert analysis.moves[int(decision.action[0])] == analysis.best_move == analysis.principal_variation[0]
    assert analysis.value == pytest.approx(float(decision.value[0]))
    assert analysis.visits.sum() == 20 and analysis.policy.sum() == pytest.approx(1.0)
    assert not analysis.policy[[4, 0]].any() and not analysis.legal[[4, 0]].any()
    assert len(analysis.principal_variation) == 3
    assert sorted(analysis.ranking()) == [1, 2, 3, 5, 6, 7, 8]


def test_the_network_alone_has_no_visits(agent: Agent) -> None:
    analysis = agent.think(simulations=0)
    assert not analysis.visits.any() and analysis.legal.all()


@pytest.mark.slow
def test_best_moves_and_lines_keep_the_outcome_of_minimax(solution: Solution) -> None:
    # Positions of five stones, where 400 simulations of PUCT see every line of play: the analysis must be exact.
    agent = untrained("puct")
    plies = agent.game.plies(solution.states)
    numbers = ((plies == 5) & ~agent.game.done(solution.states)).nonzero()[::100, 0].tolist()
    for number in numbers:
        analysis = agent.think(select(solution.states, torch.tensor([number])), simulations=400)
        outcome = solution.score[number].sign().item()
        assert round(analysis.value) == outcome
        at, sign = number, 1
        for move in analysis.principal_variation:
            at, sign = int(solution.children[at, int(move) - 1]), -sign
            assert sign * solution.score[at].sign().item() == outcome
        assert agent.game.done(select(solution.states, torch.tensor([at])))[0]
