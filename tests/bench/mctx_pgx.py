"""Self-play side by side with mctx + pgx: the same network, batch, simulations and cores, in turns.

    python tests/bench/mctx_pgx.py --channels 64 --blocks 5 --batch 256 --simulations 32 --seconds 20

Both play Connect Four with Gumbel AlphaZero and start finished games anew. Theirs is one jitted function a move: root
evaluation, search, step and restart; their network has our folded weights, and its outputs are compared with ours
first. Ours is self-play as in training, records included, with and without the table of evaluated positions.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

Array = Any  # of JAX, which is absent when types are checked
TABLE_MOVES = 16  # moves between two changes of weights in training, each of which empties the table


@dataclass(frozen=True)
class Settings:
    channels: int
    blocks: int
    batch: int
    simulations: int
    seconds: float
    threads: int
    rounds: int


@dataclass(frozen=True)
class Speed:
    """moves_per_s: of single games. simulations_per_s: simulations, root evaluations not counted."""

    moves_per_s: float
    simulations_per_s: float


def use_cores(count: int) -> None:
    """Keeps the process on its first `count` cores; to be called before torch and JAX size their thread pools."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    os.environ["OMP_NUM_THREADS"] = str(count)
    os.environ["JAX_PLATFORMS"] = "cpu"


def network(settings: Settings) -> Any:
    """Our untrained network with running statistics that are not those of a fresh one."""
    import torch

    from agents.alphazero.network import PolicyValueNet

    torch.manual_seed(0)
    net = PolicyValueNet((2, 6, 7), 7, channels=settings.channels, blocks=settings.blocks)
    with torch.no_grad():
        for _ in range(4):
            net(torch.rand(64, 2, 6, 7).round())
    return net.eval()


def our_player(settings: Settings, net: Any, table: bool) -> Callable[[], None]:
    """Plays one move on every board with each call; games are mixed already."""
    import torch

    from agents.alphazero.actors import LocalActors
    from agents.alphazero.config import AlphaZeroConfig
    from agents.alphazero.precision import inference_device
    from agents.alphazero.search import make_search
    from lab.config.loading import validate
    from lab.train.device import resolve
    from lab.train.measured_precision import PrecisionChoices

    config = validate(
        AlphaZeroConfig,
        {
            "budget": 1,
            "game": {"name": "connect_four"},
            "search": {"simulations": settings.simulations},
            "selfplay": {"boards": settings.batch, "moves_per_iteration": 1} | ({} if table else {"cache_slots": 0}),
        },
        "bench mctx_pgx",
    )
    cpu, game = torch.device("cpu"), config.game.make()
    chosen = inference_device(PrecisionChoices(None, resolve("cpu")), net, boards=settings.batch)
    actors = LocalActors(game, config, net, chosen)
    for group in actors.groups:
        search, group.search = group.search, make_search(config.search, game=game, device=cpu, simulations=1)
        for _ in range(game.max_plies):
            group.move(version=0)
        group.search = search
    moves = 0

    def move() -> None:
        nonlocal moves
        if moves % TABLE_MOVES == 0:
            actors.publish(0, net)
        actors.poll()
        moves += 1

    return move


def jax_network(folded: Any) -> Callable[[Array], tuple[Array, Array]]:
    """The folded network in pure JAX: planes bool [B, 6, 7, 2] -> policy logits [B, 7], value [B]."""
    import jax
    import jax.numpy as jnp

    def convolution(conv: Any) -> Callable[[Array], Array]:
        kernel = jnp.asarray(conv.weight.permute(2, 3, 1, 0).numpy())
        bias = jnp.asarray(conv.bias.numpy())

        def apply(x: Array) -> Array:
            dimensions = ("NHWC", "HWIO", "NHWC")
            return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=dimensions) + bias

        return apply

    def linear(layer: Any) -> Callable[[Array], Array]:
        weight, bias = jnp.asarray(layer.weight.T.numpy()), jnp.asarray(layer.bias.numpy())
        return lambda x: x @ weight + bias

    def flat(x: Array) -> Array:
        return jnp.moveaxis(x, -1, 1).reshape(len(x), -1)

    stem = convolution(folded.tower.stem.conv)
    blocks = [(convolution(b.first.conv), convolution(b.second.conv)) for b in folded.tower.blocks]
    policy_planes, value_planes = convolution(folded.policy_planes.conv), convolution(folded.value_planes.conv)
    policy = linear(folded.policy)
    hidden, outcome = (linear(m) for m in folded.value.modules() if hasattr(m, "in_features"))

    def forward(planes: Array) -> tuple[Array, Array]:
        x = jax.nn.relu(stem(planes.astype(jnp.float32)))
        for first, second in blocks:
            x = jax.nn.relu(x + second(jax.nn.relu(first(x))))
        logits = policy(flat(jax.nn.relu(policy_planes(x))))
        chances = jax.nn.softmax(outcome(jax.nn.relu(hidden(flat(jax.nn.relu(value_planes(x)))))))
        return logits, chances[:, 0] - chances[:, 2]

    return forward


def their_player(settings: Settings, net: Any) -> Callable[[], None]:
    """The same with mctx and pgx."""
    import jax
    import jax.numpy as jnp
    import mctx
    import numpy as np
    import pgx
    import torch
    from pgx.experimental import auto_reset

    from lab.nets.fold import fold

    forward, env = jax_network(fold(net)), pgx.make("connect_four")
    planes = torch.rand(settings.batch, 2, 6, 7).round()
    with torch.no_grad():
        logits, outcome = net(planes)
    theirs = jax.jit(forward)(jnp.asarray(planes.permute(0, 2, 3, 1).numpy()) > 0)
    chances = outcome.softmax(-1)
    np.testing.assert_allclose(np.asarray(theirs[0]), logits.numpy(), atol=1e-3)
    np.testing.assert_allclose(np.asarray(theirs[1]), (chances[:, 0] - chances[:, 2]).numpy(), atol=1e-3)

    def evaluate(state: Any) -> tuple[Array, Array]:
        logits, value = forward(state.observation)
        logits = logits - logits.max(-1, keepdims=True)
        logits = jnp.where(state.legal_action_mask, logits, jnp.finfo(jnp.float32).min)
        return logits, jnp.where(state.terminated, 0.0, value)

    def recurrent(params: None, key: Array, action: Array, state: Any) -> tuple[Any, Any]:
        mover = state.current_player
        state = jax.vmap(env.step)(state, action)
        logits, value = evaluate(state)
        reward = state.rewards[jnp.arange(settings.batch), mover]
        discount = jnp.where(state.terminated, 0.0, -1.0)
        output = mctx.RecurrentFnOutput(reward=reward, discount=discount, prior_logits=logits, value=value)
        return output, state

    restart = jax.vmap(auto_reset(env.step, env.init))

    @jax.jit
    def search_and_move(state: Any, key: Array) -> tuple[Any, Array]:
        search_key, step_key, next_key = jax.random.split(key, 3)
        logits, value = evaluate(state)
        output = mctx.gumbel_muzero_policy(
            None,
            search_key,
            mctx.RootFnOutput(prior_logits=logits, value=value, embedding=state),
            recurrent,
            settings.simulations,
            invalid_actions=~state.legal_action_mask,
            qtransform=mctx.qtransform_completed_by_mix_value,
        )
        # The policy is an output too: self-play has to keep it.
        state = restart(state, output.action, jax.random.split(step_key, settings.batch))
        return state, (output.action_weights, next_key)

    @jax.jit
    def random_move(state: Any, key: Array) -> Any:
        move_key, step_key = jax.random.split(key)
        action = jax.random.categorical(move_key, jnp.where(state.legal_action_mask, 0.0, -jnp.inf))
        return restart(state, action, jax.random.split(step_key, settings.batch))

    key = jax.random.PRNGKey(0)
    state = jax.jit(jax.vmap(env.init))(jax.random.split(key, settings.batch))
    for ply in range(42):
        state = random_move(state, jax.random.PRNGKey(ply))

    def move() -> None:
        nonlocal state, key
        state, (_, key) = search_and_move(state, key)
        jax.block_until_ready(state)

    move()  # compiles
    return move


def measure(settings: Settings) -> dict[str, Any]:
    """Speeds of each player by name, taken in turns since machines drift, and ours over theirs."""
    import torch

    torch.set_num_threads(settings.threads)
    net = network(settings)
    players = {
        "rivals": our_player(settings, net, table=True),
        "rivals_without_table": our_player(settings, net, table=False),
        "mctx_pgx": their_player(settings, net),
    }
    rates: dict[str, list[float]] = {name: [] for name in players}
    for _ in range(settings.rounds):
        for name, move in players.items():
            moves, start = 0, time.perf_counter()
            while (spent := time.perf_counter() - start) < settings.seconds / settings.rounds:
                move()
                moves += 1
            rates[name].append(moves * settings.batch / spent)
    speeds = {name: Speed(statistics.mean(r), statistics.mean(r) * settings.simulations) for name, r in rates.items()}
    theirs = speeds["mctx_pgx"].moves_per_s
    return {
        **{name: asdict(speed) for name, speed in speeds.items()},
        "ratio": speeds["rivals"].moves_per_s / theirs,
        "ratio_without_table": speeds["rivals_without_table"].moves_per_s / theirs,
        "settings": asdict(settings),
        "versions": {name: version(name) for name in ("torch", "jax", "mctx", "pgx")},
        "machine": f"{platform.machine()}, {settings.threads} threads",
    }


def report(result: dict[str, Any]) -> str:
    settings = result["settings"]
    lines = [
        f"Connect Four, {settings['channels']} channels x {settings['blocks']} blocks, {settings['batch']} games, "
        f"{settings['simulations']} simulations, {result['machine']}",
        f"{'':24}{'moves/s':>10}{'sims/s':>10}{'ratio':>8}",
    ]
    for name in ("rivals", "rivals_without_table", "mctx_pgx"):
        moves = result[name]["moves_per_s"]
        ratio = moves / result["mctx_pgx"]["moves_per_s"]
        label = name.replace("_", " ")
        lines.append(f"{label:24}{moves:10,.0f}{result[name]['simulations_per_s']:10,.0f}{ratio:8.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Self-play side by side with mctx + pgx.")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--simulations", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each player")
    parser.add_argument("--threads", type=int, default=2, help="CPU cores for both")
    parser.add_argument("--rounds", type=int, default=4, help="turns that each player's seconds are split into")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = vars(parser.parse_args())
    as_json = options.pop("json")
    settings = Settings(**options)
    use_cores(settings.threads)
    result = measure(settings)
    print(json.dumps(result) if as_json else report(result))


if __name__ == "__main__":
    main()
