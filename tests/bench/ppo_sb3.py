"""PPO side by side with Stable-Baselines3: the same environments, network, minibatches and epochs, in turns.

    python tests/bench/ppo_sb3.py lunar_lander --seconds 60

A turn of each side is whole iterations, a rollout with its update. Both sides get 1 and 2 threads, and environments in
this process and in others; the best setting of each side counts. Masks and LSTM are compared with sb3-contrib.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """One comparison; `network` and `normalize` are settings of ours. subprocesses: worth trying for theirs."""

    env: str
    count: int
    rollout_steps: int
    minibatch: int
    epochs: int
    normalize: bool = False
    masks: bool = False
    lstm: int = 0
    subprocesses: bool = True
    kwargs: dict[str, Any] = field(default_factory=dict)


TASKS = {
    # 64 environments, minibatches and epochs as CleanRL has them: a quarter of the rollout, 4 epochs. 64 processes with
    # a torch each do not fit small machines.
    "cartpole": Task("CartPole-v1", 64, 32, 512, 4, subprocesses=False),
    # rl-baselines3-zoo's minibatches, epochs and number of environments.
    "lunar_lander": Task("LunarLander-v3", 16, 256, 64, 4),
    # Stable-Baselines3's defaults: 2048 steps a rollout, minibatches of 64, 10 epochs; normalised as in the zoo.
    "half_cheetah": Task("HalfCheetah-v5", 8, 256, 64, 10, normalize=True),
    "taxi": Task("Taxi-v4", 8, 128, 256, 4, masks=True),
    "lstm": Task("CartPole-v1", 8, 128, 128, 10, lstm=256),
}


@dataclass(frozen=True)
class Setting:
    """Threads of torch, and how environments are vectorised."""

    threads: int
    vectorization: str

    def __str__(self) -> str:
        return f"{self.vectorization}, {self.threads} {'thread' if self.threads == 1 else 'threads'}"


def our_player(task: Task, setting: Setting) -> Callable[[], int]:
    """Runs one iteration with each call and returns its environment steps."""
    from agents.ppo.config import PPOConfig
    from agents.ppo.experiment import build
    from lab.train.device import resolve

    processes = int(setting.vectorization.partition(" ")[0]) if "processes" in setting.vectorization else 0
    network: dict[str, Any] = {"hidden": (64, 64)}
    if task.lstm:
        network = {"hidden": (), "recurrent": "lstm", "recurrent_size": task.lstm}
    config = PPOConfig.model_validate(
        {
            "budget": 10**9,
            "env": {"id": task.env, "count": task.count, "processes": processes, "kwargs": task.kwargs},
            "network": network,
            "normalize": {"observations": task.normalize, "rewards": task.normalize},
            "learner": {
                **{"rollout_steps": task.rollout_steps, "minibatch": task.minibatch, "epochs": task.epochs},
                **{"schedule": "constant"},
            },
        }
    )
    experiment = build(config, Path.cwd(), resolve("cpu", "fp32", setting.threads))

    def iterate() -> int:
        before = experiment.counters["steps"]
        experiment.iterate()
        return experiment.counters["steps"] - before

    return iterate


def their_player(task: Task, setting: Setting) -> Callable[[], int]:
    """The same with Stable-Baselines3."""
    import stable_baselines3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

    from agents.environments.quiet import tame

    tame("mujoco")  # it would write warnings to MUJOCO_LOG.TXT
    options: dict[str, Any] = {
        **{"n_steps": task.rollout_steps, "batch_size": task.minibatch, "n_epochs": task.epochs},
        **{"device": "cpu", "learning_rate": 3e-4, "seed": 0},
    }
    kind, policy, wrapper = stable_baselines3.PPO, "MlpPolicy", None
    if task.lstm:
        from sb3_contrib import RecurrentPPO

        kind, policy = RecurrentPPO, "MlpLstmPolicy"
        options["policy_kwargs"] = {"net_arch": [], "lstm_hidden_size": task.lstm}
    if task.masks:
        from sb3_contrib import MaskablePPO

        kind, wrapper = MaskablePPO, _with_masks
    vectorized = SubprocVecEnv if setting.vectorization == "subprocesses" else DummyVecEnv
    env = make_vec_env(
        task.env, task.count, seed=0, vec_env_cls=vectorized, wrapper_class=wrapper, env_kwargs=task.kwargs
    )
    model = kind(policy, VecNormalize(env) if task.normalize else env, **options)
    model.learn(task.rollout_steps * task.count, log_interval=None)  # sets up what the calls below need
    _, callback = model._setup_learn(10**9, None, reset_num_timesteps=False)

    def iterate() -> int:
        model.collect_rollouts(model.env, callback, model.rollout_buffer, n_rollout_steps=task.rollout_steps)
        model.train()
        return task.rollout_steps * task.count

    return iterate


def _with_masks(env: Any) -> Any:
    from sb3_contrib.common.wrappers import ActionMasker

    return ActionMasker(env, lambda inner: inner.unwrapped.action_mask(inner.unwrapped.s))


def settings(task: Task, threads: list[int], processes: int, own: bool) -> list[Setting]:
    """What is tried for one side: each number of threads in this process, and other processes with one thread."""
    found = [Setting(number, "in process") for number in threads]
    if own and processes:
        found.append(Setting(1, f"{processes} processes"))
    if not own and processes and task.subprocesses:
        found.append(Setting(1, "subprocesses"))
    return found


def measure(
    name: str, seconds: float, rounds: int, threads: list[int], processes: int, cpu_time: bool
) -> dict[str, Any]:
    """Steps per second of every setting by side, and the median over rounds of the ratio of the best settings.

    cpu_time: seconds are those that this process computed, for machines that others use; one thread, no processes.
    """
    import torch

    task, clock = TASKS[name], time.process_time if cpu_time else time.perf_counter
    if cpu_time:
        threads, processes = [1], 0
    players: dict[tuple[str, Setting], Callable[[], int]] = {}
    for setting in settings(task, threads, processes, own=True):
        players["rivals", setting] = our_player(task, setting)
    for setting in settings(task, threads, processes, own=False):
        players["sb3", setting] = their_player(task, setting)
    rates: dict[tuple[str, Setting], list[float]] = {key: [] for key in players}
    for turn in range(rounds + 1):
        for (side, setting), iterate in players.items():
            torch.set_num_threads(setting.threads)
            steps, start = 0, clock()
            # The first turn warms up: caches, and for ours the first moments of Adam.
            while (spent := clock() - start) < (seconds / rounds if turn else 0.0) or not steps:
                steps += iterate()
            if turn:
                rates[side, setting].append(steps / spent)
    best = {
        side: max((key for key in players if key[0] == side), key=lambda key: statistics.median(rates[key]))
        for side in ("rivals", "sb3")
    }
    ratios = [ours / theirs for ours, theirs in zip(rates[best["rivals"]], rates[best["sb3"]], strict=True)]
    return {
        "task": name,
        **{key: value for key, value in asdict(task).items() if key != "kwargs"},
        "steps_per_s": {
            side: {str(key[1]): statistics.median(rates[key]) for key in players if key[0] == side} for side in best
        },
        "best": {side: str(key[1]) for side, key in best.items()},
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "versions": {package: version(package) for package in ("torch", "gymnasium", "stable_baselines3")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "clock": "CPU time" if cpu_time else "wall time",
        "load": os.getloadavg()[0],
    }


def report(result: dict[str, Any]) -> str:
    lines = [
        f"{result['env']}, {result['count']} environments x {result['rollout_steps']} steps, minibatches of "
        f"{result['minibatch']}, {result['epochs']} epochs; {result['machine']}, "
        f"load {result['load']:.1f}, {result['clock']}",
        f"{'':36}{'steps/s':>10}",
    ]
    for side, label in (("rivals", "rivals"), ("sb3", "Stable-Baselines3")):
        for setting, rate in result["steps_per_s"][side].items():
            mark = " *" if setting == result["best"][side] else ""
            lines.append(f"{f'{label}, {setting}':36}{rate:10,.0f}{mark}")
    lines.append(f"ratio of the best (median of {len(result['ratios'])} rounds): {result['ratio']:.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="PPO side by side with Stable-Baselines3.")
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--seconds", type=float, default=20.0, help="for each setting of each side")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each setting's seconds are split into")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads of torch to try")
    parser.add_argument("--processes", type=int, default=2, help="processes of ours to try; 0 tries none on both sides")
    parser.add_argument("--cpu-time", action="store_true", help="seconds of one thread's CPU time, on busy machines")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = measure(
        options.task, options.seconds, options.rounds, options.threads, options.processes, options.cpu_time
    )
    print(json.dumps(result) if options.json else report(result))


if __name__ == "__main__":
    main()
