"""BatchNorm over a batch that is spread over ranks: the statistics are those of the whole (Ioffe and Szegedy 2015)."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lab.train.collectives import summed


class GlobalBatchNorm(_BatchNorm):
    """What nn.BatchNorm1d or 2d computes in one process on the whole batch. [B, C, ...] -> the same.

    torch's SyncBatchNorm does not run on CPUs. In training every rank must call it as often as the others.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected [B, C, ...], got {input.dim()} dimensions")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        values = x.float()
        axes = [axis for axis in range(x.dim()) if axis != 1]
        shape = [1, -1, *[1] * (x.dim() - 2)]
        # The mean first: sums of squares alone lose the digits of a small spread around a large mean.
        size = values.new_tensor([values.numel() // values.shape[1]])
        sums = summed(torch.cat([values.sum(axes), size]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean.view(shape)
        variance = summed((centred * centred).sum(axes)) / count
        self._track(mean.detach(), (variance * (count / (count - 1).clamp(min=1))).detach())
        normal = centred * torch.rsqrt(variance + self.eps).view(shape)
        return (normal * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


def with_global_norms(network: nn.Module) -> nn.Module:
    """The network itself with each BatchNorm replaced, parameters, statistics and their names kept."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            norm = GlobalBatchNorm(child.num_features, child.eps, child.momentum)
            norm.weight, norm.bias = child.weight, child.bias
            norm._buffers.update(child._buffers)
            setattr(network, name, norm.train(child.training))
        else:
            with_global_norms(child)
    return network
