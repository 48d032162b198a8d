"""Functions compiled by numba for the CPU, where it is installed.

Every kernel has a form in tensor operations that gives the same result and runs where numba is missing. A module of
kernels loads numba when it is imported, so that it is imported inside functions, after `available()`.
"""

import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., object])
SWITCH = "LAB_KERNELS"
"""Environment variable; 0 selects the tensor form everywhere."""


MOST_ROWS_UNCOMPILED = 63
"""So few rows of work alone do not load the compiler, which takes 0.5 s."""


def available(rows: int) -> bool:
    """Whether kernels run: numba is installed, `LAB_KERNELS` is not 0, and there are enough rows to begin with.

    Both forms have the same result, so that it does not matter which of them runs. Once loaded, kernels take any rows.
    """
    return (rows > MOST_ROWS_UNCOMPILED or "numba" in sys.modules) and _loads()


@cache
def _loads() -> bool:
    if os.environ.get(SWITCH) == "0":
        return False
    try:
        import numba  # noqa: F401
    except ImportError:  # also raised for a numpy that this numba does not support
        return False
    return True


def kernel(function: F) -> F:
    """Compile a function of numbers and arrays at its first call.

    The machine code is kept beside the source, else in the user's cache folder (numba's NUMBA_CACHE_DIR names another),
    and is compiled again when the source file changes: a kernel may call those of its own file only. Where no folder
    can be written, each process compiles. No operations are reordered (fastmath), so that results can be compared bit
    for bit. Without numba this is the function itself, which only has to be importable.
    """
    if not _loads():
        return function
    import numba

    options: Any = {"nogil": True, "error_model": "numpy"}
    try:
        compiled: Any = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for the machine code
        compiled = numba.njit(**options)(function)
    return cast(F, compiled)
