"""Essays of a file and of the grammar, their parts, and files that are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.errors import UserError
from lab.grading.config import DataConfig
from lab.grading.essays import EssaySet, open_essays
from lab.grading.folds import split
from lab.grading.grammar import TRAITS, generate, score_of, write
from lab.grading.reading import checked
from tests.lab.small_grading import essay_file


def opened(folder: Path, rows: str, header: str = "text,prompt,score", **settings: Any) -> EssaySet:
    (folder / "own.csv").write_text(header + "\n" + rows)
    return open_essays(DataConfig(source=str(folder / "own.csv"), **settings), 0)


GOOD = "".join(f"an essay of {'many ' * n} words,p{n % 2},{1 + n % 4}\n" for n in range(24))


def test_a_file_has_texts_prompts_scores_and_traits(tmp_path: Path) -> None:
    found = open_essays(DataConfig(source=str(essay_file(tmp_path))), 0)
    made = generate(60, 0)
    assert (found.names, found.texts, found.prompts) == (made.names, made.texts, made.prompts)
    assert np.array_equal(found.scores, made.scores)


@pytest.mark.parametrize(
    ("rows", "header", "settings", "message"),
    [
        (GOOD + ",p0,3\n", None, {}, "line 26: column 'text' is empty; write the essay there or leave the row out"),
        (GOOD + "123 45,p0,3\n", None, {}, "line 26: column 'text' is '123 45', without a letter"),
        (GOOD + "an essay,p0,\n", None, {}, "line 26: column 'score' is empty"),
        (GOOD + "an essay,p0,good\n", None, {}, "line 26: column 'score' is 'good', not a number"),
        (GOOD + "an essay,p0,9\n", None, {"highest": 6}, "line 26: column 'score' is 9, beyond data.highest=6"),
        (GOOD + "an essay,p0,0\n", None, {"lowest": 1}, "line 26: column 'score' is 0, beyond data.lowest=1"),
        (GOOD.replace(",2\n", ",1\n").replace(",3\n", ",1\n").replace(",4\n", ",1\n"), None, {}, "has the score 1"),
        ("".join(f"essay {n},p,{n}.5\n" for n in range(120)), None, {}, "has 120 different scores, and at most 100"),
        ("an essay,p,1\nan other,p,2\n", None, {}, "has 2 essays; give at least 20"),
        (GOOD, "words,prompt,score", {}, "has no column text or essay or full_text; name one of words, prompt, score"),
        (GOOD, "text,prompt,mark", {}, "data.score: .* has no column overall or score or grade"),
        (GOOD, None, {"text": "txt"}, "data.text: .* has no column 'txt'; did you mean 'text'"),
        (GOOD, None, {"traits": ("style",)}, "data.traits: .* has no column 'style'"),
        (GOOD, None, {"prompt": "task"}, "data.prompt: .* has no column 'task'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    rows: str, header: str | None, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as raised:
        opened(tmp_path, rows, header or "text,prompt,score", **settings)
    assert "\n" not in str(raised.value)


def test_parts_share_no_text_and_do_not_depend_on_the_order(tmp_path: Path) -> None:
    essays = opened(tmp_path, GOOD + GOOD)
    tests = []
    for fold in range(4):
        parts = split(essays, DataConfig(fold=fold, folds=4, source="x"))
        texts = [{essays.texts[index] for index in part} for part in parts]
        assert texts[0] | texts[1] | texts[2] == set(essays.texts) and sum(map(len, texts)) == 24
        assert sum(map(len, parts)) == len(essays)
        tests.append(texts[2])
    assert set.union(*tests) == set(essays.texts) and sum(map(len, tests)) == 24
    lines = (GOOD + GOOD).splitlines(keepends=True)
    turned = opened(tmp_path, "".join(reversed(lines)))
    again = split(turned, DataConfig(fold=3, folds=4, source="x"))
    assert {turned.texts[index] for index in again.test} == tests[3]


def test_a_prompt_is_left_out_whole(tmp_path: Path) -> None:
    essays = opened(tmp_path, GOOD)
    parts = split(essays, DataConfig(leave_out_prompt="p1"))
    assert {essays.prompts[index] for index in parts.test} == {"p1"} and len(parts.test) == 12
    assert {essays.prompts[index] for part in parts[:2] for index in part} == {"p0"}
    with pytest.raises(UserError, match="no essay has the prompt 'p3'; known: p0, p1"):
        split(essays, DataConfig(leave_out_prompt="p3"))
    alone = opened(tmp_path, GOOD.replace(",p1,", ",p0,"))
    with pytest.raises(UserError, match=r"all essays have the prompt 'p0'; use data\.fold"):
        split(alone, DataConfig(leave_out_prompt="p0"))


def test_settings_that_contradict_each_other_are_refused() -> None:
    for settings in ({"fold": 1, "leave_out_prompt": "a"}, {"fold": 5}, {"traits": ["a"]}, {"lowest": 1.0}):
        with pytest.raises(ValueError, match=r"leave one out|is from 0 to 4|for a file"):
            DataConfig(**settings)


def test_the_grammar_puts_as_many_faults_as_the_levels_say() -> None:
    def essay(**levels: int) -> str:
        every = dict.fromkeys(TRAITS, 5) | levels
        return write("team sports", every, np.random.Generator(np.random.Philox(key=7)))

    perfect, small = essay(), essay(conventions=1)
    starts = [text for text in small.split(". ") if text[0].islower()]
    assert len(starts) == round(0.8 * len(perfect.split(". ")))
    assert "beneficial" in perfect and "a good" not in perfect
    assert perfect.index("First") < perfect.index("Second") < perfect.index("In conclusion")
    assert sorted(essay(cohesion=1).split(". ")[1:4]) != sorted(perfect.split(". ")[1:4])
    assert "beneficial" not in essay(vocabulary=1).split("individuals")[0][:60]


def test_the_score_of_a_generated_essay_is_that_of_its_levels_and_not_its_length() -> None:
    made = generate(400, 3)
    assert [score_of(levels) for levels in made.scores[:, 1:]] == made.scores[:, 0].tolist()
    words = [len(text.split()) for text in made.texts]
    assert abs(np.corrcoef(words, made.scores[:, 0])[0, 1]) < 0.15
    again = generate(10, 3)
    assert again.texts == made.texts[:10] and generate(10, 4).texts != again.texts


def test_only_columns_that_look_like_scores_are_traits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    header = "id,text,prompt,score,style,year,blank"
    rows = "".join(f"{n},{line},{n % 3},2024,\n" for n, line in enumerate(GOOD.splitlines()))
    assert opened(tmp_path, rows, header).names == ("score", "style")
    assert [("'id'" in one, "'year'" in one) for one in caplog.messages] == [(True, False), (False, True)]
    with pytest.raises(UserError, match=r"data\.traits: 'score' is already read"):
        opened(tmp_path, rows, header, traits=("style", "score"))


def test_a_text_is_the_same_essay_with_other_line_breaks_and_in_other_composition(tmp_path: Path) -> None:
    for text in ("Café one.\r\nTwo.\n", "Cafe\u0301 one.\nTwo."):
        essays = opened(tmp_path, GOOD + f'"{text}",p0,3\n')
        assert essays.texts[-1] == checked(text, "a file") == "Café one.\nTwo."
