"""The Python API: presets, training, open runs, samples and predictions of every kind that has them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import lab
from lab.errors import UserError
from tests.docs.pages import SMALL

TINY = {
    "alphazero/tic_tac_toe": {"budget": 200, "selfplay.boards": 16, "search.simulations": 4, "learner.batch_size": 32},
    "supervised/digits_mlp": {"budget": 3000},
    "sequences/bit_count": {"budget": 2000},
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> lab.Run:
    root = tmp_path_factory.mktemp("runs")
    return lab.train_preset("supervised/digits_mlp", TINY["supervised/digits_mlp"], name="digits", runs_dir=root)


def test_import_lab_is_light_and_the_names_are_there() -> None:
    code = "import lab, sys; print(sorted({'torch', 'numpy', 'pydantic'} & set(sys.modules)), 'open_run' in dir(lab))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True"
    with pytest.raises(AttributeError, match="nothing"):
        lab.nothing  # noqa: B018


def test_presets_are_listed_with_descriptions() -> None:
    assert lab.list_presets()["alphazero/tic_tac_toe"]


def test_overrides_are_a_mapping_or_texts() -> None:
    a = lab.preset_config("alphazero/tic_tac_toe", {"search.simulations": 7, "evaluate.best": None})
    b = lab.preset_config("alphazero/tic_tac_toe", ["search.simulations=7", "evaluate.best=null"])
    assert a == b
    with pytest.raises(UserError, match=r"search\.simulations"):
        lab.preset_config("alphazero/tic_tac_toe", {"search.simulatons": 7})


def test_a_trained_run_is_opened_by_name_and_path(digits: lab.Run) -> None:
    root = digits.path.parent
    assert lab.list_runs(root) == ["digits"]
    assert lab.open_run("digits", root) == lab.open_run(digits.path)
    assert (digits.kind, digits.finished, digits.config.budget) == ("supervised", True, 3000)
    assert digits.counters["images"] >= 3000
    assert digits.checkpoints
    assert "supervised" in repr(digits)
    with pytest.raises(UserError, match="digits"):
        lab.open_run("digit", root)


def test_metrics_are_columns_of_one_row_per_iteration(digits: lab.Run) -> None:
    columns = digits.metrics()
    assert len({len(column) for column in columns.values()}) == 1
    assert columns["iteration"].tolist() == sorted(set(columns["iteration"].tolist()))
    iterations, values = digits.curve("eval/accuracy")
    assert len(iterations) == len(values) > 0 and np.isfinite(values).all()
    with pytest.raises(UserError, match="eval/accuracy"):
        digits.curve("eval/acuracy")


def test_metrics_are_a_data_frame_where_pandas_is_installed(digits: lab.Run) -> None:
    pytest.importorskip("pandas")
    assert digits.frame().index.name == "iteration"


def test_frame_says_what_is_missing_without_pandas(digits: lab.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="pip install pandas"):
        digits.frame()


def test_evaluate_is_the_record_of_lab_eval(digits: lab.Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0.0 <= digits.evaluate()["accuracy"] <= 1.0
    with ThreadPoolExecutor(2) as threads:  # standard output belongs to the whole process
        both = list(threads.map(lambda _: digits.evaluate(), range(2)))
    assert both[0] == both[1] == digits.evaluate() and both[0]["images"] > 0
    assert capsys.readouterr().out == ""
    with pytest.raises(UserError, match="checkpoint"):
        digits.evaluate(checkpont="latest")
    with pytest.raises(UserError, match="checkpoint"):
        digits.predict(np.zeros((1, 32, 32), np.uint8), checkpont="latest")


def test_images_are_classified_from_arrays(digits: lab.Run) -> None:
    size = 32
    records = digits.predict(np.zeros((3, size, size), np.uint8))
    assert len(records) == 3
    assert sum(records[0]["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(UserError, match="uint8"):
        digits.predict(np.zeros((3, size, size)))
    with pytest.raises(UserError, match="shape"):
        digits.predict(np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(UserError, match="predict"):
        digits.sample(2)


def test_a_run_continues_where_it_ended(digits: lab.Run) -> None:
    before = digits.counters["images"]
    with pytest.raises(UserError, match="seed"):
        digits.resume({"seed": 9})
    assert digits.resume({"budget": 2 * before}).counters["images"] >= 2 * before


def test_contradictions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="contradict"):
        lab.train_preset("supervised/iris", name="a", resume=True, overwrite=True, runs_dir=tmp_path)
    with pytest.raises(UserError, match="name"):
        lab.train_preset("supervised/iris", resume=True, runs_dir=tmp_path)


def test_sequences_are_predicted(tmp_path: Path) -> None:
    run = lab.train_preset("sequences/bit_count", TINY["sequences/bit_count"], name="bits", runs_dir=tmp_path)
    records = run.predict(["010101010101", "111111111111"])
    assert [record["input"] for record in records] == ["010101010101", "111111111111"]
    assert all(record["answer"] for record in records)


def test_an_agent_thinks(tmp_path: Path) -> None:
    run = lab.train_preset("alphazero/tic_tac_toe", TINY["alphazero/tic_tac_toe"], name="tiny", runs_dir=tmp_path)
    analysis = run.agent().think("51", simulations=4)
    assert analysis.best_move in analysis.moves
    assert analysis.policy.shape == (9,)
    assert -1.0 <= analysis.value <= 1.0
    assert analysis.principal_variation[0] == analysis.best_move
    first, second = run.predict(["51", ""], simulations=4)
    assert first == {"input": "51"} | analysis.as_record() == run.predict("51", simulations=4)[0]
    for wrong in ({"simulations": -1}, {"simulations": 10**9}, {"simulations": "x"}, {"exclude_shipped": 7}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            run.evaluate(**wrong)
    assert run.evaluate(simulations=0, checkpoint=run.checkpoints[0])["checkpoint"] == str(run.checkpoints[0])
    assert run.agent(run.checkpoints[0]).name == f"tiny:{run.checkpoints[0]}"
    assert sorted(second["policy"]) == list("123456789") and second["q"].keys() == second["policy"].keys()


@pytest.mark.slow
def test_images_are_sampled_by_seed_and_number(tmp_path: Path) -> None:
    run = lab.train_preset("progressive_gan/digits", SMALL["progressive_gan"], name="images", runs_dir=tmp_path)
    images = run.sample(3, seed=1)
    assert images.dtype == np.uint8 and images.shape == (3, 32, 32, 1)
    assert np.array_equal(run.sample(2, seed=1), images[:2])
    with pytest.raises(UserError, match="unconditional"):
        run.sample(1, label=0)


@pytest.mark.slow
def test_time_series_are_sampled_in_the_units_of_the_data(tmp_path: Path) -> None:
    run = lab.train_preset("series_gan/sines", SMALL["series_gan"], name="series", runs_dir=tmp_path)
    series = run.sample(3)
    assert series.dtype == np.float64 and series.shape == (3, run.config.data.length, series.shape[2])
    assert np.isfinite(series).all()


@pytest.mark.slow
def test_a_language_model_writes(tmp_path: Path) -> None:
    run = lab.train_preset("sequences/sums", {"budget": 2000}, name="text", runs_dir=tmp_path)
    texts = run.sample(2, chars=20, prompt="one")
    assert [text.startswith("one") and len(text) == 23 for text in texts] == [True, True]
    with pytest.raises(UserError, match="language model"):
        run.predict("one")
