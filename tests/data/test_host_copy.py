"""Copies in main memory of tensors that may change meanwhile."""

import torch

from devices import DEVICE
from onecycle.data.host_copy import HostCopy


def test_it_is_the_tensor_as_it_was_on_an_accelerator() -> None:
    tensor = torch.arange(4.0).to(DEVICE).requires_grad_()
    copy = HostCopy(tensor * 2)
    assert copy.wait().tolist() == copy.wait().tolist() == [0.0, 2.0, 4.0, 6.0]
    assert copy.wait().device.type == "cpu"
    assert not copy.wait().requires_grad
