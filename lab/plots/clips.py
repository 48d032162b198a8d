"""Moving pictures as gif or mp4, written atomically."""

import importlib.util
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lab.errors import UserError
from lab.files.durable import replacing

CLIPS = (".gif", ".mp4")


def save_clip(path: Path, frames: Iterable[np.ndarray], per_second: int = 20) -> int:
    """Frames uint8 [H, W, C] as .gif (endless) or .mp4; returns their number."""
    suffix = path.suffix.lower()
    if suffix not in CLIPS:
        raise UserError(f"{path}: a clip is a .gif or an .mp4 file")
    if suffix == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise UserError(f"{path}: mp4 needs the extra video: pip install 'rivals-lab[video]'; or write a .gif")
    import imageio.v2 as imageio

    # The codec stores colours in 2x2 blocks. By default imageio would stretch frames to multiples of 16.
    options: dict[str, Any] = {"fps": per_second, "macro_block_size": 2}
    if suffix == ".gif":
        options = {"duration": 1000 / per_second, "loop": 0}
    count = 0
    writer: Any
    with _touched(path) as temporary, imageio.get_writer(temporary, **options) as writer:
        for frame in frames:
            odd = [(0, side % 2 if suffix == ".mp4" else 0) for side in frame.shape[:2]]
            writer.append_data(np.pad(frame, [*odd, (0, 0)]).repeat(3 // frame.shape[2], 2))
            count += 1
    return count


@contextmanager
def _touched(path: Path) -> Iterator[Path]:
    """As `replacing`, with a file that exists: imageio prints a traceback for one that it cannot open."""
    with replacing(path) as temporary:
        temporary.touch()
        yield temporary
