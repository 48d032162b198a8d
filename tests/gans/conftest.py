"""Runs that several tests look at, trained once in a session; a test that changes one takes a copy."""

import shutil
from pathlib import Path

import pytest

from lab.cli.main import main
from tests.gans.small_gan import preset
from tests.lab import small_classifier


def _trained(folder: Path, file: Path, name: str) -> Path:
    assert main(["train", str(file), "--runs-dir", str(folder), "--name", name]) == 0
    return folder / name


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unconditional GAN run of 416 images, at 16 x 16, with checkpoints 10, 12 and 13."""
    folder = tmp_path_factory.mktemp("plain")
    return _trained(folder, preset(folder), "plain")


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional GAN run of ten classes."""
    folder = tmp_path_factory.mktemp("labelled")
    return _trained(folder, preset(folder, network={"classes": 10}), "labelled")


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of the digits with 12 features."""
    folder = tmp_path_factory.mktemp("classifier")
    return _trained(folder, small_classifier.preset(folder), "classifier")


@pytest.fixture
def own_copy(plain: Path, tmp_path: Path) -> Path:
    """`plain`, for a test to damage."""
    return Path(shutil.copytree(plain, tmp_path / "runs" / "plain"))
