"""Choosing device, precision and threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from lab.errors import UserError
from lab.train import device as devices


@pytest.fixture
def torch_settings() -> Iterator[None]:
    before = (torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
    yield
    torch.set_num_threads(before[0])
    torch.set_float32_matmul_precision(before[1])
    torch.backends.cudnn.allow_tf32 = before[2]


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, count: int, capability: tuple[int, int] = (9, 0)) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)


def test_auto_without_gpu_is_cpu_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 0)
    chosen = devices.resolve(threads=3)
    assert (chosen.device, chosen.precision, chosen.threads) == (torch.device("cpu"), "fp32", 3)


def test_auto_with_gpu_is_cuda_in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 1)
    chosen = devices.resolve()
    assert (chosen.device.type, chosen.precision) == ("cuda", "bf16")
    assert devices.resolve(precision="fp32").precision == "fp32"
    assert devices.resolve("cpu").precision == "fp32"


def test_old_gpu_gets_fp32_unless_asked_for_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 1, capability=(7, 5))
    assert devices.resolve("cuda").precision == "fp32"
    with pytest.raises(UserError, match="no bfloat16"):
        devices.resolve("cuda", "bf16")


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:x", ""])
def test_unknown_device_names_the_choices(name: str) -> None:
    with pytest.raises(UserError, match="cuda:N"):
        devices.resolve(name)


@pytest.mark.parametrize(("name", "count"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_absent_device_says_how_many_there_are(monkeypatch: pytest.MonkeyPatch, name: str, count: int) -> None:
    pretend_gpus(monkeypatch, count)
    with pytest.raises(UserError, match=f"{count} CUDA devices"):
        devices.resolve(name)


def test_mps_is_a_device_in_fp32_where_torch_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.resolve("mps", threads=2) == devices.Device(torch.device("mps"), "fp32", 2)
    assert devices.resolve("mps:0").device == torch.device("mps")
    with pytest.raises(UserError, match="bf16 is for CUDA"):
        devices.resolve("mps", "bf16")
    with pytest.raises(UserError, match="one GPU"):
        devices.resolve("mps:1")
    pretend_gpus(monkeypatch, 0)
    assert devices.resolve().device == torch.device("cpu")  # never chosen by itself


def test_the_cpu_is_one_device() -> None:
    assert devices.resolve("cpu:0").device == torch.device("cpu")
    with pytest.raises(UserError, match="one device"):
        devices.resolve("cpu:1")


def test_mps_elsewhere_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match="Apple silicon"):
        devices.resolve("mps")


def test_a_cpu_computes_in_bf16_if_asked_for() -> None:
    assert devices.resolve("cpu", "bf16").precision == "bf16"


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(UserError, match="auto, fp32 or bf16"):
        devices.resolve("cpu", "fp16")


def test_threads_must_be_positive() -> None:
    with pytest.raises(UserError, match="positive"):
        devices.resolve("cpu", threads=0)


@pytest.mark.usefixtures("torch_settings")
def test_apply_sets_threads_and_full_precision() -> None:
    torch.set_float32_matmul_precision("medium")
    devices.apply(devices.Device(torch.device("cpu"), "fp32", 1))
    assert torch.get_num_threads() == 1
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.usefixtures("torch_settings")
def test_apply_allows_tf32_beside_bf16() -> None:
    devices.apply(devices.Device(torch.device("cuda"), "bf16", 1))
    assert torch.get_float32_matmul_precision() == "high"
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.usefixtures("torch_settings")
def test_apply_makes_the_gpu_that_was_named_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    for name in ("cpu", "cuda", "cuda:1"):
        devices.apply(devices.Device(torch.device(name), "fp32", 1))
    assert current == [torch.device("cuda:1")]


def test_autocast_is_bfloat16_or_nothing() -> None:
    a = torch.ones(2, 2)
    with devices.autocast(devices.Device(torch.device("cpu"), "fp32", 1)):
        assert (a @ a).dtype == torch.float32
    with devices.autocast(devices.Device(torch.device("cpu"), "bf16", 1)):
        assert (a @ a).dtype == torch.bfloat16
