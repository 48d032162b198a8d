"""The ideas that `lab ablate` switches in AlphaZero experiments, with their sources."""

from lab.config.ablation import Ablation, Switch

_KATAGO = "KataGo's documentation, KataGoMethods.md"

SWITCHES = {
    "playout_cap": Switch(
        ["selfplay.full_search_fraction=0.25", "selfplay.cheap_simulations=8"],
        "Wu 2019, section 3.1",
        progress=2.2,  # a quarter of 33 evaluations and three quarters of 9 in place of 33
        off=["selfplay.full_search_fraction=1"],
    ),
    "forced_playouts": Switch(["search.forced_playouts=2"], "Wu 2019, section 3.2", needs=("search.algorithm", "puct")),
    "surprise_weighting": Switch(["selfplay.surprise_weighting=true"], _KATAGO),
    "opponent_reply": Switch(["learner.auxiliary.opponent_reply=0.15"], "Wu 2019, section 4.2"),
    "soft_policy": Switch(["learner.auxiliary.soft_policy=8"], _KATAGO),
    "value_horizons": Switch(["learner.auxiliary.value_horizons=[2, 4, 8]"], _KATAGO),
    "final_board": Switch(["learner.auxiliary.final_board=1.5"], "Wu 2019, section 4.3"),
    "global_pooling": Switch(["network.global_pooling=1"], "Wu 2019, section 4.1"),
    "reanalyse": Switch(
        ["replay.reanalyse_fraction=0.5", "selfplay.record_states=true"],
        "Schrittwieser et al. 2021",
        progress=1 / 1.5,
    ),
    "reuse_tree": Switch(["search.reuse_tree=true"], "Silver et al. 2017, Methods"),
    "annealed_value": Switch(
        ["learner.search_value_fraction={start: 0.0, end: 0.5, until: 100000}"],
        "threads of Leela Chess Zero: the weight of the search's value should grow with training",
    ),
    "solver": Switch(["search.solver=true"], "Winands et al. 2008; Cazenave and Saffidine 2010"),
    "muon": Switch(
        [
            "learner.optimizer=muon",
            "learner.learning_rate=0.02",
            "learner.momentum=0.95",
            "learner.adamw_fraction=0.1",  # AdamW keeps the rate of a preset with 0.002
        ],
        "Jordan et al. 2024",
        off=["learner.optimizer=adamw", "learner.learning_rate=0.002"],
    ),
}

ABLATION = Ablation(progress="positions", cost="network_evaluations", switches=SWITCHES)
