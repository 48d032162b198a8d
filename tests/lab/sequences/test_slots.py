"""Frames from tags, their scores, and made commands that follow their grammar."""

from lab.sequences.made.command_values import slot_values
from lab.sequences.made.commands import TEMPLATES, commands
from lab.sequences.slots import Frame, Slot, frame_metrics, frame_of, frame_record, frame_text


def test_tags_become_slots_and_an_intent() -> None:
    found = frame_of(["O", "B-time", "I-time", "B-time", "I-date", "I-date", "set_alarm"])
    assert found == Frame("set_alarm", (Slot("time", 1, 3), Slot("time", 3, 4), Slot("date", 4, 6)))


def test_other_tags_inside_are_outside() -> None:
    assert frame_of(["call", "I-person", "O", "I-person", "B-"]) == Frame(
        "B-", (Slot("person", 1, 2), Slot("person", 3, 4))
    )


def test_a_slot_counts_only_whole_and_the_score_is_f1() -> None:
    true = [["B-a", "I-a", "O", "x"], ["B-b", "O", "O", "y"]]
    found = [["B-a", "I-a", "B-b", "x"], ["B-b", "I-b", "O", "x"]]
    # Found 3 slots, 1 of them right; there are 2: precision 1/3, recall 1/2.
    assert frame_metrics(found, true) == {"eval/intent_accuracy": 0.5, "eval/slot_f1": 0.4}


def test_a_record_has_the_words_as_they_were_given() -> None:
    record = frame_record("Wake me at Half past seven!", ["O", "O", "O", "B-time", "I-time", "I-time", "set_alarm"])
    assert record == {"intent": "set_alarm", "slots": [{"slot": "time", "text": "Half past seven!"}]}
    assert frame_text(record) == "set_alarm  time=Half past seven!"


def test_every_command_is_tagged_word_by_word_with_values_of_its_slots() -> None:
    train, test = commands()
    for part, pairs in (("train", train), ("test", test)):
        for pair in pairs[:500]:
            tags = pair.target.split()
            assert len(tags) == len(pair.input.split()) + 1 and tags[-1] in TEMPLATES
            for slot in frame_record(pair.input, tags)["slots"]:
                known = slot["text"] in slot_values(slot["slot"], held_out=False)
                assert known or (part == "test" and slot["text"] in slot_values(slot["slot"], held_out=True))


def test_no_wording_of_the_test_is_in_training() -> None:
    def wording(text: str, target: str) -> str:
        tags = target.split()
        words = (word if tag == "O" else tag.partition("-")[2] for word, tag in zip(text.split(), tags, strict=False))
        return " ".join(words)

    train, test = commands()
    assert not {wording(*pair[:2]) for pair in train} & {wording(*pair[:2]) for pair in test}
