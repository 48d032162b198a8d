"""The values of the slots of made commands."""

from lab.sequences.made.choices import phrases

_HELD_OUT_VALUES = 4  # one value in so many
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


def slot_values(slot: str, *, held_out: bool) -> tuple[str, ...]:
    """The values of a slot in training commands, or those that only test commands have."""
    values = VALUES[slot]
    return tuple(
        value for at, value in enumerate(values) if (at % _HELD_OUT_VALUES == _HELD_OUT_VALUES - 1) == held_out
    )
