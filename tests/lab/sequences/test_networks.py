"""Every shape of network learns a handful of examples by heart, masks as it packs, and is the same in ONNX."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.nets.rnn import with_masked_padding
from lab.nets.seq2seq import mask_logits
from lab.sequences.attention_map import attention_map
from lab.sequences.batch import SequenceBatch, SequenceData
from lab.sequences.config import SequencesConfig
from lab.sequences.data import open_data, sizes_of
from lab.sequences.evaluation import evaluate_set
from lab.sequences.experiment import Sequences
from lab.sequences.export import export, exportable
from lab.sequences.model import Model
from lab.sequences.network import Decoding, EncoderDecoder, Network, loss_sum
from lab.sequences.shapes import build_network
from lab.sequences.vocabulary import END, PAD
from lab.train.device import Device
from lab.train.step import GradientStep
from tests.lab.small_sequences import config

CPU = torch.device("cpu")
SHAPES: dict[str, dict[str, Any]] = {
    "one to one": {"data": {"task": "bit_count", "size": 8}, "network": {"shape": "one_to_one", "cell": "gru"}},
    "one to many": {"data": {"task": "spell", "size": 2}, "network": {"shape": "one_to_many"}},
    "many to one": {
        "data": {"task": "parity", "size": 6},
        "network": {"shape": "many_to_one", "cell": "gru", "bidirectional": True},
    },
    "many to one number": {"data": {"task": "adding", "size": 4}, "network": {"shape": "many_to_one"}},
    "many to many": {
        "data": {"task": "brackets", "size": 10},
        "network": {"shape": "many_to_many", "bidirectional": True, "layers": 2},
    },
    "encoder decoder": {
        "data": {"task": "reverse_add", "size": 2},
        "network": {
            "bidirectional": True,
            "layers": 2,
            "encoder_layers": 1,
            "heads": 2,
            "attention": "bottom",
            "cell": "gru",
        },
    },
    "encoder decoder, attention on top": {
        "data": {"task": "reverse", "size": 4},
        "network": {"bidirectional": True, "layers": 2},
    },
    "language model": {"data": {"window": 12}, "network": {"shape": "language_model", "cell": "gru"}},
}


def made(name: str, hidden: int = 8) -> tuple[SequencesConfig, SequenceData, Network]:
    changes = SHAPES[name]
    settings = config(**{**changes, "network": {**changes["network"], "hidden": hidden}})
    data = open_data(settings, CPU)
    torch.manual_seed(0)
    return settings, data, build_network(settings.network, sizes_of(data.inputs, data.targets, data.longest))


def model(name: str) -> Model:
    settings, data, network = made(name)
    return Model(settings, network.eval(), data.inputs, data.targets, data.longest, 0, data.fingerprint, CPU)


@pytest.mark.parametrize("name", SHAPES)
def test_it_learns_a_few_examples_by_heart(name: str) -> None:
    settings, data, network = made(name, hidden=32)
    few = data.at(0, 12).trimmed()
    step = GradientStep(network, settings.training, Device(CPU, "fp32", 1))
    for _ in range(120):
        loss = step(
            lambda rows: loss_sum(network(*few.part(rows)), few.targets[rows]), rows=12, learning_rate=2e-2
        ).loss
    assert float(loss) < 0.1
    if name == "language model":
        return
    found = evaluate_set(network, few, CPU, Decoding(data.longest[1]))
    assert bool(found.right.all())
    assert torch.equal(found.answers, few.targets) or data.targets is None


@pytest.mark.parametrize("name", SHAPES)
def test_a_masked_network_answers_what_a_packed_one_does(name: str) -> None:
    _, data, network = made(name)
    examples = data.at(0, 20)
    torch.testing.assert_close(with_masked_padding(network)(*examples), network(*examples))


@pytest.mark.parametrize("name", SHAPES)
def test_its_parameters_do_not_depend_on_how_padding_is_left_out(name: str) -> None:
    _, _, network = made(name)
    state, other = network.state_dict(), with_masked_padding(network).state_dict()
    assert state.keys() == other.keys() and all(torch.equal(state[key], other[key]) for key in state)


@pytest.mark.parametrize("name", SHAPES)
def test_its_onnx_answers_any_batch_and_any_length_as_it_does(name: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    asked = model(name)
    assert export(asked, tmp_path / "net.onnx") < 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    _, data, _ = made(name)
    names = [node.name for node in session.get_inputs()]
    for count, start in ((1, 0), (7, 100)):
        examples = data.at(start, count).trimmed()
        given = {"inputs": examples.inputs.numpy(), "lengths": examples.lengths.numpy()}
        found = session.run(None, {key: given[key] for key in names})[0]
        with torch.no_grad():
            expected = exportable(asked.network, asked.longest[1])(examples.inputs, examples.lengths).numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
            if found.dtype.kind == "i":  # a sequence that is written
                answer = asked.network.answer(examples.inputs, examples.lengths, asked.decoding()).values[:, 0]
                greedy = torch.from_numpy(found[:, : answer.shape[1]])
                assert torch.equal(torch.where(answer == PAD, PAD, greedy), answer)
            else:
                torch.testing.assert_close(
                    torch.from_numpy(found), asked.network(*examples), rtol=1e-4, atol=1e-4, check_dtype=False
                )
    about = json.loads((tmp_path / "net.json").read_text())
    assert about["inputs"]["tokens"] == list(data.inputs.tokens) and (about["padding"], about["end"]) == (PAD, END)


@pytest.mark.parametrize("name", ["one to many", "encoder decoder"])
def test_a_beams_scores_are_the_probabilities_of_its_answers(name: str) -> None:
    _, data, network = made(name)
    examples = data.at(0, 20)
    found = network.answer(examples.inputs, examples.lengths, Decoding(data.longest[1], beam=3))
    assert found.scores is not None and found.values.shape[:2] == (20, 3)
    for place in range(3):
        chances = _log_probability(network, examples, found.values[:, place])
        torch.testing.assert_close(found.scores[:, place], chances)


@pytest.mark.parametrize("name", ["one to many", "encoder decoder"])
def test_nothing_that_is_written_is_padding_before_its_end(name: str) -> None:
    _, data, network = made(name)
    examples = data.at(0, 50)
    for beam in (1, 3):
        tokens = network.answer(examples.inputs, examples.lengths, Decoding(8, beam)).values.flatten(0, 1)
        before_end = (tokens == END).long().cumsum(1) == 0
        assert not bool((before_end & (tokens == PAD)).any())


def test_an_attention_map_of_long_sequences_shows_their_beginning() -> None:
    _, data, network = made("encoder decoder")
    assert isinstance(network, EncoderDecoder) and data.targets is not None
    sides = []
    for length in (30, 40, 41, 300):
        tokens = torch.full((1, length), END + 1)
        examples = SequenceBatch(tokens, torch.tensor([length]), tokens)
        sides.append(attention_map(network, examples, tokens, data.inputs, data.targets).pixels.shape)
    assert sides[0] < sides[1] == sides[2] == sides[3]


@torch.no_grad()
def _log_probability(network: Network, examples: SequenceBatch, answers: torch.Tensor) -> torch.Tensor:
    """Of answers [B, T], by one teacher-forced call."""
    chances = mask_logits(network(examples.inputs, examples.lengths, answers), (PAD,)).log_softmax(-1)
    return torch.where(answers != PAD, chances.gather(2, answers[:, :, None])[:, :, 0], 0.0).sum(1)


def test_a_constant_added_to_the_answers_changes_no_error(tmp_path: Path) -> None:
    errors = []
    for offset in (0, 2000):
        path = tmp_path / f"{offset}.tsv"
        path.write_text("\n".join(f"{k:07b}\t{offset + k.bit_count()}" for k in range(128)))
        settings = config(
            data={"source": str(path), "numbers": True, "held_out": 0.3},
            network={"shape": "many_to_one", "hidden": 16},
            training={"batch_size": 16, "examples_per_iteration": 3000, "learning_rate": 1e-2, "schedule": "constant"},
        )
        torch.manual_seed(0)
        experiment = Sequences(settings, tmp_path, Device(CPU, "fp32", 1))
        experiment.iterate()
        errors.append(experiment.evaluate().metrics["eval/rmse"])
    assert errors[1] < 0.5 and errors[1] == pytest.approx(errors[0], rel=0.05)


def test_an_exported_network_answers_numbers_of_the_file(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    (tmp_path / "a.tsv").write_text("\n".join(f"{k:07b}\t{1_700_000_000 + 40 * k}" for k in range(128)))
    settings = config(
        data={"source": str(tmp_path / "a.tsv"), "numbers": True}, network={"shape": "many_to_one", "hidden": 8}
    )
    data = open_data(settings, CPU)
    network = build_network(settings.network, sizes_of(data.inputs, None, data.longest))
    model = Model(settings, network.eval(), data.inputs, None, data.longest, 0, "", CPU, data.scale)
    export(model, tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    tokens = model.tokens("0101010")
    (answer,) = session.run(None, {"inputs": np.array([tokens]), "lengths": np.array([len(tokens)])})[:1]
    expected = model.answer([tokens], Decoding(1))[0].values[0, 0]
    assert abs(float(answer[0]) - float(expected)) < 0.1
