"""Learning from labels: digits are told apart, a run goes on bit for bit, and its features have their shape."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.cli.main import main
from lab.config.loading import dump, load_preset, load_run_config
from lab.data.images import ImageSet, open_images, write_images
from lab.errors import UserError
from lab.run import checkpoint
from lab.supervised.config import SupervisedConfig
from lab.supervised.data import split
from lab.supervised.features import load_features
from lab.train.device import Device
from tests.lab.small_classifier import config, preset
from tests.same_run import assert_same_run

DEVICE = Device(torch.device("cpu"), "fp32", 1)


def run(*arguments: object, code: int = 0) -> None:
    assert main([str(argument) for argument in arguments]) == code


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 12,000 digits with 24 features."""
    folder = tmp_path_factory.mktemp("digits")
    changes = {
        "budget": 12_000,
        "network": {"channels": [8, 16, 32], "features": 24},
        "training": {"decay_images": 12_000, "images_per_iteration": 6000},
    }
    run("train", preset(folder, **changes), "--runs-dir", folder, "--name", "digits")
    return folder / "digits"


def test_digits_are_told_apart_after_twelve_thousand(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    run("eval", digits, "--json")
    record = json.loads(capsys.readouterr().out)
    assert record["accuracy"] > 0.9
    assert record["images"] == 359 and set(record["by_class"]) == set("0123456789")


def test_the_accuracy_is_that_of_its_features_classes_on_pictures_held_out(
    digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    run("eval", digits, "--json")
    stated = json.loads(capsys.readouterr().out)["accuracy"]
    test = split(config().data, seed=0)[1]
    extractor = load_features(digits, DEVICE)
    features = extractor(torch.from_numpy(test.inputs))
    assert features.shape == (359, 24) and features.dtype == torch.float32
    right = extractor.classify(features).numpy() == test.targets
    assert right.mean() == pytest.approx(stated)
    # What a linear classifier of other data could still learn from them is what they are for.
    assert torch.linalg.matrix_rank(features - features.mean(0)) > 10


def test_held_out_pictures_are_not_trained_on() -> None:
    train, test = split(config().data, seed=3)
    shown, held = ({row.tobytes() for row in part.inputs} for part in (train, test))
    assert len(train) + len(test) == 1797 and not shown & held


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run("train", preset(tmp_path), "--runs-dir", tmp_path, "--name", "whole")
    run("train", preset(tmp_path), "budget=1000", "--runs-dir", tmp_path, "--name", "parts")
    run("resume", parts, "budget=2000")
    assert_same_run(whole, parts)


def test_the_learning_rate_falls_over_the_budget_a_run_is_created_with(tmp_path: Path) -> None:
    file = tmp_path / "plain.yaml"
    file.write_text("kind: supervised\nbudget: 2000\n")
    asked = load_preset(str(file), ["budget=1e6"])
    assert isinstance(asked, SupervisedConfig) and asked.training.period == 1_000_000
    file.write_text(dump(asked))
    longer = load_run_config(file, ["budget=3000000"])
    assert isinstance(longer, SupervisedConfig) and (longer.budget, longer.training.period) == (3_000_000, 1_000_000)
    given = load_preset(str(file), ["training.decay_images=500", "budget=7"])
    assert isinstance(given, SupervisedConfig) and given.training.period == 500
    with pytest.raises(UserError, match="budget") as error:
        load_preset(str(file), ["budget=-1", "training.decay_images=null"])
    assert "decay" not in str(error.value)


def test_other_pictures_are_refused_on_resume_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed, found = tmp_path / "set.safetensors", open_images("digits")
    write_images(packed, found)
    file = preset(tmp_path, data={"source": str(packed)}, budget=500)
    run("train", file, "--runs-dir", tmp_path, "--name", "run")
    before = checkpoint.numbered(tmp_path / "run" / "checkpoints")
    write_images(packed, ImageSet("turned", 255 - found.images, found.labels, found.classes, ""), overwrite=True)
    capsys.readouterr()
    run("resume", tmp_path / "run", "budget=1000", code=2)
    assert "is not the data this run was trained on" in capsys.readouterr().err
    assert checkpoint.numbered(tmp_path / "run" / "checkpoints") == before
    write_images(packed, found, overwrite=True)
    run("resume", tmp_path / "run", "budget=1000")


def test_wrong_settings_are_one_line_and_leave_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = open_images("digits").images
    write_images(tmp_path / "unlabelled.safetensors", ImageSet("", images[:20], None, (), ""))
    labels = np.zeros(20, np.int64)
    write_images(tmp_path / "other.safetensors", ImageSet("", images[:20, :, ::2, ::2], labels, ("0",), ""))
    cases = {
        f"data.source={tmp_path}/unlabelled.safetensors": "has no labels",
        f"data.test_source={tmp_path}/other.safetensors": "does not match",
        "data.source=nowhere.safetensors": "nowhere",
        "data.held_out=1.5": "data.held_out",
        "network.features=0": "network.features",
        "network.chanels=[3]": "network.channels",
        "training.learning_rate=-1": "training.learning_rate",
    }
    for setting, expected in cases.items():
        capsys.readouterr()
        run("train", preset(tmp_path), setting, "--runs-dir", tmp_path / "runs", code=2)
        error = capsys.readouterr().err
        assert expected in error and "Traceback" not in error and error.startswith("lab: ")
        assert not any((tmp_path / "runs").glob("*"))


def test_an_absent_checkpoint_is_refused(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("eval", digits, "--checkpoint", 99, code=2)
    assert "has no checkpoint '99'" in capsys.readouterr().err


def test_weights_of_another_network_are_refused(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.yaml").write_text(dump(config()))
    (copy / "checkpoints").symlink_to(digits / "checkpoints")
    run("eval", copy, code=2)
    assert "but config.yaml now says" in capsys.readouterr().err
