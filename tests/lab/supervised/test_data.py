"""What is learned from: tables, the classes and the share wanted, and one line about everything that is wrong."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine

from lab.cli.main import main
from lab.data.columns import Reading
from lab.data.images import ImageSet, open_images, write_images
from lab.data.tables import FUNCTIONS, open_table
from lab.errors import UserError
from lab.supervised.config import DataConfig
from lab.supervised.data import split

GOOD = "a,b,label\n1,2,yes\n2,3,no\n3,4,yes\n4,5,no\n"


def data(**settings: Any) -> DataConfig:
    return DataConfig.model_validate(settings)


def csv(folder: Path, text: str, name: str = "table.csv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_table_is_read_by_its_header_wherever_the_target_is(tmp_path: Path) -> None:
    table = open_table(csv(tmp_path, "label,a,b\n10,1.5,2\n9,-3e2, 4 \n"), "", classified=True)
    assert table.columns == ("a", "b") and table.target == "label"
    assert table.classes == ("9", "10")  # by value, not by letter
    assert table.inputs.tolist() == [[1.5, 2.0], [-300.0, 4.0]] and table.targets.tolist() == [1, 0]
    numbers = open_table(str(tmp_path / "table.csv"), "a", classified=False)
    assert numbers.targets.tolist() == [1.5, -300.0] and numbers.columns == ("label", "b")


def test_embedded_tables_and_functions_are_what_they_say() -> None:
    wine, found = load_wine(), open_table("wine", "", classified=True)
    assert np.allclose(found.inputs, wine.data, rtol=1e-6) and np.array_equal(found.targets, wine.target)
    wave = open_table("wave", "", classified=False)
    assert np.allclose(wave.targets, FUNCTIONS["wave"](wave.inputs[:, 0].astype(np.float64)), atol=1e-5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b,label\n1,2,yes\n2,,no\n", "line 3: column 'b' is empty"),
        ("a,b,label\n1,2,yes\n2,three,no\n", "line 3: column 'b' is 'three', not a number"),
        ("a,b,label\n1,inf,yes\n", "line 2: column 'b' is inf"),
        ("a,b,label\n1,nan,yes\n", "line 2: column 'b' is nan"),
        ("a,b,label\n1,2,no\n1,1e39,yes\n", "line 3: column 'b' is 1e39, not a finite number up to 3.4e+38"),
        ("a,b,label\n-1e400,2,yes\n", "line 2: column 'a' is -1e400, not a finite number"),
        ("a,b,label\n1,2,\n", "line 2: column 'label' is empty"),
        ("a,b,label\n1,2\n", "line 2 has 2 cells and the header 3"),
        ("a,b,label\n", "has no rows"),
        ("", "has no rows"),
        ("a,a,label\n1,2,3\n", "column names of the header are repeated"),
        ("a,b,c\n1,2,3\n", "no column target or label"),
        ("label\nyes\n", "no column besides the target 'label'"),
    ],
)
def test_a_bad_table_is_one_line_that_names_the_cell(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        open_table(csv(tmp_path, text), "", classified=True)
    assert expected in str(error.value) and "\n" not in str(error.value)


def test_a_test_table_has_the_columns_in_any_order_and_no_label_of_its_own(tmp_path: Path) -> None:
    source = csv(tmp_path, GOOD)
    other = csv(tmp_path, "label,b,a\nno,20,10\n", "other.csv")
    test = split(data(source=source, test_source=other), 0)[1]
    assert test.inputs.tolist() == [[10.0, 20.0]] and test.classes == ("no", "yes") and test.targets.tolist() == [0]
    for text, expected in {"a,b,label\n1,2,maybe\n": "the label 'maybe'", "a,c,label\n1,2,no\n": "the column"}.items():
        with pytest.raises(UserError, match=expected):
            split(data(source=source, test_source=csv(tmp_path, text, "odd.csv")), 0)


def test_classes_are_numbered_as_they_are_named() -> None:
    whole, chosen = open_images("digits"), split(data(classes=[7, 3]), 0)
    assert chosen[0].classes == ("7", "3") and set(chosen[0].targets) == {0, 1}
    assert whole.labels is not None
    pictures = {picture.tobytes(): label for picture, label in zip(whole.images, whole.labels, strict=True)}
    for part in chosen:
        for picture, target in zip(part.inputs, part.targets, strict=True):
            assert pictures[picture.tobytes()] == (7, 3)[target]
    assert sum(map(len, chosen)) == int(np.isin(whole.labels, [3, 7]).sum())


def test_an_accent_in_the_name_of_a_class_may_be_stored_in_either_form(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    images, labels = np.zeros((8, 1, 4, 4), np.uint8), np.arange(8) % 3
    path = tmp_path / "set.safetensors"
    write_images(path, images, shape=images.shape, labels=labels, classes=(composed, "bar", "inn"))
    train, _ = split(data(source=str(path), classes=[decomposed, "bar"]), 0)
    assert train.classes == (composed, "bar")


def test_a_test_set_of_images_may_lack_a_class(tmp_path: Path) -> None:
    images = np.arange(6, dtype=np.uint8).repeat(16).reshape(6, 1, 4, 4)
    train, test, odd = (tmp_path / f"{name}.safetensors" for name in ("train", "test", "odd"))
    write_images(train, images, shape=images.shape, labels=np.arange(6) // 2, classes=("ant", "bee", "cat"))
    write_images(test, images[2:], shape=(4, 1, 4, 4), labels=np.array([0, 0, 1, 1]), classes=("bee", "cat"))
    write_images(odd, images[:2], shape=(2, 1, 4, 4), labels=np.array([0, 1]), classes=("bee", "dog"))
    found = split(data(source=str(train), test_source=str(test)), 0)[1]
    assert found.classes == ("ant", "bee", "cat") and found.targets.tolist() == [1, 1, 2, 2]
    with pytest.raises(UserError, match="does not match"):
        split(data(source=str(train), test_source=str(odd)), 0)


def test_a_test_set_of_the_training_data_is_said_to_be_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = "".join(f"{row},{row % 2}\n" for row in range(20))
    source, copy = csv(tmp_path, "a,label\n" + rows), csv(tmp_path, "a,label\n" + rows, "copy.csv")
    other = csv(tmp_path, "a,label\n" + rows.replace("7,1", "70,1"), "other.csv")
    split(data(source=source, test_source=other), 0)
    assert "those of training" not in caplog.text
    split(data(source=source, test_source=copy), 0)
    assert "those of training" in caplog.text


def test_a_fraction_is_the_same_share_of_every_class_and_leaves_the_test_whole() -> None:
    whole, part = split(data(), 0), split(data(fraction=0.1), 0)
    counts, kept = (np.bincount(examples[0].targets) for examples in (whole, part))
    assert np.array_equal(kept, np.round(counts * 0.1).astype(int))
    assert np.array_equal(whole[1].inputs, part[1].inputs)
    rows = {row.tobytes() for row in whole[0].inputs}
    assert all(row.tobytes() in rows for row in part[0].inputs)
    assert not np.array_equal(part[0].inputs, split(data(fraction=0.1), 1)[0].inputs)


def test_labels_that_are_no_numbers_have_an_order_of_their_own(tmp_path: Path) -> None:
    reading = Reading(categories=("label",))
    table = open_table(csv(tmp_path, "a,label\n1,nan\n2,10\n3,inf\n4,9\n5,b\n"), "", classified=True, reading=reading)
    assert table.classes == ("9", "10", "b", "inf", "nan")


@pytest.fixture
def small_sets(tmp_path: Path) -> Path:
    """digits8.safetensors of 8-pixel digits; hollow.safetensors, which has a class without a picture;
    few.safetensors, in which two classes alone have any."""
    found = open_images("digits")
    assert found.labels is not None
    write_images(
        tmp_path / "digits8.safetensors", ImageSet("", found.images[:, :, ::4, ::4], found.labels, found.classes, "")
    )
    classes = (*found.classes, "ten")
    write_images(tmp_path / "hollow.safetensors", ImageSet("", found.images[:200], found.labels[:200], classes, ""))
    (tmp_path / "one.csv").write_text("x,target\n1,a\n2,a\n3,a\n")
    few = np.flatnonzero(found.labels < 2)[:20]
    write_images(tmp_path / "few.safetensors", ImageSet("", found.images[few], found.labels[few], found.classes, ""))
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("data.source={folder}/hollow.safetensors", "has no sample of class 'ten'"),
        ("data.source={folder}/digits8.safetensors network={{name: alexnet}}", "at least 16 pixels, not 8"),
        ("data.source={folder}/digits8.safetensors network.channels=[4,4,4,4,4]", "not 8"),
        ("data.classes=[1]", "two or more"),
        ("data.classes=[1,eleven]", "no class 'eleven'"),
        ("data.source={folder}/few.safetensors data.classes=[1,4]", "few.safetensors has no sample of class '4'"),
        ("data.source={folder}/few.safetensors data.classes=[3,4] data.fraction=0.5", "no sample of class '3'"),
        ("data.test_source={folder}/few.safetensors data.classes=[1,4]", "few.safetensors has no sample of class '4'"),
        ("data.test_source={folder}/few.safetensors data.classes=[3,4]", "few.safetensors has no sample of class '3'"),
        (
            "data.test_source={folder}/few.safetensors task={{name: reconstruction, normal: [3]}}",
            "few.safetensors has no sample of the classes of task.normal",
        ),
        (
            "data.test_source={folder}/few.safetensors task={{name: reconstruction, normal: [0,1]}}",
            "few.safetensors has no sample of any class but those of task.normal",
        ),
        ("data.source=iris", "is a table"),
        ("data.source={folder}/one.csv network={{name: mlp}}", "has a single class, 'a'"),
        ("data.source=iris network={{name: mlp}} task={{name: denoising}}", "network.name=tower"),
        ("data.source=diabetes network={{name: mlp}}", "task.name=regression"),
        ("data.source=wave network={{name: mlp}}", "task.name=regression"),
        ("task={{name: regression}}", "name a table"),
        ("task={{name: denoising}}", "network.name=tower"),
        ("task={{name: reconstruction, normal: [0, ten]}}", "no class 'ten'"),
        ("task.class_weights=[1,2]", "has 2 numbers and there are 10 classes"),
        ("task={{name: tagging}}", "task.name: no 'tagging'"),
        ("network={{name: mpl}}", "did you mean 'mlp'"),
        ("network={{name: mlp, hiden: [3]}}", "did you mean 'network.hidden'"),
        ("network={{name: resnet, channels: [4, 8], blocks: [1]}}", "2 channels but 1 blocks"),
        ("training.batch_size=65 training.micro_batch=64", "leaves a single sample"),
        ("trunk.freeze=true", "trunk.run"),
        ("trunk.run=nowhere", "no run 'nowhere'"),
        ("training.schedule=one-cycle", "warmup"),
        ("evaluate.best=eval/rmse", "use eval/accuracy or eval/balanced_accuracy or eval/loss"),
        ("evaluate.best=loss/classification", "use eval/accuracy"),
        (
            "data.source=diabetes network={{name: mlp}} task={{name: regression}} evaluate.best=eval/accuracy",
            "regression has no metric 'eval/accuracy'; use eval/r2",
        ),
        ("task={{name: reconstruction}} evaluate.best=eval/auroc", "use eval/loss"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_no_run(
    settings: str, expected: str, small_sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = small_sets / "preset.yaml"
    preset.write_text("kind: supervised\nbudget: 100\n")
    words = [word.replace("\0", " ") for word in _protected(settings.format(folder=small_sets)).split(" ")]
    runs = small_sets / "runs"
    code = main(["train", str(preset), *words, "--runs-dir", str(runs)])
    error = capsys.readouterr().err
    assert code == 2 and expected in error and "Traceback" not in error and error.startswith("lab: ")
    assert len(error.strip().splitlines()) == 1
    assert not any(runs.glob("*"))


def _protected(text: str) -> str:
    """Spaces within braces as another sign."""
    depth, out = 0, ""
    for sign in text:
        depth += (sign == "{") - (sign == "}")
        out += "\0" if sign == " " and depth else sign
    return out
