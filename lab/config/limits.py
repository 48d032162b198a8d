"""Types of configured integers, each with its largest value: a number beyond all use is refused where it is read.

The limits lie far above what a run can use; whether a run fits this machine's memory is checked when it starts.
"""

from typing import Annotated

from pydantic import Field

MOST = 10**15
"""Largest count: sums of counts stay far below 2**63, the range of a tensor's integers."""
LARGEST_SEED = 2**63 - 1

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Count = Annotated[int, Field(gt=0, le=MOST)]
"""Images, positions, steps, iterations: work to be done."""
CountOrZero = Annotated[int, Field(ge=0, le=MOST)]
BatchSize = Annotated[int, Field(gt=0, le=2**24)]
"""Samples that are processed together."""
Width = Annotated[int, Field(gt=0, le=2**16)]
"""Channels, units, features."""
WidthOrZero = Annotated[int, Field(ge=0, le=2**16)]
Depth = Annotated[int, Field(gt=0, le=256)]
"""Layers, blocks, levels."""
DepthOrZero = Annotated[int, Field(ge=0, le=256)]
RecurrentDepth = Annotated[int, Field(gt=0, le=32)]
"""Recurrent layers, each of which takes as many steps as the sequence is long."""
Length = Annotated[int, Field(gt=0, le=2**20)]
"""Steps or tokens of a sequence."""
Trials = Annotated[int, Field(gt=0, le=2**20)]
"""Games, simulations, boards, and what else is repeated within an iteration or an evaluation."""
TrialsOrZero = Annotated[int, Field(ge=0, le=2**20)]
Simulations = Annotated[int, Field(gt=0, le=2**16)]
"""Simulations of one search: the nodes of its tree."""
Channels = Annotated[int, Field(gt=0, le=1024)]
"""Channels of the data: colours of an image, values of a series."""
Few = Annotated[int, Field(gt=0, le=1024)]
"""What is small by its nature: the width of a beam, a minibatch group, discriminator steps per generator step."""
Shown = Annotated[int, Field(gt=0, le=100)]
"""Rows of a figure."""
Side = Annotated[int, Field(gt=0, le=2**14)]
"""Pixels along the side of an image."""
SideOrZero = Annotated[int, Field(ge=0, le=2**14)]
Slots = Annotated[int, Field(ge=0, le=2**32)]
"""Entries of a table in memory."""
Processes = Annotated[int, Field(gt=0, le=2**16)]
ProcessesOrZero = Annotated[int, Field(ge=0, le=2**16)]
Threads = Annotated[int, Field(gt=0, le=1024)]
Resources = Annotated[float, Field(ge=0.0, le=2**16)]
"""CPUs or GPUs."""
Seconds = Annotated[float, Field(gt=0.0, le=1e7)]
