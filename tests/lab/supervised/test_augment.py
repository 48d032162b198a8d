"""Augmentation of what is learned from: each operation does what it says, to a picture by its own number alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lab.cli.augment import operations
from lab.cli.main import main
from lab.supervised.augment import augment
from lab.supervised.config import AugmentConfig

EACH: dict[str, Any] = {
    "mirror": True,
    "crop": 2,
    "rotation": 20.0,
    "scale": 0.2,
    "hue": 0.2,
    "grey": 0.5,
    "noise": 0.1,
    "cutout": 4,
}


def pictures(count: int, side: int = 8, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0


def only(**settings: Any) -> AugmentConfig:
    return AugmentConfig.model_validate({"crop": 0} | settings)


def test_there_is_a_setting_for_every_operation_shown() -> None:
    assert set(EACH) == set(AugmentConfig.model_fields) - {"border"}
    assert [name.removesuffix(" (off)") for name in operations(AugmentConfig())] == list(EACH)


def test_with_everything_off_nothing_is_touched() -> None:
    images = pictures(10)
    assert torch.equal(augment(images, only(), 1, 0), images)


@pytest.mark.parametrize("name", [*EACH, "all"])
def test_a_picture_is_changed_by_its_own_number_alone(name: str) -> None:
    images, settings = pictures(12), only(**EACH) if name == "all" else only(**{name: EACH[name]})
    together = augment(images, settings, seed=3, start=50)
    apart = torch.cat([augment(images[i : i + 1], settings, seed=3, start=50 + i) for i in range(12)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-6)
    assert not torch.equal(together, images)
    assert not torch.equal(together, augment(images, settings, seed=4, start=50))


@pytest.mark.parametrize(("border", "mode"), [("edge", "replicate"), ("reflect", "reflect"), ("black", "constant")])
def test_crops_are_places_of_the_padded_picture(border: str, mode: str) -> None:
    images = pictures(60, channels=1)
    seen = set()
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2), mode, *([-1.0] if border == "black" else []))
    for before, after in zip(padded, augment(images, only(crop=2, border=border), 1, 0), strict=True):
        places = [(y, x) for y in range(5) for x in range(5) if torch.equal(before[:, y : y + 8, x : x + 8], after)]
        assert places
        seen.add(places[0])
    assert len(seen) > 15


def test_half_are_mirrored() -> None:
    images = pictures(400, side=4, channels=1)
    after = augment(images, only(mirror=True), 1, 0)
    mirrored = (after == images.flip(3)).flatten(1).all(1)
    assert torch.equal(after[~mirrored], images[~mirrored])
    assert 150 < int(mirrored.sum()) < 250


def test_a_turn_about_the_middle_keeps_what_is_round() -> None:
    places = torch.linspace(-1.0, 1.0, 33)
    round_one = torch.cos(2.0 * torch.hypot(places[:, None], places))[None, None].expand(20, -1, -1, -1)
    inner = (slice(None), slice(None), slice(8, 25), slice(8, 25))
    turned = augment(round_one, only(rotation=180.0), 1, 0)
    torch.testing.assert_close(turned[inner], round_one[inner], rtol=0, atol=0.02)


def test_scale_makes_larger_and_smaller_by_up_to_its_share() -> None:
    side = 65
    ramp = torch.linspace(-1.0, 1.0, side).expand(200, 1, side, side)
    middle = slice(side // 2 - 10, side // 2 + 11)
    scaled = augment(ramp, only(scale=0.25), 1, 0)[:, 0, side // 2, middle]
    slopes = (scaled[:, -1] - scaled[:, 0]) / (ramp[0, 0, 0, middle][-1] - ramp[0, 0, 0, middle][0])
    assert 0.8 - 1e-3 <= float(slopes.min()) < 0.85 and 1.2 < float(slopes.max()) <= 1.25 + 1e-3


def test_hue_turns_colours_and_leaves_greys_and_the_mean_of_channels() -> None:
    red = torch.tensor([0.6, -0.3, -0.3])[None, :, None, None].expand(50, 3, 2, 2)
    turned = augment(red, only(hue=0.5), 1, 0)
    torch.testing.assert_close(turned.mean(1), red.mean(1))
    assert (turned[:, 0] < 0).any() and (turned[:, 1] > 0.2).any() and (turned[:, 2] > 0.2).any()
    grey = torch.full((5, 3, 2, 2), 0.3)
    torch.testing.assert_close(augment(grey, only(hue=0.5), 1, 0), grey)
    plain = pictures(5, channels=1)
    assert torch.equal(augment(plain, only(hue=0.5, grey=1.0), 1, 0), plain)


def test_black_and_white_is_pillows_luminance() -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1.0
    grey = augment(images, only(grey=1.0), 1, 0)
    expected = torch.from_numpy(np.stack([np.asarray(Image.fromarray(p).convert("L")) for p in pixels]))
    assert torch.equal(grey[:, 0], grey[:, 1]) and torch.equal(grey[:, 0], grey[:, 2])
    torch.testing.assert_close((grey[:, 0] + 1.0) * 127.5, expected.float(), rtol=0, atol=1.0)


def test_noise_has_its_deviation() -> None:
    noise = augment(torch.zeros(64, 1, 16, 16), only(noise=0.1), 1, 0)
    assert float(noise.std()) == pytest.approx(0.2, rel=0.02)
    flat = noise.flatten()
    assert float((flat[1:] * flat[:-1]).mean()) == pytest.approx(0.0, abs=0.002)


@pytest.mark.parametrize("side", [3, 4])
def test_cutout_greys_a_square_of_its_side(side: int) -> None:
    images = pictures(80, side=16)
    blank = augment(images, only(cutout=side), 1, 0) == 0.0
    areas = blank[:, 0].flatten(1).sum(1)
    assert int(areas.max()) == side**2
    whole = blank[areas == side**2][:, 0]
    assert len(whole) > 20 and bool(((whole.sum(1) == side).sum(1) == side).all())


def test_a_sheet_has_a_row_for_each_and_the_originals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    assert main(["data", "augment", "supervised/digits", "--out", str(tmp_path / "sheet.png"), "-n", "3"]) == 0
    assert "10 rows of 3 images" in capsys.readouterr().out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (110 + 3 * 65 - 1, 10 * 65 - 1)


def test_there_is_no_sheet_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "augment", "supervised/iris"]) == 2
    assert "is a table" in capsys.readouterr().err
