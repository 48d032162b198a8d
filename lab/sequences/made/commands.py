"""Made commands to an assistant, with their intent and slots.

A target has a tag for each word, B-SLOT at the first word of a slot, I-SLOT at the others and O elsewhere, and the
intent last. Test commands use wordings that no training command has, and half of their slots have values that none has.
"""

import re

from lab.sequences.made.choices import Choices, choices_of_texts, phrases
from lab.sequences.pair import Pair

_SEED, _TRAIN, _TEST, _MOST = 0xA55, 8_000, 1_000, 32
_HELD_OUT_TEMPLATES = 2  # the last of each intent
_HELD_OUT_VALUES = 4  # one value in so many
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
_HOURS = phrases("one | two | three | four | five | six | seven | eight | nine | ten | eleven | twelve")
_MINUTES = ("five", "ten", "quarter", "twenty", "twenty five")
_DAYS = phrases("monday | tuesday | wednesday | thursday | friday | saturday | sunday")
VALUES: dict[str, tuple[str, ...]] = {
    "time": (
        *_HOURS,
        *(f"half past {hour}" for hour in _HOURS),
        *(f"{minute} past {hour}" for minute in _MINUTES for hour in _HOURS),
        *(f"{minute} to {hour}" for minute in _MINUTES for hour in _HOURS),
        *(f"{hour} in the {part}" for hour in _HOURS for part in ("morning", "evening")),
        *(f"{hour} thirty" for hour in _HOURS),
        *("noon", "midnight", "sunrise", "lunch time"),
    ),
    "date": (
        *("today", "tomorrow", "tonight", "the day after tomorrow", "next week", "this evening", "tomorrow morning"),
        *(f"on {day}" for day in _DAYS),
        *(f"next {day}" for day in _DAYS),
        *(f"on {day} morning" for day in _DAYS),
        *("at the weekend", "in the afternoon", "next month", "at christmas"),
    ),
    "duration": (
        *(f"{number} minutes" for number in [*_HOURS[1:], "fifteen", "twenty", "thirty", "forty five", "ninety"]),
        *(f"{number} seconds" for number in ["ten", "twenty", "thirty", "forty", "ninety"]),
        *(f"{number} hours" for number in _HOURS[1:8]),
        *("one hour", "half an hour", "an hour and a half", "two and a half hours", "a quarter of an hour"),
    ),
    "person": phrases(
        """
        anna | ben | clara | david | emma | felix | greta | henry | ida | john | karen | leo | maria | nora
        | oscar | paula | robert | sarah | tom | uma | victor | wendy | xavier | yusuf | zoe | my mother |
        my father | my sister | aunt rose | uncle jim | doctor miller | mister jones | my boss | the
        neighbours | grandma | my brother | professor lee | cousin mike
        """
    ),
    "song": phrases(
        """
        yellow river | blue moon | the long road | summer rain | paper planes | silver bells | midnight
        train | green fields | the last waltz | golden hour | dancing in the dark | winter song | river of
        stone | open windows | stay | home again | a thousand miles | little bird | northern lights | the
        letter
        """
    ),
    "artist": phrases(
        """
        the beatles | queen | mozart | miles davis | nina simone | bach | david bowie | adele | the rolling
        stones | johnny cash | ella fitzgerald | chopin | prince | abba | bob dylan | vivaldi | madonna |
        pink floyd | aretha franklin | schubert
        """
    ),
    "genre": phrases(
        """
        jazz | rock | classical music | blues | folk | pop | soul | hip hop | country | opera | techno |
        reggae
        """
    ),
    "city": phrases(
        """
        london | paris | rome | berlin | new york | tokyo | madrid | vienna | san francisco | oslo | dublin
        | lisbon | prague | new delhi | cairo | boston | athens | warsaw | buenos aires | sydney | chicago |
        munich | cape town | helsinki
        """
    ),
    "message": phrases(
        """
        i am late | dinner is ready | the train is delayed | i will be home soon | we are waiting outside |
        the meeting is over | i cannot come | happy birthday | i forgot the keys | the car is fixed | see
        you later | i am on my way | the children are asleep | we won the game | thank you for the flowers |
        i need more time
        """
    ),
    "item": phrases(
        """
        milk | bread | eggs | butter | apples | olive oil | coffee | tea | rice | tomatoes | orange juice |
        cheese | soap | flour | sugar | salt | bananas | tooth paste | honey | potatoes | dog food |
        batteries | paper towels | lemons
        """
    ),
    "room": phrases(
        """
        kitchen | living room | bedroom | bathroom | hall | office | garage | dining room | garden | cellar
        | guest room | attic
        """
    ),
    "colour": phrases(
        """
        red | blue | green | yellow | white | purple | orange | warm white | pink | dark blue | violet |
        turquoise
        """
    ),
    "place": phrases(
        """
        the airport | the station | the nearest hospital | the museum | work | the post office | a petrol
        station | the old bridge | the city hall | a good restaurant | the university | the harbour | the
        library | the zoo | a pharmacy | the stadium
        """
    ),
    "task": phrases(
        """
        water the plants | pay the rent | feed the cat | call the bank | take out the rubbish | book a table
        | buy a present | wash the car | take my medicine | charge the phone | send the report | clean the
        windows | walk the dog | return the books | renew my passport | pick up the parcel
        """
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


def slot_values(slot: str, *, held_out: bool) -> tuple[str, ...]:
    """The values of a slot in training commands, or those that only test commands have."""
    values = VALUES[slot]
    return tuple(
        value for at, value in enumerate(values) if (at % _HELD_OUT_VALUES == _HELD_OUT_VALUES - 1) == held_out
    )
