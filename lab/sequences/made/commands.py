"""Made commands to an assistant, with their intent and slots.

A target has a tag for each word, B-SLOT at the first word of a slot, I-SLOT at the others and O elsewhere, and the
intent last. Test commands use wordings that no training command has, and half of their slots have values that none has.
"""

import re

from lab.sequences.made.choices import Choices, choices_of_texts, phrases
from lab.sequences.made.command_values import slot_values
from lab.sequences.pair import Pair

_SEED, _TRAIN, _TEST, _MOST = 0xA55, 8_000, 1_000, 32
_HELD_OUT_TEMPLATES = 2  # the last of each intent
_FIELD = re.compile(r"\{(\w+)\}")

_OPENINGS = ("", "", "", "hey ", "please ")
_REQUESTS = (*_OPENINGS, "could you ", "can you ", "would you ", "i want you to ")
# First words of templates that are no imperatives, before which "could you" makes no sense.
_STATEMENTS = phrases(
    """
    a | alarm | an | at | could | directions | do | how | i | is | lights | music | no | please | shopping | should |
    there | timer | we | weather | what | where | which | will
    """
)
_ENDINGS = ("", "", "", " please", " thanks", " now", " for me")
TEMPLATES: dict[str, tuple[str, ...]] = {
    "set_alarm": (
        "i need an alarm at {time} {date}",
        "please wake us at {time}",
        "ring the alarm at {time}",
        "an alarm for {date} at {time}",
        "could the alarm go off at {time} {date}",
        "wake me at {time}",
        "wake me up at {time} {date}",
        "set an alarm for {time}",
        "set my alarm for {date} at {time}",
        "get me up at {time}",
        "i have to be up by {time} {date}",
        "alarm at {time}",
        "make sure i am awake at {time}",
        "let the alarm ring at {time} {date}",
        "do not let me sleep longer than {time}",
    ),
    "set_timer": (
        "i need a timer of {duration}",
        "set the kitchen timer to {duration}",
        "a timer of {duration}",
        "remind me in {duration}",
        "begin a countdown of {duration}",
        "wake me in {duration}",
        "set a timer for {duration}",
        "start a {duration} timer",
        "count down {duration}",
        "timer for {duration}",
        "tell me when {duration} are over",
        "let me know after {duration}",
        "give me {duration} on the clock",
        "ring in {duration}",
    ),
    "play_music": (
        "play me a song by {artist}",
        "i feel like listening to {genre}",
        "play {artist} in the {room}",
        "could we have some {genre}",
        "put {song} on",
        "listen to {artist}",
        "play {song} by {artist}",
        "play {song}",
        "i want to hear {song} by {artist}",
        "put on something by {artist}",
        "play some {genre}",
        "play {genre} in the {room}",
        "start {song} by {artist} in the {room}",
        "music by {artist}",
        "let us listen to {song} by {artist}",
        "turn on some {genre} in the {room}",
    ),
    "get_weather": (
        "what will the weather be {date}",
        "is it going to rain {date}",
        "tell me the weather in {city}",
        "show the forecast for {city}",
        "will there be snow in {city} {date}",
        "do we need coats {date}",
        "what is the weather in {city}",
        "what is the weather like in {city} {date}",
        "will it rain in {city} {date}",
        "how warm is it in {city}",
        "weather {date}",
        "is it cold in {city} {date}",
        "do i need an umbrella in {city}",
        "tell me the forecast for {city} {date}",
        "how is the weather {date} in {city}",
        "should i take a coat to {city} {date}",
    ),
    "send_message": (
        "send a text to {person} that says {message}",
        "write {person} a message that {message}",
        "tell {person} {message}",
        "send {person} the message {message}",
        "let {person} hear that {message}",
        "text to {person} that {message}",
        "text {person} {message}",
        "send a message to {person} saying {message}",
        "tell {person} that {message}",
        "write to {person} that {message}",
        "message {person} {message}",
        "let {person} know that {message}",
        "send {person} a text saying {message}",
        "inform {person} that {message}",
    ),
    "call": (
        "make a call to {person}",
        "dial {person}",
        "call up {person}",
        "i would like to phone {person}",
        "speak with {person} on the phone",
        "start a phone call to {person}",
        "call {person}",
        "phone {person}",
        "give {person} a call",
        "i want to speak to {person}",
        "ring up {person} {date}",
        "call {person} at {time}",
        "get {person} on the phone",
        "start a call with {person}",
    ),
    "add_to_list": (
        "buy {item}",
        "i need to buy {item} and {item}",
        "shopping list {item}",
        "there is no {item} left",
        "please get {item}",
        "write down {item} for the shopping",
        "add {item} to my shopping list",
        "put {item} on the list",
        "put {item} and {item} on the shopping list",
        "we need {item}",
        "remember to buy {item}",
        "add {item} and {item} to the list",
        "we are out of {item}",
        "write {item} on my shopping list",
    ),
    "set_lights": (
        "switch on the light in the {room}",
        "dim the {room} lights",
        "set the lights in the {room} to {colour}",
        "light the {room} in {colour}",
        "no light in the {room}",
        "switch the {room} to {colour}",
        "turn on the lights in the {room}",
        "turn the {room} lights {colour}",
        "lights on in the {room}",
        "make the {room} {colour}",
        "turn off the lights in the {room}",
        "switch off the {room} light",
        "switch the lights in the {room} to {colour}",
        "dim the light in the {room}",
    ),
    "navigate": (
        "navigate to {place}",
        "show me a route to {city}",
        "i want to go to {place}",
        "where is {place}",
        "find the way to {place} in {city}",
        "guide us to {city}",
        "which way is {place}",
        "take me to {place}",
        "how do i get to {place}",
        "show me the way to {place}",
        "drive to {city}",
        "directions to {place} in {city}",
        "what is the fastest way to {city}",
        "guide me to {place}",
        "find a route to {place} in {city}",
    ),
    "set_reminder": (
        "set a reminder for {date} to {task}",
        "remind me that i have to {task}",
        "i have to {task} {date}",
        "make a reminder to {task} at {time}",
        "note that i must {task}",
        "remind us {date} at {time} to {task}",
        "remind me to {task} at {time}",
        "remind me to {task} {date}",
        "do not let me forget to {task} {date}",
        "set a reminder to {task} {date} at {time}",
        "i must {task} at {time}",
        "remind me {date} to {task}",
        "make a note that i have to {task} {date}",
        "at {time} remind me to {task}",
    ),
}


def commands() -> tuple[list[Pair], list[Pair]]:
    """Training and test commands."""
    sets = []
    for part, count in enumerate((_TRAIN, _TEST)):
        drawn = choices_of_texts(_SEED + part, count, most=_MOST)
        rows = [_command(choices, held_out=part == 1) for choices in drawn]
        sets.append([Pair(text, tags, f"commands, line {number}") for number, (text, tags) in enumerate(rows, 1)])
    return sets[0], sets[1]


def _command(choices: Choices, *, held_out: bool) -> tuple[str, str]:
    """A command, and its tags and intent."""
    intent = choices.pick(tuple(TEMPLATES))
    templates = TEMPLATES[intent]
    known = len(templates) - _HELD_OUT_TEMPLATES
    template = choices.pick(templates[known:] if held_out else templates[:known])
    words, tags = [], []
    openings = _OPENINGS if template.split()[0] in _STATEMENTS else _REQUESTS
    for word in f"{choices.pick(openings)}{template}{choices.pick(_ENDINGS)}".split():
        field = _FIELD.fullmatch(word)
        if field is None:
            words.append(word)
            tags.append("O")
            continue
        slot = field[1]
        value = choices.pick(slot_values(slot, held_out=held_out and choices.happens(0.5))).split()
        words += value
        tags += [f"B-{slot}", *[f"I-{slot}"] * (len(value) - 1)]
    return " ".join(words), " ".join([*tags, intent])
