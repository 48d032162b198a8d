"""Long short-term memory (Hochreiter and Schmidhuber 1997) beside a simple recurrent network: gradient against lag,
and the adding problem."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.milestones.fitting import minimise
from lab.milestones.report import Finding, Report
from lab.milestones.seeded import Line, seeded
from lab.milestones.simple_recurrent import SimpleRecurrent
from lab.nets.rnn import RNN, ManyToOne
from lab.plots.figures import Curve, Plot, plots
from lab.train.config import ScheduledOptimizerConfig
from lab.train.modes import evaluating

LENGTH = 100
CONSTANT_ERROR = 1.0 / 6.0
"""Mean squared error of the best constant answer, 1: the variance of the sum of two uniform numbers."""
_HIDDEN, _BATCH, _STEPS = 32, 64, 800
_SHORTEST, _GROWTH = 10, 0.8  # length of the first sequences, and the fraction of the steps in which lengths rise
_TEST_ROWS = 500
_LAG_ROWS = 32
_NEAR, _FAR = 10, 90  # lags
_OPTIMIZER = ScheduledOptimizerConfig(optimizer="adam", learning_rate=1e-2, weight_decay=0.0, gradient_clip=1.0)


def adding_problem(count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sequences [count, length, 2] of uniform numbers in (0, 1) and marks, and the sum [count, 1] of two.

    The sum is that of the marked numbers, of which each half has one. Hochreiter and Schmidhuber 1997, section 5.4, in
    the form of Le et al. 2015.
    """
    numbers = torch.rand(count, length, generator=generator)
    half = length // 2
    first = torch.randint(half, (count,), generator=generator)
    second = torch.randint(half, length, (count,), generator=generator)
    marks = F.one_hot(first, length) + F.one_hot(second, length)
    return torch.stack([numbers, marks.float()], 2), (numbers * marks).sum(1, keepdim=True)


class LastOutput(nn.Module):
    """The output of a simple recurrent network after its last step: [B, T, in_features] -> [B, out_features]."""

    def __init__(self, in_features: int, hidden: int, out_features: int) -> None:
        super().__init__()
        self.rnn = SimpleRecurrent(in_features, hidden, out_features)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.rnn(x)[0]
        return outputs[:, -1]


def learn_adding(
    network: nn.Module, *, length: int, steps: int, generator: torch.Generator, every: int
) -> tuple[list[int], list[float]]:
    """Train on new sequences; steps and the mean squared error (training) over the `every` steps before each.

    Lengths rise from 10 to `length`: on long sequences alone either network is at the error of a constant for long.
    """
    numbers, errors = [], []

    def loss(step: int) -> Tensor:
        grown = min(1.0, step / (_GROWTH * steps))
        x, y = adding_problem(_BATCH, _SHORTEST + round(grown * (length - _SHORTEST)), generator)
        return F.mse_loss(network(x), y)

    def after(step: int, error: float) -> None:
        numbers.append(step)
        errors.append(error)

    minimise(network, loss, steps=steps, config=_OPTIMIZER, after=after, every=every)
    return numbers, errors


@torch.no_grad()
def adding_error(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Mean squared error on sequences x with sums y."""
    with evaluating(network):
        return float(F.mse_loss(network(x), y))


def gradients_by_lag(core: RNN | nn.RNN, x: Tensor) -> Tensor:
    """Mean norm of the gradient of the last state with respect to the state `lag` steps before: [T - 1], from lag 1.

    The state is the cell of an LSTM and the hidden units of a simple network. The gradient is that of the sum of the
    last state's units times fixed random signs. x: [B, T, in_features].
    """
    is_lstm = isinstance(core, RNN)
    state = None
    kept = []
    for step in x.unbind(1):
        if isinstance(core, RNN):
            state = core(step[:, None], state=state)[1]
        else:
            state = (core(step[:, None], None if state is None else state[0])[1],)
        kept.append(state[-1] if is_lstm else state[0])
    last = kept[-1]
    signs = torch.randint(2, last.shape, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0
    found = torch.autograd.grad((last * signs).sum(), kept[:-1])
    return torch.stack([one.norm(dim=2).mean() for one in found]).flip(0)


def factor_per_step(norms: Tensor, near: int, far: int) -> float:
    """Geometric mean factor of the gradient per step between two lags of norms [T - 1], which start at lag 1."""
    return math.exp(float(norms[far - 1].double().log() - norms[near - 1].double().log()) / (far - near))


def carousel(forget_bias: float) -> float:
    """Factor per step of an LSTM's cell gradient when neither input nor recurrent weights reach the gates.

    It is the forget gate, the sigmoid of its bias. Measured on the recurrent core with those weights set to 0.
    """
    core = RNN(2, 4)
    with torch.no_grad():
        for name, parameter in core.core.named_parameters():
            if name.startswith("weight"):
                parameter.zero_()
            elif name.startswith("bias_ih"):
                parameter.chunk(4)[1].fill_(forget_bias)
    return factor_per_step(gradients_by_lag(core, torch.rand(2, 30, 2)), 1, 25)


@seeded
def run(seed: int, line: Line) -> Report:
    """Both networks on the adding problem of 100 steps, and their gradients before and after training."""
    generator = torch.Generator().manual_seed(seed)
    lstm, simple = ManyToOne(2, _HIDDEN, 1), LastOutput(2, 2 * _HIDDEN, 1)
    x, y = adding_problem(_TEST_ROWS, LENGTH, generator)
    networks: dict[str, tuple[nn.Module, RNN | nn.RNN]] = {
        "LSTM": (lstm, lstm.rnn),
        "simple network": (simple, simple.rnn.core),
    }
    findings = []
    for bias in (1.0, 6.0):
        gate, factor = torch.tensor(bias).sigmoid().item(), carousel(bias)
        findings.append(
            Finding(
                f"LSTM: cell gradient per step, forget bias {bias:g}",
                f"{gate:.4f}, the forget gate",
                f"{factor:.4f}",
                abs(factor - gate) < 1e-3,
            )
        )
    before = {name: gradients_by_lag(core, x[:_LAG_ROWS]) for name, (_, core) in networks.items()}
    largest = float(torch.linalg.matrix_norm(simple.rnn.core.get_parameter("weight_hh_l0").detach(), 2))
    initial = factor_per_step(before["simple network"], _NEAR, _FAR)
    findings.append(
        Finding(
            "simple network: gradient per step at the start",
            f"below {largest:.3f}, the largest singular value (Pascanu et al. 2013)",
            f"{initial:.3f}",
            initial < largest,
        )
    )
    curves, after = {}, {}
    for name, (network, core) in networks.items():
        curves[name] = learn_adding(network, length=LENGTH, steps=_STEPS, generator=generator, every=_STEPS // 30)
        error = adding_error(network, x, y)
        after[name] = gradients_by_lag(core, x[:_LAG_ROWS])
        line(f"{name}: mean squared error {error:.4f} after {_STEPS} steps")
        is_lstm = name == "LSTM"
        findings.append(
            Finding(
                f"{name}: adding problem, {LENGTH} steps",
                f"{'below' if is_lstm else 'near'} {CONSTANT_ERROR:.3f}, the error of a constant",
                f"{error:.4f}",
                error < 0.1 * CONSTANT_ERROR if is_lstm else error > 0.5 * CONSTANT_ERROR,
            )
        )
    trained = {name: factor_per_step(norms, _NEAR, _FAR) for name, norms in after.items()}
    findings.append(
        Finding(
            "gradient per step after training",
            "LSTM near 1",
            f"LSTM {trained['LSTM']:.3f}, simple network {trained['simple network']:.3f}",
            trained["LSTM"] > 0.95,
        )
    )
    notes = (
        f"LSTM of {_HIDDEN} units, simple network of {2 * _HIDDEN}; the same optimizer and {_STEPS} steps of {_BATCH} "
        f"sequences, whose lengths rise from {_SHORTEST} to {LENGTH} in the first {_GROWTH:.0%}.",
    )
    return Report(tuple(findings), _figure(curves, before, after), notes)


def _figure(
    curves: dict[str, tuple[list[int], list[float]]], before: dict[str, Tensor], after: dict[str, Tensor]
) -> np.ndarray:
    errors = [Curve(name, *points) for name, points in curves.items()]
    ends = [0, _STEPS]
    errors.append(Curve("best constant", ends, [CONSTANT_ERROR] * 2, dashed=True))
    lags = list(range(1, LENGTH))
    gradients = [
        Curve(f"{name}, {when}", lags, norms[name].tolist(), dashed=when == "at the start", colour=colour)
        for colour, name in enumerate(before)
        for when, norms in (("at the start", before), ("trained", after))
    ]
    return plots(
        [
            Plot(errors, f"Adding problem, up to {LENGTH} steps", "gradient steps", "mean squared error", log_y=True),
            Plot(gradients, "Gradient of the last state", "lag (steps)", "norm", log_y=True),
        ],
        size=(480, 320),
    )
