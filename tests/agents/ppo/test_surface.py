"""The verbs and functions of a trained PPO run."""

import json
import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import lab
from agents.environments.actions import action_spec
from agents.environments.environments import Spaces, environment_seed
from agents.environments.factory import Description
from agents.environments.observations import ObservationCodec
from agents.ppo.evaluation import held_out_seed, play_episodes, validation_seed
from agents.ppo.export import export
from agents.ppo.policy import make_network
from agents.ppo.trained import TrainedPolicy, load_policy
from agents.ppo.watch import PICTURES, picture, rendered_episode
from lab.cli.main import main
from lab.errors import UserError
from tests.agents import small_ppo
from tests.agents.small_ppo import DEVICE


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run `small`, normalised, with videos, and a run `memory` with an LSTM."""
    pytest.importorskip("imageio_ffmpeg")
    pytest.importorskip("pygame")
    folder = tmp_path_factory.mktemp("runs")
    changes: dict[str, dict[str, Any]] = {
        "small": {
            "normalize": {"observations": True},
            "evaluate": {"video": True},
            "tracking": {"wandb": "offline"},
        },
        "memory": {"env": {"id": "rivals/Recall-v0"}, "network": {"recurrent": "lstm", "recurrent_size": 8}},
    }
    for name, settings in changes.items():
        preset = small_ppo.preset(folder, **settings)
        assert main(["train", str(preset), "--name", name, "--runs-dir", str(folder)]) == 0
    return folder


def printed(capsys: pytest.CaptureFixture[str], runs: Path, *words: str) -> Any:
    assert main([*words, "--json", "--runs-dir", str(runs)]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], runs: Path, *words: str) -> str:
    assert main([*words, "--runs-dir", str(runs)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1, message
    return message


@pytest.mark.slow
def test_an_evaluation_leaves_a_video_in_the_run_and_in_wandb(runs: Path) -> None:
    import imageio.v2 as imageio

    clips = sorted((runs / "small" / "samples").glob("*.mp4"))
    steps = lab.open_run(runs / "small").counters["steps"]
    assert len(clips) == 2 and clips[-1].stem == f"{steps:010d}"
    frames = imageio.mimread(clips[-1], memtest=False)
    assert frames[0].shape == (400, 600, 3) and len(frames) > 5
    sent = [path.suffix for path in (runs / "small" / "wandb").rglob("media/videos/**/*") if path.is_file()]
    assert sent == [".mp4", ".mp4"]


def test_what_prevents_videos_is_said_once_and_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"env": {"id": "rivals/Recall-v0"}, "evaluate": {"video": True, "every": 1}}
    preset = small_ppo.preset(tmp_path, **settings)
    assert main(["train", str(preset), "--name", "a", "--runs-dir", str(tmp_path)]) == 0
    lines = [line for line in capsys.readouterr().out.split("\n") if "no videos" in line]
    assert len(lines) == 1 and "rivals/Recall-v0 renders no pictures" in lines[0]
    assert "no videos" in (tmp_path / "a" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("frame", "found"), [(None, "NoneType"), (np.zeros((4, 4)), "shape [4, 4]"), (np.zeros((4, 4, 1)), "[4, 4, 1]")]
)
def test_what_is_no_picture_is_named(frame: Any, found: str) -> None:
    with pytest.raises(UserError, match=re.escape(found)):
        picture(frame)


def test_eval_has_mean_interval_and_distribution(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, runs, "eval", "small", "--episodes", "70")
    returns = found["return"]
    assert found["episodes"] == 70 and found["actions"] == "most probable" and found["checkpoint"] in ("4", "5")
    assert returns["interval_95"][0] <= returns["mean"] <= returns["interval_95"][1]
    assert returns["minimum"] <= returns["quartiles"][0] <= returns["quartiles"][2] <= returns["maximum"]
    assert found["length"] == pytest.approx(returns["mean"])  # CartPole gives 1 for each step
    sampled = printed(capsys, runs, "eval", "small", "--episodes", "70", "--sampled")
    assert sampled["actions"] == "sampled" and sampled["return"] != returns
    assert main(["eval", "small", "-n", "3", "--runs-dir", str(runs)]) == 0
    assert "95% interval" in capsys.readouterr().out


@pytest.mark.parametrize("deterministic", [True, False])
def test_episodes_do_not_depend_on_how_many_are_played(runs: Path, deterministic: bool) -> None:
    policy = load_policy(runs / "small", DEVICE)

    def returns(episodes: int) -> np.ndarray:
        return play_episodes(
            policy.network, policy.distribution, policy.config, episodes=episodes, deterministic=deterministic, seed=5
        ).returns

    many = returns(66)
    assert many[:3].tolist() == returns(3).tolist()
    assert len(set(many.tolist())) > 3
    shown = rendered_episode(
        policy.network, policy.distribution, policy.config, PICTURES, deterministic=deterministic, seed=5
    )
    frames = 0
    while True:
        try:
            next(shown)
            frames += 1
        except StopIteration as end:
            assert end.value == frames == many[0]  # CartPole gives 1 for each step
            break


def test_the_best_checkpoint_is_not_graded_on_the_episodes_that_chose_it() -> None:
    chosen = {environment_seed(validation_seed(seed), number) for seed in range(10) for number in range(50)}
    others = {environment_seed(held_out_seed(seed), number) for seed in range(10) for number in range(50)}
    assert not chosen & others


def test_predict_is_the_action_that_the_environment_takes(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, runs, "predict", "small", "[0.1, 0.0, -0.02, 0.3]")
    assert found["action"] == int(np.argmax(found["probabilities"])) and sum(found["probabilities"]) == pytest.approx(1)
    (record,) = lab.open_run(runs / "small").predict(np.array([[0.1, 0.0, -0.02, 0.3]]))
    assert record == {name: found[name] for name in ("action", "value", "probabilities")}
    assert main(["predict", "memory", "[0, 1, 0, 0, 0]", "--runs-dir", str(runs)]) == 0
    assert "action" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["predict", "small", "[0.1, 0.0]"], "the observation has the shape [2], not [4]"),
        (["predict", "small", "what"], "is not JSON"),
        (["predict", "small", "[1, 2, 3, NaN]"], "is not JSON"),
        (["predict", "small", '["a", 1, 2, 3]'], "should be numbers"),
        (["predict", "small", "none.json"], "cannot be read"),
        (["predict", "small", "[0, 0, 0, 0]", "--mask", "[1, 0]"], "no action masks"),
        (["watch", "small", "--out", "clip.avi"], "ends in .gif or .mp4"),
        (["watch", "memory", "--out", "clip.gif"], "renders no pictures"),
        (["eval", "small", "--checkpoint", "7"], "7"),
        (["export", "small", "--out", "policy.txt"], "export to a .onnx or a .pt2"),
        (["find-lr", "ppo/cartpole"], "have no step"),
        (["sample", "small"], "sample"),
    ],
)
def test_wrong_input_is_one_line(
    words: list[str],
    part: str,
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert part in refused(capsys, runs, *words)


@pytest.mark.slow
def test_watch_writes_a_clip_and_replaces_none(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "clip.gif"
    assert main(["watch", "small", "--out", str(out), "--runs-dir", str(runs)]) == 0
    assert "return of each episode" in capsys.readouterr().out and out.stat().st_size > 1000
    assert "--overwrite" in refused(capsys, runs, "watch", "small", "--out", str(out))
    assert main(["watch", "memory", "--runs-dir", str(runs)]) == 0
    assert "cue" in capsys.readouterr().out


@pytest.mark.slow
def test_the_exported_policy_normalises_raw_observations_itself(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    out = tmp_path / "policy.onnx"
    assert main(["export", "small", "--out", str(out), "--runs-dir", str(runs)]) == 0
    capsys.readouterr()
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["environment"] == "CartPole-v1"
    policy = load_policy(runs / "small", DEVICE)
    assert float(policy.network.normalizer.mean.abs().max()) > 0.0
    raw = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    actions, values = session.run(None, {"vector": raw})
    records = lab.open_run(runs / "small").predict(raw)
    assert [record["action"] for record in records] == actions[:, 0].tolist()
    assert np.allclose([record["value"] for record in records], values, atol=1e-4)


@pytest.mark.slow
def test_a_policy_of_many_inputs_is_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    space = gym.spaces.Dict({f"eye{index}": gym.spaces.Box(0, 255, (4, 4, 1), np.uint8) for index in range(7)})
    config = small_ppo.config(network={"recurrent": "gru", "recurrent_size": 4})
    codec, actions = ObservationCodec(space), action_spec(gym.spaces.Discrete(3))
    spaces = Spaces(codec, actions, masks=True)
    network, distribution = make_network(config, spaces)
    policy = TrainedPolicy("eyes", config, Description(spaces, space, {}), network, distribution)
    assert export(policy, tmp_path / "policy.onnx") < 1e-4


@pytest.mark.slow
def test_a_recurrent_policy_is_exported_with_its_state(runs: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    out = tmp_path / "policy.onnx"
    assert main(["export", "memory", "--out", str(out), "--runs-dir", str(runs)]) == 0
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    policy = load_policy(runs / "memory", DEVICE)
    state = policy.network.initial_state(1).numpy()
    env, own = gym.make("rivals/Recall-v0"), policy.network.initial_state(1)
    observation, _ = env.reset(seed=3)
    for _ in range(5):
        given = np.asarray(observation, np.float32)[None]
        action, value, state = session.run(None, {"vector": given, "state": state})
        with torch.no_grad():
            _, expected, own = policy.network.step(policy.network.prepare({"vector": torch.from_numpy(given)}), own)
        assert np.allclose(value, expected.numpy(), atol=1e-5) and np.allclose(state, own.numpy(), atol=1e-5)
        observation = env.step(int(action[0, 0]))[0]
