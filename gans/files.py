"""Pictures to files: a folder of PNG, a StyleGAN zip, a gif or mp4. What is written appears whole or not at all."""

import io
import json
import os
import secrets
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from gans.pictures import save_png
from lab import disk
from lab.errors import UserError


def save_folder(folder: Path, batches: Iterable[Tensor]) -> int:
    """PNG files img00000000.png, ... of batches uint8 [B, C, H, W]; returns their number."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(disk.explain(error, folder)) from error
    count = 0
    for picture in _pictures(batches):
        save_png(folder / f"img{count:08d}.png", picture)
        count += 1
    return count


def save_zip(path: Path, batches: Iterable[Tensor], labels: Sequence[int] | None) -> int:
    """A stored zip of PNG files with dataset.json, as StyleGAN's tools read it; returns the number of pictures."""
    from PIL import Image

    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    names: list[str] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as file:
            for picture in _pictures(batches):
                names.append(f"{len(names) // 1000:05d}/img{len(names):08d}.png")
                buffer = io.BytesIO()
                Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(buffer, "PNG")
                file.writestr(names[-1], buffer.getvalue())
            paired = None if labels is None else [[name, label] for name, label in zip(names, labels, strict=True)]
            file.writestr("dataset.json", json.dumps({"labels": paired}))
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(disk.explain(error, path)) from error
    finally:
        temporary.unlink(missing_ok=True)
    return len(names)


def save_clip(path: Path, frames: Iterable[np.ndarray], per_second: int = 20) -> int:
    """Frames uint8 [H, W, C] as .gif (endless) or .mp4; returns their number."""
    if path.suffix not in (".gif", ".mp4"):
        raise UserError(f"{path}: a clip is a .gif or an .mp4 file")
    import imageio.v2 as imageio

    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    options = {"duration": 1000 / per_second, "loop": 0} if path.suffix == ".gif" else {"fps": per_second}
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer: Any
        with imageio.get_writer(temporary, **options) as writer:
            for frame in frames:
                writer.append_data(np.repeat(frame, 3, 2) if frame.shape[2] == 1 else frame)
                count += 1
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(disk.explain(error, path)) from error
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _pictures(batches: Iterable[Tensor]) -> Iterator[np.ndarray]:
    for batch in batches:
        yield from batch.permute(0, 2, 3, 1).contiguous().cpu().numpy()
