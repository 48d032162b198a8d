"""Intent and slots of a command, from one tag for each word and the intent at the end of the input.

The end of the input is a token whose tag is the intent (Hakkani-Tur et al. 2016, "Multi-domain joint semantic frame
parsing using bi-directional RNN-LSTM"), so that one network that tags every token answers both.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

OUTSIDE = "O"


class Slot(NamedTuple):
    """A slot and its words, `start` to `stop`."""

    name: str
    start: int
    stop: int


class Frame(NamedTuple):
    """The intent of a command and its slots in order."""

    intent: str
    slots: tuple[Slot, ...]


def frame_of(tags: Sequence[str]) -> Frame:
    """The frame of the tags of the words and the intent after them.

    A slot starts at B-NAME, and at an I-NAME that follows no such slot (as conlleval does); anything else is outside.
    """
    slots: list[Slot] = []
    for at, tag in enumerate(tags[:-1]):
        begin, _, name = tag.partition("-")
        if begin not in ("B", "I") or not name:
            continue
        last = slots[-1] if slots else None
        if begin == "I" and last is not None and last.name == name and last.stop == at:
            slots[-1] = last._replace(stop=at + 1)
        else:
            slots.append(Slot(name, at, at + 1))
    return Frame(tags[-1] if tags else "", tuple(slots))


def frame_metrics(found: Sequence[Sequence[str]], true: Sequence[Sequence[str]]) -> dict[str, float]:
    """Accuracy of the intents, and the F1 score of the slots, which count where name, start and stop are right."""
    pairs = [(frame_of(one), frame_of(other)) for one, other in zip(found, true, strict=True)]
    right = sum(len(set(one.slots) & set(other.slots)) for one, other in pairs)
    total = sum(len(one.slots) + len(other.slots) for one, other in pairs)
    return {
        "eval/intent_accuracy": sum(one.intent == other.intent for one, other in pairs) / len(pairs),
        "eval/slot_f1": 2.0 * right / total if total else 1.0,
    }


def frame_record(text: str, tags: Sequence[str]) -> dict[str, Any]:
    """{"intent", "slots": [{"slot", "text"}]} of a command and the tags of its words, the intent last."""
    words, frame = text.split(), frame_of(tags)
    slots = [{"slot": slot.name, "text": " ".join(words[slot.start : slot.stop])} for slot in frame.slots]
    return {"intent": frame.intent, "slots": slots}


def frame_text(record: dict[str, Any]) -> str:
    """A record of `frame_record` in one line."""
    slots = (f"{slot['slot']}={slot['text']}" for slot in record["slots"])
    return "  ".join([record["intent"], *slots])
