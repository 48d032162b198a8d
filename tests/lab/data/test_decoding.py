"""Pictures of every kind that folders hold come out as a viewer shows them, transparent ones on white."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.data.pack import pack
from lab.errors import UserError
from tests.lab.data.test_pack import packed
from tests.lab.pictures import encoded, write_folder

LEFT, RIGHT = np.s_[..., :4], np.s_[..., 4:]


def from_file(folder: Path, name: str, content: bytes, **options: object) -> np.ndarray:
    """int [C, H, W] of a picture in a file, packed."""
    return packed(write_folder(folder / "in", {name: content}), **options)[0].astype(int)


def halves(mode: str, left: int, right: int) -> Image.Image:
    """8 x 8 of two values."""
    picture = Image.new(mode, (8, 8), left)
    picture.paste(right, (4, 0, 8, 8))
    return picture


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera's left is the top
    stored = Image.new("L", (32, 16))
    stored.paste(255, (0, 0, 16, 16))
    image = from_file(tmp_path, "a.jpg", encoded(stored, "JPEG", exif=exif), fit="stretch")[0]
    assert (image[:8] > 240).all() and (image[8:] < 15).all()


def test_sixteen_bits_of_grey_keep_their_range(tmp_path: Path) -> None:
    pixels = np.repeat(np.array([[0, 257 * 100, 257 * 100 + 100, 65535]], np.uint16), 4, axis=0)
    assert from_file(tmp_path, "a.png", encoded(pixels))[0, 0].tolist() == [0, 100, 100, 255]


def test_a_palette_becomes_its_colours_and_its_transparent_entry_white(tmp_path: Path) -> None:
    picture = halves("P", 0, 1)
    picture.putpalette([0, 0, 255, 255, 0, 0])
    image = from_file(tmp_path, "a.png", encoded(picture, transparency=0))
    assert (image[LEFT] == 255).all()
    assert (image[RIGHT] == np.array([255, 0, 0])[:, None, None]).all()


def test_a_palette_without_transparency_is_left_as_it_is(tmp_path: Path) -> None:
    picture = halves("P", 0, 1)
    picture.putpalette([0, 0, 255, 255, 0, 0])
    image = from_file(tmp_path, "a.gif", encoded(picture, "GIF"))
    assert (image[LEFT] == np.array([0, 0, 255])[:, None, None]).all()
    assert (image[RIGHT] == np.array([255, 0, 0])[:, None, None]).all()


def test_a_transparent_grey_stays_one_channel(tmp_path: Path) -> None:
    image = from_file(tmp_path, "a.png", encoded(halves("L", 0, 90), transparency=0))
    assert image.shape == (1, 8, 8) and (image[LEFT] == 255).all() and (image[RIGHT] == 90).all()


@pytest.mark.parametrize(("mode", "clear"), [("RGBA", (0, 0, 0, 51)), ("LA", (0, 51))])
def test_what_is_half_transparent_is_mixed_with_white(tmp_path: Path, mode: str, clear: tuple[int, ...]) -> None:
    assert (from_file(tmp_path, "a.png", encoded(Image.new(mode, (8, 8), clear))) == 204).all()


def test_a_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image = from_file(tmp_path, "a.jpg", encoded(red, "JPEG", quality=95))
    assert np.abs(image - np.array([255, 0, 0])[:, None, None]).max() < 12


def test_black_and_white_are_0_and_255(tmp_path: Path) -> None:
    image = from_file(tmp_path, "a.png", encoded(halves("1", 0, 1)))
    assert image.shape == (1, 8, 8) and (image[LEFT] == 0).all() and (image[RIGHT] == 255).all()


def test_more_bits_than_can_be_kept_are_refused(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", {"a.tif": encoded(np.ones((8, 8), np.float32), "TIFF")})
    with pytest.raises(UserError, match=r"a\.tif: 32 bits"):
        pack(source, tmp_path / "out.safetensors")
