"""Sentences for a voice to learn from, made by a small grammar: common words, every phone, numbers of all kinds."""

import random
from collections.abc import Iterator


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


_PEOPLE = _listed(
    "my brother|the doctor|her uncle|the new teacher|a young woman|the old farmer|our neighbor|the captain|Mary|John|"
    "George|Susan|the judge|an engineer|the boy|the girl|his father|their mother|the driver|a soldier|the mayor|"
    "Joyce|the nurse|a student|the writer|my cousin|the cook|the chief|a stranger|the painter|the lawyer|Thomas|"
    "Elizabeth|Mr. Young|Mrs. Moore|Dr. Hughes|Prof. Church|the audience|the guard|a friend of mine|"
    "the child next door|the gardener|an athlete|the baker|the butcher|the bishop|a pilot|the musician|the queen|"
    "the shepherd|a thief"
)
_THINGS = _listed(
    "a wooden boat|the blue bicycle|an orange|the last page|a measure of gold|the yellow coat|a loud noise|"
    "the garage|the treasure|a cup of coffee|the thick book|the broken window|a piece of cloth|the engine|"
    "the leather chair|the map|an unusual picture|the television|the heavy box|a bag of flour|the church bell|"
    "a healthy lunch|the question|a jar|the whole story|a toy|the oil lamp|the kitchen table|a sharp knife|"
    "the red flag|a silver watch|the letter|the maze|the newspaper|a good idea|the answer|the rough stone|"
    "a pair of shoes|the vision of the future|a yard of rope|gold|the menu|an empty bottle|the white horse|"
    "a small fish|the front door|the machine|the curtain|a bunch of grapes|the bathroom mirror|the cheese|a lazy dog|"
    "the evidence|a beautiful voice|the cloud|the judgment|the weather report|the youngest lamb|a cage|"
    "the huge elephant|the violin|the thin wire|a package|the wolf|the zebra|the azure sky"
)
_NOUNS = _listed(
    "actor|adventure|agency|alley|ankle|arrow|author|bandage|barrel|basket|battery|beaver|bench|blanket|blossom|"
    "board|boot|bottle|branch|breeze|brick|broom|bubble|bucket|buffalo|button|cabbage|camera|candle|canoe|carriage|"
    "carrot|castle|ceiling|chain|chalk|champion|channel|chimney|chocolate|circle|cloth|coal|coffin|collar|comb|"
    "compass|cotton|couch|cousin|crayon|crow|crystal|curve|cushion|dagger|daughter|desert|diamond|diver|donkey|"
    "drawer|drum|duck|eagle|earring|echo|elbow|emperor|envelope|factory|faucet|feather|fence|fever|field|finger|"
    "flame|flood|flute|forehead|fortune|fox|freezer|frog|furniture|gallery|ghost|giant|glove|glue|goat|grain|gravel|"
    "guitar|gulf|hammer|harbor|harvest|hawk|helmet|highway|hook|hoof|hotel|hunger|hurricane|iron|ivory|jewel|juice|"
    "jungle|kettle|kingdom|kitten|knee|knot|ladder|language|laundry|leaf|lemon|leopard|library|lightning|lizard|"
    "locket|lumber|magazine|magnet|marble|mattress|meadow|medicine|message|monkey|moth|mouth|mushroom|mustard|napkin|"
    "needle|nephew|nest|noodle|notebook|nugget|oak|oath|onion|orchard|oven|owl|oyster|palace|panther|parrot|path|"
    "pearl|pencil|pepper|pillow|pirate|planet|pocket|poem|poison|pony|pottery|powder|prince|prison|puzzle|quarrel|"
    "quilt|rabbit|radio|railway|ranch|razor|refuge|ribbon|rifle|rocket|rooster|royalty|rug|saddle|salad|sandwich|"
    "scarf|scissors|seashell|secret|shelf|shield|shovel|shrub|siege|skunk|sleeve|smoke|snail|sneeze|sock|spider|"
    "splinter|sponge|spoon|squirrel|stable|stomach|strawberry|string|sugar|summit|swamp|sword|syrup|tailor|target|"
    "temple|thimble|thistle|thread|throat|thumb|thunder|tiger|toad|tomato|tongue|tooth|towel|tractor|trousers|"
    "trumpet|turkey|turtle|twig|umbrella|uncle|uniform|valve|vegetable|vehicle|velvet|village|vinegar|volcano|voyage|"
    "vulture|wagon|walnut|whale|wheat|whisper|whistle|widow|willow|witch|wizard|wool|wrist|yacht|yawn|youth|zipper"
)
_PLACES = _listed(
    "in the garden|near the river|at the station|behind the old house|on the third floor|in the village|by the lake|"
    "at school|under the bridge|across the street|in the north of the country|on the beach|outside the theater|"
    "in the middle of the room|at the edge of the forest|around the corner|above the clouds|between the two hills|"
    "beside the road|in the museum|at the airport|in Chicago|in New York|on the island|in the valley|at home|"
    "through the tunnel|in the zoo|beyond the mountains|along the shore|in the south|below the surface"
)
_PAST = _listed(
    "found|carried|watched|remembered|sold|bought|noticed|touched|left|described|moved|lost|painted|forgot|measured|"
    "pushed|showed us|asked for|looked at|talked about|paid for|brought|chose|destroyed|enjoyed|examined|fixed|"
    "guarded|imagined|joined|kept|liked|missed|needed|offered|pulled|reached|shared|threw away|used|wanted|"
    "worried about|thought of|dreamed about|listened to|laughed at|searched for|pointed at|climbed over|argued about|"
    "recognized"
)
_TIMES = _listed(
    "yesterday|last night|every morning|in the evening|before breakfast|after the storm|during the winter|at noon|"
    "for a long time|once again|on Sunday|on Thursday|two years ago|this week|in the spring|all day|without a word|"
    "as usual|by accident|with great care|with both hands|for the first time|at the end of the month|just in time|"
    "in July|in January|since the autumn|until midnight|on Wednesday afternoon|for no reason at all"
)
_ADJECTIVES = _listed(
    "beautiful|dangerous|quiet|difficult|easy|expensive|cheap|strange|warm|cold|bright|dark|important|useful|narrow|"
    "wide|smooth|rough|soft|hard|sour|sweet|empty|full|early|late|famous|hungry|thirsty|angry|happy|lucky|nervous|"
    "proud|foolish|gentle|honest|jealous|lonely|curious|thorough|vague|cautious|peculiar|joyful|youthful|gigantic|"
    "loyal"
)
_SUBJECTS = _listed(
    "the weather|this road|the music|the water in the lake|the city|the test|the soup|his voice|the decision|"
    "her answer|the journey|the ocean|the moon|the bread|the village|the whole house|the game|the situation|"
    "the leather|the truth|the plan|the view from the tower|the noise|the new law|your advice|the price|the choice|"
    "the shadow|the earth|the measurement|their pleasure|the explosion|the division of labor|the conclusion|"
    "our usual lunch"
)
_VERBS = _listed(
    "go home|stay here|wait for the bus|read the book|open the door|close the window|make some tea|help us|"
    "think about it|call the office|sing a song|wash the dishes|start the engine|join the army|enjoy the show|"
    "choose a color|change the plan|visit the museum|learn to swim|take a short walk|write a letter|fix the roof|"
    "catch the early train|buy some fruit|watch the birds|cook dinner|draw a picture|move the piano|pay the bill|"
    "answer the question|cross the bridge|follow the path|breathe slowly|push the button|look for the keys|"
    "voice an opinion|bathe the dog|wear a thick jacket"
)
_REASONS = _listed(
    "it was raining|the shop was closed|nobody had asked|the road was icy|she had no choice|they were too tired|"
    "the food was gone|he knew the truth|the light went out|the ship was leaving|we had enough money|"
    "the sun was shining|everyone was watching|the boiler was broken|the voice was unusual|there was nothing to lose|"
    "the child was sleeping"
)
_SAYINGS = _listed(
    "I think that|we all know that|they say that|it seems that|nobody believes that|she hoped that|it is clear that|"
    "you should remember that|the report says that|I was told that|everyone agrees that|he was sure that"
)
_LINKS = _listed("and|but|so|while|although|because|when|before|after|unless")
_STARTS = _listed(
    "However|In fact|Of course|As a result|On the other hand|For example|At first|Later|Fortunately|In other words"
)
_ADVICE = _listed("you should|we have to|please|let us|they will|I would like to|do not|she wants to|I can")
_MONTHS = _listed("January|February|March|April|May|June|July|August|September|October|November|December")
_COUNTED = _listed(
    "apples|miles|people|dollars|days|houses|pages|songs|chairs|eggs|weeks|sheep|horses|students|questions|bridges|"
    "pounds of sugar|cups of tea|gallons of milk|feet of rope|young trees|mice|oranges|watches|boys and girls"
)


def sentences(count: int, seed: int = 0) -> list[str]:
    """`count` different sentences; the first n of two counts are the same."""
    found: dict[str, None] = {}
    for text in _endless(seed):
        found[text] = None
        if len(found) == count:
            break
    return list(found)


def _endless(seed: int) -> Iterator[str]:
    number = 0
    while True:
        draw = random.Random(f"{seed}/{number}")
        text = draw.choices(_FORMS, _WEIGHTS)[0](draw)
        yield text[0].upper() + text[1:]
        number += 1


def _thing(draw: random.Random) -> str:
    if draw.random() < 0.4:
        return draw.choice(_THINGS)
    quality = f"{draw.choice(_ADJECTIVES)} " if draw.random() < 0.3 else ""
    return f"{draw.choice(['the', 'this', 'my', 'their', 'another', 'every', 'her'])} {quality}{draw.choice(_NOUNS)}"


def _event(draw: random.Random) -> str:
    text = f"{draw.choice(_PEOPLE)} {draw.choice(_PAST)} {_thing(draw)}"
    if draw.random() < 0.6:
        text += f" {draw.choice(_PLACES)}"
    return text


def _statement(draw: random.Random) -> str:
    event = _event(draw)
    if draw.random() < 0.5:
        return f"{event} {draw.choice(_TIMES)}."
    return f"{draw.choice(_TIMES)}, {event}."


def _quality(draw: random.Random) -> str:
    first, second = draw.sample(_ADJECTIVES, 2)
    middle = draw.choice(["is", "was", "seemed", "looks", "will be", "is not", "has always been", "became"])
    ending = draw.choice(["", f" and {second}", f", but never {second}", f" {draw.choice(_TIMES)}"])
    return (
        f"{draw.choice(_SUBJECTS)} {middle} {draw.choice(['', 'very ', 'quite ', 'rather ', 'too '])}{first}{ending}."
    )


def _joined(draw: random.Random) -> str:
    return f"{_event(draw)}, {draw.choice(_LINKS)} {draw.choice(_REASONS)}."


def _advice(draw: random.Random) -> str:
    start = draw.choice(_ADVICE)
    first, second = draw.sample(_VERBS, 2)
    return f"{start} {first}" + draw.choice([".", f" {draw.choice(_TIMES)}.", f" and {second}.", f", or {second}."])


def _question(draw: random.Random) -> str:
    kind = draw.randrange(4)
    if kind == 0:
        return f"why did {draw.choice(_PEOPLE)} {draw.choice(_VERBS)}?"
    if kind == 1:
        return f"is {draw.choice(_SUBJECTS)} {draw.choice(_ADJECTIVES)} or {draw.choice(_ADJECTIVES)}?"
    if kind == 2:
        return f"can {draw.choice(_PEOPLE)} {draw.choice(_VERBS)} {draw.choice(_TIMES)}?"
    return f"how long will it take to {draw.choice(_VERBS)}?"


def _report(draw: random.Random) -> str:
    return f"{draw.choice(_SAYINGS)} {draw.choice(_SUBJECTS)} was {draw.choice(_ADJECTIVES)} {draw.choice(_PLACES)}."


def _contrast(draw: random.Random) -> str:
    return f"{draw.choice(_STARTS)}, {_event(draw)}; {draw.choice(_REASONS)}."


def _list(draw: random.Random) -> str:
    return f"{draw.choice(_PEOPLE)} {draw.choice(_PAST)} {_thing(draw)}, {_thing(draw)} and {_thing(draw)}."


def _counting(draw: random.Random) -> str:
    digits = draw.choice([1, 2, 2, 3, 4, 5])
    number = draw.randrange(2, 10**digits) + (digits == 1)
    return f"{draw.choice(_PEOPLE)} counted {number:,} {draw.choice(_COUNTED)} {draw.choice(_PLACES)}."


def _dated(draw: random.Random) -> str:
    kind = draw.randrange(3)
    if kind == 0:
        return f"in {draw.randrange(1700, 2030)}, {_event(draw)}."
    day = draw.randrange(1, 29)
    if kind == 1:
        return f"on {draw.choice(_MONTHS)} {day}, {draw.randrange(1800, 2030)}, {draw.choice(_REASONS)}."
    return (
        f"the meeting on {draw.choice(_MONTHS)} {day} starts at {draw.randrange(1, 13)}:{draw.randrange(0, 60, 5):02d}."
    )


def _priced(draw: random.Random) -> str:
    price = f"${draw.randrange(1, 900)}" + draw.choice(["", f".{draw.randrange(1, 100):02d}"])
    return f"{draw.choice(_PEOPLE)} paid {price} for {_thing(draw)}."


def _measured(draw: random.Random) -> str:
    value = draw.choice([f"{draw.randrange(100)}.{draw.randrange(1, 100)}", f"{draw.randrange(1, 100)}%"])
    what = "" if value.endswith("%") else draw.choice([" miles", " degrees", " inches", " hours", " seconds"])
    return f"{draw.choice(_SUBJECTS)} changed by {value}{what}, which is {draw.choice(_ADJECTIVES)}."


_FORMS = (
    _statement, _quality, _joined, _advice, _question, _report, _contrast, _list, _counting, _dated, _priced, _measured,
)  # fmt: skip
_WEIGHTS = (16, 12, 12, 12, 8, 10, 8, 6, 5, 5, 3, 3)
