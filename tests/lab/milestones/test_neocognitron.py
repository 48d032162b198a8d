"""The Neocognitron: cells, competition, and tolerance of shifts."""

import torch

from lab.milestones.neocognitron import accuracy, c_cells, compete, digits, learn, s_cells


def test_an_s_cell_responds_to_its_template_at_any_brightness() -> None:
    template = torch.zeros(1, 1, 3, 3)
    template[0, 0, 1] = 3.0**-0.5
    image = torch.zeros(2, 1, 9, 9)
    image[0, 0, 4, 3:6] = 1.0  # a short line along the template
    image[1, 0, 3:6, 4] = 1.0  # and one across
    response = s_cells(image, template, 0.6)[:, 0, 4, 4]
    assert response[0] > 0.2 and response[1] == 0.0
    assert torch.allclose(s_cells(0.1 * image, template, 0.6), s_cells(image, template, 0.6), atol=1e-5)


def test_c_cells_change_less_than_s_cells_when_the_input_moves() -> None:
    x = torch.zeros(1, 1, 16, 16)
    x[0, 0, 7:10, 7:10] = 1.0

    def change(pooled: bool) -> float:
        here, moved = c_cells(x, 2, pooled), c_cells(x.roll(1, 3), 2, pooled)
        return float((here - moved).norm() / here.norm())

    assert change(True) < 0.6 < change(False)


def test_competition_finds_separate_directions() -> None:
    generator = torch.Generator().manual_seed(0)
    axes = torch.eye(3).repeat_interleave(50, 0)
    templates = compete(axes + 0.1 * torch.rand(150, 3, generator=generator), 3, generator)
    assert templates.argmax(1).unique().numel() in (2, 3)
    assert torch.allclose(templates.norm(dim=1), torch.ones(3))


def test_pooling_keeps_shifted_digits_recognisable() -> None:
    images, labels = digits()
    generator = torch.Generator().manual_seed(0)
    found = []
    for pooled in (True, False):
        network = learn(images[:450], labels[:450], pooled=pooled, generator=generator)
        found.append([accuracy(network, images[450:500], labels[450:500], shift) for shift in (0, 4)])
    (still, moved), (bare_still, bare_moved) = found
    assert still > 0.6 and moved > still - 0.15
    assert bare_moved < bare_still - 0.2
