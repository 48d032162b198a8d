"""The ideas that `lab ablate` switches in AlphaZero experiments, with their sources."""

from lab.config.ablation import Ablation, Switch

ABLATION = Ablation(
    progress="positions",
    cost="network_evaluations",
    switches={
        "muon": Switch(
            ["learner.optimizer=muon", "learner.learning_rate=0.01", "learner.momentum=0.95"],
            "Jordan et al. 2024, Muon",
        ),
        "annealed_value": Switch(
            ["learner.search_value_fraction={start: 0.0, end: 0.5, until: 200000}"],
            "Wu 2021, threads of Leela Chess Zero: the search's share of the value target pays early",
        ),
    },
)
