"""Made reviews, labelled by a grammar: negative, mixed or positive.

A review has one to three sentences with an opinion, among others without. It is positive or negative if all opinions
are, else mixed. What a sentence says depends on the order of its words ("i expected it to be bad but it was great"),
which a bag of words does not keep. The sentences of test reviews join parts that no training review joins.
"""

from collections.abc import Sequence

from lab.sequences.made.choices import Choices, choices_of_texts, phrases
from lab.sequences.pair import Pair

_SEED, _TRAIN, _TEST, _MOST = 0x4E5, 12_000, 1_000, 64

_ASPECTS = phrases(
    """
    room | food | service | staff | view | bed | shower | breakfast | lobby | pool | location | price | screen |
    battery | sound | case | camera | keyboard | engine | seat | brake | plot | music | acting | ending | cover |
    paper | print | delivery | manual | support
    """
)
_GOOD = phrases(
    """
    great | excellent | lovely | superb | pleasant | wonderful | good | perfect | fine | brilliant | impressive |
    delightful
    """
)
_BAD = phrases(
    """
    terrible | awful | poor | dreadful | bad | horrible | disappointing | weak | mediocre | unpleasant | useless |
    annoying
    """
)
_VERY = ("", "", "", "very ", "really ", "quite ")
_NEUTRAL = (
    "we stayed for two nights",
    "i bought it in march",
    "it came in a brown box",
    "this was our second visit",
    "a friend told me about it",
    "the receipt is still in my drawer",
    "we arrived late in the evening",
    "it is used every day at home",
)
# A sentence says {same}; {other} is a word of the opposite opinion, which the sentence takes back.
_PLAIN = (
    "the {a} was {v}{same}",
    "i found the {a} {v}{same}",
    "the {a} was just {same}",
    "the {a} turned out {v}{same}",
)
_SUBJECTS = ("the {a} was", "the {a} is", "i found the {a}", "for us the {a} was", "the {a} seemed")
_NEGATIONS = ("not", "never", "hardly", "anything but", "by no means", "not at all", "far from")
_EXPECTATIONS = (
    "i expected the {a} to be {other}",
    "they called the {a} {other}",
    "the {a} used to be {other}",
    "the {a} looked {other}",
    "i was told that the {a} is {other}",
    "everybody praised or blamed the {a} as {other}",
)
_TURNS = ("but", "yet", "however", "and then")
_VERDICTS = ("it was {v}{same}", "it proved {same}", "we thought it was {same}", "in truth it is {v}{same}")
_CONCESSIONS = ("although", "even though", "while")
_HELD_OUT = 4  # one combination of parts in so many
LABELS = ("negative", "mixed", "positive")


def reviews() -> tuple[list[Pair], list[Pair]]:
    """Training and test reviews; the latter have held-out pairs of parts alone."""
    sets = []
    for part, count in enumerate((_TRAIN, _TEST)):
        drawn = choices_of_texts(_SEED + part, count, most=_MOST)
        rows = [_review(choices, held_out=part == 1) for choices in drawn]
        sets.append([Pair(text, label, f"reviews, line {number}") for number, (text, label) in enumerate(rows, 1)])
    return sets[0], sets[1]


def _review(choices: Choices, *, held_out: bool) -> tuple[str, str]:
    """A review and its label; each label is equally probable."""
    label = choices.pick(LABELS)
    count = 1 + int(choices.uniform() * 3)
    if label == "mixed":
        count = max(2, count)
        opinions = [True, False, choices.happens(0.5)][:count]
        if choices.happens(0.5):
            opinions.reverse()
    else:
        opinions = [label == "positive"] * count
    sentences = [_sentence(choices, good, held_out=held_out) for good in opinions]
    for _ in range(int(choices.uniform() * 3)):
        sentences.insert(int(choices.uniform() * (len(sentences) + 1)), choices.pick(_NEUTRAL))
    return " . ".join(sentences), label


def _sentence(choices: Choices, good: bool, *, held_out: bool) -> str:
    """A sentence with an opinion; in tests one that takes another back, of parts that training has in other pairs."""
    kind = choices.pick(("negation", "turn", "concession") if held_out else ("plain", "negation", "turn", "concession"))
    if kind == "plain":
        form = choices.pick(_PLAIN)
    elif kind == "negation":
        form = " ".join([*choices.pick(_pairs(_SUBJECTS, _NEGATIONS, held_out=held_out)), "{other}"])
    elif kind == "turn":
        expected, verdict = choices.pick(_pairs(_EXPECTATIONS, _VERDICTS, held_out=held_out))
        form = f"{expected} {choices.pick(_TURNS)} {verdict}"
    else:
        expected, verdict = choices.pick(_pairs(_EXPECTATIONS, _VERDICTS, held_out=held_out))
        form = f"{verdict} {choices.pick(_CONCESSIONS)} {expected}"
    same, other = (_GOOD, _BAD) if good else (_BAD, _GOOD)
    values = {"a": choices.pick(_ASPECTS), "v": choices.pick(_VERY)}
    return form.format(same=choices.pick(same), other=choices.pick(other), **values)


def _pairs(first: Sequence[str], second: Sequence[str], *, held_out: bool) -> list[tuple[str, str]]:
    """The pairs of training, or those held out: each part is in pairs of both."""
    return [
        (one, other)
        for i, one in enumerate(first)
        for j, other in enumerate(second)
        if ((i + j) % _HELD_OUT == 0) == held_out
    ]
