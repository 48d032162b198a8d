"""The memory that is announced is about the memory that is used."""

import subprocess
import sys

import pytest

from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.memory import estimate

SETTINGS = {
    "budget": 1,
    "network": {"resolution": 64, "channels": 3, "fmap_base": 2048, "fmap_max": 64, "latent": 64},
    "growth": {"start": 64},
    "training": {"batch_size": 16},
}
STEP = f"""
import torch
from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.trainer import GrowingTrainer
from lab.train.device import Device

def peak():  # getrusage would begin with the parent's
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

torch.set_num_threads(1)
before = peak()
trainer = GrowingTrainer(ProgressiveGANConfig.model_validate({SETTINGS}), Device(torch.device("cpu"), "fp32", 1))
trainer.step(torch.zeros(16, 3, 64, 64, dtype=torch.uint8))
print((peak() - before) * 1024 / 1e6)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_estimate_is_within_a_factor_of_two_of_the_measured_peak() -> None:
    measured = float(subprocess.run([sys.executable, "-c", STEP], check=True, capture_output=True, text=True).stdout)
    (stage,) = estimate(ProgressiveGANConfig.model_validate(SETTINGS))
    assert stage.resolution == 64 and 0.5 < measured / stage.total_mb < 2.0


def test_accumulation_and_smaller_batches_want_less() -> None:
    whole = ProgressiveGANConfig.model_validate(SETTINGS)
    parts = whole.model_copy(update={"training": whole.training.model_copy(update={"micro_batch": 4})})
    assert estimate(parts)[0].maps_mb * 4 == estimate(whole)[0].maps_mb
    assert estimate(parts)[0].weights_mb == estimate(whole)[0].weights_mb
