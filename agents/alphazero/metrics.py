"""Metrics of AlphaZero."""

from agents.arena.shipped import SETS
from lab.run.metrics import Catalogue, Metric

CATALOGUE = Catalogue(
    [
        Metric("loss/total", "nats", "weighted sum of the losses", "loss", False),
        Metric("loss/policy", "nats", "KL divergence of the policy from the search policy", "loss", False),
        Metric("loss/value", "nats", "KL divergence of win/draw/loss from its target", "loss", False),
        Metric("loss/opponent_reply", "nats", "KL divergence from the next position's search policy", "loss", False),
        Metric("loss/soft_policy", "nats", "KL divergence from the search policy raised to 1/4", "loss", False),
        Metric("loss/value_horizons", "nats", "KL divergence from short-horizon values, summed", "loss", False),
        Metric("loss/final_board", "nats", "cross-entropy of who holds a cell at the end, mean", "loss", False),
        Metric("train/target_entropy", "nats", "entropy of the search's policies", "train"),
        Metric("train/gradient_norm", "", "norm of the gradient before clipping", "train"),
        Metric("train/learning_rate", "", "learning rate of the last step", "train"),
        Metric("train/steps", "steps", "gradient steps so far", "train"),
        Metric("train/replay_ratio", "", "positions trained on per position received", "train"),
        Metric("train/samples_per_s", "1/s", "positions trained on per second of learning", "speed", True),
        Metric("replay/window", "positions", "positions that can be sampled", "replay"),
        Metric("replay/policy_lag", "versions", "mean age of the weights that searched trained positions", "replay"),
        Metric("replay/reanalysed", "positions", "positions searched again so far", "replay"),
        Metric("selfplay/games", "games", "games finished so far", "selfplay"),
        Metric("selfplay/plies", "plies", "mean length of the games that ended", "selfplay"),
        Metric("selfplay/first_wins", "fraction", "games won by the side that moved first", "selfplay"),
        Metric("selfplay/draws", "fraction", "games drawn", "selfplay"),
        Metric("selfplay/resigned", "fraction", "games that ended by resignation", "selfplay"),
        Metric("selfplay/wrong_resignations", "fraction", "audited resignations in games not lost", "selfplay", False),
        Metric("selfplay/games_per_h", "1/h", "games finished per hour of self-play", "speed", True),
        Metric("selfplay/moves_per_s", "1/s", "moves per second of self-play, all boards", "speed", True),
        Metric("selfplay/simulations_per_s", "1/s", "self-play simulations, root evaluations counted", "speed", True),
        Metric(
            "selfplay/network_evaluations", "positions", "network evaluations so far, reanalysis included", "selfplay"
        ),
        Metric("selfplay/evaluated", "fraction", "leaves that went through the network", "selfplay"),
        Metric("selfplay/ended", "fraction", "leaves at which the game was over", "selfplay"),
        Metric("selfplay/repeated", "fraction", "leaves found in the evaluation cache", "selfplay"),
        Metric("selfplay/batch", "rows", "mean rows of a network call", "selfplay"),
        Metric("selfplay/batch_fill", "fraction", "rows of a network call over boards", "selfplay", True),
        Metric("time/selfplay_s", "s", "self-play in this iteration; with workers the wait for their games", "time"),
        Metric("time/reanalysis_s", "s", "searches of old positions in this iteration", "time"),
        Metric("time/learning_s", "s", "learning in this iteration", "time"),
        Metric("eval/optimal_outcome", "fraction", "moves that keep the outcome of solved positions", "eval", True),
        Metric("eval/optimal_score", "fraction", "moves with the best exact score in solved positions", "eval", True),
        Metric("eval/network_optimal_outcome", "fraction", "optimal_outcome without search", "eval", True),
        Metric("eval/network_optimal_score", "fraction", "optimal_score without search", "eval", True),
        Metric("eval/calibration_error", "", "expected calibration error of the value head", "eval", False),
        Metric("eval/value_error", "", "mean distance of the network's value from the exact outcome", "eval", False),
        *(Metric(f"eval/{name}", "fraction", meaning, "eval", True) for name, meaning in SETS.items()),
        Metric("eval/lost_lines", "games", "lines of play that the agent loses", "eval", False),
        Metric("eval/score_random", "fraction", "points against random play", "eval", True),
        Metric("eval/score_rollouts", "fraction", "points against a plain rollout search", "eval", True),
        Metric("eval/first_reward", "", "reward of the first player in the sample game", "eval"),
        Metric("cluster/workers_alive", "workers", "workers that are up", "cluster", True),
        Metric("cluster/restarts", "workers", "workers replaced since the process began", "cluster", False),
        Metric("cluster/policy_lag", "versions", "mean age of the weights that played the received games", "cluster"),
        Metric("cluster/max_policy_lag", "versions", "largest age of these weights", "cluster"),
        Metric("cluster/learner_wait", "fraction", "time that the learner waited for games", "cluster"),
        Metric("cluster/worker_busy", "fraction", "time that workers spent playing", "cluster", True),
        Metric("cluster/result_mb_per_s", "MB/s", "finished games received", "cluster"),
        Metric("cluster/weights_mb", "MB", "one version of the weights", "cluster"),
        Metric(
            "cluster/worker_moves_per_s", "1/s", "moves per second of a worker while it plays, mean", "cluster", True
        ),
        Metric("cluster/slowest_moves_per_s", "1/s", "moves per second of the slowest worker", "cluster", True),
    ]
)
