"""A window on the screen by pygame, which is imported only when an image is shown."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import UserError


class Window:
    """Shows at most `fps` images per second; the window opens with the first one."""

    def __init__(self, title: str, fps: int) -> None:
        self._title = title
        self._fps = fps
        self._screen: Any = None
        self._clock: Any = None

    def show(self, image: NDArray[np.uint8]) -> None:
        """Show uint8 [height, width, 3]. Raises UserError without pygame or without a screen."""
        pygame = _pygame()
        height, width, _ = image.shape
        if self._screen is None:
            try:
                pygame.display.init()
                self._screen = pygame.display.set_mode((width, height))
            except pygame.error as error:
                raise UserError(
                    f'render_mode="human" cannot open a window ({error}); without a screen use "rgb_array"'
                ) from error
            pygame.display.set_caption(self._title)
            self._clock = pygame.time.Clock()
        # In pygame the horizontal axis is first.
        pygame.surfarray.blit_array(self._screen, image.swapaxes(0, 1))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        if self._screen is not None:
            _pygame().display.quit()
            self._screen = None


def _pygame() -> Any:
    try:
        import pygame
    except ImportError as error:
        raise UserError(
            'render_mode="human" needs pygame: pip install pygame-ce, or use "rgb_array" or "ansi"'
        ) from error
    return pygame
