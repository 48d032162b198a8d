"""Files of sampled images: a folder of PNG or a StyleGAN zip, each written atomically."""

import io
import json
import secrets
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from torch import Tensor

from lab.errors import UserError
from lab.files import durable
from lab.files.durable import replacing

_LISTING = "dataset.json"
_RETRY = "run the command again"
_IMAGE_FILES = "img[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9].png"


def save_folder(
    folder: Path, batches: Iterable[Tensor], labels: Sequence[int] | None, classes: Sequence[str] = ()
) -> int:
    """img00000000.png, ... and dataset.json of batches uint8 [B, C, H, W]; returns the number of images.

    labels: numbers of `classes`, whose names are listed as well. Images of such names in an existing folder are
    replaced once the new ones are complete; other files stay.
    """
    # Within an existing folder, which may be on another disk; beside a new one.
    temporary = (folder if folder.is_dir() else folder.parent) / f".{folder.name}-{secrets.token_hex(4)}"
    names: list[str] = []
    try:
        temporary.mkdir(parents=True)
        for png in _encoded(batches):
            names.append(f"img{len(names):08d}.png")
            (temporary / names[-1]).write_bytes(png)
        (temporary / _LISTING).write_text(_listing(names, labels, classes), encoding="utf-8")
        if folder.is_dir():
            for old in folder.glob(_IMAGE_FILES):
                old.unlink()
            for file in temporary.iterdir():
                file.replace(folder / file.name)
        else:
            temporary.rename(folder)
    except OSError as error:
        raise UserError(durable.explain(error, folder, _RETRY)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(names)


def save_zip(path: Path, batches: Iterable[Tensor], labels: Sequence[int] | None, classes: Sequence[str] = ()) -> int:
    """A stored zip of PNG files with dataset.json, as StyleGAN's tools read it; returns the number of images."""
    names: list[str] = []
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as file:
        for png in _encoded(batches):
            names.append(f"{len(names) // 1000:05d}/img{len(names):08d}.png")
            file.writestr(names[-1], png)
        file.writestr(_LISTING, _listing(names, labels, classes))
    return len(names)


def _encoded(batches: Iterable[Tensor]) -> Iterator[bytes]:
    """Every image as the bytes of a PNG file."""
    from PIL import Image

    for batch in batches:
        for pixels in batch.permute(0, 2, 3, 1).contiguous().cpu().numpy():
            buffer = io.BytesIO()
            Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
            yield buffer.getvalue()


def _listing(names: Sequence[str], labels: Sequence[int] | None, classes: Sequence[str]) -> str:
    """StyleGAN's dataset.json, and the names of the classes beside it."""
    if labels is None:
        return json.dumps({"labels": None})
    pairs = [[name, label] for name, label in zip(names, labels, strict=True)]
    return json.dumps({"labels": pairs, "classes": list(classes)})
