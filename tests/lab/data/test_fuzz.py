"""Damaged at random, images, archives and packed sets are read or refused in one line; the seeds are fixed."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.data.decoding import inspect_image, square_pixels
from lab.data.images import open_images, verify_images, write_images
from lab.data.pack import pack
from lab.errors import UserError
from tests.lab.icc import DISPLAY_P3, profile
from tests.lab.pictures import encoded, grey, raw_png, write_folder, write_zip

FEW, MANY = 300, 6000
amounts = pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])


def damaged(content: bytes, numbers: random.Random) -> bytes:
    """Bytes changed, cut off, or numbers replaced by extreme ones; often in the header or at the end."""
    changed, way = bytearray(content), numbers.random()
    size = len(changed) if numbers.random() < 0.5 else min(len(changed), 256)
    start = 0 if numbers.random() < 0.6 else len(changed) - size
    if way < 0.65:
        for _ in range(numbers.randrange(1, 5)):
            changed[start + numbers.randrange(size)] = numbers.choice([0, 255, 127, 91, numbers.randrange(256)])
    elif way < 0.8:
        del changed[numbers.randrange(len(changed)) :]
    else:
        place = start + numbers.randrange(size)
        extreme = [b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"[[[[", b"9e999", b"9" * 20]
        changed[place : place + 4] = numbers.choice(extreme)
    return bytes(changed)


def images() -> list[bytes]:
    noise = Image.effect_noise((24, 20), 60)
    colour = Image.merge("RGB", [noise, noise.rotate(180), noise])
    kinds = ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "JPEG2000", "AVIF", "BMP", "PPM", "TGA"]
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\1\0\0\0\6\0\0\0\0\0\0\0"
    return [
        *(encoded(colour, kind) for kind in kinds),
        encoded(colour, icc_profile=profile(b"RGB ", DISPLAY_P3)),
        encoded(colour.convert("P"), transparency=3),
        raw_png(8, 16, 0, b"\x4e\x20" * 8, tRNS=b"\x4e\x20", eXIf=exif),
    ]


@amounts
def test_damaged_images_are_read_or_refused_with_a_reason(count: int) -> None:
    numbers, sound, refused = random.Random(0), images(), 0
    for _ in range(count):
        content = damaged(numbers.choice(sound), numbers)
        found = inspect_image(lambda name, content=content: content, "a.tga")  # type: ignore[misc]
        if isinstance(found, str):
            refused += 1
            assert found and "\n" not in found
        else:
            pixels = square_pixels(lambda name, content=content: content, "a.tga", 8, 3, "crop")  # type: ignore[misc]
            assert pixels.shape == (3, 8, 8)
    assert count / 5 < refused < count


@amounts
def test_damaged_sources_are_packed_or_refused_in_one_line(count: int, tmp_path: Path) -> None:
    pixels = np.arange(4, dtype=np.uint8).repeat(64).reshape(4, 8, 8)
    labels = {"cat/a.png": 1, "dog/b.png": 2}
    write_zip(tmp_path / "in.zip", {name: grey(label) for name, label in labels.items()}, labels)
    np.save(tmp_path / "in.npy", pixels)
    np.savez(tmp_path / "stored.npz", images=pixels, labels=np.arange(4))
    np.savez_compressed(tmp_path / "packed.npz", images=pixels, labels=np.arange(4))
    listing = json.dumps({"labels": list(labels.items())}).encode()
    write_folder(tmp_path / "in", {"cat/a.png": grey(1), "dog/b.png": grey(2), "dataset.json": listing})
    write_images(tmp_path / "set.safetensors", pixels[:, None], shape=(4, 1, 8, 8), labels=np.arange(4), classes="abcd")

    def packed(source: Path) -> None:
        pack(source, tmp_path / "out.safetensors", overwrite=True)

    def opened(source: Path) -> None:
        verify_images(open_images(str(source)))

    readers: dict[Path, tuple[Path, Callable[[Path], None]]] = {
        tmp_path / name: (tmp_path / name, packed) for name in ("in.zip", "in.npy", "stored.npz", "packed.npz")
    }
    readers[tmp_path / "in" / "dataset.json"] = tmp_path / "in", packed
    readers[tmp_path / "set.safetensors"] = tmp_path / "set.safetensors", opened
    sound = {file: file.read_bytes() for file in readers}
    numbers, refused = random.Random(0), 0
    for _ in range(count):
        file = numbers.choice(list(readers))
        file.write_bytes(damaged(sound[file], numbers))
        source, read = readers[file]
        try:
            read(source)
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
        file.write_bytes(sound[file])
    assert count / 2 < refused < count
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
