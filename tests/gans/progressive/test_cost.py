"""The remaining time of a run that grows: near the truth from the first stages on."""

import time
from pathlib import Path

import pytest

from gans.progressive.cost import StageCosts, operations
from gans.progressive.experiment import ProgressiveGAN
from gans.progressive.growth import images_by_level, stage_at
from lab.run.progress import Progress
from tests.gans.small_gan import DEVICE, config

DIGITS_MS = {0: 17.5, 1: 39.9, 2: 81.1, 3: 159.2}  # a step of 16 images of progressive_gan/digits, one core, measured
DIGITS = config(
    budget=120_000,
    network={"resolution": 32, "fmap_base": 256, "fmap_max": 64, "latent": 64},
    growth={"fade_images": 10_000, "stable_images": 10_000},
    training={"batch_size": 16},
)


def truth(start: int, end: int) -> float:
    """Seconds of training from one number of images to another, by the measured steps."""
    counts = [images_by_level(DIGITS.growth, 32, images) for images in (start, end)]
    return sum((counts[1][level] - counts[0][level]) * DIGITS_MS[level] / 16_000 for level in DIGITS_MS)


def at(images: int) -> StageCosts:
    """Costs after `images` have been shown, 1000 in an iteration."""
    costs = StageCosts(DIGITS, "cpu")
    for shown in range(0, images, 1000):
        level = stage_at(DIGITS.growth, 32, shown + 999).level
        costs.add(level, 1000, 1000 * DIGITS_MS[level] / 16_000)
    return costs


@pytest.mark.parametrize(("images", "tolerance"), [(1000, 0.5), (9000, 0.5), (15_000, 0.25), (40_000, 0.15)])
def test_the_estimate_knows_the_stages_that_come(images: int, tolerance: float) -> None:
    costs = at(images)
    left = costs.seconds_until(120_000) - costs.seconds_until(images)
    assert left == pytest.approx(truth(images, 120_000), rel=tolerance)


def test_images_of_all_levels_add_up_and_follow_the_stages() -> None:
    for images in (0, 1, 9_999, 10_000, 10_001, 55_000, 70_001, 120_000):
        counts = images_by_level(DIGITS.growth, 32, images)
        assert sum(counts.values()) == images
        if images:
            level = stage_at(DIGITS.growth, 32, images - 1).level
            assert max(level for level, count in counts.items() if count) == level


def test_a_run_without_growth_has_one_level() -> None:
    one = config(growth={"start": 16})
    assert images_by_level(one.growth, 16, 500) == {2: 500}
    assert StageCosts(one, "cpu").seconds_until(500) == 2 * StageCosts(one, "cpu").seconds_until(250)


def test_operations_grow_with_the_resolution() -> None:
    found = [operations(DIGITS, level) for level in range(4)]
    assert found == sorted(found) and found[3] > 20 * found[0]


def test_the_status_line_uses_the_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 10.0, 20.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with Progress(tmp_path / "log.txt", "images", 40, work=lambda count: float(count**2)) as progress:
        for number, count in ((1, 10), (2, 20), (3, 30)):
            progress.iteration(number, count, {}, [])
    # 30**2 - 10**2 in 20 s; 40**2 - 30**2 are left.
    assert "1.0 images/s | 0:00:18 left" in capsys.readouterr().out


def test_a_run_measures_its_stages(tmp_path: Path) -> None:
    experiment = ProgressiveGAN(config(), tmp_path, DEVICE)
    assert experiment.work(0) == 0.0 < experiment.work(100) < experiment.work(416)
    experiment.iterate()
    assert 0.0 < experiment.work(32) < 60.0
