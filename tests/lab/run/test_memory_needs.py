"""A run that cannot fit is refused before it allocates, and what it is said to need is what its tensors take."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.alphazero import experiment as alphazero
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.memory import needs
from agents.alphazero.records import blank
from agents.environments.factory import describe
from agents.ppo import experiment as ppo
from agents.ppo import memory as of_ppo
from gans.progressive.memory import estimate
from gans.progressive.trainer import GrowingTrainer
from gans.series import experiment as series
from gans.series import memory as of_series
from gans.vocoder import experiment as vocoder
from gans.vocoder import memory as of_vocoder
from lab.cli.main import main
from lab.config.loading import load_preset
from lab.config.presets import preset_names
from lab.data.images import write_images
from lab.errors import UserError
from lab.grading import memory as of_grading
from lab.grading.experiment import Grading
from lab.run.memory_needs import Need, check_fits
from lab.sequences import memory as of_sequences
from lab.sequences.data import sizes_of
from lab.sequences.experiment import Sequences
from lab.supervised import memory as of_supervised
from lab.supervised.experiment import Supervised
from lab.train.device import Device
from tests.lab.peak_memory import PeakMemory

CPU = Device(torch.device("cpu"), "fp32", 1)
LEFT_OUT = {
    "progressive_gan/faces1024": "30 GB",
    "progressive_gan/cifar10": "minutes on a CPU",
    "progressive_gan/emoji64": "minutes on a CPU",
    "supervised/transfer": "needs the run of its trunk",
    "supervised/cifar10_96": "minutes on a CPU",
    "alphazero/connect_four_long": "minutes on a CPU",
    "alphazero/connect_four_gpu": "minutes on a CPU",
    "alphazero/go_9x9": "minutes on a CPU",
    "alphazero/go_19x19": "minutes on a CPU",
}
MARKS: dict[str, pytest.MarkDecorator | tuple[pytest.Mark, ...]] = {
    **dict.fromkeys(
        ["ppo/cartpole", "supervised/iris", "series_gan/sines", "sequences/sums", "progressive_gan/digits"], ()
    ),
    **dict.fromkeys(
        [
            *("alphazero/tic_tac_toe", "supervised/digits", "supervised/diabetes", "supervised/table"),
            *(
                "sequences/essays",
                "sequences/parity",
                "sequences/reverse",
                "sequences/text",
                "series_gan/autoregressive",
            ),
        ],
        pytest.mark.slow,
    ),
}
"""When a preset is measured; the others with the long tests."""
SMALL = 250_000  # bytes: a table of a few rows is lost in what operations allocate in passing


def of_alphazero(config: Any, folder: Path) -> tuple[Sequence[Need], int]:
    game = config.game.make()
    # Rows of the buffer that the budget never fills are never touched, and take no memory.
    rows = {"capacity": min(config.replay.capacity, config.budget)}
    config = config.model_copy(update={"replay": config.replay.model_copy(update=rows)})
    with PeakMemory() as memory:
        made = alphazero.build(config, folder, CPU)
        made.actors._moves = 1  # type: ignore[attr-defined]  # each move allocates the same
        made.iterate()
        for _ in range(2):
            made.learner.step(blank(config.learner.batch_size, game), 1)
        if config.game.name == "tic_tac_toe":  # the quick one
            made.evaluate()
    return needs(config, game, CPU), memory.peak


def of_ppo_run(config: Any, folder: Path) -> tuple[Sequence[Need], int]:
    try:
        spaces = describe(config.env).spaces
    except UserError as error:
        pytest.skip(str(error))
    with PeakMemory() as memory:
        made = ppo.build(config, folder, CPU)
        for _ in range(2):
            made.learner.update(made.collect()[0], 0)
    made.close()
    return of_ppo.needs(config, spaces, CPU), memory.peak


def of_sequences_run(config: Any, folder: Path) -> tuple[Sequence[Need], int]:
    with PeakMemory() as memory:
        made = Sequences(config, folder, CPU)
        for _ in range(2):
            made.step()
    data = made.data
    sizes = sizes_of(data.inputs, data.targets, data.longest)
    trained = of_sequences.training_needs(config, sizes, data.longest, CPU)
    return [*of_sequences.data_needs(config), *trained], memory.peak


def of_grading_run(config: Any, folder: Path) -> tuple[Sequence[Need], int]:
    with PeakMemory() as memory:  # numpy counts n-grams and solves the linear part
        made = Grading(config, folder, CPU)
        for _ in range(2):
            made.step()
    return of_grading.training_needs(config, made.data, CPU), memory.peak


def of_supervised_run(config: Any, folder: Path) -> tuple[Sequence[Need], int]:
    with PeakMemory() as memory:
        made = Supervised(config, folder, CPU)
        for _ in range(2):
            made.step()
    return of_supervised.training_needs(config, made.train.shape, len(made.train.classes), CPU), memory.peak


def of_series_run(config: Any, folder: Path) -> tuple[Sequence[Need], int]:
    made = series.build(config, folder, CPU)
    kept = made._data.rows.nbytes
    with PeakMemory() as memory:  # numpy generates the series
        trainer = series.make_trainer(config, made._data.channels, len(made._data.classes), CPU)
        for _ in range(2):
            trainer.step(made._batch(trainer.shown))
    return of_series.training_needs(config, made._data.channels, len(made._data.classes), CPU), memory.peak + kept


def of_progressive_run(config: Any, folder: Path) -> tuple[Sequence[Need], int]:
    """The last resolution, which needs the most."""
    resolution = config.network.resolution
    growth = config.growth.model_copy(update={"start": resolution})
    config = config.model_copy(update={"growth": growth})
    count = config.training.batch_size_at(resolution)
    labels = torch.zeros(count, dtype=torch.int64) if config.network.classes else None
    images = torch.zeros(count, config.network.channels, resolution, resolution, dtype=torch.uint8)
    with PeakMemory() as memory:
        GrowingTrainer(config, CPU).step(images, labels)
    (stage,) = estimate(config)
    return [Need("all", stage.total_mb * 1e6, "")], memory.peak


def of_vocoder_run(config: Any, folder: Path) -> tuple[Sequence[Need], int]:
    made = vocoder.build(config, folder, CPU)
    kept = made._data.samples.nbytes
    with PeakMemory() as memory:
        trainer = vocoder.make_trainer(config, CPU)
        for _ in range(2):
            trainer.step(made._batch(trainer.shown))
    return of_vocoder.training_needs(config, len(made._data.samples), CPU), memory.peak + kept


MEASURED: dict[str, Callable[[Any, Path], tuple[Sequence[Need], int]]] = {
    "alphazero": of_alphazero,
    "ppo": of_ppo_run,
    "grading": of_grading_run,
    "sequences": of_sequences_run,
    "supervised": of_supervised_run,
    "series_gan": of_series_run,
    "progressive_gan": of_progressive_run,
    "vocoder": of_vocoder_run,
}


def stand_ins(preset: str, folder: Path) -> list[str]:
    """Overrides for presets whose data must be fetched or given: files of the same form."""
    if preset.startswith("supervised/table"):
        rows = "".join(f"{row % 7},{row % 5},{row % 3}\n" for row in range(500))
        (folder / "table.csv").write_text("width,height,kind\n" + rows)
        return [f"data.source={folder / 'table.csv'}", "data.target=kind"]
    if preset == "sequences/text":
        (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 4000)
        return [f"data.source={folder / 'text.txt'}"]
    config = load_preset(preset)
    source = str(getattr(config.data, "source", "")) if hasattr(config, "data") else ""
    if config.kind == "vocoder":
        return ["data.source=glides"]
    spoken = "data/spoken_digits.safetensors"
    if config.kind != "supervised" or source not in ("cifar10", "mnist", spoken):
        return []
    shape, classes = ((3, 32, 32), "cifar10") if source == "cifar10" else ((1, 32, 32), "mnist")
    shape = (1, 64, 64) if source == spoken else shape
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    names = names if classes == "cifar10" else [str(digit) for digit in range(10)]
    images = (np.full(shape, value, np.uint8) for value in range(200))
    labels = np.arange(200) % 10
    write_images(folder / "set.safetensors", images, shape=(200, *shape), labels=labels, classes=names)
    return [f"data.source={folder / 'set.safetensors'}", f"data.test_source={folder / 'set.safetensors'}"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "preset",
    [pytest.param(name, marks=MARKS.get(name, pytest.mark.long)) for name in preset_names() if name not in LEFT_OUT],
)
def test_a_shipped_preset_needs_what_is_said_within_a_factor_of_two(preset: str, tmp_path: Path) -> None:
    config = load_preset(preset, ["threads=1", *stand_ins(preset, tmp_path)])
    found, measured = MEASURED[config.kind](config, tmp_path)
    estimated = sum(need.size for need in found)
    parts = {need.what: round(need.size) for need in found}
    assert estimated / 2 - SMALL < measured < estimated * 2 + SMALL, (estimated, measured, parts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "options", "boards"),
    [("connect_four", {}, 512), ("go", {"size": 19}, 48), ("chess", {}, 48)],
    ids=["connect_four", "go", "chess"],
)
@pytest.mark.parametrize("states", [False, True], ids=["planes", "states"])
def test_large_games_need_what_is_said_within_a_factor_of_two(
    game: str, options: dict[str, Any], boards: int, states: bool, tmp_path: Path
) -> None:
    """Slots, histories and records: with a small network and a small cache the trees and records are what counts."""
    settings = {
        "budget": 4000,
        "threads": 1,
        "game": {"name": game, "options": options},
        "network": {"channels": 8, "blocks": 1},
        "search": {"simulations": 24},
        "selfplay": {"boards": boards, "cache_slots": 64, "record_states": states},
        "replay": {"capacity": 4000, "window_start": 2000, "min_positions": 100},
        "learner": {"batch_size": 32},
        "evaluate": {"every": 0},
    }
    found, measured = of_alphazero(AlphaZeroConfig.model_validate(settings), tmp_path)
    estimated = sum(need.size for need in found)
    parts = {need.what: round(need.size) for need in found}
    assert parts["the search trees"] + parts["the records of unfinished games"] > 0.5 * (
        estimated - parts["the replay buffer"]
    )
    assert estimated / 2 < measured < estimated * 2, (estimated, measured, parts)


def test_the_largest_part_and_its_keys_are_named() -> None:
    parts = [Need("the replay buffer", 3e9, "replay.capacity"), Need("the search trees", 2e9, "selfplay.boards")]
    check_fits(parts, 5000.0, "this machine")
    check_fits(parts, None, "this machine")
    with pytest.raises(UserError) as raised:
        check_fits(parts, 4999.0, "this machine")
    assert str(raised.value) == (
        "this run needs about 5,000 MB and this machine has 4,999 MB free: the replay buffer would take 3,000 MB; "
        "lower replay.capacity"
    )


@pytest.mark.parametrize(
    ("preset", "overrides", "part", "keys"),
    [
        (
            "alphazero/tic_tac_toe",
            ["replay.capacity=1000000000000", "budget=1000000000000"],
            "the replay buffer",
            "replay.capacity",
        ),
        (
            "alphazero/tic_tac_toe",
            ["selfplay.boards=1000000", "search.simulations=65536"],
            "the search trees",
            "selfplay.boards or search.simulations",
        ),
        ("alphazero/tic_tac_toe", ["selfplay.cache_slots=4294967296"], "the evaluation cache", "selfplay.cache_slots"),
        ("alphazero/tic_tac_toe", ["network.channels=60000"], "the network", "network.channels or network.blocks"),
        (
            "alphazero/tic_tac_toe",
            ["game.name=go", "replay.capacity=1000000000", "budget=1000000000"],
            "the replay buffer",
            "replay.capacity",
        ),
        (
            "alphazero/tic_tac_toe",
            ["game.name=go", "selfplay.boards=100000", "search.simulations=4096"],
            "the search trees",
            "selfplay.boards or search.simulations",
        ),
        (
            "alphazero/tic_tac_toe",
            ["game.name=chess", "selfplay.boards=1000000", "search.simulations=2"],
            "the records of unfinished games",
            "selfplay.boards",
        ),
        ("series_gan/sines", ["data.synthetic.series=16000000", "data.length=10000"], "the synthetic series", "data."),
        ("series_gan/sines", ["network.hidden=65536"], "the network", "network.hidden"),
        ("ppo/cartpole", ["env.count=10000", "learner.rollout_steps=100000"], "the rollout", "env.count or"),
        ("ppo/cartpole", ["network.hidden=[65536, 65536]"], "the network", "network.hidden or"),
        ("sequences/reverse", ["training.batch_size=16000000"], "the activations", "training.micro_batch"),
        ("sequences/reverse", ["network.hidden=65536"], "the network", "network.hidden or network.layers"),
        ("supervised/digits", ["training.batch_size=16000000"], "the activations", "training.micro_batch"),
        ("supervised/digits", ["network.channels=[65536, 65536]"], "the network", "the size of the network"),
        ("progressive_gan/digits", ["training.batch_size=10000000"], "images at once", "training.micro_batch"),
    ],
)
def test_what_cannot_fit_is_one_line_and_leaves_the_name_free(
    preset: str, overrides: list[str], part: str, keys: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", preset, *overrides, "--runs-dir", str(tmp_path), "--name", "run"]) == 2
    message = capsys.readouterr().err
    assert part in message and f"lower {keys}" in message and message.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_state_of_the_optimizer_and_of_the_batch_is_counted() -> None:
    def total(*overrides: str) -> dict[str, float]:
        config = load_preset("alphazero/tic_tac_toe", overrides)
        return {need.what: need.size for need in needs(config, config.game.make(), CPU)}  # type: ignore[attr-defined, arg-type]

    base, key = total(), "the network and its optimizer"
    assert total("learner.optimizer=sgd")[key] < base[key]
    halved = total("learner.micro_batch=128")["the activations of a training step"]
    assert halved * 2 == pytest.approx(base["the activations of a training step"], rel=0.01)


@pytest.mark.parametrize("preset", ["supervised/table", "sequences/text"])
def test_files_in_the_home_folder_and_tables_in_capitals_are_counted(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))

    def size(name: str) -> float:
        (tmp_path / name).write_bytes(bytes(1000))
        config: Any = load_preset(preset, [f"data.source=~/{name}"])
        found = (of_supervised if preset.startswith("supervised") else of_sequences).data_needs(config)
        return sum(need.size for need in found)

    assert size("DATA.CSV") == size("data.csv") > 1000.0
