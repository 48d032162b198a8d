"""Clips that cannot be written."""

import gc
import sys
from pathlib import Path

import numpy as np
import pytest

from lab.errors import UserError
from lab.plots.clips import save_clip


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no folder in which no file can be made")
def test_a_clip_that_cannot_be_opened_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    with pytest.raises(UserError, match=r"cannot write /proc/x\.gif"):
        save_clip(Path("/proc/x.gif"), [np.zeros((4, 4, 3), np.uint8)])
    gc.collect()
    assert not unraisable
