"""Made reviews, labelled by a grammar: negative, mixed or positive.

A review has one to three sentences with an opinion, among others without. It is positive or negative if all opinions
are, else mixed. What a sentence says depends on the order of its words ("i expected it to be bad but it was great"),
which a bag of words does not keep. Test reviews use forms of sentences that no training review has, of known words.
"""

from collections.abc import Sequence

from lab.sequences.made.choices import Choices, choices_of_texts, phrases
from lab.sequences.pair import Pair

_SEED, _TRAIN, _TEST, _MOST = 0x4E5, 12_000, 1_000, 64

_ASPECTS = phrases(
    """
    room | food | service | staff | view | bed | shower | breakfast | lobby | pool | location | price | screen |
    battery | sound | case | camera | keyboard | engine | seat | brake | plot | music | acting | ending | cover | paper | print |
    delivery | manual | support
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
# Forms of a sentence whose opinion is that of {same}; {other} is a word of the opposite opinion. The last of each table
# are held out for the test.
_PLAIN = (
    "the {a} was {v}{same}",
    "i found the {a} {v}{same}",
    "what a {same} {a}",
    "the {a} turned out {v}{same}",
    "everybody said the {a} was {same} and it was",
    "we thought the {a} was {v}{same}",
)
_TURNED = (
    "the {a} was not {other}",
    "the {a} was anything but {other}",
    "i expected the {a} to be {other} but it was {same}",
    "they called the {a} {other} yet i found it {same}",
    "the {a} used to be {other} and now it is {same}",
    "nobody could call the {a} {other}",
    "the {a} is no longer {other} but {same}",
    "far from {other} the {a} was {v}{same}",
    "i was told that the {a} is {other} but in truth it is {same}",
    "the {a} looked {other} and then proved {same}",
)
_HELD_OUT = {_PLAIN: 1, _TURNED: 2}
LABELS = ("negative", "mixed", "positive")


def reviews() -> tuple[list[Pair], list[Pair]]:
    """Training and test reviews; a test review has at least one held-out form."""
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
    table = choices.pick((_PLAIN, _TURNED, _TURNED))
    form = choices.pick(_forms(table, held_out=held_out))
    same, other = (_GOOD, _BAD) if good else (_BAD, _GOOD)
    values = {"a": choices.pick(_ASPECTS), "v": choices.pick(_VERY)}
    return form.format(same=choices.pick(same), other=choices.pick(other), **values)


def _forms(table: tuple[str, ...], *, held_out: bool) -> Sequence[str]:
    last = _HELD_OUT[table]
    return table[-last:] if held_out else table[:-last]
