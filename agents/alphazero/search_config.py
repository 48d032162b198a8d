"""Configuration of the tree search."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from lab.config.limits import (
    Simulations,
    Width,
)
from lab.config.sections import Config


class SearchConfig(Config):
    """MCTS: Gumbel AlphaZero or PUCT. Settings of the other algorithm have no effect."""

    algorithm: Literal["gumbel", "puct"] = Field(default="gumbel", description="Gumbel AlphaZero or PUCT.")
    simulations: Simulations = Field(default=32, description="Simulations per move of self-play.")
    discount: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="Factor of a value for each ply that it is away; below 1 sooner wins are better. Only the "
        "search's share of the value target is discounted (learner.search_value_fraction), not the game's outcome.",
    )
    average_symmetries: bool = Field(
        default=True,
        description="Evaluation and play average the network over the board's symmetries; self-play does not.",
    )
    solver: bool = Field(
        default=False,
        description="Prove wins, losses and draws in the trees: proven moves are not searched further, and policy and "
        "value keep to what is proven (MCTS-Solver, Winands et al. 2008).",
    )
    reuse_tree: bool = Field(
        default=False,
        description="Self-play continues the subtree of the move that was played (Silver et al. 2017). Each move has "
        "all its simulations beside the inherited visits; trees start anew with every iteration's weights.",
    )
    max_considered_actions: Width = Field(
        default=16, description="Gumbel: actions that the root samples without replacement."
    )
    value_scale: PositiveFloat = Field(default=0.1, description="Gumbel: c_scale of the Q transform.")
    visit_offset: PositiveFloat = Field(default=50.0, description="Gumbel: c_visit of the Q transform.")
    gumbel_scale: NonNegativeFloat = Field(default=1.0, description="Gumbel: scale of the root noise in self-play.")
    c_init: PositiveFloat = Field(default=1.25, description="PUCT: exploration constant at few visits.")
    c_base: PositiveFloat = Field(default=19652.0, description="PUCT: visits at which exploration starts to grow.")
    dirichlet_alpha: PositiveFloat = Field(default=1.0, description="PUCT: concentration of the root noise.")
    dirichlet_fraction: float = Field(
        default=0.25, ge=0.0, le=1.0, description="PUCT: weight of the noise in the root's prior in self-play."
    )
    fpu_reduction: float = Field(
        default=0.0, description="PUCT: an unvisited action's Q is this much below its parent's value."
    )
    forced_playouts: NonNegativeFloat = Field(
        default=0.0,
        description="PUCT: k of forced playouts in self-play; a visited action of the root gets at least sqrt(k P N) "
        "visits, and the policy target loses those that only the force explains (Wu 2019, section 3.2: 2). 0: off.",
    )
