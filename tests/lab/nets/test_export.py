"""Exported files: names of inputs, outputs and dimensions, metadata, several outputs, nothing about the machine."""

import getpass
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lab.errors import UserError
from lab.nets.export import METADATA_FILE, export, export_traced

onnxruntime = pytest.importorskip("onnxruntime")

SHAPES = {"planes": ["batch", 4], "clock": ["batch", 3], "policy": ["batch", 3], "value": ["batch"]}


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 3)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        policy = self.body(x) + y
        return policy, policy.sum(1)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.GRU(3, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)[0]


def inputs(count: int) -> dict[str, Tensor]:
    return {"planes": torch.randn(count, 4), "clock": torch.randn(count, 3)}


def steps(count: int) -> dict[str, Tensor]:
    return {"series": torch.randn(count, 4 + count, 3)}


def written(file: Path) -> Path:
    module = TwoHeads().eval()
    metadata = {"kind": "toy", "classes": ["a", "ß"]}
    assert export(module, inputs(2), inputs(5), file, outputs=("policy", "value"), metadata=metadata) < 1e-5
    return file


def test_inputs_outputs_and_dimensions_of_an_onnx_file_have_the_given_names(tmp_path: Path) -> None:
    session = onnxruntime.InferenceSession(written(tmp_path / "x.onnx"))
    assert {node.name: node.shape for node in (*session.get_inputs(), *session.get_outputs())} == SHAPES


def test_recurrent_files_have_them_too(tmp_path: Path) -> None:
    file, free = tmp_path / "x.onnx", {name: {0: "batch", 1: "steps"} for name in ("series", "states")}
    export_traced(Recurrent().eval(), steps(2), steps(5), file, free, outputs=("states",), metadata={"unit": "kW"})
    session = onnxruntime.InferenceSession(file)
    assert [node.shape for node in session.get_inputs()] == [["batch", "steps", 3]]
    assert [(node.name, node.shape) for node in session.get_outputs()] == [("states", ["batch", "steps", 4])]
    assert session.get_modelmeta().custom_metadata_map["unit"] == "kW"


def test_metadata_are_strings_and_json(tmp_path: Path) -> None:
    found = onnxruntime.InferenceSession(written(tmp_path / "x.onnx")).get_modelmeta().custom_metadata_map
    extra = {METADATA_FILE: ""}
    torch.export.load(written(tmp_path / "x.pt2"), extra_files=extra)
    for metadata in (found, json.loads(extra[METADATA_FILE])):
        assert metadata["kind"] == "toy" and json.loads(metadata["classes"]) == ["a", "ß"]
        assert metadata["producer"] == "rivals-lab"


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_a_file_says_nothing_about_the_machine_that_wrote_it(suffix: str, tmp_path: Path) -> None:
    content = written(tmp_path / f"x{suffix}").read_bytes()
    for place in (Path(__file__).parent, Path(torch.__file__).parent, sys.prefix, tmp_path, Path.cwd(), Path.home()):
        assert str(place).encode() not in content
    assert b".py" not in content and f"/{getpass.getuser()}/".encode() not in content


def test_each_output_is_checked(tmp_path: Path) -> None:
    class Other(nn.Module):
        """Traced with another value than it answers with afterwards."""

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x + 1.0, x + (1.0 if torch.compiler.is_exporting() else 1.5)

    rows = {"x": torch.randn(2, 3)}
    with pytest.raises(UserError, match=r"output 'value' differs by 5\.0e-01"):
        export(Other(), rows, {"x": torch.randn(5, 3)}, tmp_path / "x.pt2", outputs=("policy", "value"))
    assert list(tmp_path.iterdir()) == []
