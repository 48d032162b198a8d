"""Metrics of PPO experiments."""

from lab.run.metrics import Catalogue, Metric

CATALOGUE = Catalogue(
    [
        Metric("rollout/return", "", "mean undiscounted return of episodes that ended in training", "rollout", True),
        Metric("loss/total", "", "policy loss plus weighted value loss minus weighted entropy", "loss"),
        Metric("loss/policy", "", "clipped surrogate objective, negated", "loss"),
        Metric("loss/value", "", "mean squared error of values against the returns of GAE", "loss", False),
        Metric("rollout/length", "steps", "mean length of episodes that ended in training", "rollout"),
        Metric("rollout/episodes", "", "episodes that have ended in training", "rollout"),
        Metric("rollout/dropped", "", "episodes dropped with an environment that died", "rollout", False),
        Metric("rollout/steps_per_s", "1/s", "environment steps per second, training included", "speed", True),
        Metric(
            "train/entropy", "nat", "mean entropy of the policy, before actions are scaled to their bounds", "train"
        ),
        Metric("train/kl", "nat", "KL divergence from the policy of the rollout, mean of the updates", "train"),
        Metric("train/clip_fraction", "", "fraction of steps whose probability ratio was clipped", "train"),
        Metric(
            "train/explained_variance", "", "fraction of the returns' variance that the values explain", "train", True
        ),
        Metric("train/gradient_norm", "", "norm of the gradient before clipping", "train"),
        Metric("train/learning_rate", "", "learning rate", "train"),
        Metric("train/epochs", "", "passes over the rollout, below the configured number after a KL stop", "train"),
        Metric("train/steps", "", "optimizer steps so far", "train"),
        Metric("cluster/workers_alive", "workers", "workers that are up", "cluster", True),
        Metric("cluster/restarts", "workers", "workers replaced since the process began", "cluster", False),
        Metric("cluster/learner_wait", "fraction", "time that the learner waited for rollouts", "cluster"),
        Metric("cluster/worker_busy", "fraction", "time that workers collected, mean", "cluster", True),
        Metric("cluster/balance", "fraction", "collecting time of the mean worker over the slowest", "cluster", True),
        Metric("cluster/result_mb_per_s", "MB/s", "trajectories received", "cluster"),
        Metric("cluster/weights_mb", "MB", "one version of the weights", "cluster"),
        Metric("time/rollout_s", "s", "collecting the rollouts of the iteration", "time", False),
        Metric("time/learning_s", "s", "updates of the iteration", "time", False),
        Metric("eval/return", "", "mean undiscounted return of evaluated episodes", "eval", True),
        Metric("eval/return_std", "", "standard deviation of the return between episodes", "eval"),
        Metric("eval/length", "steps", "mean length of evaluated episodes", "eval"),
    ]
)
"""Every metric of a PPO run besides those of the run loop."""
