"""Configuration of the game and of the policy and value network."""

from typing import Literal, Self

from pydantic import Field, model_validator

from agents import games
from agents.games import Game
from lab.config.limits import (
    CountOrZero,
    Depth,
    Width,
    WidthOrZero,
)
from lab.config.sections import Config


class GameConfig(Config):
    """The game and its options."""

    name: str = Field(description="Name of a built-in game or of one from an entry point of rivals.games.")
    options: dict[str, bool | int | float | str | None] = Field(
        default_factory=dict, description="Options of the game, such as rows, columns, length or komi."
    )

    def make(self) -> Game:
        return games.make(self.name, **self.options)


class NetworkConfig(Config):
    """Policy and value network: a trunk with two heads."""

    trunk: Literal["residual", "recurrent"] = Field(
        default="residual",
        description="Residual tower of AlphaGo Zero, or recurrent sweeps along the board's rows and columns.",
    )
    channels: Width = Field(default=64, description="Channels of the trunk.")
    blocks: Depth = Field(default=5, description="Residual blocks, or pairs of sweeps of a recurrent trunk.")
    cell: Literal["lstm", "gru"] = Field(default="gru", description="Cell of a recurrent trunk.")
    heads: Literal["linear", "convolutional"] = Field(
        default="linear",
        description=(
            "Fully connected heads for one size of board, or a convolutional policy and globally pooled features, "
            "whose weights fit every size."
        ),
    )
    norm: Literal["batch", "group", "layer", "none"] = Field(
        default="batch", description="Normalisation of the tower and the heads; of a recurrent trunk's heads only."
    )
    squeeze_excitation: WidthOrZero = Field(
        default=0, description="Hidden features of squeeze-and-excitation in residual blocks; 0 leaves it out."
    )
    global_pooling: CountOrZero = Field(
        default=0,
        description="Residual blocks that add globally pooled features to every cell, spread over the tower; 0 for "
        "none. KataGo has one in three (Wu 2019, section 4.1).",
    )
    policy_planes: Width = Field(default=2, description="Linear heads: channels of the policy's 1x1 convolution.")
    value_planes: Width = Field(default=1, description="Linear heads: channels of the value's 1x1 convolution.")
    head_channels: Width = Field(
        default=32, description="Convolutional heads: channels of each head's 1x1 convolutions."
    )
    value_hidden: Width = Field(default=64, description="Hidden features of the value head.")

    @model_validator(mode="after")
    def _sweeps_in_both_directions(self) -> Self:
        if self.trunk == "recurrent" and self.channels % 2:
            raise ValueError(
                f"a recurrent trunk uses half of its channels in each direction, and {self.channels} is odd; "
                "make network.channels even"
            )
        if self.trunk == "recurrent" and self.squeeze_excitation:
            raise ValueError("squeeze_excitation is for residual blocks; set it to 0 for a recurrent trunk")
        if self.trunk == "recurrent" and self.global_pooling:
            raise ValueError("global_pooling is for residual blocks; set it to 0 for a recurrent trunk")
        if self.global_pooling > self.blocks:
            raise ValueError(f"global_pooling {self.global_pooling} exceeds the {self.blocks} blocks of the network")
        if self.global_pooling and self.channels < 2:
            raise ValueError("global_pooling needs at least 2 channels")
        return self
