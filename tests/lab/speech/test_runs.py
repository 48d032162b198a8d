"""A voice is trained, resumed exactly, evaluated, and speaks; bad texts are one line."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import lab
from lab.audio.wav import read_wav
from lab.cli.main import main
from lab.config.registry import KINDS
from lab.speech import pronounce
from tests.lab.small_speech import RATE, config, preset, recordings
from tests.same_run import assert_same_run

SMALL_MEL = config(Path()).mel


def run(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run("train", preset(folder, source, evaluate={"every": 2}), "--runs-dir", folder, "--name", "voice")
    return folder


@pytest.fixture(autouse=True)
def _without_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pronounce, "dictionary", dict)


@pytest.mark.parametrize("micro_batch", [None, pytest.param(3, marks=pytest.mark.slow)])
def test_a_stopped_run_goes_on_bit_for_bit(
    micro_batch: int | None, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = preset(tmp_path, source, evaluate={"every": 2}, training={"micro_batch": micro_batch})
    run("train", file, "--runs-dir", tmp_path, "--name", "whole")
    assert f"lab say {tmp_path}/whole TEXT --out FILE.wav" in capsys.readouterr().out
    run("train", file, "budget=16", "training.decay_examples=32", "--runs-dir", tmp_path, "--name", "parts")
    run("resume", tmp_path / "parts", "budget=32")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_an_evaluation_leaves_pictures_and_waves(runs: Path) -> None:
    samples = runs / "voice" / "samples"
    assert (samples / "000000032-0.png").is_file()
    assert read_wav(samples / "000000032-0.wav").rate == RATE


def test_a_voice_is_evaluated(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("eval", "voice", "--runs-dir", runs, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["sentences"] == 3 and found["examples_trained"] == 32
    assert 0.0 < found["mel_cepstral_distortion"] < 60.0 and found["real_time_factor"] > 0.0


def test_a_text_is_spoken(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, picture = tmp_path / "x.wav", tmp_path / "x.png"
    run("say", "voice", "The cat, 2 men. A mat!", "--out", out, "--picture", picture, "--runs-dir", runs, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["words"] == "the cat, two men. a mat!"
    assert read_wav(out).seconds == pytest.approx(found["seconds"]) and picture.is_file()
    run("say", "voice", "The cat, 2 men. A mat!", "--out", tmp_path / "y.wav", "--stream", "--runs-dir", runs)
    assert (tmp_path / "y.wav").read_bytes() == out.read_bytes()
    assert "real-time factor" in capsys.readouterr().out


def test_faster_is_shorter(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on a mat. " * 3)
    for pace in (1, 2):
        run(
            "say", "voice", tmp_path / "text.txt", "--out", tmp_path / f"{pace}.wav", "--pace", pace, "--runs-dir", runs
        )
    assert read_wav(tmp_path / "2.wav").seconds < read_wav(tmp_path / "1.wav").seconds


def test_ten_thousand_words_are_spoken_in_pieces(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("cat " * 10_000)
    from lab.speech.synthesis import load_voice
    from lab.train.device import Device

    voice = load_voice(runs / "voice", Device(torch.device("cpu"), "fp32", 1))
    said = voice.say((tmp_path / "long.txt").read_text())
    assert len(next(said).words.split()) == 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        (" \n", "the text is empty"),
        ("☃ ♪", "can be read out: give English words or numbers"),
        ("你好世界", "can be read out"),
        ("... !!!", "can be read out"),
        ("zzz", "no word of 'zzz' can be pronounced"),
        ("none.txt", "none.txt does not exist"),
    ],
)
def test_a_text_without_words_is_one_line(
    text: str, message: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["say", "voice", text, "--out", str(tmp_path / "x.wav"), "--runs-dir", str(runs)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "x.wav").exists()


def test_symbols_among_words_are_a_warning(runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run("say", "voice", "cat ☃ 你", "--out", tmp_path / "x.wav", "--runs-dir", runs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "x.mp3"], "ends in .wav"),
        (["--out", "-"], "--out - needs --stream"),
        (["--out", "x.wav", "--picture", "x.jpg"], "ends in .png"),
        (["--out", "x.wav", "--vocoder", "voice"], "have no vocoder"),
        (["--out", "-", "--stream", "--json"], "cannot both go"),
    ],
)
def test_wrong_options_are_one_line(
    arguments: list[str], message: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["say", "voice", "cat", *arguments, "--runs-dir", str(runs)]) == 2
    assert message in capsys.readouterr().err


class Silence:
    """A vocoder that makes nothing but silence, of spectrograms with a number of bands."""

    def __init__(self, bands: int) -> None:
        self.mel = SMALL_MEL.model_copy(update={"bands": bands})

    def __call__(self, spectrogram: torch.Tensor, /) -> torch.Tensor:
        return torch.zeros(len(spectrogram), spectrogram.shape[2] * self.mel.hop)


def silence(run: Path, device: object) -> Silence:
    return Silence(SMALL_MEL.bands)


def other_silence(run: Path, device: object) -> Silence:
    return Silence(SMALL_MEL.bands + 1)


def test_a_vocoder_of_another_run_makes_the_waves(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say = ["say", "voice", "a cat", "--vocoder", "voice", "--runs-dir", str(runs), "--out"]
    for name, code in (("silence", 0), ("other_silence", 2)):
        kind = replace(KINDS["speech"], functions={"vocoder": f"{__name__}:{name}"})
        monkeypatch.setitem(KINDS, "speech", kind)
        assert main([*say, str(tmp_path / f"{name}.wav")]) == code
    assert not read_wav(tmp_path / "silence.wav").samples.any()
    assert "the vocoder expects other spectrograms" in capsys.readouterr().err


def test_python_gets_samples(runs: Path) -> None:
    (found,) = lab.open_run("voice", runs).predict("the cat")
    assert found["words"] == "the cat" and found["rate"] == RATE and found["wave"].ndim == 1
    assert found["phones"] == ["pau", "dh", "ax", "k", "ae", "t", "pau"]


def test_changed_recordings_are_not_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = recordings(tmp_path / "set")
    run("train", preset(tmp_path, folder, budget=8), "--runs-dir", tmp_path, "--name", "run")
    phones = folder / "phones.csv"
    before = phones.read_text()
    phones.write_text(before.replace("k:", "t:"))
    for command in (["eval", str(tmp_path / "run")], ["resume", str(tmp_path / "run"), "budget=16"]):
        capsys.readouterr()
        assert main(command) == 2
        error = capsys.readouterr().err
        assert f"{folder} is not the data this run was trained on: put the old data back" in error
        assert error.count("\n") == 1
    phones.write_text(before)
    run("resume", tmp_path / "run", "budget=16")


def test_word_error_rates_are_beside_those_of_the_recordings(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Hears:
        """A recogniser that hears nothing: every word is an error."""

        def words(self, wave: torch.Tensor) -> list[str]:
            return []

    monkeypatch.setattr("lab.cli.speech.Recogniser", Hears)
    run("eval", "voice", "--recognise", "--runs-dir", runs, "--json")
    found = json.loads(capsys.readouterr().out)
    names = ("word_error_rate", "recordings_word_error_rate", "vocoded_word_error_rate")
    assert [found[name] for name in names] == [1.0, 1.0, 1.0]


def test_without_the_recogniser_the_line_names_the_extra(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    assert main(["eval", "voice", "--recognise", "--runs-dir", str(runs)]) == 2
    assert "--recognise needs pocketsphinx: pip install 'rivals-lab[speech]'" in capsys.readouterr().err
