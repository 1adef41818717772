"""The network as a PyTorch user would write it, to compare results and speed with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn


class TorchIBN(nn.Module):
    """Instance norm on the first half of the channels, batch norm on the rest."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.half = planes // 2
        self.IN = nn.InstanceNorm2d(self.half, affine=True)
        self.BN = nn.BatchNorm2d(planes - self.half)

    def forward(self, x: Any) -> Any:
        """Run the layer."""
        return torch.cat([self.IN(x[:, : self.half]), self.BN(x[:, self.half :])], 1)


class TorchBlock(nn.Module):
    """A bottleneck; `short` is None where the input is added as it is."""

    def __init__(self, inputs: int, planes: int, stride: int, ibn: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.norm1 = TorchIBN(planes) if ibn else nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(4 * planes)
        self.short = None
        if stride > 1 or inputs != 4 * planes:
            self.short = nn.Conv2d(inputs, 4 * planes, 1, stride, bias=False)
            self.short_norm = nn.BatchNorm2d(4 * planes)

    def forward(self, x: Any) -> Any:
        """Run the layer."""
        y = torch.relu(self.norm1(self.conv1(x)))
        y = torch.relu(self.norm2(self.conv2(y)))
        y = self.norm3(self.conv3(y))
        return torch.relu(y + (self.short_norm(self.short(x)) if self.short else x))


class TorchResNetIBN(nn.Module):
    """ResNet with IBN-a and last stride 1, in the usual torch idiom."""

    def __init__(self, blocks: Sequence[int], width: int, ibn: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 7, 2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        layers, inputs = [], width
        for stage, count in enumerate(blocks):
            planes = width * 2**stage
            for block in range(count):
                stride = 2 if block == 0 and stage in (1, 2) else 1
                layers.append(TorchBlock(inputs, planes, stride, ibn and stage < 3))
                inputs = 4 * planes
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Any) -> Any:
        """Run the layer."""
        x = self.pool(torch.relu(self.norm(self.conv(x))))
        for layer in self.layers:
            x = layer(x)
        return x


class TorchByteCover(nn.Module):
    """Features (batch, bins, frames) to unit-norm f_c, with a model's weights.

    Args:
        model: a `bytecover_tf.ByteCover` with GeM, BNNeck and no projection.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone = TorchResNetIBN(
            model.architecture.blocks, model.architecture.width, model.architecture.ibn
        )
        self.neck = nn.BatchNorm1d(model.dim)
        self.p = nn.Parameter(torch.tensor(float(model.pool.p.numpy())))
        self.power = model.architecture.input_power
        with torch.no_grad():
            for tensor, variable in pairs(self.backbone, model.backbone):
                tensor.copy_(torch.from_numpy(to_torch(variable.numpy())))
            norm = model.neck.batch_norm
            self.neck.weight.copy_(torch.from_numpy(norm.gamma.numpy()))
            self.neck.running_mean.copy_(torch.from_numpy(norm.moving_mean.numpy()))
            self.neck.running_var.copy_(torch.from_numpy(norm.moving_variance.numpy()))
        self.eval()

    def forward(self, features: Any) -> Any:
        """Return unit-norm f_c (batch, dim)."""
        x = self.backbone(features[:, None] ** self.power)
        f_t = x.clamp(min=1e-6).pow(self.p).mean(dim=(2, 3)).pow(1 / self.p)
        return nn.functional.normalize(self.neck(f_t))


def pairs(torch_model: TorchResNetIBN, keras_model: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each torch tensor beside the Keras variable that means the same."""

    def conv(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
        yield a.weight, b.kernel

    def batch(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
        yield a.weight, b.gamma
        yield a.bias, b.beta
        yield a.running_mean, b.moving_mean
        yield a.running_var, b.moving_variance

    def norm(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
        if isinstance(a, TorchIBN):
            yield a.IN.weight, b.instance_norm.gamma
            yield a.IN.bias, b.instance_norm.beta
            yield from batch(a.BN, b.batch_norm)
        else:
            yield from batch(a, b)

    yield from conv(torch_model.conv, keras_model.stem_conv)
    yield from batch(torch_model.norm, keras_model.stem_norm)
    for a, b in zip(torch_model.layers, keras_model.bottlenecks, strict=True):
        for index in ("1", "2", "3"):
            yield from conv(getattr(a, "conv" + index), getattr(b, "conv" + index))
            yield from norm(getattr(a, "norm" + index), getattr(b, "norm" + index))
        if a.short:
            yield from conv(a.short, b.shortcut)
            yield from batch(a.short_norm, b.shortcut_norm)


def to_keras(tensor: Any) -> np.ndarray:
    """Return a torch tensor in Keras's order of axes."""
    array = tensor.detach().numpy()
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def to_torch(array: np.ndarray) -> np.ndarray:
    """Return a Keras array in torch's order of axes."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
