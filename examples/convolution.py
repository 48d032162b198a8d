"""Convolution and pooling by hand, and what pooling is for.

A kernel slides over an image; each output is the sum of the products under it. Pooling keeps the largest value of each
window, so that a feature may move a little. The lab's own layers give the same numbers:

    python examples/convolution.py
"""

from typing import NamedTuple

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from lab.nets.layers import Conv2d

Map = list[list[float]]

IMAGE: Map = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
KERNEL: Map = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
DIAGONAL: Map = [[1, 0], [0, 1]]
EDGE: Map = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]  # dark at the left, bright at the right (Sobel)


class Moved(NamedTuple):
    """Relative change of a feature map when its image moves by a pixel: as it is, and pooled over 2 x 2 and 4 x 4."""

    unpooled: float
    pooled_2: float
    pooled_4: float


def window(image: Map, row: int, column: int, size: int) -> list[float]:
    """The size x size values from (row, column) on, row by row."""
    return [value for line in image[row : row + size] for value in line[column : column + size]]


def convolve(image: Map, kernel: Map) -> Map:
    """The sum of products at each place where the kernel lies inside: [H, W] by [K, K] -> [H - K + 1, W - K + 1].

    The kernel is not turned over, as in every network; mathematics calls it cross-correlation.
    """
    size = len(kernel)
    rows, columns = range(len(image) - size + 1), range(len(image[0]) - size + 1)
    return [[sum_of_products(window(image, row, column, size), kernel) for column in columns] for row in rows]


def sum_of_products(values: list[float], kernel: Map) -> float:
    """Each value times its weight, added up: the weighted sum of a neuron that sees one window alone."""
    return sum(value * weight for value, weight in zip(values, window(kernel, 0, 0, len(kernel)), strict=True))


def pool(values: Map, size: int) -> Map:
    """The largest value of each size x size window, side by side: [H, W] -> [H / size, W / size]."""
    starts = range(0, len(values), size)
    return [[max(window(values, row, column, size)) for column in starts] for row in starts]


def by_the_lab(images: Tensor, kernel: Map) -> Tensor:
    """Feature maps of images [B, 1, H, W] by the lab's convolution layer without padding."""
    layer = Conv2d(1, 1, len(kernel), padding=0, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(kernel, dtype=torch.float32))
        return layer(images)


def moved() -> Moved:
    """How much the edges of handwritten digits change when every digit moves one pixel to the left."""
    digits = torch.from_numpy(load_digits().images).float()[:, None] / 16.0  # [N, 1, 8, 8]
    wide = pad(digits, (3, 4, 1, 1))  # margins, so that no edge leaves the feature maps [N, 1, 8, 12]
    maps = [by_the_lab(images, EDGE).relu() for images in (wide[..., :-1], wide[..., 1:])]
    changes = []
    for size in (1, 2, 4):
        before, after = (max_pool2d(part, size) for part in maps)
        changes.append(float((after - before).norm() / before.norm()))
    return Moved(*changes)


def lines(*maps: Map) -> str:
    """Maps side by side."""
    height = max(len(values) for values in maps)
    columns = [[" ".join(map(str, row)) for row in values] for values in maps]
    padded = [[*rows, *[" " * len(rows[0])] * (height - len(rows))] for rows in columns]
    return "\n".join("    ".join(rows).rstrip() for rows in zip(*padded, strict=True))


def show(title: str, *maps: Map) -> None:
    print(f"{title}\n{lines(*maps)}\n")


def main() -> None:
    found = convolve(IMAGE, KERNEL)
    show("image, kernel, feature map", IMAGE, KERNEL, found)
    products = zip(window(IMAGE, 0, 0, 3), window(KERNEL, 0, 0, 3), strict=True)
    print(f"its first value: {' + '.join(f'{a} x {b}' for a, b in products)} = {found[0][0]}")
    same = by_the_lab(torch.tensor(IMAGE, dtype=torch.float32)[None, None], KERNEL)[0, 0].int().tolist()
    print(f"the lab's layer: {same}\n")
    diagonal = convolve(IMAGE, DIAGONAL)
    show("another kernel, its feature map, the largest value of every 2 x 2", DIAGONAL, diagonal, pool(diagonal, 2))
    change = moved()
    print("1,797 digits move by one pixel; so much do the feature maps of their left edges change:")
    print(f"  {change.unpooled:.0%}, pooled over 2 x 2 {change.pooled_2:.0%}, pooled over 4 x 4 {change.pooled_4:.0%}")


if __name__ == "__main__":
    main()
