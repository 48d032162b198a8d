"""Texts with labels: open vocabularies, tables of examples, predictions and baselines."""

import json
from pathlib import Path

import pytest
import torch

from lab.cli.main import main
from lab.sequences.config import DataConfig
from lab.sequences.files import FileData
from lab.sequences.vocabulary import END, FIRST, UNKNOWN, Vocabulary
from tests.lab.small_sequences import preset

WORDS = {"shape": "many_to_one", "cell": "gru", "hidden": 16}


def table(folder: Path) -> Path:
    """Texts whose first word decides."""
    path = folder / "texts.csv"
    rows = [
        f'"{word}, said number {number}",{label}'
        for number in range(60)
        for word, label in (("Good", "up"), ("bad", "down"))
    ]
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


def test_an_open_vocabulary_reads_any_word() -> None:
    vocabulary = Vocabulary.from_texts(["Hello, (world)!", "a - b"], words=True, is_open=True)
    assert vocabulary.tokens == (UNKNOWN, "-", "a", "b", "hello", "world")
    assert vocabulary.encode("hello WORLD who?") == [FIRST + 4, FIRST + 5, FIRST]


def test_words_are_unknown_at_random_and_by_the_number_of_the_example(tmp_path: Path) -> None:
    config = DataConfig(source=str(table(tmp_path)), input_words=True, unknown=0.5, held_out=0.25)
    data = FileData(config, "many_to_one", 0)
    plain = FileData(config.model_copy(update={"unknown": 0.001}), "many_to_one", 0)
    found, clean = data.at(100, 50), plain.at(100, 50)
    changed = found.inputs != clean.inputs
    assert bool((found.inputs[changed] == FIRST).all())
    words = clean.inputs > FIRST
    assert float(changed.sum()) / float(words.sum()) == pytest.approx(0.5, abs=0.15)
    torch.testing.assert_close(data.at(110, 7).inputs, found.inputs[10:17])
    assert not bool((data.test.inputs == FIRST).all(1).any())


@pytest.mark.slow
def test_a_table_is_classified_and_compared_with_tf_idf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = preset(
        tmp_path,
        data={"source": str(table(tmp_path)), "input_words": True, "unknown": 0.02, "held_out": 0.25},
        network=WORDS,
        training={"learning_rate": 2e-2, "batch_size": 16, "examples_per_iteration": 256},
        budget=512,
    )
    assert main(["train", str(file), "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    capsys.readouterr()
    assert main(["eval", str(tmp_path / "run"), "--baselines", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["exact_match"] > 0.95 and found["baselines"]["TF-IDF, words"]["exact_match"] == 1.0
    assert main(["predict", str(tmp_path / "run"), "GOOD, whatever this is"]) == 0
    assert capsys.readouterr().out.strip() == "up"


def test_intents_follow_the_last_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = tmp_path / "commands.tsv"
    names = [f"name{number}" for number in range(40)]
    pairs.write_text("".join(f"call {name}\tO B-person call\n" for name in names))
    data = {"source": str(pairs), "input_words": True, "target_words": True, "intents": True, "unknown": 0.5}
    network = {"shape": "many_to_many", "cell": "gru", "hidden": 16, "bidirectional": True}
    file = preset(
        tmp_path, data={**data, "held_out": 0.2}, network=network, training={"learning_rate": 3e-2}, budget=512
    )
    read = FileData(DataConfig.model_validate({**data, "held_out": 0.2}), "many_to_many", 0)
    assert read.test.inputs[0, 2] == END and read.test.targets.shape[1] == 3
    assert main(["train", str(file), "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), "Call Nobody"]) == 0
    assert capsys.readouterr().out.strip() == "call  person=Nobody"
    assert main(["eval", str(tmp_path / "run"), "--baselines", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["slot_f1"] == found["intent_accuracy"] == 1.0
    (row,) = found["baselines"].values()
    assert row["intent_accuracy"] == 1.0 and row["slot_f1"] == 0.0  # no test name is in training


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.unknown=0.1", "set data.input_words=true"),
        ("data.intents=true", "use network.shape many_to_many"),
    ],
)
def test_settings_that_contradict_are_one_line(
    override: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = preset(tmp_path, data={"source": str(table(tmp_path))}, network=WORDS)
    assert main(["train", str(file), override, "--runs-dir", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_a_table_without_these_columns_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("words,class\na b,c\n")
    file = preset(tmp_path, data={"source": str(path), "input_words": True}, network=WORDS)
    assert main(["train", str(file), "--runs-dir", str(tmp_path)]) == 2
    assert "a table of examples has text and label" in capsys.readouterr().err
