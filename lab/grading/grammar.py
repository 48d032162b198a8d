"""Essays that a grammar generates, with graded faults: their score is known.

Each of four traits has a level from 1 to 5. A level of 5 has no fault; each level less puts the trait's fault into a
further fifth of the sentences. The score is the mean of the levels, rounded to halves. Length has no part in it.
"""

from typing import NamedTuple

import numpy as np

TRAITS = ("grammar", "conventions", "vocabulary", "cohesion")
HIGHEST = 5

_TOPICS = {
    "school uniforms": ("uniforms", "wear a uniform", "student", "the school"),
    "later school days": ("later starts", "sleep longer", "student", "the school"),
    "mobile phones": ("phones", "use a phone", "teenager", "the family"),
    "public libraries": ("libraries", "borrow a book", "reader", "the town"),
    "school gardens": ("gardens", "grow a plant", "child", "the school"),
    "bicycle lanes": ("bicycle lanes", "ride a bicycle", "worker", "the town"),
    "summer projects": ("projects", "plan a project", "student", "the teacher"),
    "team sports": ("sports", "play in a team", "player", "the club"),
}
_OPENING = (
    "Many {people} talk about {thing} these days.",
    "In my opinion {thing} {help} every {person} in a {good} way.",
)
_ORDER = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth")
_BODY = (
    "{order}, a {person} who can {act} {gets} a {big} advantage.",
    "{order}, {thing} make the day of a {person} {good}.",
    "{order}, {place} {needs} a {good} reason to {act}.",
)
_EXAMPLE = (
    "For example, the {person} next door {says} that it was a {big} change.",
    "For example, a {person} has to {act} before the others {begin} to understand.",
    "For example, {place} {shows} every {person} how to {act}.",
)
_RESULT = (
    "As a result, the {person} {gets} more time for {important} things.",
    "As a result, {people} are {good} to each other and the work is easy.",
    "As a result, it {helps} {place} to solve a {big} problem.",
)
_CLOSING = (
    "In conclusion, {thing} are {important} for every {person}.",
    "That is why {place} should {help} those who {act}.",
)
_WORDS = {  # plain and rich
    "people": ("people", "individuals"),
    "good": ("good", "beneficial"),
    "big": ("big", "considerable"),
    "important": ("important", "indispensable"),
    "gets": ("gets", "acquires"),
    "needs": ("needs", "requires"),
    "says": ("says", "maintains"),
    "shows": ("shows", "demonstrates"),
    "begin": ("start", "commence"),
    "help": ("help", "assist"),
    "helps": ("helps", "assists"),
}
_WRONG = {
    " the ": " ",
    " a ": " ",
    " is ": " be ",
    " are ": " is ",
    " was ": " were ",
    " has ": " have ",
    " gets ": " get ",
    " acquires ": " acquire ",
    " needs ": " need ",
    " requires ": " require ",
    " shows ": " show ",
    " demonstrates ": " demonstrate ",
    " helps ": " help ",
    " assists ": " assist ",
}


class Generated(NamedTuple):
    """texts [N]; prompts [N]; scores float64 [N, 5], the score and the traits; names of these."""

    texts: list[str]
    prompts: list[str]
    scores: np.ndarray
    names: tuple[str, ...]


def generate(count: int, seed: int) -> Generated:
    """Essays 0 to count - 1 of a seed; each depends on its number and the seed alone."""
    topics = list(_TOPICS)
    texts, prompts, scores = [], [], []
    for number in range(count):
        draw = np.random.Generator(np.random.Philox(key=np.array([seed, number], np.uint64)))
        topic = topics[int(draw.integers(len(topics)))]
        skill = draw.uniform(1.0, HIGHEST)
        levels = np.clip(np.round(skill + draw.normal(0.0, 0.8, len(TRAITS))), 1, HIGHEST).astype(int)
        texts.append(write(topic, dict(zip(TRAITS, levels.tolist(), strict=True)), draw))
        prompts.append(topic)
        scores.append([score_of(levels), *levels])
    return Generated(texts, prompts, np.array(scores, np.float64), ("score", *TRAITS))


def score_of(levels: np.ndarray) -> float:
    """The score of an essay with these levels of its traits: their mean, rounded to halves."""
    return float(np.round(2.0 * np.mean(levels)) / 2.0)


def write(topic: str, levels: dict[str, int], draw: np.random.Generator) -> str:
    """An essay about one of the topics with faults of these levels."""
    thing, act, person, place = _TOPICS[topic]
    fixed = {"thing": thing, "act": act, "person": person, "place": place}
    plan = [*_OPENING]
    for number in _ORDER[: int(draw.integers(2, len(_ORDER) + 1))]:
        plan += [_pick(_BODY, draw).replace("{order}", number), _pick(_EXAMPLE, draw), _pick(_RESULT, draw)]
    plan += _CLOSING
    plain = _faulty(len(plan), levels["vocabulary"], draw)
    sentences = [
        template.format(**fixed, **{slot: words[0 if is_plain else 1] for slot, words in _WORDS.items()})
        for template, is_plain in zip(plan, plain, strict=True)
    ]
    sentences = [text[0].upper() + text[1:] for text in sentences]
    for faulty, change in (
        (_faulty(len(plan), levels["grammar"], draw), _break_grammar),
        (_faulty(len(plan), levels["conventions"], draw), _misspell),
    ):
        sentences = [change(text, draw) if bad else text for text, bad in zip(sentences, faulty, strict=True)]
    moved = np.flatnonzero(_faulty(len(plan), levels["cohesion"], draw))
    order = np.arange(len(plan))
    order[moved] = np.roll(draw.permutation(moved), 1)
    return " ".join(sentences[index] for index in order)


def _pick(choices: tuple[str, ...], draw: np.random.Generator) -> str:
    return choices[int(draw.integers(len(choices)))]


def _faulty(count: int, level: int, draw: np.random.Generator) -> np.ndarray:
    """bool [count]: the sentences that have the fault of a trait."""
    faults = round(count * (HIGHEST - level) / HIGHEST)
    return draw.permutation(count) < faults


def _break_grammar(text: str, draw: np.random.Generator) -> str:
    """One article left out, or one verb in the wrong form."""
    found = tuple(right for right in _WRONG if right in text)
    if not found:
        return text.replace(" ", " the ", 1)
    right = _pick(found, draw)
    return text.replace(right, _WRONG[right], 1)


def _misspell(text: str, draw: np.random.Generator) -> str:
    """Two letters of a long word exchanged, and the capital at the start gone."""
    words = text.split(" ")
    long = [index for index, word in enumerate(words) if len(word) >= 5 and word.isalpha()]
    if long:
        index = long[int(draw.integers(len(long)))]
        at = int(draw.integers(1, len(words[index]) - 2))
        word = words[index]
        words[index] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    text = " ".join(words)
    return text[0].lower() + text[1:]
