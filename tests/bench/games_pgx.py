"""Random plies of a game side by side with pgx: the same batch and cores, in turns.

    python tests/bench/games_pgx.py --game chess --batch 1024 --seconds 5

Both choose uniformly among the legal actions and start finished games anew. Theirs is one jitted function a ply. Time
is that of the process, which other programs of the machine slow less than the clock; `--clock` takes the clock instead.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

# Our name and options, and theirs.
GAMES: dict[str, tuple[str, dict[str, Any], str]] = {
    "tic_tac_toe": ("tic_tac_toe", {}, "tic_tac_toe"),
    "connect_four": ("connect_four", {}, "connect_four"),
    "othello": ("othello", {}, "othello"),
    "hex": ("hex", {}, "hex"),
    "chess": ("chess", {}, "chess"),
    "go": ("go", {"size": 19}, "go_19x19"),
}
WARM_UP = 40  # plies before the first round, so that games are mixed


@dataclass(frozen=True)
class Settings:
    game: str
    batch: int
    seconds: float
    rounds: int
    threads: int
    clock: bool


def use_cores(count: int) -> None:
    """Keeps the process on its first `count` cores; to be called before torch and JAX size their thread pools."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    os.environ["OMP_NUM_THREADS"] = str(count)
    os.environ["JAX_PLATFORMS"] = "cpu"


def our_player(settings: Settings) -> Callable[[], None]:
    """Plays one random ply on every board with each call."""
    import torch

    from agents.games import make
    from agents.games.random_play import RandomPlay

    torch.set_num_threads(settings.threads)
    name, options, _ = GAMES[settings.game]
    return RandomPlay(make(name, **options), settings.batch, torch.device("cpu"))


def their_player(settings: Settings) -> Callable[[], None]:
    """The same with pgx."""
    import jax
    import jax.numpy as jnp
    import pgx
    from pgx.experimental import auto_reset

    env: Any = pgx.make(GAMES[settings.game][2])
    step = jax.vmap(auto_reset(env.step, env.init))

    @jax.jit
    def played(state: Any, key: Any) -> tuple[Any, Any]:
        key, choose, restart = jax.random.split(key, 3)
        logits = jnp.where(state.legal_action_mask, 0.0, jnp.finfo(jnp.float32).min)
        action = jax.random.categorical(choose, logits, axis=1)
        return step(state, action, jax.random.split(restart, settings.batch)), key

    key = jax.random.PRNGKey(0)
    state = jax.jit(jax.vmap(env.init))(jax.random.split(key, settings.batch))

    def ply() -> None:
        nonlocal state, key
        state, key = played(state, key)
        jax.block_until_ready(state.terminated)

    return ply


def plies_per_s(ply: Callable[[], None], settings: Settings) -> float:
    """Plies of single games in a second, over about `seconds`."""
    now = time.perf_counter if settings.clock else time.process_time
    start, plies = now(), 0
    while now() - start < settings.seconds:
        ply()
        plies += 1
    return settings.batch * plies / (now() - start)


def compare(settings: Settings) -> dict[str, Any]:
    """Speeds of both in turns: medians, and the median of the rounds' ratios."""
    players = {"rivals": our_player(settings), "pgx": their_player(settings)}
    for ply in players.values():
        for _ in range(WARM_UP):
            ply()
    rounds = [{name: plies_per_s(ply, settings) for name, ply in players.items()} for _ in range(settings.rounds)]
    return {
        "settings": asdict(settings),
        "versions": {name: version(name) for name in ("torch", "jax", "pgx")},
        **{name: statistics.median(speeds[name] for speeds in rounds) for name in players},
        "ratio": statistics.median(speeds["rivals"] / speeds["pgx"] for speeds in rounds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", choices=sorted(GAMES), default="chess")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each player in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", action="store_true", help="measure by the clock, on a machine without other work")
    parser.add_argument("--json", action="store_true")
    arguments = vars(parser.parse_args())
    as_json = arguments.pop("json")
    settings = Settings(**arguments)
    use_cores(settings.threads)
    result = compare(settings)
    if as_json:
        print(json.dumps(result))
        return
    print(f"{settings.game}, batch {settings.batch}, {settings.threads} thread(s), random plies/s")
    print(f"rivals {result['rivals']:,.0f}   pgx {result['pgx']:,.0f}   ratio {result['ratio']:.2f}")


if __name__ == "__main__":
    main()
