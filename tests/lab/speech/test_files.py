"""Folders of recordings: what is read, and what is refused with one line."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lab.audio.wav import Recording, read_wav, write_wav
from lab.cli.main import main
from lab.errors import UserError
from lab.speech import corpus, teacher
from lab.speech.aligning import align_folder
from lab.speech.config import DataConfig
from lab.speech.corpus import lexicon_text, parse_lexicon, phones_line, read_lines, read_phones
from lab.speech.dataset import open_speech
from lab.speech.recognise import word_errors
from lab.speech.sentences import sentences
from lab.speech.speaking import make_set, texts_of
from lab.speech.wave_stream import WaveStream
from tests.lab.small_speech import LEXICON, RATE, TEXTS, config, recordings, spoken


def test_recordings_are_read_back(tmp_path: Path) -> None:
    folder = recordings(tmp_path)
    lines = read_lines(folder)
    assert [line.words for line in lines] == list(TEXTS)
    timed = read_phones(folder)
    assert phones_line("r0", timed["r0"]) == (folder / corpus.PHONES).read_text().splitlines()[0]
    assert parse_lexicon(lexicon_text(LEXICON), "x") == LEXICON


def test_held_out_sentences_are_never_trained_on(tmp_path: Path) -> None:
    folder = recordings(tmp_path)
    data = open_speech(DataConfig(source=str(folder), held_out=0.25), config(folder).mel)
    assert len(data.training) + len(data.held_out) == len(TEXTS) and len(data.held_out) == len(data.held_out_lines) > 1
    seen = {tuple(item.phones.tolist()) for item in data.training}
    assert not seen & {tuple(item.phones.tolist()) for item in data.held_out}
    torch.testing.assert_close(
        torch.cat([item.mel for item in data.training]).mean(0), torch.zeros(12), atol=1e-4, rtol=0
    )


def test_every_recording_is_in_every_epoch(tmp_path: Path) -> None:
    folder = recordings(tmp_path)
    data = open_speech(DataConfig(source=str(folder), held_out=0.25), config(folder).mel)
    size = len(data.training)
    assert size == 9  # so that 8 batches of 9 are 8 epochs
    rows = [data.batch(start, 9, seed=1) for start in range(0, 72, 9)]
    found = sorted(int(batch.durations[row].sum()) for batch in rows for row in range(9))
    assert found == sorted(len(item.mel) for item in data.training for _ in range(8))


def test_clipped_recordings_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = recordings(tmp_path)
    for name in ("r2", "r5"):
        path = folder / corpus.WAVS / f"{name}.wav"
        write_wav(path, 20.0 * read_wav(path).samples, RATE)
    open_speech(DataConfig(source=str(folder), held_out=0.25), config(folder).mel)
    (message,) = caplog.messages
    assert "r2.wav" in message and "clipped (and 1 more recordings)" in message


def _without_phones(folder: Path) -> None:
    (folder / corpus.PHONES).unlink()


def _silent(folder: Path) -> None:
    write_wav(folder / corpus.WAVS / "r3.wav", torch.zeros(8000), RATE)


def _damaged(folder: Path) -> None:
    (folder / corpus.WAVS / "r3.wav").write_bytes(b"ID3 this is no wave")


def _short(folder: Path) -> None:
    write_wav(folder / corpus.WAVS / "r3.wav", 0.1 * torch.ones(400), RATE)


def _missing(folder: Path) -> None:
    (folder / corpus.WAVS / "r3.wav").unlink()


def _written(name: str, text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_text(text)

    return write


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no phones": (_without_phones, r"phones\.csv is missing.*lab data align"),
    "silent": (_silent, r"r3\.wav: it is silent"),
    "damaged": (_damaged, r"r3\.wav: it is MP3, not WAV"),
    "short": (_short, r"r3\.wav: its phones end after .* and the recording after 0\.05 s"),
    "missing": (_missing, r"r3\.wav does not exist"),
    "no transcripts": (_written(corpus.METADATA, "\n"), r"metadata\.csv is empty"),
    "no words": (_written(corpus.METADATA, "r0|!!!\n"), "line 1: the transcript has nothing that can be spoken"),
    "columns": (_written(corpus.METADATA, "r0\n"), "line 1: it has 1 columns"),
    "path": (_written(corpus.METADATA, "../r0|the cat\n"), "names no file"),
    "twice": (_written(corpus.METADATA, "r0|the cat\nr0|the cat\n"), "line 2: the id r0 stands twice"),
    "other phones": (_written(corpus.PHONES, "r0|pau:0.1 xx:0.2\n"), "'xx' is no phone"),
    "falling": (_written(corpus.PHONES, "r0|pau:0.2 t:0.1\n"), "line 1: the ends of phones must rise"),
    "no times": (_written(corpus.PHONES, "r0|pau t\n"), r"line 1: give ID\|phone:end"),
    "few": (_written(corpus.METADATA, "r0|the cat\nr1|a mat\n"), "are too few"),
    "lexicon": (_written(corpus.LEXICON, "cat\n"), r"lexicon\.csv, line 1: give word\|phone"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_folder_is_refused_in_one_line(fault: str, tmp_path: Path) -> None:
    folder = recordings(tmp_path)
    make, message = FAULTS[fault]
    make(folder)
    with pytest.raises(UserError, match=message) as raised:
        open_speech(DataConfig(source=str(folder)), config(folder).mel)
    assert "\n" not in str(raised.value)


def test_own_recordings_are_aligned_and_can_be_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.speech.aligning.shutil.which", lambda name: None)
    folder = recordings(tmp_path, with_phones=False)
    assert main(["data", "align", str(folder)]) == 0
    found = read_phones(folder)
    for name, text in zip(found, TEXTS, strict=True):
        _, timed = spoken(text.split())
        assert [phone.phone for phone in found[name]] == [phone.phone for phone in timed]
        assert max(abs(one.end_s - other.end_s) for one, other in zip(found[name], timed, strict=True)) < 0.08
    assert open_speech(DataConfig(source=str(folder), held_out=0.25), config(folder).mel).training
    assert main(["data", "align", str(folder)]) == 2


def test_words_without_a_pronunciation_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.speech.aligning.shutil.which", lambda name: None)
    monkeypatch.setattr("lab.speech.aligning.dictionary", dict)
    folder = recordings(tmp_path, with_phones=False)
    (folder / corpus.LEXICON).write_text("cat|k ae t\n")
    with pytest.raises(UserError, match=r"no pronunciation is known for a, mat, men, .*install flite"):
        align_folder(folder)


def test_sentences_are_different_and_follow_the_seed() -> None:
    found = sentences(300, seed=1)
    assert len(set(found)) == 300 and found[:100] == sentences(100, seed=1) and found != sentences(300, seed=2)
    assert any(character.isdigit() for text in found for character in text)
    assert all(text[0].isupper() or text[0].isdigit() for text in found)


def test_texts_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("One | two.\n\nThree.\n")
    assert texts_of(str(tmp_path / "texts.txt")) == ["One   two.", "Three."]
    assert len(texts_of("5")) == 5
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    for source, message in {
        "0": "out of range",
        "none.txt": "neither a number",
        "empty.txt": "empty",
        "latin.txt": "UTF-8",
    }.items():
        with pytest.raises(UserError, match=message):
            texts_of(source if source == "0" else str(tmp_path / source))


def test_without_flite_the_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="flite, the teacher, is not on the PATH; on Debian: apt-get install flite"):
        make_set(["hello"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_is_not_spoken_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "check_voice", lambda voice: None)
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"):
        make_set(["hello"], tmp_path)


def test_an_interrupted_set_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = teacher.Spoken(Recording(torch.zeros(80), RATE, ()), (teacher.TimedPhone("pau", 0.01),))
    monkeypatch.setattr(teacher, "check_voice", lambda voice: None)
    monkeypatch.setattr(teacher, "speak", lambda text, voice: said)

    def interrupt(done: int, total: int) -> None:
        assert (tmp_path / "out" / "wavs" / "voice-00001.wav").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_set(["hello"] * 9, tmp_path / "out", progress=interrupt)
    assert not (tmp_path / "out").exists()


def test_a_stream_of_samples_is_a_wav_file(tmp_path: Path) -> None:
    path, wave = tmp_path / "x.wav", torch.linspace(-1.2, 1.2, 1000)
    with path.open("wb") as file, WaveStream(file, RATE) as stream:
        stream.write(wave[:300])
        early = read_wav(path)
        assert len(early.samples) == 300 and early.rate == RATE
        stream.write(wave[300:])
        assert stream.seconds == 1000 / RATE
    found = read_wav(path)
    assert not any("ends before" in remark for remark in found.remarks)
    torch.testing.assert_close(found.samples, wave.clamp(-1, 1), atol=1e-4, rtol=0)


def test_word_errors_are_the_edit_distance() -> None:
    assert word_errors(["a", "b", "c", "d"], ["a", "x", "c"]) == 2
    assert word_errors([], ["a", "b"]) == word_errors(["a", "b"], []) == 2
    assert word_errors(["a"], ["a"]) == 0
