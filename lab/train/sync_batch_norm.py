"""BatchNorm (Ioffe and Szegedy 2015) with the statistics of a batch that is divided among ranks."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lab.train.collectives import all_reduce_sum


class SyncBatchNorm(_BatchNorm):
    """Equals nn.BatchNorm1d or 2d on the whole batch in one process. [B, C, ...] -> the same shape.

    nn.SyncBatchNorm does not run on CPUs. In training all ranks must call it the same number of times.
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
        # Two passes: a sum of squares is inexact if the variance is small compared with the mean.
        size = values.new_tensor([values.numel() // values.shape[1]])
        sums = all_reduce_sum(torch.cat([values.sum(axes), size]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean.view(shape)
        variance = all_reduce_sum((centred * centred).sum(axes)) / count
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


def convert_batch_norms(network: nn.Module) -> nn.Module:
    """Replace each BatchNorm in the network and return it; parameters, statistics and names stay the same."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            norm = SyncBatchNorm(child.num_features, child.eps, child.momentum)
            norm.weight, norm.bias = child.weight, child.bias
            norm._buffers.update(child._buffers)
            setattr(network, name, norm.train(child.training))
        else:
            convert_batch_norms(child)
    return network
