"""Optimizers: one factory for all kinds, setting the learning rate, loading a state."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lab.train.config import OptimizerConfig
from lab.train.muon import Muon
from lab.train.schedules import value_at


def make_optimizer(
    network: nn.Module, config: OptimizerConfig, *, heads: Collection[nn.Module] = ()
) -> torch.optim.Optimizer:
    """The configured optimizer of all trainable parameters, without weight decay of biases and norms (one dimension).

    heads: modules that end in an output layer, which Muon leaves to AdamW or SGD; the other optimizers ignore it.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    weights = [parameter for parameter in trained if parameter.dim() > 1]
    undecayed = [parameter for parameter in trained if parameter.dim() <= 1]
    decay, rate = config.weight_decay, value_at(config.learning_rate, 0)
    betas = (config.beta1, config.beta2)
    groups = [{"params": weights, "weight_decay": decay}, {"params": undecayed, "weight_decay": 0.0}]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, rate, config.momentum, nesterov=config.momentum > 0, fused=True)
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, rate, betas, config.epsilon, fused=True)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, rate, betas, config.epsilon, fused=True)
    not_hidden, options = _ids_not_hidden(network, heads), config.muon
    outer: dict[str, Any] = {"params": [p for p in weights if id(p) in not_hidden], "weight_decay": decay}
    vectors: dict[str, Any] = {"params": undecayed, "weight_decay": 0.0}
    if options.others == "sgd":
        common = {"weight_decay": options.others_decay, "momentum": options.others_momentum}
        outer |= {"fraction": options.head_fraction, **common}
        vectors |= {"fraction": options.bias_fraction, **common}
    return Muon(
        [
            {"params": [p for p in weights if id(p) not in not_hidden], "weight_decay": decay, "orthogonal": True},
            outer,
            vectors,
        ],
        lr=rate,
        momentum=config.momentum,
        betas=betas,
        adamw_fraction=config.adamw_fraction,
        eps=config.epsilon,
        steps=options.newton_schulz_steps,
        normalise=options.normalise_weights,
        sgd=options.others == "sgd",
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate of all parameters for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load what `optimizer.state_dict()` returned. Raises ValueError if parameters or optimizer differ.

    A checkpoint does not keep the memory layout. Moments get the layout of their parameters, as fused steps need.
    """
    own = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    wrong = "settings"
    try:
        optimizer.load_state_dict(dict(state))
        wrong = _damaged_settings(optimizer, own)
    finally:
        # The configuration's settings count, also for the checkpoint that is tried after a damaged one. The rate is
        # set before each step; that of a sound state is kept, so that saving it again gives the same state.
        for group, settings in zip(optimizer.param_groups, own, strict=True):
            group.update({key: value for key, value in settings.items() if wrong or key != "lr"})
    if wrong:
        raise ValueError(f"the optimizer's {wrong} are damaged")
    for parameter, moments in optimizer.state.items():
        for name, moment in moments.items():
            if name == "step":
                if not _is_step(moment):
                    raise ValueError("a number of steps is damaged")
                continue
            if moment is None and name == "momentum_buffer":  # SGD without momentum
                continue
            if not isinstance(moment, Tensor):
                raise ValueError(f"{name} is no tensor")
            if moment.shape != parameter.shape:
                raise ValueError(f"{name} is {list(moment.shape)} and its parameter {list(parameter.shape)}")
            moments[name] = torch.empty_like(parameter).copy_(moment)


def _damaged_settings(optimizer: torch.optim.Optimizer, own: Sequence[Mapping[str, Any]]) -> str:
    """Names of settings just loaded that are of another type than the optimizer's own, or "moments"; "" if sound."""
    for group, settings in zip(optimizer.param_groups, own, strict=True):
        wrong = [key for key, value in settings.items() if not _is_like(value, group.get(key))]
        states = [optimizer.state[parameter] for parameter in group["params"] if optimizer.state.get(parameter)]
        if wrong or any(one.keys() != states[0].keys() for one in states):
            return ", ".join(wrong) or "moments"
    return ""


def _is_like(own: Any, loaded: Any) -> bool:
    """Whether a setting of an optimizer that was loaded is of the type of its own: a finite number, a pair, a flag."""
    if isinstance(own, bool) or own is None:
        return isinstance(loaded, bool) or loaded is None
    if isinstance(own, tuple | list):
        return isinstance(loaded, tuple | list) and len(loaded) == len(own) and all(map(_is_like, own, loaded))
    return isinstance(loaded, int | float) and not isinstance(loaded, bool) and math.isfinite(loaded)


def _is_step(value: Any) -> bool:
    """Whether a value can be the number of steps of a parameter: a tensor with one number from 0 on."""
    return isinstance(value, Tensor) and value.shape == () and 0 <= float(value) < math.inf


def _ids_not_hidden(network: nn.Module, heads: Collection[nn.Module]) -> set[int]:
    """Ids of the weights of embeddings and of output layers (the last weight of each head)."""
    embeddings = [module.weight for module in network.modules() if isinstance(module, nn.Embedding)]
    outputs = [[weight for weight in head.parameters() if weight.dim() > 1][-1] for head in heads]
    return {id(weight) for weight in (*embeddings, *outputs)}
