"""Threshold units of McCulloch and Pitts (1943): two layers compute every Boolean function, one unit does not.

Functions of n inputs are rows of a truth table, bool [functions, 2^n]; input patterns are bits [2^n, n].
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lab.milestones.report import Finding, Report
from lab.plots.figures import Matrix, matrices

SEPARABLE = {1: 4, 2: 14, 3: 104, 4: 1882}
"""Boolean functions that one threshold unit computes, by number of inputs (OEIS A000609)."""
_LARGEST_WEIGHT = 3  # in absolute value: enough for all threshold functions of up to four inputs (Muroga 1971)
_NAMES = (  # of the functions of two inputs
    *("false", "x1∧x2", "x1∧¬x2", "x1", "¬x1∧x2", "x2", "x1⊕x2", "x1∨x2"),
    *("¬x1∧¬x2", "x1≡x2", "¬x2", "x1∨¬x2", "¬x1", "¬x1∨x2", "¬x1∨¬x2", "true"),
)


def patterns(inputs: int) -> Tensor:
    """All binary inputs in the order of counting: int64 [2^n, n], the first column the most significant bit."""
    return torch.cartesian_prod(*[torch.arange(2)] * inputs).reshape(-1, inputs)


def every_function(inputs: int) -> Tensor:
    """Truth tables of all Boolean functions: bool [2^(2^n), 2^n]."""
    return patterns(2**inputs).bool()


def fires(x: Tensor, excitatory: Tensor, inhibitory: Tensor, threshold: Tensor) -> Tensor:
    """Outputs of McCulloch-Pitts units: bool [..., P, U].

    x: binary [P, n]. excitatory, inhibitory: binary [..., n, U]; threshold: [..., 1, U]. A unit fires if at least
    `threshold` of its excitatory inputs are active and none of its inhibitory ones (1943).
    """
    return (x @ excitatory >= threshold) & (x @ inhibitory == 0)


def two_layers(functions: Tensor) -> Tensor:
    """Outputs bool [F, 2^n] of networks that are made for truth tables bool [F, 2^n].

    The hidden layer has a unit for each input pattern: active inputs excite it, the others inhibit it. The output unit
    has threshold 1 and is excited by the units of those patterns for which the function is true.
    """
    inputs = functions.shape[1].bit_length() - 1
    x = patterns(inputs)
    hidden = fires(x, x.T, 1 - x.T, x.sum(1)).long()  # [P, P]
    outgoing = functions.long()[:, :, None]  # [F, P, 1]
    return fires(hidden, outgoing, torch.zeros_like(outgoing), torch.ones(1, dtype=torch.int64))[:, :, 0]


def computed_by_one_unit(functions: Tensor) -> Tensor:
    """Whether a unit with some integer weights and a threshold computes each truth table: bool [F].

    All weights up to `_LARGEST_WEIGHT` are tried.
    """
    inputs = functions.shape[1].bit_length() - 1
    weights = torch.cartesian_prod(*[torch.arange(-_LARGEST_WEIGHT, _LARGEST_WEIGHT + 1)] * inputs)
    sums = patterns(inputs) @ weights.reshape(-1, inputs).T  # [P, W]
    limit = _LARGEST_WEIGHT * inputs
    outputs = sums[:, :, None] >= torch.arange(-limit, limit + 2)
    codes = _codes(outputs.flatten(1).T)
    return torch.isin(_codes(functions), codes)


def contradiction(functions: Tensor) -> Tensor:
    """Whether two inputs with output 1 and two with output 0 have the same sum: bool [F].

    Weights and threshold t would need w(a + b) >= 2t and w(c + d) < 2t with a + b = c + d: no unit computes such a
    function (Elgot 1961, "Truth functions realizable by single threshold organs").
    """
    x = patterns(functions.shape[1].bit_length() - 1)
    first, second = torch.triu_indices(len(x), len(x))
    sums, index = torch.unique(x[first] + x[second], dim=0, return_inverse=True)

    def reached(outputs: Tensor) -> Tensor:
        both = (outputs[:, first] & outputs[:, second]).long()
        return torch.zeros(len(outputs), len(sums), dtype=torch.int64).index_add_(1, index, both) > 0

    return (reached(functions) & reached(~functions)).any(1)


def run(seed: int, line: Callable[[str], None]) -> Report:
    """Nothing is random: the seed has no effect."""
    right = int((two_layers(every_function(3)) == every_function(3)).all(1).sum())
    findings = [Finding("functions of 3 inputs, two layers", "256 of 256", f"{right} of 256", right == 256)]
    for inputs, known in SEPARABLE.items():
        functions = every_function(inputs)
        found, excluded = computed_by_one_unit(functions), contradiction(functions)
        name = f"{inputs} input{'s' if inputs > 1 else ''}"
        line(f"{name}: {int(found.sum()):,} functions by one unit, {int(excluded.sum()):,} proven impossible")
        findings.append(
            Finding(
                f"functions of {name}, one unit",
                f"{known:,} of {len(functions):,}",
                f"{int(found.sum()):,} of {len(functions):,}",
                int(found.sum()) == known and bool((found ^ excluded).all()),
            )
        )
    two = every_function(2)
    found = computed_by_one_unit(two)
    missing = [_NAMES[index] for index in torch.nonzero(~found)[:, 0].tolist()]
    findings.append(
        Finding(
            "functions of 2 inputs that no unit computes", "x1⊕x2, x1≡x2", ", ".join(missing), _is_parity(two[~found])
        )
    )
    notes = (
        "Two layers use the units of 1943: unit weights, absolute inhibition. One unit has weights of any size.",
        "That no unit computes a function is proven by two pairs of inputs with equal sums: for exclusive or "
        "(0,0) + (1,1) = (0,1) + (1,0).",
    )
    return Report(tuple(findings), _figure(two, found), notes)


def _is_parity(functions: Tensor) -> bool:
    """Whether the truth tables [F, 4] are exclusive or and its negation."""
    parity = patterns(2).sum(1) % 2 == 1
    return torch.equal(functions, torch.stack([parity, ~parity]))


def _codes(functions: Tensor) -> Tensor:
    """Truth tables bool [F, P], P at most 62, as numbers: int64 [F]."""
    return functions.long() @ (1 << torch.arange(functions.shape[1] - 1, -1, -1))


def _figure(functions: Tensor, separable: Tensor) -> np.ndarray:
    columns = ["".join(map(str, row)) for row in patterns(2).tolist()]
    table = Matrix(functions.numpy().astype(float), _NAMES, columns, "truth table", column_label="x1 x2")
    units = Matrix(separable.numpy()[:, None].astype(float), _NAMES, ["one unit"], "one unit computes it")
    return matrices([table, units])
