"""Classes of a conditional GAN: chosen by name, drawn with the shares of the data, compared with their own kind."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gans.classes import Classes, rows_of_class
from gans.progressive.dataset import classes_of, reference_images
from gans.progressive.growth import Stage
from gans.progressive.network import Generator
from gans.progressive.sampler import Sampler, load_sampler
from gans.progressive.sampling import labels_of, sample
from gans.quality.features import load_extractor
from gans.quality.image_metrics import ImageMetrics
from gans.series.dataset import open_series
from gans.series.experiment import reference_series
from lab.cli.main import main
from lab.data.images import ImageSet, open_images, write_images
from lab.errors import UserError
from tests.gans import small_gan, small_series

RARE = 20  # of 200
FOLDERS = tuple(sorted(str(number) for number in range(12)))  # "0", "1", "10", "11", "2", ...


class TrueGenerator(Generator):
    """Draws from the distribution of `two_greys`: dark noise for class 0, bright noise for class 1."""

    def forward(self, latents: Tensor, level: int, alpha: object = 1.0, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        noise = latents.repeat(1, 32)[:, :256].reshape(-1, 1, 16, 16).clamp(-2.0, 2.0)
        return (labels - 0.5).view(-1, 1, 1, 1) + 0.1 * noise


def two_greys(path: Path, classes: tuple[str, ...] = ("dark", "bright"), shift: int = 0) -> Path:
    """180 dark and 20 bright images of noise; labels begin at `shift`."""
    labels = np.repeat([0, 1], [200 - RARE, RARE])
    settings = small_gan.config(network={"classes": 2})
    one = Sampler(TrueGenerator(settings.network), settings, Stage(2, 16, 1.0), 0, small_gan.DEVICE, equal(2))
    images = sample(one, range(1000, 1200), 1, torch.from_numpy(labels)).numpy()
    write_images(path, ImageSet("greys", images, labels + shift, classes, ""), overwrite=True)
    return path


def equal(count: int) -> Classes:
    return Classes(tuple(map(str, range(count))), np.full(count, 1.0 / count))


def perfect(path: Path, classes: int = 2) -> Sampler:
    settings = small_gan.config(network={"classes": classes}, data={"source": str(path)})
    shares = classes_of(settings, open_images(str(path)))
    return Sampler(TrueGenerator(settings.network), settings, Stage(2, 16, 1.0), 0, small_gan.DEVICE, shares)


def said(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def trained(folder: Path, source: Path, classes: int, name: str) -> Path:
    file = small_gan.preset(folder, data={"source": str(source)}, network={"classes": classes}, budget=32)
    assert main(["train", str(file), "--runs-dir", str(folder), "--name", name]) == 0
    return folder / name


def test_labels_are_drawn_with_the_shares_of_the_data_and_never_an_empty_class() -> None:
    classes = Classes(("none", "few", "many", "nothing"), np.array([0.0, 0.1, 0.9, 0.0]))
    labels = classes.draw(torch.arange(20_000), 3)
    shares = torch.bincount(labels, minlength=4) / len(labels)
    torch.testing.assert_close(shares, torch.tensor([0.0, 0.1, 0.9, 0.0]), atol=0.01, rtol=0.0)
    assert torch.equal(classes.draw(torch.tensor([19_999]), 3), labels[-1:])


def test_the_ends_of_the_unit_interval_belong_to_classes_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    classes = Classes(("none", "only", "nothing"), np.array([0.0, 1.0, 0.0]))
    ends = torch.tensor([0.0, np.nextafter(np.float32(1.0), np.float32(0.0))])
    monkeypatch.setattr("gans.classes.rng.uniform", lambda *counters: ends)
    assert classes.draw(torch.arange(2), 0).tolist() == [1, 1]


def test_a_perfect_generator_of_rare_and_frequent_classes_is_as_good_as_other_real_images(tmp_path: Path) -> None:
    sampler = perfect(two_greys(tmp_path / "g.safetensors"))
    reference = reference_images(sampler, "", 100)
    assert reference.labels is not None
    quality = ImageMetrics(reference.real, load_extractor("pixels", small_gan.DEVICE), others=reference.others)
    name = "eval/frechet_distance"
    as_the_data = quality.evaluate(sample(sampler, range(100), 5, reference.labels))[name]
    halves = quality.evaluate(sample(sampler, range(100), 5, torch.arange(100) % 2))[name]
    assert halves > 10 * as_the_data
    assert as_the_data < 1.5 * quality.floor()[f"{name}_floor"]


def test_samples_of_an_evaluation_have_the_labels_of_the_images_they_are_compared_with(tmp_path: Path) -> None:
    sampler = perfect(two_greys(tmp_path / "g.safetensors"))
    reference = reference_images(sampler, "", 60)
    assert reference.labels is not None and reference.labels.tolist() == (
        (reference.real.float().mean((1, 2, 3)) > 127).long().tolist()
    )
    # Those of another set where it has the same classes, else those of the run's own data.
    other = two_greys(tmp_path / "o.safetensors", ("cats", "dogs"))
    assert reference_images(sampler, str(other), 60).labels is None
    flipped = two_greys(tmp_path / "f.safetensors", ("bright", "dark"))
    assert reference_images(sampler, str(flipped), 60).labels is None


def test_an_evaluation_in_training_compares_the_shares_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gans.progressive import evaluation

    seen: list[list[int]] = []

    def recorded(sampler: Sampler, indices: range, seed: int, labels: Tensor | None = None) -> Tensor:
        if labels is not None:
            seen.append(torch.bincount(labels, minlength=2).tolist())
        return sample(sampler, indices, seed, labels)

    monkeypatch.setattr(evaluation, "sample", recorded)
    path, metrics = two_greys(tmp_path / "g.safetensors"), {"samples": 400}
    settings = small_gan.config(network={"classes": 2}, data={"source": str(path)}, evaluate=metrics)
    evaluation.Evaluator(settings, open_images(str(path)), tmp_path, small_gan.DEVICE).measure(perfect(path))
    assert seen == [[360, 40]]  # 200 images, each of their labels twice


def test_a_class_that_has_no_images_is_neither_drawn_nor_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = two_greys(tmp_path / "g.safetensors", ("zero", "one", "two"), shift=1)
    run = trained(tmp_path, source, 3, "gap")
    labels = labels_of(load_sampler(run, small_gan.DEVICE), range(500), 0)
    assert labels is not None and set(labels.tolist()) == {1, 2}
    out = tmp_path / "out"
    line = said(capsys, "sample", run, "-n", 50, "--out", out)
    assert "50 images (one 4" in line and "zero" not in line
    listed = json.loads((out / "dataset.json").read_text())
    assert {label for _, label in listed["labels"]} == {1, 2} and listed["classes"] == ["zero", "one", "two"]
    message = said(capsys, "sample", run, "--class", "zero", "--grid", tmp_path / "x.png", code=2)
    assert "--class zero: the data of this run has no example of this class" in message


def test_a_class_is_chosen_by_the_name_of_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Folders 0 to 11 in alphabetical order: "10" is class number 2."""
    images = np.repeat(np.arange(12, dtype=np.uint8) * 20, 4)[:, None, None, None] * np.ones((1, 16, 16), np.uint8)
    write_images(tmp_path / "p.safetensors", ImageSet("p", images, np.repeat(np.arange(12), 4), FOLDERS, ""))
    run = trained(tmp_path, tmp_path / "p.safetensors", 12, "folders")
    for name, number in (("2", 4), ("10", 2)):
        line = said(capsys, "sample", run, "-n", 3, "--class", name, "--out", tmp_path / f"out{name}")
        assert f"3 images ({name} 3)" in line
        listed = json.loads((tmp_path / f"out{name}" / "dataset.json").read_text())
        assert [label for _, label in listed["labels"]] == [number] * 3 and listed["classes"][number] == name
    said(capsys, "sample", run, "-n", 40, "--out", tmp_path / "again.zip")
    said(capsys, "data", "pack", tmp_path / "again.zip", tmp_path / "again.safetensors")
    assert set(open_images(str(tmp_path / "again.safetensors")).classes) <= set(FOLDERS)
    said(capsys, "data", "pack", tmp_path / "out10", tmp_path / "ten.safetensors")
    assert open_images(str(tmp_path / "ten.safetensors")).classes == ("10",)
    assert "no such class" in said(capsys, "sample", run, "--class", "12", "--grid", tmp_path / "x.png", code=2)


@pytest.mark.slow
def test_an_exported_file_names_the_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    run = trained(tmp_path, two_greys(tmp_path / "g.safetensors"), 2, "greys")
    said(capsys, "export", run, "--out", tmp_path / "g.onnx")
    found = onnxruntime.InferenceSession(tmp_path / "g.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(found["classes"]) == ["dark", "bright"] and found["kind"] == "progressive_gan"
    assert "from -1 (dark) to 1" in json.loads(found["outputs"])["images"]


def test_series_are_compared_class_by_class(tmp_path: Path) -> None:
    """Whole series are held out: their classes may have other shares than those of training."""
    lines = ["who,mode,x"]
    for series in range(10):
        lines += [f"{series},{'rare' if series in (0, 5) else 'usual'},{series * 10 + step % 7}" for step in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    for seed in range(4):
        data = {"source": str(tmp_path / "t.csv"), "series": "who", "label": "mode", "length": 8, "held_out": 0.3}
        settings = small_series.config(data=data, seed=seed)
        found = open_series(settings.data, seed)
        reference = reference_series(found, settings)
        assert reference.labels is not None and found.held_out_labels is not None
        counts = torch.bincount(reference.labels, minlength=2)
        assert counts[1] > 0 and len(reference.labels) == len(reference.held_out) == len(reference.training)
        # Series 0 and 5 are the rare ones; the value of a step tells the series.
        for windows in (reference.held_out, reference.training):
            number = torch.from_numpy(found.scale.restore(windows) + 0.5)[:, 0, 0].div(10, rounding_mode="floor").long()
            assert torch.equal(reference.labels == found.classes.index("rare"), (number == 0) | (number == 5))


def test_rows_are_matched_by_class_and_repeat_only_when_they_must() -> None:
    labels, wanted = torch.tensor([0, 0, 1, 1, 1, 2]), torch.tensor([1, 2, 1, 2, 0, 1])
    rows = rows_of_class(labels, wanted, np.random.default_rng(0))
    assert torch.equal(labels[rows], wanted)
    assert sorted(rows[wanted == 1].tolist()) == [2, 3, 4] and rows[wanted == 2].tolist() == [5, 5]


@pytest.mark.parametrize(
    "state",
    [
        {"names": ["a"], "shares": np.array([0.5, 0.5])},
        {"names": ["a", "b"], "shares": np.array([np.nan, 1.0])},
        {"names": ["a", "b"], "shares": np.array([-1.0, 2.0])},
        {"names": ["a", "b"], "shares": np.array([0.0, 0.0])},
        {"names": ["a"], "shares": "x"},
    ],
)
def test_forged_shares_are_refused(state: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Classes.of(state)


def test_accents_may_be_composed_or_not() -> None:
    for stored, asked in (("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9")):
        assert Classes(("a", stored), np.array([0.5, 0.5])).number(asked, "--class", "") == 1


def test_an_unknown_class_names_the_nearest_and_all_of_a_few() -> None:
    with pytest.raises(UserError, match=r"--class cta: .* did you mean 'cat'\? \(classes: cat, dog\)"):
        Classes(("cat", "dog"), np.array([0.5, 0.5])).number("cta", "--class", "")
