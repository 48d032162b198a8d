"""Equality with mctx on the same priors, values and root noise: the same visits, policies and actions."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from agents.games import make
from agents.games.game import where
from agents.search import GumbelSearch, PuctSearch, SearchResult
from agents.search.dynamics import GameDynamics
from tests.agents.table_dynamics import Tables, random_tables

pytestmark = pytest.mark.peers
jax = pytest.importorskip("jax", reason="jax is not installed: `make peers` has it")
mctx = pytest.importorskip("mctx", reason="mctx is not installed: `make peers` has it")
jnp = jax.numpy

Array = Any  # of JAX, which is absent when types are checked
CPU = torch.device("cpu")
ILLEGAL = torch.finfo(torch.float32).min
STATES = 64


class World(NamedTuple):
    """`Tables` for JAX; what ended has discount 0 already."""

    logits: Array
    value: Array
    successor: Array
    reward: Array
    discount: Array


class Answer(NamedTuple):
    """What mctx decided for B roots, and the root noise it had drawn."""

    action: NDArray[np.int32]
    policy: NDArray[np.float32]
    visits: NDArray[np.int32]
    gumbel: NDArray[np.float32]


def step(world: World, rng: Array, action: Array, state: Array) -> tuple[Any, Array]:
    """The recurrent function; behind an ended step mctx searches on, at a discount of 0."""
    after = world.successor[state, action]
    return mctx.RecurrentFnOutput(
        reward=world.reward[state, action],
        discount=world.discount[state, action],
        prior_logits=world.logits[after],
        value=world.value[after],
    ), after


@cache
def gumbel_policy(simulations: int, considered: int) -> Callable[..., Any]:
    @jax.jit
    def run(world: World, key: Array, logits: Array, state: Array, invalid: Array) -> Any:
        root = mctx.RootFnOutput(prior_logits=logits, value=world.value[state], embedding=state)
        output = mctx.gumbel_muzero_policy(
            world,
            key,
            root,
            step,
            simulations,
            invalid_actions=invalid,
            qtransform=mctx.qtransform_completed_by_mix_value,
            max_num_considered_actions=considered,
        )
        return output.action, output.action_weights, output.search_tree.summary().visit_counts

    return run


def root_noise(key: Array, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The very draw of `gumbel_muzero_policy` from this key (mctx 0.0.71, policies.py)."""
    _, gumbel_key = jax.random.split(key)
    return np.asarray(jax.random.gumbel(gumbel_key, shape=shape, dtype=jnp.float32))


def answer(outputs: tuple[Array, Array, Array], key: Array, shape: tuple[int, ...]) -> Answer:
    action, policy, visits = (np.asarray(x) for x in outputs)
    return Answer(action, policy, visits, root_noise(key, shape))


def world_of(tables: Tables) -> World:
    arrays = {name: jnp.asarray(getattr(tables, name).numpy()) for name in World._fields}
    return World(**{**arrays, "successor": arrays["successor"].astype(jnp.int32)})


def root_logits(tables: Tables, roots: torch.Tensor) -> torch.Tensor:
    """Priors with noise where actions are illegal: both searches are to ignore it."""
    noise = torch.randn(tables.logits.shape, generator=torch.Generator().manual_seed(1))
    return torch.where(tables.logits > ILLEGAL, tables.logits, noise)[roots]


def ask_mctx(tables: Tables, roots: torch.Tensor, simulations: int, considered: int, seed: int) -> Answer:
    key = jax.random.PRNGKey(seed)
    logits = root_logits(tables, roots).numpy()
    invalid = ~tables.legal(roots).numpy()
    run = gumbel_policy(simulations, considered)
    outputs = run(world_of(tables), key, logits, roots.numpy().astype(np.int32), invalid)
    return answer(outputs, key, logits.shape)


def ask_ours(
    tables: Tables, roots: torch.Tensor, simulations: int, considered: int, gumbel: NDArray[np.float32]
) -> SearchResult:
    return GumbelSearch(simulations=simulations, max_considered_actions=considered)(
        tables.root(roots)._replace(logits=root_logits(tables, roots)),
        dynamics=tables,
        seed=0,
        root_noise=torch.tensor(gumbel),
    )


def assert_same(ours: SearchResult, theirs: Answer) -> None:
    np.testing.assert_array_equal(ours.visits.numpy(), theirs.visits)
    np.testing.assert_allclose(ours.policy.numpy(), theirs.policy, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(ours.action.numpy(), theirs.action)


SETTINGS = [
    *((2, considered, n) for considered in (1, 2) for n in (1, 3, 32, 64)),
    *((7, considered, n) for considered in (1, 3, 7) for n in (1, 2, 16, 32, 64)),
    *((20, considered, n) for considered in (1, 5, 16, 20) for n in (1, 16, 32, 64)),
]


@pytest.mark.parametrize("general", [False, True], ids=["game", "model"])
@pytest.mark.parametrize(("actions", "considered", "simulations"), SETTINGS)
def test_gumbel_search_decides_as_mctx_does(actions: int, considered: int, simulations: int, general: bool) -> None:
    roots = torch.arange(STATES)
    for seed in range(4):
        tables = random_tables(seed, STATES, actions, general=general)
        theirs = ask_mctx(tables, roots, simulations, considered, seed)
        assert_same(ask_ours(tables, roots, simulations, considered, theirs.gumbel), theirs)


@pytest.mark.parametrize("batch", [1, 2, 5, 33])
def test_batches_of_any_size(batch: int) -> None:
    tables = random_tables(9, STATES, 7)
    roots = torch.arange(batch) * 3 % STATES
    theirs = ask_mctx(tables, roots, 24, 7, seed=batch)
    assert_same(ask_ours(tables, roots, 24, 7, theirs.gumbel), theirs)


@pytest.mark.parametrize(("ended", "illegal"), [(0.0, 0.0), (0.6, 0.0), (0.1, 0.7), (0.9, 0.5)])
def test_many_ends_and_many_illegal_actions(ended: float, illegal: float) -> None:
    roots = torch.arange(STATES)
    for seed in range(4):
        tables = random_tables(seed, STATES, 7, ended=ended, illegal=illegal)
        theirs = ask_mctx(tables, roots, 32, 16, seed)
        assert_same(ask_ours(tables, roots, 32, 16, theirs.gumbel), theirs)


def puct_choice(rng: Array, tree: Any, node: Array, depth: Array = 0, *, fpu_reduction: float) -> Array:
    """Our PUCT formula in mctx's terms: mctx's own counts the node's first visit and rescales Q."""
    visits = tree.children_visits[node]
    total = tree.node_visits[node] - 1
    logits = tree.children_prior_logits[node]
    q = jnp.where(visits > 0, tree.qvalues(node), tree.node_values[node] - fpu_reduction)
    c = 1.25 + jnp.log((1.0 + total + 19652.0) / 19652.0)
    urgency = c * jax.nn.softmax(logits) * jnp.sqrt(jnp.maximum(total, 1.0)) / (1.0 + visits)
    return jnp.where(logits > ILLEGAL, q + urgency, -jnp.inf).argmax().astype(jnp.int32)


@pytest.mark.parametrize("general", [False, True], ids=["game", "model"])
@pytest.mark.parametrize(("simulations", "fpu_reduction"), [(1, 0.0), (16, 0.25), (64, 0.0)])
def test_puct_grows_the_tree_that_mctx_grows(simulations: int, fpu_reduction: float, general: bool) -> None:
    def choose(*arguments: Any) -> Array:
        return puct_choice(*arguments, fpu_reduction=fpu_reduction)

    @jax.jit
    def visits_and_value(world: World, state: Array) -> tuple[Array, Array]:
        summary = mctx.search(
            world,
            jax.random.PRNGKey(0),
            root=mctx.RootFnOutput(prior_logits=world.logits[state], value=world.value[state], embedding=state),
            recurrent_fn=step,
            root_action_selection_fn=choose,
            interior_action_selection_fn=choose,
            num_simulations=simulations,
        ).summary()
        return summary.visit_counts, summary.value

    search = PuctSearch(simulations=simulations, dirichlet_fraction=0.0, fpu_reduction=fpu_reduction)
    roots = torch.arange(STATES)
    for seed in range(4):
        tables = random_tables(seed, STATES, 7, general=general)
        visits, value = visits_and_value(world_of(tables), jnp.arange(STATES))
        ours = search(tables.root(roots), dynamics=tables, seed=0)
        np.testing.assert_array_equal(ours.visits.numpy(), np.asarray(visits))
        np.testing.assert_allclose(ours.value.numpy(), np.asarray(value), rtol=0, atol=1e-5)


def linear_evaluator() -> NDArray[np.float64]:
    """Weights [84, 8] of a linear policy and value over connect four's planes [2, 6, 7].

    Multiples of 2**-12: sums over a board have no rounding, so that both sides see equal numbers.
    """
    weights = np.random.default_rng(0).normal(size=(84, 8)) * ([0.5] * 7 + [0.1])
    return np.round(weights * 4096) / 4096


def pgx_policy(env: Any, weights: NDArray[np.float64], simulations: int, considered: int) -> Callable[..., Any]:
    """A jitted function (key, state) -> action, policy, visits: mctx with the rules of pgx."""

    def evaluate(state: Any) -> tuple[Array, Array]:
        planes = jnp.moveaxis(state.observation, -1, 1).reshape(-1, 84).astype(jnp.float32)
        out = jnp.matmul(planes, jnp.asarray(weights, jnp.float32), precision="highest")
        return jnp.where(state.legal_action_mask, out[:, :7], ILLEGAL), out[:, 7]

    def step_pgx(params: None, rng: Array, action: Array, state: Any) -> tuple[Any, Any]:
        mover = state.current_player
        state = jax.vmap(env.step)(state, action)
        logits, value = evaluate(state)
        reward = state.rewards[jnp.arange(len(action)), mover]
        discount = jnp.where(state.terminated, 0.0, -1.0)
        return mctx.RecurrentFnOutput(reward=reward, discount=discount, prior_logits=logits, value=value), state

    @jax.jit
    def run(key: Array, state: Any) -> Any:
        logits, value = evaluate(state)
        root = mctx.RootFnOutput(prior_logits=logits, value=value, embedding=state)
        output = mctx.gumbel_muzero_policy(
            None,
            key,
            root,
            step_pgx,
            simulations,
            invalid_actions=~state.legal_action_mask,
            max_num_considered_actions=considered,
        )
        return output.action, output.action_weights, output.search_tree.summary().visit_counts

    return run


def test_whole_connect_four_searches_agree_with_mctx_on_pgx() -> None:
    pgx = pytest.importorskip("pgx", reason="pgx is not installed: `make peers` has it")
    env, weights = pgx.make("connect_four"), linear_evaluator()
    boards, simulations, considered = 96, 48, 7
    run = pgx_policy(env, weights, simulations, considered)
    torch_weights = torch.tensor(weights, dtype=torch.float32)

    def evaluate(observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = observation.flatten(1) @ torch_weights
        return out[:, :7], out[:, 7]

    game = make("connect_four")
    dynamics = GameDynamics(game, evaluate)
    ids = torch.arange(boards)
    ours, theirs = game.initial(boards, CPU), jax.vmap(env.init)(jax.random.split(jax.random.PRNGKey(0), boards))
    jax_step, rng = jax.jit(jax.vmap(env.step)), np.random.default_rng(1)
    compared = 0
    for ply in range(36):
        legal = game.legal(ours)
        running = legal.any(1)
        np.testing.assert_array_equal(np.asarray(theirs.legal_action_mask)[running], legal[running].numpy())
        if ply % 4 == 0:
            key = jax.random.PRNGKey(ply)
            decided = answer(run(key, theirs), key, (boards, 7))
            root = dynamics.root(ours, game_id=ids, ply=ids)
            result = GumbelSearch(simulations=simulations, max_considered_actions=considered)(
                root, dynamics=dynamics, seed=0, root_noise=torch.tensor(decided.gumbel)
            )
            rows = running.numpy()
            assert_same(SearchResult(*(x[running] for x in result)), Answer(*(x[rows] for x in decided)))
            compared += int(running.sum())
        # Boards that are over stay; the others go on at random.
        action = torch.tensor(rng.random((boards, 7))).mul(legal).argmax(1)
        ours = where(running, game.step(ours, action), ours)
        theirs = jax_step(theirs, jnp.asarray(action.numpy(), jnp.int32))
    assert compared > 300
