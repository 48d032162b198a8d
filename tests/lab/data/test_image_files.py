"""Image files beyond 8-bit sRGB: depths, transparent values, profiles, metadata; and what is never decoded."""

import os
import stat
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from lab.data import colour_profiles, image_files
from lab.data.image_files import MOST_PIXELS, open_image_file
from lab.data.image_formats import FORMATS, HEAD, SUFFIXES, format_of, is_image
from lab.data.pack import pack
from tests.command_line import ROOT
from tests.lab.icc import DISPLAY_P3, SRGB, ink_profile, profile
from tests.lab.pictures import encoded, raw_png, write_folder

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"


def pixels(content: bytes, name: str = "a.png") -> np.ndarray:
    return np.asarray(open_image_file(content, name).image)


@pytest.mark.parametrize(
    ("depth", "row", "value", "opaque"),
    [
        (1, b"\xf0", 1, 0),
        (1, b"\xf0", 0, 255),
        (2, b"\xff\x55", 3, 85),
        (4, b"\xff\xff\x55\x55", 15, 85),
        (8, b"\x4e" * 4 + b"\x09" * 4, 0x4E, 9),
        (16, b"\x4e\x20" * 4 + b"\x09\x09" * 4, 0x4E20, 9),
    ],
)
def test_the_transparent_value_of_a_grey_png_is_white_at_every_depth(
    depth: int, row: bytes, value: int, opaque: int
) -> None:
    image = pixels(raw_png(8, depth, 0, row, tRNS=struct.pack(">H", value)))
    assert image.shape == (8, 8) and (image[:, :4] == 255).all() and (image[:, 4:] == opaque).all()


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_of_an_rgb_png_is_white(depth: int) -> None:
    colour, other = (b"\x12\x56\x9a", b"\1\2\3") if depth == 8 else (b"\x12\x34\x56\x78\x9a\xbc", b"\1\1\2\2\3\3")
    listed = colour if depth == 16 else b"".join(b"\0" + bytes([value]) for value in colour)
    image = pixels(raw_png(8, depth, 2, colour * 4 + other * 4, tRNS=listed))
    assert (image[:, :4] == 255).all() and (image[:, 4:] == (1, 2, 3)).all()


def test_sixteen_bits_of_a_pgm_keep_their_range() -> None:
    assert pixels(b"P5 2 2 65535\n" + b"\xff\xff\x64\x64" * 2).tolist() == [[255, 100]] * 2


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [(None, (213, 115, 42)), (2.2, (214, 116, 38))],  # from the matrices of both spaces
)
def test_display_p3_becomes_srgb(gamma: float | None, expected: tuple[int, ...]) -> None:
    content = encoded(Image.new("RGB", (4, 4), (200, 120, 60)), icc_profile=profile(b"RGB ", DISPLAY_P3, gamma))
    found = open_image_file(content, "a.png")
    assert np.abs(np.asarray(found.image).astype(int) - expected).max() <= 1
    assert found.remarks == (colour_profiles.CONVERTED,)


def test_a_profile_is_applied_before_transparent_pixels_are_put_on_white() -> None:
    half = Image.new("RGBA", (4, 4), (200, 120, 60, 51))
    image = pixels(encoded(half, icc_profile=profile(b"RGB ", DISPLAY_P3)))
    expected = 0.8 * 255 + 0.2 * np.array([213, 115, 42])
    assert np.abs(image - expected).max() <= 1.5


def test_a_palette_has_the_colours_of_the_profile() -> None:
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 200, 120, 60])
    image = pixels(encoded(picture, icc_profile=profile(b"RGB ", DISPLAY_P3)))
    assert np.abs(image.astype(int) - (213, 115, 42)).max() <= 1


def test_linear_grey_becomes_the_grey_of_srgb() -> None:
    image = pixels(encoded(Image.new("L", (4, 4), 100), icc_profile=profile(b"GRAY", gamma=1.0)))
    expected = 255 * (1.055 * (100 / 255) ** (1 / 2.4) - 0.055)
    assert image.shape == (4, 4) and np.abs(image - expected).max() <= 1


def test_inks_have_the_colours_of_their_profile() -> None:
    half_black = Image.new("CMYK", (4, 4), (0, 0, 0, 128))
    found = open_image_file(encoded(half_black, "TIFF", icc_profile=ink_profile()), "a.tif")
    # Lightness 49.8 is a grey of 118; without the profile the ink would be taken as 127.
    assert found.image.mode == "RGB" and np.abs(np.asarray(found.image).astype(int) - 118).max() <= 2
    assert (pixels(encoded(half_black, "TIFF")) == 127).all()


@pytest.mark.parametrize(
    ("icc", "remarks"),
    [
        (profile(b"RGB ", SRGB), ()),
        (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), ()),
        (b"no profile" * 20, (colour_profiles.UNREADABLE,)),
        (profile(b"GRAY"), (colour_profiles.UNREADABLE,)),
    ],
)
def test_a_profile_of_srgb_or_none_that_can_be_read_leaves_the_numbers(icc: bytes, remarks: tuple[str, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    found = open_image_file(encoded(values, icc_profile=icc), "a.png")
    assert np.array_equal(np.asarray(found.image), values) and found.remarks == remarks


@pytest.mark.parametrize(
    "exif", [b"junkjunkjunk", b"", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + bytes(40)]
)
def test_sound_pixels_with_malformed_exif_are_read(exif: bytes) -> None:
    found = open_image_file(raw_png(8, 8, 0, b"\x05" * 8, eXIf=exif), "a.png")
    assert (np.asarray(found.image) == 5).all() and set(found.remarks) <= {image_files.UNREADABLE_EXIF}


@pytest.mark.parametrize(
    "chunks", [{"tRNS": b"\0"}, {"gAMA": b"\0"}, {"pHYs": b""}, {"cHRM": b"12"}, {"sRGB": b""}, {"iCCP": b"x" * 9}]
)
def test_sound_pixels_with_other_malformed_metadata_are_read(chunks: dict[str, bytes]) -> None:
    assert pixels(raw_png(8, 8, 0, b"\x05" * 8, **chunks)).tolist() == [[5] * 8] * 8


def test_the_chunks_of_a_png_are_counted_and_bytes_that_are_none_are_not_walked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    walked = list(image_files._chunks(raw_png(8, 8, 0, b"\5" * 8, teXt=b"") + b"\0" * 12_000))
    assert [kind for kind, _, _ in walked] == [b"IHDR", b"teXt", b"IDAT", b"IEND"]
    assert not list(image_files._chunks(b"\x89PNG\r\n\x1a\n" + b"\0" * 12_000))
    monkeypatch.setattr(image_files, "_MOST_CHUNKS", 100)
    empty = struct.pack(">I", 0) + b"aaAa" + struct.pack(">I", zlib.crc32(b"aaAa"))
    whole = raw_png(8, 8, 0, b"\5" * 8)
    assert (pixels(whole[:33] + 90 * empty + whole[33:]) == 5).all()
    with pytest.raises(ValueError, match="more than 100 chunks"):
        pixels(whole[:33] + 100 * empty + whole[33:])


def test_a_wrong_checksum_of_metadata_is_remarked_and_one_of_pixels_is_damage() -> None:
    sound = raw_png(8, 8, 0, b"\x05" * 8, tEXt=b"Comment\0x")
    place = sound.index(b"tEXt") + 12
    found = open_image_file(sound[:place] + b"\xff" + sound[place + 1 :], "a.png")
    assert (np.asarray(found.image) == 5).all() and found.remarks == (image_files.DAMAGED_METADATA,)
    for critical in (b"IHDR", b"IDAT"):
        place = sound.index(critical) + 6
        with pytest.raises((OSError, SyntaxError, ValueError)):
            open_image_file(sound[:place] + b"\xff" + sound[place + 1 :], "a.png")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP", "AVIF"])
def test_the_first_of_several_frames_is_taken_and_said(kind: str) -> None:
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("black", "white"))
    found = open_image_file(encoded(first, kind, save_all=True, append_images=[second]), "a")
    assert np.asarray(found.image).max() < 5 and found.remarks == (image_files.SEVERAL_FRAMES,)


def test_the_notes_of_packing_count_what_was_changed(tmp_path: Path) -> None:
    p3 = encoded(Image.new("RGB", (8, 8), "red"), icc_profile=profile(b"RGB ", DISPLAY_P3))
    source = write_folder(tmp_path / "in", {"a.png": p3, "b.png": encoded(Image.new("RGB", (8, 8)))})
    assert pack(source, tmp_path / "out.safetensors").notes == [f"1 of 2 images {colour_profiles.CONVERTED}"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "JPEG2000", "AVIF", "BMP", "PPM", "TGA"])
def test_every_format_is_known_by_its_content(kind: str) -> None:
    content = encoded(Image.new("RGB", (8, 8), (200, 120, 60)), kind)
    assert format_of(content) == kind
    assert format_of(content[:HEAD], "a.TGA" if kind == "TGA" else "a.txt") == kind
    assert np.abs(pixels(content, "no_suffix").astype(int) - (200, 120, 60)).max() < 90


@pytest.mark.parametrize(
    "content",
    [EPS, b"", b"BMW is a brand of cars", b"P2 is a pawn", b"%PDF-1.7", b"\0" * 64, b"\0\0\0\x1cftypheic" + bytes(52)],
)
def test_other_content_is_no_image_whatever_its_name(content: bytes) -> None:
    assert not is_image("notes.txt", content) and is_image("a.png", content)
    with pytest.raises(ValueError, match="unknown image format"):
        open_image_file(content, "a.png")


def test_a_photo_of_a_format_that_is_not_read_is_not_taken_for_the_preview_inside() -> None:
    assert not is_image("photo.nef", encoded(Image.new("RGB", (8, 8)), "TIFF")[:HEAD])


def test_suffixes_name_only_formats_that_are_read() -> None:
    Image.init()
    known = {suffix: kind for suffix, kind in Image.EXTENSION.items() if suffix in SUFFIXES}
    assert set(known.values()) <= {*FORMATS, "MPO"}


@pytest.mark.parametrize("side", [100_000, 13_000])
def test_a_small_file_that_declares_a_huge_image_is_refused_before_memory_is_taken(side: int) -> None:
    with pytest.raises(ValueError, match=f"{MOST_PIXELS:,}"):
        open_image_file(raw_png(side, 1, 0, b"\0"), "a.png")


def test_postscript_named_png_starts_no_program(tmp_path: Path) -> None:
    source, programs = write_folder(tmp_path / "in", {"a.png": EPS}), tmp_path / "bin"
    programs.mkdir()
    for name in ("gs", "gswin32c", "gswin64c"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
        (programs / name).chmod(stat.S_IRWXU)
    done = subprocess.run(
        [sys.executable, "-m", "lab", "data", "pack", source, tmp_path / "out.safetensors"],
        env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and "a.png: unknown image format" in done.stderr
    assert not (tmp_path / "started").exists()
