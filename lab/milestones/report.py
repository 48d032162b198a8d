"""What a milestone prints and draws: theory beside measurement, and one figure."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Finding:
    """One known property: what theory or the literature says, what this run measured, and whether the two agree."""

    name: str
    theory: str
    measured: str
    agrees: bool


@dataclass(frozen=True)
class Report:
    """Result of a milestone. figure: pixels of lab.plots.figures, [height, width, 3] uint8.

    notes: plain sentences that a reader needs to judge the findings, such as reduced sizes."""

    findings: tuple[Finding, ...]
    figure: np.ndarray
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Milestone:
    """Entry of the table. run: called with a seed and a line printer for progress; the same seed gives the same report.

    minutes: time on two CPU cores, rounded up. source: the publication."""

    name: str
    title: str
    year: int
    source: str
    minutes: int
    run: Callable[[int, Callable[[str], None]], Report]
