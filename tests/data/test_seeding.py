import torch

from onecycle.data.seeding import seeded


def test_seeded_depends_on_all_numbers_in_their_order() -> None:
    drawn = [torch.rand(4, generator=seeded(*numbers)).tolist() for numbers in ((1, 2), (2, 1), (1, 2, 0), (-1, 2))]
    assert len({tuple(values) for values in drawn}) == 4
    assert torch.rand(4, generator=seeded(1, 2)).tolist() == drawn[0]
