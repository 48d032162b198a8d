"""Every game as a PettingZoo environment, and trained agents as policies for PettingZoo environments.

`make("connect_four", rows=5)` builds one by name; importing this package also registers each game with
PettingZoo, as "rivals/connect_four-v0" and so on.
"""

import pettingzoo

from agents.games import game_names
from agents.pettingzoo.env import VERSION, GameEnv, raw_env
from agents.pettingzoo.env import env as make
from agents.pettingzoo.policy import Policy, policy_for

if hasattr(pettingzoo, "register"):  # the oldest supported PettingZoo has no registry
    for _name in game_names():
        pettingzoo.register(
            "aec", f"rivals/{_name}-v{VERSION}", "agents.pettingzoo.env:env", kwargs={"game_name": _name}
        )

__all__ = ["GameEnv", "Policy", "make", "policy_for", "raw_env"]
