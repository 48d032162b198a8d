"""Counter-based random numbers: every draw is a pure function of a seed and integer counters.

A generator with hidden state would make a game depend on the batch it is played in, on the worker and on retries.
Here the counters (game id, ply, stream ...) name the draw, and any device computes it. The hash is the finaliser of
SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014, fig. 14), chained over
the counters; multiplication wraps modulo 2**64 in int64 tensors.
"""

import math
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_C1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_C2 = -7723592293110705685  # 0x94D049BB133111EB
_MASK = (1 << 64) - 1


class Stream(IntEnum):
    """The purpose of a draw. It is one of the counters, so that two purposes never share numbers."""

    ROOT_GUMBEL = 1
    ROOT_DIRICHLET = 2
    MOVE_SAMPLING = 3
    RANDOM_OPENING = 4
    REPLAY_ORDER = 5
    SYMMETRY = 6
    ROLLOUT = 7
    RANDOM_PLAYER = 8
    RESIGNATION_AUDIT = 9
    LATENT = 10
    INTERPOLATE = 11
    FLIP = 12
    AUGMENT = 13
    SAMPLE = 14
    LABEL = 15
    EXAMPLE = 16
    HELD_OUT = 17
    TEACHER = 18
    WINDOW = 19
    ACTION = 20
    MINIBATCH = 21
    EVALUATION = 22
    INITIAL_POSITION = 23
    PLAYOUT_CAP = 24
    SURPRISE = 25
    REANALYSE = 26
    SERIES = 32
    UNKNOWN_WORD = 40
    ESSAY = 41


def _logical_shift_right(x: Tensor, bits: int) -> Tensor:
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _logical_shift_right(x, 30)) * _C1
    x = (x ^ _logical_shift_right(x, 27)) * _C2
    return x ^ _logical_shift_right(x, 31)


def _mix_int(x: int) -> int:
    """`_mix` of one unsigned Python integer, without an operation on the device."""
    x = (x ^ (x >> 30)) * _C1 & _MASK
    x = (x ^ (x >> 27)) * _C2 & _MASK
    return x ^ (x >> 31)


def _signed(x: int) -> int:
    return (x + (1 << 63)) % (1 << 64) - (1 << 63)


def _mix_array(x: np.ndarray) -> np.ndarray:
    """`_mix` of uint64, in place."""
    x ^= x >> 30
    x *= _C1 & _MASK
    x ^= x >> 27
    x *= _C2 & _MASK
    x ^= x >> 31
    return x


_FEW = 2**15  # elements up to which a call of torch costs more than its work


def _few_bits(known: int, counters: tuple[Tensor | int, ...]) -> np.ndarray | None:
    """The bits as uint64 by numpy, whose calls cost a third of torch's.

    None unless the counters are few, on a CPU, and one of them has a dimension.
    """
    tensors = [c for c in counters if isinstance(c, Tensor)]
    if any(type(c) is not Tensor or c.device.type != "cpu" for c in tensors) or torch.compiler.is_compiling():
        return None
    if not 0 < math.prod(c.numel() for c in tensors) <= _FEW or all(c.dim() == 0 for c in tensors):
        return None
    h = np.full(1, known, np.uint64)  # not 0-d: numpy warns of scalars that wrap
    for c in counters:
        if isinstance(c, Tensor):
            number = c.numpy().astype(np.int64, copy=False).view(np.uint64)
            h = _mix_array(h + (number.reshape(c.shape or 1) + 1) * (_GOLDEN & _MASK))
        else:
            h = _mix_array(h + ((int(c) + 1) * _GOLDEN & _MASK))
    return h


def random_bits(seed: int, *counters: Tensor | int, device: torch.device | None = None) -> Tensor:
    """64 random bits per element: int64 of the counters' broadcast shape.

    `counters` are integers or int64 tensors; the result lies on the device of the first tensor among them, else on
    `device`.
    """
    bits = _bits(seed, counters, device)
    return torch.from_numpy(bits.view(np.int64)) if isinstance(bits, np.ndarray) else bits


def _bits(seed: int, counters: tuple[Tensor | int, ...], device: torch.device | None) -> Tensor | np.ndarray:
    """64 random bits per element: int64 as a tensor, or uint64 as an array."""
    on = next((c.device for c in counters if isinstance(c, Tensor)), device)
    # Integers before the first tensor are mixed on the CPU: each step on the device is a dozen small operations.
    first = next((i for i, c in enumerate(counters) if isinstance(c, Tensor)), len(counters))
    known = _mix_int(seed + _GOLDEN & _MASK)
    for number in counters[:first]:
        known = _mix_int(known + (int(number) + 1) * _GOLDEN & _MASK)
    if first == len(counters):
        return torch.full((), _signed(known), dtype=torch.int64, device=on)
    few = _few_bits(known, counters[first:])
    if few is not None:
        return few
    tensor, *others = counters[first:]
    assert isinstance(tensor, Tensor)
    h = _mix((tensor + 1) * _GOLDEN + _signed(known))
    for c in others:
        step = (c + 1) * _GOLDEN
        h = _mix(h + (step if isinstance(step, Tensor) else _signed(step)))
    return h


def uniform(seed: int, *counters: Tensor | int, device: torch.device | None = None) -> Tensor:
    """Uniform float32 strictly inside (0, 1)."""
    # 23 bits and a half: the largest value, 1 - 2**-24, is still a float32 below 1, so that logarithms stay finite.
    bits = _bits(seed, counters, device)
    if isinstance(bits, np.ndarray):
        return torch.from_numpy(((bits >> 41).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-23))
    bits = _logical_shift_right(bits, 41)
    return (bits.to(torch.float32) + 0.5) * 2.0**-23


def gumbel(seed: int, *counters: Tensor | int, device: torch.device | None = None) -> Tensor:
    """Standard Gumbel float32."""
    return -torch.log(-torch.log(uniform(seed, *counters, device=device)))


def integers(high: int | Tensor, seed: int, *counters: Tensor | int, device: torch.device | None = None) -> Tensor:
    """int64 in [0, high); the bias of the modulo is below high / 2**62."""
    return _logical_shift_right(random_bits(seed, *counters, device=device), 2) % high


def normal(seed: int, *counters: Tensor | int, device: torch.device | None = None) -> Tensor:
    """Standard normal float32 (Box and Muller 1958)."""
    on = next((c.device for c in counters if isinstance(c, Tensor)), device)
    dims = max((c.dim() for c in counters if isinstance(c, Tensor)), default=0)
    # Both numbers in one call: they share the hash of all counters but the last.
    which = torch.arange(2, device=on).view(2, *[1] * dims)
    first, second = uniform(seed, *counters, which).unbind()
    return torch.sqrt(-2.0 * torch.log(first)) * torch.cos(2.0 * math.pi * second)


_GAMMA_ROUNDS = 12  # each round accepts more than 95%: all twelve fail less than once in 1e15 draws


def gamma(alpha: float, seed: int, *counters: Tensor | int, device: torch.device | None = None) -> Tensor:
    """Gamma(alpha, 1) float32, by a fixed number of rounds of rejection (Marsaglia and Tsang 2000).

    The fixed number keeps shapes static and avoids host synchronisation. alpha below 1 uses their boost
    Gamma(alpha) = Gamma(alpha + 1) * U**(1 / alpha).
    """
    shape = alpha + 1.0 if alpha < 1.0 else alpha
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    rounds = []
    for r in range(_GAMMA_ROUNDS):
        x = normal(seed, *counters, r, device=device)
        v = (1.0 + c * x) ** 3
        log_u = torch.log(uniform(seed, *counters, r, 2, device=device))
        safe_v = v.clamp_min(1e-30)
        accepted = (v > 0) & (log_u < 0.5 * x * x + d - d * v + d * torch.log(safe_v))
        rounds.append(torch.where(accepted, d * v, torch.nan))
    draw = rounds[-1].nan_to_num(d)
    for candidate in reversed(rounds[:-1]):
        draw = torch.where(candidate.isnan(), draw, candidate)
    if alpha < 1.0:
        draw = draw * uniform(seed, *counters, _GAMMA_ROUNDS, 3, device=device) ** (1.0 / alpha)
    return draw


def dirichlet(alpha: float, legal: Tensor, seed: int, *counters: Tensor | int, actions: Tensor | None = None) -> Tensor:
    """Dirichlet(alpha, ..., alpha) over the legal actions.

    legal: bool [B, A]; counters broadcast to [B, 1]. Returns float32 [B, A], 0 on illegal actions, rows summing to 1.
    actions: int64 [A] or [B, A], the last counter, by default the column.
    """
    if actions is None:
        actions = torch.arange(legal.shape[-1], device=legal.device)
    draws = gamma(alpha, seed, *counters, actions).clamp_min(1e-30) * legal
    return draws / draws.sum(-1, keepdim=True).clamp_min(1e-30)
