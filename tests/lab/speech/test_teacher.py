"""Recordings that flite speaks; without it only the rest of the folder is tested."""

import shutil
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.errors import UserError
from lab.speech import corpus, pronounce, speaking, teacher
from lab.speech.config import DataConfig
from lab.speech.dataset import open_speech
from lab.speech.phones import PAUSE, PHONES
from tests.lab.small_speech import config

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


@needs_flite
def test_the_teacher_tells_when_its_phones_end() -> None:
    said = teacher.speak("hello, my friend.")
    phones = [phone.phone for phone in said.phones]
    assert phones[0] == phones[-1] == PAUSE and PAUSE in phones[1:-1] and set(phones) <= set(PHONES)
    assert "".join(phones[1:5]) == "hhaxlow"
    ends = [phone.end_s for phone in said.phones]
    assert ends == sorted(ends) and ends[-1] == pytest.approx(said.recording.seconds, abs=0.05)


@needs_flite
def test_words_are_pronounced_one_by_one() -> None:
    found = teacher.pronounce(["cat", "the", "don't", "xyz", "photograph"])
    assert found["cat"] == ("k", "ae", "t") and found["don't"] == ("d", "ow", "n", "t")
    assert found["photograph"][0] == "f"


@needs_flite
def test_an_unknown_voice_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"flite has no voice 'nobody'; it has .*slt"):
        speaking.make_set(["hello"], tmp_path / "out", voice="nobody")


@needs_flite
@pytest.mark.slow
def test_spoken_sentences_can_be_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "_MADE_UP", 50)
    monkeypatch.setattr(speaking, "dictionary", dict)
    monkeypatch.setattr(pronounce, "dictionary", dict)
    out = tmp_path / "set"
    assert main(["data", "speak", "16", str(out)]) == 0
    lines = corpus.read_lines(out)
    assert len(lines) == 16
    lexicon = corpus.read_lexicon(out / corpus.LEXICON)
    assert lexicon["a"] == ("ax",) and lexicon["seventeen"][0] == "s" and len(lexicon) > 1000
    data = open_speech(DataConfig(source=str(out), held_out=0.3), config(out).mel)
    assert 50.0 < data.seconds + sum(len(item.mel) for item in data.held_out) / 100 < 100.0
    assert main(["data", "speak", "16", str(out)]) == 2
