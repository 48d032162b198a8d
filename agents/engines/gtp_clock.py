"""The clocks of a GTP game: absolute time and Canadian byo-yomi (GTP 2, section 4.2)."""

from dataclasses import dataclass

from agents.engines.clock import Clock


@dataclass(frozen=True)
class TimeSettings:
    """main_s seconds, then again and again byo_yomi_s seconds for `stones` moves."""

    main_s: int
    byo_yomi_s: int
    stones: int

    @property
    def unlimited(self) -> bool:
        """GTP writes no limit as byo-yomi time without byo-yomi stones."""
        return self.byo_yomi_s > 0 and self.stones == 0


@dataclass
class PlayerClock:
    """One player's time: what the client says, and between its words what the engine measures.

    stones: moves left in the byo-yomi period, 0 in main time.
    """

    settings: TimeSettings
    left_s: float = 0.0
    stones: int = 0

    def __post_init__(self) -> None:
        self.left_s = float(self.settings.main_s)
        if not self.settings.main_s:
            self._next_period()

    def set(self, left_s: float, stones: int) -> None:
        """What `time_left` says."""
        self.left_s, self.stones = left_s, stones

    def use(self, seconds: float) -> None:
        """A move has taken so long."""
        self.left_s -= seconds
        if self.stones:
            self.stones -= 1
            if self.stones == 0:
                self._next_period()
        elif self.left_s <= 0 and self.settings.stones:
            self._next_period()

    def clock(self) -> Clock:
        """The clock for the next move."""
        if self.stones:
            return Clock(self.left_s, moves=self.stones)
        # In main time with byo-yomi to come the game does not depend on this time alone.
        period = self.settings.byo_yomi_s / self.settings.stones if self.settings.stones else 0.0
        return Clock(self.left_s + period, increment_s=period)

    def _next_period(self) -> None:
        if self.settings.stones:
            self.left_s, self.stones = float(self.settings.byo_yomi_s), self.settings.stones
