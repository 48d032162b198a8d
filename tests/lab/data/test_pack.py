"""Packing: squares, sizes, channels, labels, the rule and the notes; the same from any number of processes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.cli.main import main
from lab.data.images import open_images
from lab.data.pack import pack
from lab.errors import UserError
from tests.command_line import lab
from tests.lab.pictures import encoded, grey, write_folder, write_zip


def packed(source: Path, **options: object) -> np.ndarray:
    """The images that `pack` makes of a source."""
    out = source.parent / f"{source.stem}.safetensors"
    pack(source, out, overwrite=True, **options)  # type: ignore[arg-type]
    return np.asarray(open_images(str(out)).images)


def test_a_folder_is_labelled_by_its_first_subfolders_and_resized_to_the_largest_power_of_two(tmp_path: Path) -> None:
    colour = encoded(Image.new("RGB", (40, 17), (9, 8, 7)))
    write_folder(tmp_path / "in", {"cat/deep/a.png": encoded(Image.new("L", (20, 30))), "dog/b.png": colour})
    pack(tmp_path / "in", tmp_path / "out.safetensors")
    found = open_images(str(tmp_path / "out.safetensors"))
    assert isinstance(found.images, np.memmap) and found.images.shape == (2, 3, 16, 16)
    assert found.classes == ("cat", "dog") and found.labels is not None and found.labels.tolist() == [0, 1]
    assert (found.images[1] == np.array([9, 8, 7])[:, None, None]).all()


def test_cropping_keeps_the_centre(tmp_path: Path) -> None:
    pixels = np.zeros((1, 8, 16), np.uint8)
    pixels[:, :, 4:12] = 200
    np.save(tmp_path / "in.npy", pixels)
    assert (packed(tmp_path / "in.npy") == 200).all()


def test_stretching_keeps_everything(tmp_path: Path) -> None:
    pixels = np.zeros((1, 8, 16), np.uint8)
    pixels[:, :, 8:] = 200
    np.save(tmp_path / "in.npy", pixels)
    half = packed(tmp_path / "in.npy", fit="stretch")[0, 0]
    assert half.shape == (8, 8) and (half[:, :4] == 0).all() and (half[:, 4:] == 200).all()


def test_padding_centres_on_black_without_enlarging(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.full((3, 28, 28), 200, np.uint8))
    image = packed(tmp_path / "in.npy", resolution=32, fit="pad")[0, 0]
    assert (image[2:30, 2:30] == 200).all() and int(image.sum()) == 200 * 28 * 28


def test_padding_shrinks_what_does_not_fit(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.full((3, 8, 16), 200, np.uint8))
    image = packed(tmp_path / "in.npy", resolution=8, fit="pad")[0, 0]
    assert (image[2:6] == 200).all() and int(image.sum()) == 200 * 4 * 8


def test_whole_factors_are_means_of_boxes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16), dtype=np.uint8)
    np.save(tmp_path / "in.npy", pixels)
    means = pixels.reshape(2, 8, 2, 8, 2).mean((2, 4))
    assert np.abs(packed(tmp_path / "in.npy", resolution=8)[:, 0] - means).max() <= 0.5


def test_other_factors_are_lanczos(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)
    np.save(tmp_path / "in.npy", pixels[None])
    expected = np.asarray(Image.fromarray(pixels).resize((8, 8), Image.Resampling.LANCZOS))
    assert np.array_equal(packed(tmp_path / "in.npy")[0, 0], expected)


def test_what_is_printed_holds_the_rule_and_the_file_keeps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path / "in", {"a.png": grey(1, 20), "b.png": encoded(Image.new("RGB", (33, 40)))})
    out = tmp_path / "out.safetensors"
    assert main(["data", "pack", str(tmp_path / "in"), str(out)]) == 0
    output = capsys.readouterr().out
    rule = open_images(str(out)).rule
    assert rule in output and "a.png of 20 x 20" in rule and "centre" in rule and "Lanczos" in rule
    assert "1 of 2 images are grey" in output
    assert main(["data", "inspect", str(out)]) == 0
    assert rule in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "options", "note"),
    [
        ({"a.png": grey(1)}, {}, "the set has one image"),
        ({"a.png": encoded(Image.new("RGB", (8, 8)))}, {"channels": 1}, "1 of 1 images have colour"),
        ({"a.png": grey(1, 8), "b.png": grey(1, 16)}, {"resolution": 16}, "1 of 2 images have a side below 16"),
    ],
)
def test_what_may_not_be_expected_is_noted(
    tmp_path: Path, files: dict[str, bytes], options: dict[str, int], note: str
) -> None:
    notes = pack(write_folder(tmp_path / "in", files), tmp_path / "out.safetensors", **options).notes  # type: ignore[arg-type]
    assert any(line.startswith(note) for line in notes), notes


def test_a_set_that_is_as_asked_has_no_notes(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", {"a.png": grey(1), "b.png": grey(2)})
    assert pack(source, tmp_path / "out.safetensors").notes == []


def test_processes_pack_the_same_as_one(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1100, 3, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "in.npy", pixels)
    one = pack(tmp_path / "in.npy", tmp_path / "1.safetensors")
    two = pack(tmp_path / "in.npy", tmp_path / "2.safetensors", workers=2)
    assert one.fingerprint == two.fingerprint
    assert np.array_equal(open_images(str(tmp_path / "2.safetensors")).images, pixels)


@pytest.mark.slow
def test_a_zip_of_thousands_keeps_its_order_and_labels_over_processes(tmp_path: Path) -> None:
    files = [grey(value, side=4) for value in range(250)]
    names = [f"{index // 1000:05d}/img{index:08d}.png" for index in range(5000)]
    labels = {name: index * 7 % 10 for index, name in enumerate(names)}
    content = {name: files[index % 250] for index, name in enumerate(names)}
    steps: list[tuple[int, int]] = []
    pack(
        write_zip(tmp_path / "in.zip", content, labels),
        tmp_path / "out.safetensors",
        workers=2,
        progress=lambda done, total: steps.append((done, total)),
    )
    found = open_images(str(tmp_path / "out.safetensors"))
    assert found.labels is not None and found.labels.tolist() == list(labels.values())
    assert (found.images[:, 0] == (np.arange(5000) % 250)[:, None, None]).all()
    assert steps == [(done, 10_000) for done in range(1, 10_001)]


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        ('{"labels": [["a.png", 0]]}', "no label for b.png"),
        ('{"labels": [["a.png", 0], ["b.png", -1]]}', "labels b.png with -1"),
        ('{"labels": {"a.png": 0}}', 'its "labels" are an object'),
        ("[]", "it is a list"),
        ("{}", "it is empty"),
        ('{"images": [], "split": 1}', 'it has no "labels", only images, split'),
        ('{"labels": [["a.png", 0], "b.png"]}', "its entry 2 is 'b.png'"),
        ('{"labels": [["a.png", 0], [1, 0]]}', r"its entry 2 is \[1, 0\]"),
        ('{"labels": [["a.png", ' + "1" * 5000 + "]]}", r"\(a number has thousands of digits\)"),
        ("{", "is not"),
    ],
)
def test_a_wrong_listing_is_one_clear_error(tmp_path: Path, listing: str, message: str) -> None:
    files = {"a.png": grey(1), "b.png": grey(2), "dataset.json": listing.encode()}
    with pytest.raises(UserError, match=message) as error:
        pack(write_folder(tmp_path / "in", files), tmp_path / "out.safetensors")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 20}, "--resolution 20 is not a power of two"),
        ({"resolution": 2048}, "--resolution 2048 is not a power of two from 4 to 1024"),
        ({"channels": 2}, "--channels 2"),
        ({}, "a side below 4"),
    ],
)
def test_wrong_sizes_and_channels_are_one_clear_error(tmp_path: Path, options: dict[str, int], message: str) -> None:
    source = write_folder(tmp_path / "in", {"a.png": grey(1, side=3)})
    with pytest.raises(UserError, match=message) as error:
        pack(source, tmp_path / "out.safetensors", **options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "message"), [("none", "does not exist"), ("", "no images"), ("x.zip", "as a zip")])
def test_a_source_without_pictures_is_one_clear_error(tmp_path: Path, name: str, message: str) -> None:
    source = write_folder(tmp_path / "in", {"x.zip": b"no zip"})
    with pytest.raises(UserError, match=message):
        pack(source / name, tmp_path / "out.safetensors")


def test_an_existing_file_is_replaced_only_when_told(tmp_path: Path) -> None:
    source, out = write_folder(tmp_path / "in", {"a.png": grey(1)}), tmp_path / "out.safetensors"
    pack(source, out)
    (source / "a.png").write_bytes(grey(2))
    with pytest.raises(UserError, match="--overwrite"):
        pack(source, out)
    assert (open_images(str(out)).images == 1).all()
    pack(source, out, overwrite=True)
    assert (open_images(str(out)).images == 2).all()


def test_what_could_not_be_opened_again_is_not_written(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", {"a.png": grey(1)})
    with pytest.raises(UserError, match=r"FILE\.safetensors"):
        pack(source, tmp_path / "out.zip")


def test_a_file_name_of_any_bytes_is_packed_and_printed(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "b\udce9\n.png").write_bytes(grey(3))
    output = lab("data", "pack", source, tmp_path / "out.safetensors")
    assert r"b\xe9\n.png" in output
