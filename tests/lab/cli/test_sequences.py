"""A sequences run from the command line: trained, graded, asked, sampled, exported."""

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.cli.main import main
from lab.config.loading import dump
from lab.sequences.experiment import Sequences
from lab.sequences.model import load_model
from lab.sequences.network import TokenClassifier
from lab.sequences.sampling import sample
from lab.sequences.text import sentence, sums_entropy, sums_text
from lab.train.device import Device
from tests.lab.small_sequences import config, preset

DEVICE = Device(torch.device("cpu"), "fp32", 1)
RUNS: dict[str, dict[str, Any]] = {
    "many_to_one": {"data": {"task": "parity", "size": 6}, "network": {"shape": "many_to_one"}},
    "language_model": {"data": {"window": 8}, "network": {"shape": "language_model", "cell": "gru"}},
}


def run(*arguments: object, code: int = 0) -> None:
    assert main([str(argument) for argument in arguments]) == code


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    """What a verb prints as JSON."""
    capsys.readouterr()
    run(*arguments, "--json")
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def reversing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned to turn up to 3 letters round."""
    folder = tmp_path_factory.mktemp("reversing")
    file = preset(
        folder,
        budget=12_800,
        network={"hidden": 32, "bidirectional": True},
        training={"batch_size": 64, "learning_rate": 1e-2, "examples_per_iteration": 6400},
        evaluate={"every": 2, "best": "eval/exact_match"},
    )
    run("train", file, "--runs-dir", folder, "--name", "run")
    return folder / "run"


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that has seen a little."""
    folder = tmp_path_factory.mktemp("speaking")
    file = preset(folder, **RUNS["language_model"])
    run("train", file, "--runs-dir", folder, "--name", "run")
    return folder / "run"


def test_eval_counts_what_predict_answers(reversing: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    graded = answer(capsys, "eval", reversing)
    assert graded["exact_match"] > 0.9 and graded["perplexity"] == pytest.approx(math.exp(graded["loss"]))
    assert sum(row[1] for row in graded["by_length"]) == graded["test_examples"]
    model = load_model(reversing, DEVICE)
    experiment = Sequences(model.config, tmp_path, DEVICE)
    texts = [model.inputs.decode(row) for row in experiment.data.test.inputs.tolist()]
    (tmp_path / "asked.txt").write_text("\n".join(texts))
    answered = answer(capsys, "predict", reversing, tmp_path / "asked.txt")["answers"]
    assert [record["input"] for record in answered] == texts
    right = [record["answer"] == record["input"][::-1] for record in answered]
    assert sum(right) / len(right) == pytest.approx(graded["exact_match"])


@pytest.mark.parametrize("name", RUNS)
def test_a_run_ends_with_the_commands_that_it_has(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("train", preset(tmp_path, **RUNS[name], budget=64), "--runs-dir", tmp_path, "--name", "run")
    lines = capsys.readouterr().out.splitlines()
    asked = f"lab sample {tmp_path}/run" if name == "language_model" else f"lab predict {tmp_path}/run INPUT"
    others = (f"lab export {tmp_path}/run --out FILE.onnx", f"lab eval {tmp_path}/run", f"lab show {tmp_path}/run")
    assert lines[-5:] == ["next:", *(f"  {command}" for command in (asked, *others))]


def test_a_beam_lists_answers_by_their_probability(reversing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = answer(capsys, "predict", reversing, "abc", "--beam", 4)["answers"][0]
    scores = [other["log_probability"] for other in record["alternatives"]]
    assert record["answer"] == "cba" and len(scores) == 4 and scores == sorted(scores, reverse=True)
    assert sum(map(math.exp, scores)) <= 1.0 + 1e-5
    run("predict", reversing, "abc", "--beam", 4)
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_standard_input_is_asked_line_by_line(
    reversing: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\ufeffabc\tof two columns the first\n\nba\n"))
    records = answer(capsys, "predict", reversing, "-")["answers"]
    assert [(record["input"], record["answer"]) for record in records] == [("abc", "cba"), ("ba", "ab")]
    for given, expected in (("", "holds no inputs"), ("ab\n\na1\n", "line 3: the character '1' is unknown")):
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        run("predict", reversing, "-", code=2)
        assert capsys.readouterr().err.startswith(f"lab: standard input{',' * (given != '')} {expected}")


def test_an_input_longer_than_any_trained_on_is_answered_with_a_warning(
    reversing: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "asked.txt").write_text("abc\nabcde\nabcdef\n")
    run("predict", reversing, tmp_path / "asked.txt")
    assert len(capsys.readouterr().out.splitlines()) == 3
    (warning,) = caplog.messages
    assert "line 2 (and 1 more) has 5 tokens, more than the 3 of the longest" in warning


def test_an_answer_that_was_cut_short_is_warned_of(
    reversing: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run("predict", reversing, "abc", "--steps", 2)
    assert capsys.readouterr().out == "cb\n"
    assert caplog.messages == ["1 of 1 answers had no end after 2 tokens: --steps allows more"]


@pytest.mark.slow
def test_a_learning_rate_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "curve.png"
    found = answer(capsys, "find-lr", preset(tmp_path), "--from", 1e-4, "--steps", 60, "--out", picture)
    assert 1e-4 < found["suggestion"] < 10.0 and picture.is_file()


def test_a_language_model_of_the_generated_text_is_graded_beside_its_entropy(
    speaking: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graded = answer(capsys, "eval", speaking)
    assert graded["entropy"] == pytest.approx(sums_entropy(), abs=1e-4) and graded["entropy"] < graded["loss"]


def test_attention_is_drawn_into_the_run(reversing: Path) -> None:
    from PIL import Image

    picture = Image.open(next(iter(sorted((reversing / "samples").glob("attention_*.png")))))
    assert picture.size[0] > 40 and len(picture.getcolors(100_000) or ()) > 2


@pytest.mark.parametrize(
    ("shape", "lines", "asked", "settings"),
    [
        ("one_to_one", [f"{k:03}\t{k % 2}" for k in range(60)], "007", {}),
        ("one_to_many", [f"cat{k:02}\t{'ab' * (k % 3 + 1)}" for k in range(60)], "cat07", {}),
        ("many_to_one", [f"{'good bad ' * k}day\tmood {k % 2}" for k in range(60)], "good day", {"input_words": True}),
        ("many_to_one", [f"{'x' * (k + 1)}\t{k / 4}" for k in range(60)], "xxx", {"numbers": True}),
        ("many_to_many", [f"{k:b}\t{k:b}" for k in range(60)], "0110", {}),
    ],
)
def test_every_shape_learns_from_a_file_and_answers(
    shape: str,
    lines: list[str],
    asked: str,
    settings: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tmp_path / "pairs.tsv"
    source.write_text("\n".join(lines))
    file = preset(
        tmp_path, budget=64, data={"source": str(source), "held_out": 0.2, **settings}, network={"shape": shape}
    )
    run("train", file, "--runs-dir", tmp_path, "--name", "run")
    assert answer(capsys, "eval", tmp_path / "run")["test_examples"] > 0
    given = answer(capsys, "predict", tmp_path / "run", asked)["answers"][0]["answer"]
    if settings.get("numbers"):
        float(given)
    elif shape in ("one_to_one", "many_to_one"):
        assert given in {line.split("\t")[1] for line in lines}
    else:
        assert set(given) <= set("".join(line.split("\t")[1] for line in lines))
        assert shape != "many_to_many" or len(given) == len(asked)
    if shape not in ("one_to_many", "encoder_decoder"):
        run("predict", tmp_path / "run", asked, "--steps", 2, code=2)
        assert f"--steps: a {shape} network generates no sequence" in capsys.readouterr().err
    if shape.startswith("one"):
        run("predict", tmp_path / "run", asked[:-1], code=2)
        assert f"reads inputs of {len(asked)} tokens" in capsys.readouterr().err


def test_wrong_inputs_are_one_line(reversing: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "asked.txt").write_text("abc\nab3\n")
    (tmp_path / "blank.txt").write_text("\n")
    cases = {
        ("predict", reversing, ""): "has no tokens",
        ("predict", reversing, "aB"): "the character 'B' is unknown",
        ("predict", reversing, "asked.tsv"): "there is no file 'asked.tsv'",
        ("predict", reversing, tmp_path / "asked.txt"): "line 2: the character '3' is unknown",
        ("predict", reversing, tmp_path / "blank.txt"): "holds no inputs",
        ("sample", reversing): "is not a language model",
        ("export", reversing, "--out", tmp_path / "net.pt"): "export to a .onnx file",
        ("eval", reversing, "--checkpoint", 99): "has no checkpoint '99'",
    }
    for arguments, expected in cases.items():
        capsys.readouterr()
        run(*arguments, code=2)
        error = capsys.readouterr().err
        assert expected in error and error.count("\n") == 1, arguments


def test_other_data_are_refused_on_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "pairs.tsv"
    source.write_text("".join(f"{k:03}\t{k % 7}\n" for k in range(100)))
    file = preset(tmp_path, data={"source": str(source)}, network={"shape": "many_to_one"})
    run("train", file, "--runs-dir", tmp_path, "--name", "run")
    source.write_text("".join(f"{k:03}\t{k % 5}\n" for k in range(100)))
    capsys.readouterr()
    run("resume", tmp_path / "run", "budget=512", code=2)
    assert "is not the data this run was trained on" in capsys.readouterr().err
    run("eval", tmp_path / "run", code=2)
    assert "is not the data this run was trained on" in capsys.readouterr().err


def test_weights_of_another_network_are_refused(
    reversing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(dump(config()))
    (tmp_path / "checkpoints").symlink_to(reversing / "checkpoints")
    run("eval", tmp_path, code=2)
    assert "but config.yaml now says" in capsys.readouterr().err


def test_export_writes_the_network_and_its_symbols(
    reversing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = answer(capsys, "export", reversing, "--out", tmp_path / "net.onnx")
    assert record["largest_difference"] == 0.0 and (tmp_path / "net.json").is_file()
    run("export", reversing, "--out", tmp_path / "net.onnx", code=2)
    assert "--overwrite" in capsys.readouterr().err


def test_sampled_text_repeats_with_its_seed_and_goes_on_from_its_prompt(
    speaking: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("sample", speaking, "--chars", 30, "--prompt", "one and", "-n", 3)
    texts = answer(capsys, *asked, "--seed", 1)["texts"]
    assert texts == answer(capsys, *asked, "--seed", 1)["texts"] != answer(capsys, *asked, "--seed", 2)["texts"]
    assert all(text.startswith("one and") and len(text) == 37 for text in texts) and len(set(texts)) == 3
    assert texts[:2] == answer(capsys, *asked[:-1], 2, "--seed", 1)["texts"]
    run("sample", speaking, "--temperature", "inf", code=2)
    assert "temperature inf: give a finite number" in capsys.readouterr().err
    run("sample", speaking, "--prompt", "Zürich", code=2)
    assert "prompt: the character" in capsys.readouterr().err
    run("predict", speaking, "one", code=2)
    assert "lab sample" in capsys.readouterr().err


def test_temperature_and_top_k_narrow_the_choice(speaking: Path) -> None:
    network = load_model(speaking, DEVICE).network
    assert isinstance(network, TokenClassifier)
    prompts = torch.full((64, 1), 5)
    likeliest = sample(network, prompts[:1], 6, temperature=0.0)
    assert torch.equal(sample(network, prompts[:1], 6, top_k=1, seed=3), likeliest)
    logits = network.forward_with_state(prompts[:1], None)[0][0, -1]
    logits[:2] = float("-inf")
    best = set(logits.topk(3).indices.tolist())
    assert set(sample(network, prompts, 1, top_k=3, temperature=3.0)[:, 0].tolist()) == best


def test_samples_have_the_models_own_frequencies(speaking: Path) -> None:
    network = load_model(speaking, DEVICE).network
    assert isinstance(network, TokenClassifier)
    logits = network.forward_with_state(torch.full((1, 1), 5), None)[0][0, -1].detach()
    logits[:2] = float("-inf")
    drawn = sample(network, torch.full((20_000, 1), 5), 1, temperature=0.5)[:, 0]
    shares = torch.bincount(drawn, minlength=len(logits)) / len(drawn)
    torch.testing.assert_close(shares, (logits / 0.5).softmax(-1), rtol=0, atol=0.02)


def test_the_generated_text_says_true_sums_and_its_entropy_is_that_of_two_numbers() -> None:
    lines = sums_text(4000, 0).splitlines()
    assert set(lines) <= {sentence(a, b) for a in range(13) for b in range(13)}
    assert sentence(7, 5) == "seven and five make twelve."
    counts = torch.tensor([lines.count(line) for line in set(lines)]).double() / len(lines)
    entropy = -(counts * counts.log()).sum() * len(lines) / len("\n".join(lines) + "\n")
    assert sums_entropy() == pytest.approx(float(entropy), rel=0.02)
