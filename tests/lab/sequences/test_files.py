"""Examples from files, and one clear line for every mistake in them."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.cli.main import main
from lab.config.loading import load_preset
from lab.errors import UserError
from lab.sequences.config import DataConfig
from lab.sequences.files import FileData, read_inputs
from lab.sequences.number_scale import NumberScale
from lab.sequences.shapes import ShapeName
from tests.lab.small_sequences import config, preset

WORDS = ["red", "green", "blue", "black", "white", "grey", "pink", "brown"]


def write(path: Path, pairs: list[tuple[str, Any]]) -> Path:
    """A file of pairs, tabs or JSON lines by its suffix."""
    if path.suffix == ".jsonl":
        lines = [json.dumps({"input": given, "target": target}) for given, target in pairs]
    else:
        lines = [f"{given}\t{target}" for given, target in pairs]
    path.write_text("\n".join(lines) + "\n")
    return path


def opened(path: Path, shape: ShapeName = "encoder_decoder", **settings: Any) -> FileData:
    return FileData(DataConfig(source=str(path), **settings), shape, seed=0)


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl"])
def test_both_kinds_of_file_give_the_same_examples(tmp_path: Path, suffix: str) -> None:
    data = opened(write(tmp_path / f"pairs{suffix}", [(word, word[::-1]) for word in WORDS]), held_out=0.3)
    assert data.targets is not None
    found = data.at(0, 20)
    for given, target in zip(found.inputs.tolist(), found.targets.tolist(), strict=True):
        assert data.targets.decode(target) == data.inputs.decode(given)[::-1]


def test_every_epoch_shows_each_training_example_once(tmp_path: Path) -> None:
    data = opened(write(tmp_path / "pairs.tsv", [(word, word) for word in WORDS]), held_out=0.3)
    count = len(WORDS) - len(data.test.inputs)
    for epoch in range(3):
        rows = data.at(epoch * count, count).inputs.tolist()
        assert len({tuple(row) for row in rows}) == count


def test_equal_inputs_fall_on_one_side(tmp_path: Path) -> None:
    data = opened(
        write(tmp_path / "pairs.tsv", [(word, f"{word}{k}") for word in WORDS for k in range(3)]), held_out=0.3
    )
    train = {data.inputs.decode(row) for row in data.at(0, 100).inputs.tolist()}
    test = {data.inputs.decode(row) for row in data.test.inputs.tolist()}
    assert test and train and not train & test and len(train | test) == len(WORDS)


def test_inputs_that_differ_in_spaces_alone_fall_on_one_side_where_words_are_read(tmp_path: Path) -> None:
    spaced = [(f"{word}{' ' * count}day", word) for word in WORDS for count in (1, 2, 3)]
    data = opened(write(tmp_path / "pairs.tsv", spaced), held_out=0.3, input_words=True)
    train = {tuple(row) for row in data.at(0, 100).inputs.tolist()}
    test = {tuple(row) for row in data.test.inputs.tolist()}
    assert test and train and not train & test and len(train | test) == len(WORDS)


def test_labels_that_differ_in_spaces_alone_are_one(tmp_path: Path) -> None:
    labels = [(word, f" nice{' ' * (place % 3 + 1)}weather") for place, word in enumerate(WORDS)]
    data = opened(write(tmp_path / "pairs.tsv", labels), "many_to_one", held_out=0.3)
    assert data.targets is not None and data.targets.tokens == ("nice weather",)


def test_the_mark_that_some_programs_begin_a_file_with_is_no_symbol(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.tsv", [(word, word) for word in WORDS])
    symbols = opened(path, held_out=0.3).inputs
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert opened(path, held_out=0.3).inputs == symbols


def test_labels_numbers_tags_and_words(tmp_path: Path) -> None:
    good = [(f"{word} day", "nice weather") for word in WORDS]
    labels = opened(write(tmp_path / "a.tsv", good), "many_to_one", held_out=0.3, input_words=True)
    assert labels.targets is not None and labels.targets.tokens == ("nice weather",)
    assert labels.at(0, 4).lengths.tolist() == [2] * 4
    numbers = opened(
        write(tmp_path / "b.jsonl", [(word, len(word) / 2) for word in WORDS]),
        "many_to_one",
        held_out=0.3,
        numbers=True,
    )
    found = numbers.at(0, 8)
    assert torch.allclose(numbers.scale.restore(found.targets), found.lengths.double() / 2)
    assert numbers.targets is None
    tags = opened(
        write(tmp_path / "c.tsv", [(f"the {word} car", "D A N") for word in WORDS]),
        "many_to_many",
        held_out=0.3,
        input_words=True,
        target_words=True,
    )
    assert tags.targets is not None and tags.targets.decode(tags.at(0, 1).targets[0].tolist()) == "D A N"


GOOD = "".join(f"{word}\t{word[::-1]}\n" for word in WORDS)
MISTAKES: dict[str, tuple[str, ShapeName, dict[str, Any], str]] = {
    "no input": ("\tabc\n", "encoder_decoder", {}, "line 9: the input is empty"),
    "only spaces": ("  \tabc\n", "encoder_decoder", {"input_words": True}, "line 9: the input is empty"),
    "no answer": ("abc\t\n", "encoder_decoder", {}, "line 9: the answer is empty"),
    "an answer of spaces": ("abc\t  \n", "encoder_decoder", {"target_words": True}, "line 9: the answer is empty"),
    "no tab": ("abc\n", "encoder_decoder", {}, "line 9: 0 tabs"),
    "two tabs": ("a\tb\tc\n", "encoder_decoder", {}, "line 9: 2 tabs"),
    "too long": (
        f"{'e' * 300}\tabc\n",
        "encoder_decoder",
        {},
        "line 9: the input has 300 tokens; raise data.max_length",
    ),
    "no number": ("abc\tmany\n", "many_to_one", {"numbers": True}, "is not a number"),
    "tags": ("abc\tde\n", "many_to_many", {}, "line 9, answer: 2 tags for 3 tokens"),
    "lengths": ("a\tb\n", "one_to_one", {}, "line 3: the input has 4 tokens, and that of"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_file_is_one_line_that_names_it(name: str, tmp_path: Path) -> None:
    text, shape, settings, expected = MISTAKES[name]
    path = tmp_path / "pairs.tsv"
    path.write_text(GOOD + text)
    with pytest.raises(UserError) as error:
        opened(path, shape, held_out=0.3, **settings)
    assert expected in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", "line 1 is not JSON"),
        ('{"input": "a"}', '"target" must be text or a number'),
        ("[1]", 'an object with "input" and "target"'),
        ('{"input": 3, "target": "a"}', '"input" must be text'),
        ('{"input": "\\ud800", "target": "a"}', "line 1 is not JSON"),
    ],
)
def test_wrong_json_lines(line: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(UserError, match=expected):
        opened(path)


def test_symbols_that_only_the_test_has_are_refused(tmp_path: Path) -> None:
    train = write(tmp_path / "train.tsv", [(word, word) for word in WORDS])
    test = write(tmp_path / "test.tsv", [("red", "red"), ("wreath7", "w")])
    with pytest.raises(UserError, match=r"test.tsv, line 2: the character '7' is unknown"):
        opened(train, test_source=str(test))
    test = write(tmp_path / "test.tsv", [("red", "crimson")])
    with pytest.raises(UserError, match=r"line 1, answer: the label 'crimson' does not occur"):
        opened(train, "many_to_one", test_source=str(test))


FAULTS_OF_A_TEST: dict[str, tuple[str, ShapeName, dict[str, Any], str]] = {
    "nothing": ("", "encoder_decoder", {}, "test holds no examples"),
    "no tab": ("red\n", "encoder_decoder", {}, "test, line 1: 0 tabs"),
    "too long": (f"red\tred\n{'e' * 300}\ta\n", "encoder_decoder", {}, "test, line 2: the input has 300 tokens"),
    "length": ("a\tred\n", "one_to_one", {"input_words": True}, "test, line 1: the word 'a' is unknown"),
    "no text": ("", "language_model", {}, "test has 0 characters, too few for a test"),
    "character": ("red\nred\nblue7\n", "language_model", {}, "test, line 3: the character '7' is unknown"),
}


@pytest.mark.parametrize("name", FAULTS_OF_A_TEST)
def test_a_fault_in_the_test_names_its_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, shape, settings, expected = FAULTS_OF_A_TEST[name]
    train = write(tmp_path / "train.tsv", [(word, word) for word in WORDS])
    (tmp_path / "test").write_text(text)
    data = {"source": str(train), "test_source": str(tmp_path / "test"), "window": 4, **settings}
    file = preset(tmp_path, data=data, network={"shape": shape})
    assert main(["train", str(file), "--runs-dir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path}/{expected}" in error and "train.tsv" not in error and error.count("\n") == 1


def test_wrong_settings_and_files_are_one_line_and_leave_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "binary").write_bytes(b"a\t\xff\n")
    (tmp_path / "empty").write_text("\n\n")
    (tmp_path / "few").write_text("a\tb\n")
    (tmp_path / "short").write_text("abc")
    no_task = ("data.task=null", "data.size=null")
    cases = {
        ("data.task=revers",): "did you mean 'reverse'",
        ("data.size=1000",): "size of reverse (most letters) is from 2 to 64, not 1000",
        no_task: "no data to train on",
        ("data.source=x",): "contradict each other",
        ("network.shape=many_to_one",): "does not fit the task 'reverse'; use encoder_decoder",
        ("network.shape=one_to_many",): "does not fit the task 'reverse'; use encoder_decoder",
        ("network.shape=language_model",): "reads a text, not the task",
        ("network.attention=bottom",): "set layers to 2",
        ("network.heads=2", "network.shape=many_to_one"): "many_to_one has no attention",
        ("data.input_words=true",): "a task has its own vocabulary",
        ("cluster.learners=2", "network.dropout=0.1"): "set network.dropout=0",
        ("cluster.learners=2", "training.micro_batch=4"): "leave one out",
        ("cluster.learners=2", "training.batch_size=1"): "lower cluster.learners",
        ("data.numbers=true",): "does not predict numbers",
        (*no_task, "network.shape=language_model", "data.input_words=true"): "reads characters",
        ("network.cell=elman",): "network.cell",
        ("training.teacher_forcing=2",): "training.teacher_forcing",
        ("data.task=brackets", "data.size=4", "network.shape=many_to_many", "evaluate.beam=4"): "have no effect",
        (*no_task, f"data.source={tmp_path}/none"): "cannot read",
        (*no_task, f"data.source={tmp_path}/binary"): "is not UTF-8 text",
        (*no_task, f"data.source={tmp_path}/empty"): "holds no examples",
        (*no_task, f"data.source={tmp_path}/few"): "too few different inputs",
        (*no_task, f"data.source={tmp_path}/short", "network.shape=language_model"): "too few for windows of 64",
        (*no_task, f"data.source={tmp_path}/empty", "network.shape=language_model"): "empty holds no text",
        (
            *no_task,
            f"data.source={tmp_path}/short",
            "network.shape=language_model",
            "data.window=1",
        ): "short, held out for the test, has 1 characters",
    }
    file = preset(tmp_path)
    for settings, expected in cases.items():
        capsys.readouterr()
        assert main(["train", str(file), *settings, "--runs-dir", str(tmp_path / "runs")]) == 2, settings
        error = capsys.readouterr().err
        assert expected in error and error.startswith("lab: ") and error.count("\n") == 1, (settings, error)
        assert not any((tmp_path / "runs").glob("*"))


@pytest.mark.parametrize(("offset", "factor"), [(0.0, 1.0), (2000.0, 1.0), (1.7e9, 40.0), (-1e9, 1.0), (0.0, 1e148)])
def test_numbers_are_learned_on_one_scale_and_read_on_that_of_the_file(
    tmp_path: Path, offset: float, factor: float
) -> None:
    lines = [("x" * (k + 1), offset + factor * k) for k in range(60)]
    data = opened(write(tmp_path / "a.jsonl", lines), "many_to_one", held_out=0.3, numbers=True)
    trained, tested = data.at(0, len(lines) - len(data.test.inputs)), data.test
    assert abs(float(trained.targets.mean())) < 1e-5 and abs(float(trained.targets.std(correction=0)) - 1) < 1e-5
    assert tested.targets.tolist() == [offset + factor * (k - 1) for k in tested.lengths.tolist()]
    restored = data.scale.restore(data.scale.standardize(tested.targets))
    assert float((restored - tested.targets).abs().max()) < 1e-4 * factor


def test_numbers_are_written_with_the_digits_that_differ(tmp_path: Path) -> None:
    lines = [("x" * (k + 1), 1_700_000_000 + 40 * k) for k in range(60)]
    scale = opened(write(tmp_path / "a.jsonl", lines), "many_to_one", held_out=0.3, numbers=True).scale
    assert scale.text(1_700_000_123.4) == "1700000123"
    assert NumberScale().text(12.0372) == "12.04" and NumberScale().text(0.0) == "0"
    assert NumberScale(2000.0, 5.0).text(2011.97) == "2012"


def test_equal_answers_and_answers_too_far_apart(tmp_path: Path) -> None:
    same = [("x" * (k + 1), 5.0) for k in range(60)]
    assert opened(write(tmp_path / "a.jsonl", same), "many_to_one", numbers=True, held_out=0.3).scale == (5.0, 1.0)
    for largest in (1.7e308, 1e200):  # the squared error of the second would be no float
        far = [("x" * (k + 1), (-1.0) ** k * largest) for k in range(60)]
        with pytest.raises(UserError, match="further apart than"):
            opened(write(tmp_path / "b.jsonl", far), "many_to_one", numbers=True, held_out=0.3)


@pytest.mark.parametrize("ending", [b"\r\n", b"\r"])
def test_the_ends_of_lines_are_no_part_of_standard_input(ending: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    given = io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfr\xc3\xa9d" + ending + b"green" + ending), encoding="latin-1")
    monkeypatch.setattr("sys.stdin", given)
    assert [text for text, _ in read_inputs(None)] == ["réd", "green"]


def test_standard_input_that_is_not_utf8_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"r\xe9d\n"), encoding="latin-1"))
    with pytest.raises(UserError, match="standard input is not UTF-8 text: byte 1 is invalid"):
        read_inputs(None)


@pytest.mark.parametrize("line", ['{"input": ' + "[" * 100_000, '{"input": "a", "target": 1e999}', '{"a": NaN}'])
def test_json_lines_beyond_all_measure_are_one_line(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match="line 1 is not JSON"):
        opened(tmp_path / "a.jsonl")


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tsv")
    with pytest.raises(UserError, match="is not a regular file"):
        opened(tmp_path / "a.tsv")


def test_perplexity_decides_which_language_model_is_the_best() -> None:
    assert load_preset("sequences/text").evaluate.best == load_preset("sequences/sums").evaluate.best
    assert load_preset("sequences/text").evaluate.best == "eval/perplexity"
    assert config(network={"shape": "language_model"}).evaluate.best == "eval/perplexity"
    chosen = config(network={"shape": "language_model"}, evaluate={"best": "eval/token_accuracy"})
    assert chosen.evaluate.best == "eval/token_accuracy"
    assert config(network={"shape": "language_model"}, evaluate={"best": None}).evaluate.best is None


@pytest.mark.parametrize(
    ("preset_name", "best", "hint"),
    [
        ("sums", "eval/exact_match", "language_model has no metric 'eval/exact_match'; use eval/perplexity"),
        ("adding", "eval/perplexity", "numbers has no metric 'eval/perplexity'; use eval/rmse"),
        ("reverse", "eval/rmse", "encoder_decoder has no metric 'eval/rmse'; use eval/exact_match"),
    ],
)
def test_the_best_is_chosen_by_a_metric_that_the_network_has(preset_name: str, best: str, hint: str) -> None:
    with pytest.raises(UserError, match=hint):
        load_preset(f"sequences/{preset_name}", [f"evaluate.best={best}"])


def test_the_preset_for_ones_own_text_asks_for_the_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.txt"
    assert main(["train", "sequences/text", f"data.source={missing}", "--runs-dir", str(tmp_path)]) == 2
    assert "No such file or directory; data.source names the file" in capsys.readouterr().err
