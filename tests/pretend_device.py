"""A pretended CUDA device without a GPU: tensors on it are CPU tensors whose memory carries a tag.

What Python asks of a tensor (its device, moves, factories with `device=`) is answered by `_Answers`; every operation of
torch, forward and backward, is checked by `_Checks`: where tensors of two devices meet, it raises what CUDA raises; and
where a stream uses what another one computes without waiting for it, which CUDA does not notice, it raises as well.
Everything is computed on the CPU, so results are the CPU's. Copies and synchronisations are counted, each with the line
of the library that asked for it. `pytest --device pretend` runs any test on it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
SYNC, ASYNC = "synchronisation", "asynchronous copy"

aten = torch.ops.aten
_LIBRARY = f"{os.sep}src{os.sep}onecycle{os.sep}"
_COPIES = {aten.copy_.default, aten._to_copy.default, aten._foreach_copy_.default}
_BOTH_DEVICES = {*_COPIES, aten.set_.source_Tensor, aten.is_same_size.default}
_INDEXING = {"index", "index_put_", "index_put", "_index_put_impl_", "_unsafe_index"}
# CUDA takes a CPU tensor of no dimension for a number, except here.
_NO_NUMBERS = {"cat", "stack", "equal", "mm", "addmm", "bmm", "baddbmm", "gather", "index_select", "embedding",
               "scatter", "scatter_", "isin"}  # fmt: skip
# Their results, or the sizes of these, are read back before the call returns.
_SYNCHRONISING = {"_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "unique_dim", "bincount",
                  "repeat_interleave", "is_nonzero"}  # fmt: skip


@dataclass
class Traffic:
    """Copies and synchronisations, counted by kind and by the line of the library that asked for them."""

    events: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, kind: str) -> int:
        return sum(number for (one, _), number in self.events.items() if one == kind)

    def __str__(self) -> str:
        return "\n".join(f"{number:4} {kind}: {place}" for (kind, place), number in self.events.most_common())


_recording: list[Traffic] = []


@contextmanager
def recorded() -> Iterator[Traffic]:
    """Count copies and synchronisations while the context lasts."""
    _recording.append(traffic := Traffic())
    try:
        yield traffic
    finally:
        _recording.remove(traffic)


def _note(kind: str) -> None:
    if not _recording:
        return
    frame = sys._getframe()
    while frame is not None and _LIBRARY not in frame.f_code.co_filename:
        frame = frame.f_back
    place = f"{frame.f_code.co_filename.split(_LIBRARY)[-1]}:{frame.f_lineno}" if frame else "outside the library"
    for traffic in _recording:
        traffic.events[kind, place] += 1


def _has(tensor: Tensor, tag: str) -> bool:
    try:
        return bool(getattr(tensor.untyped_storage(), tag, False))
    except (NotImplementedError, RuntimeError, ValueError):  # sparse, or of a subclass without memory as yet
        return False


def _on_gpu(tensor: Tensor) -> bool:
    return _has(tensor, "_on_gpu")


def _device_of(tensor: Tensor) -> torch.device:
    return GPU if _on_gpu(tensor) else tensor.device


def _tag(tensor: Tensor, tag: str = "_on_gpu", value: bool = True) -> Tensor:
    storage = tensor.untyped_storage()
    setattr(storage, tag, value)
    if tag == "_on_gpu" and value:
        storage._written_by = Stream.current().write()
    return tensor


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def _two_devices(function: Any) -> RuntimeError:
    return RuntimeError(
        "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
        f"(pretended, in {function})"
    )


class _Checks(TorchDispatchMode):
    """Sees every operation, those of the backward pass too."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = function._schema.name.removeprefix("aten::")
        tensors = _tensors((args, kwargs))
        on_gpu = [_on_gpu(tensor) for tensor in tensors]
        if any(on_gpu):
            Stream.current().check(tensors)
            self._check(function, name, args, tensors, on_gpu)
        out = function(*args, **kwargs)
        inherits = any(on_gpu) and function not in _COPIES
        # What an operation of the device makes for itself is on the device too; a copy is where its function says.
        if inherits or (not tensors and _Answers.inside) or (function is aten._to_copy.default and any(on_gpu)):
            for tensor in _tensors(out):
                _tag(tensor)
        return out

    def _check(self, function: Any, name: str, args: Any, tensors: list[Tensor], on_gpu: list[bool]) -> None:
        if function is aten.copy_.default:
            if not all(on_gpu):
                _note(_kind_of_copy(args[1], non_blocking=len(args) > 2 and bool(args[2])))
        elif name in _INDEXING:
            self._check_indexing(function, args)
        elif function not in _BOTH_DEVICES and any(
            not there and (tensor.ndim > 0 or name in _NO_NUMBERS)
            for tensor, there in zip(tensors, on_gpu, strict=True)
        ):
            raise _two_devices(function)
        if name in _SYNCHRONISING:
            _note(SYNC)

    def _check_indexing(self, function: Any, args: Any) -> None:
        if not _on_gpu(args[0]):
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        for index in args[1]:
            if index is not None and (not _on_gpu(index) or index.dtype == torch.bool):
                _note(SYNC)  # an index is copied, or its true values are counted
        if len(args) > 2 and not _on_gpu(args[2]) and args[2].ndim:
            raise _two_devices(function)


def _kind_of_copy(source: Tensor, *, non_blocking: bool) -> str:
    """Only pinned memory is read while the program goes on; what goes to the CPU arrives in pinned memory."""
    return ASYNC if non_blocking and (_on_gpu(source) or _has(source, "_pinned")) else SYNC


def _wanted(device: Any) -> torch.device | None:
    if device is None:
        return None
    return GPU if isinstance(device, int) or torch.device(device).type == "cuda" else torch.device(device)


def _move(
    tensor: Tensor, device: torch.device | None, dtype: Any = None, memory_format: Any = None, *, copy: bool = False,
    non_blocking: bool = False,
) -> Tensor:  # fmt: skip
    here = _device_of(tensor)
    wanted: dict[str, Any] = {"dtype": dtype or tensor.dtype}
    if memory_format is not None:
        wanted["memory_format"] = memory_format
    if device is None or device == here:
        out = tensor.to(copy=copy, **wanted)
        return _tag(out) if here is GPU else out
    Stream.current().check([tensor])
    if "meta" not in (device.type, here.type):
        _note(_kind_of_copy(tensor, non_blocking=non_blocking))
    storage = tensor.untyped_storage()
    storage._on_gpu = False  # the copy itself runs as one of the CPU
    try:
        out = tensor.to(CPU if device is GPU else device, copy=True, **wanted)
    finally:
        storage._on_gpu = here is GPU
    return _tag(out, value=device is GPU)


def _to(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    other = args[0] if args else kwargs.get("other")
    if isinstance(other, Tensor):
        return _move(tensor, _device_of(other), other.dtype)
    copy = kwargs.pop("copy", False)
    device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(*args, **kwargs)
    return _move(tensor, _wanted(device), dtype, memory_format, copy=copy, non_blocking=non_blocking)


def _numpy(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
    if _on_gpu(tensor):
        raise TypeError(
            "can't convert cuda:0 device type tensor to numpy. "
            "Use Tensor.cpu() to copy the tensor to host memory first."
        )
    return tensor.numpy(*args, **kwargs)


def _array(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
    _numpy(tensor)
    return Tensor.__array__(tensor, *args, **kwargs)


def _tolist(tensor: Tensor) -> Any:
    if _on_gpu(tensor):
        _note(SYNC)
    return tensor.tolist()


def _pin_memory(tensor: Tensor, *args: Any) -> Tensor:
    if _on_gpu(tensor):
        raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
    return tensor if _has(tensor, "_pinned") else _tag(tensor.clone(), "_pinned")


def _one_hot(classes: Tensor, num_classes: int = -1) -> Tensor:
    """On CUDA the values are not checked, for which the device would be waited for."""
    if not _on_gpu(classes) or num_classes < 0:
        return torch.nn.functional.one_hot(classes, num_classes)
    return (classes[..., None] == _tag(torch.arange(num_classes))).long()


_ANSWERS: dict[Any, Callable[..., Any]] = {
    Tensor.device.__get__: _device_of,
    Tensor.is_cuda.__get__: _on_gpu,
    Tensor.is_cpu.__get__: lambda tensor: not _on_gpu(tensor),
    Tensor.to: _to,
    Tensor.cuda: lambda tensor, *args, **kwargs: _move(tensor, GPU),
    Tensor.cpu: lambda tensor, *args, **kwargs: _move(tensor, CPU),
    Tensor.numpy: _numpy,
    Tensor.__array__: _array,
    Tensor.tolist: _tolist,
    Tensor.pin_memory: _pin_memory,
    torch.nn.functional.one_hot: _one_hot,
    Tensor.is_pinned: lambda tensor, *args: _has(tensor, "_pinned"),
}
_SAME_DEVICE = {Tensor.new_tensor, Tensor.new_zeros, Tensor.new_ones, Tensor.new_full, Tensor.new_empty, Tensor.clone}
_FROM_PYTHON = {torch.tensor, torch.as_tensor, Tensor.new_tensor}


class _Answers(TorchFunctionMode):
    """Answers what Python asks of tensors."""

    inside = False  # an operation on tensors of the device

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if answer := _ANSWERS.get(function):
            return answer(*args, **kwargs)
        target = _wanted(kwargs.get("device"))
        if function is torch.as_tensor and isinstance(args[0], Tensor):
            return _move(args[0], target, kwargs.get("dtype"))
        if target is None and function in _SAME_DEVICE and _on_gpu(args[0]):
            target = GPU
        if target is GPU:
            generator = kwargs.get("generator")
            if generator is not None and generator.device.type == "cpu":
                raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
            if function in _FROM_PYTHON:
                _note(SYNC)
            if "device" in kwargs:
                kwargs["device"] = CPU
        pinned = kwargs.pop("pin_memory", False)
        # What is copied deeply comes with all that was copied before, wherever that is.
        own = args[:1] if getattr(function, "__name__", "") == "__deepcopy__" else (args, kwargs)
        outside, _Answers.inside = _Answers.inside, any(map(_on_gpu, _tensors(own)))
        try:
            out = function(*args, **kwargs)
        finally:
            _Answers.inside = outside
        for tensor in _tensors(out) if target is GPU or pinned else ():
            _tag(tensor, "_on_gpu" if target is GPU else "_pinned")
        return out


@contextmanager
def pretend_cuda() -> Iterator[None]:
    """Tensors can be on "cuda" in this thread while the context lasts."""
    with _Checks(), _Answers():
        yield


class Stream:
    """A queue of work. What it does is done at once, but others may use it only after they have waited for it."""

    _of_thread = threading.local()

    def __init__(self, device: Any = None) -> None:
        self.written, self.waited = 0, dict[Stream, int]()

    @classmethod
    def current(cls, device: Any = None) -> Stream:
        if not hasattr(cls._of_thread, "stream"):
            cls._of_thread.stream = _DEFAULT_STREAM
        stream: Stream = cls._of_thread.stream
        return stream

    @classmethod
    @contextmanager
    def use(cls, stream: Stream) -> Iterator[None]:
        before, cls._of_thread.stream = cls.current(), stream
        try:
            yield
        finally:
            cls._of_thread.stream = before

    def write(self) -> tuple[Stream, int]:
        self.written += 1
        return self, self.written

    def wait_stream(self, other: Stream) -> None:
        self.waited[other] = other.written

    def check(self, tensors: list[Tensor]) -> None:
        for tensor in tensors:
            writer, when = _written_by(tensor)
            if writer is not self and when > self.waited.get(writer, 0):
                raise RuntimeError("A stream uses what another one has not computed yet (pretended).")


_DEFAULT_STREAM = Stream()


def _written_by(tensor: Tensor) -> tuple[Stream, int]:
    try:
        written: tuple[Stream, int] = getattr(tensor.untyped_storage(), "_written_by", (_DEFAULT_STREAM, 0))
    except (NotImplementedError, RuntimeError):
        return _DEFAULT_STREAM, 0
    return written


class _Event:
    """An event whose work is done as soon as it is recorded; to wait for it is a synchronisation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def record(self, *args: Any) -> None: ...

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        _note(SYNC)


def install() -> ExitStack:
    """Pretend from now on, in all threads, until the stack that is returned is closed."""
    os.environ["ACCELERATE_TORCH_DEVICE"] = "cuda"
    torch.cuda.mem_get_info = lambda *args: (8 << 30, 16 << 30)  # type: ignore[assignment]
    torch.cuda.is_bf16_supported = lambda including_emulation=True: True  # type: ignore[assignment]
    torch.cuda.get_device_capability = lambda device=None: (7, 0)  # without TF32
    torch.cuda.init = lambda: None
    torch.cuda.current_device = lambda: 0
    torch.cuda.default_generators = (torch.Generator(),)  # type: ignore[assignment]
    torch.cuda.Stream = Stream  # type: ignore[misc, assignment]
    torch.cuda.stream = Stream.use  # type: ignore[assignment]
    torch.cuda.current_stream = Stream.current  # type: ignore[assignment]
    torch.cuda.Event = _Event  # type: ignore[misc, assignment]
    Tensor.record_stream = lambda self, stream: None  # type: ignore[assignment, method-assign]
    torch.nn.RNNBase.flatten_parameters = lambda self: None  # type: ignore[assignment, method-assign]  # cuDNN's alone
    autocasts = torch.is_autocast_enabled
    torch.is_autocast_enabled = lambda device="cuda": autocasts("cpu" if device == "cuda" else device)
    _rename_device(torch.amp.autocast_mode.autocast)
    _rename_device(torch.amp.GradScaler)
    torch.nn.utils.clip_grad._group_tensors_by_device_and_dtype = _grouped  # type: ignore[attr-defined]
    run = threading.Thread.run

    def run_pretending(thread: threading.Thread) -> None:
        with pretend_cuda():
            run(thread)

    threading.Thread.run = run_pretending  # type: ignore[method-assign]
    stack = ExitStack()
    stack.enter_context(pretend_cuda())
    return stack


def _grouped(tensors: Any) -> dict[Any, Any]:
    """Group tensors as clipping does, by the device that they pretend to be on."""
    groups: dict[Any, Any] = {}
    for number, tensor in enumerate(tensors[0]):
        held, numbers = groups.setdefault((tensor.device, tensor.dtype), ([[]], []))
        held[0].append(tensor)
        numbers.append(number)
    return groups


def _rename_device(owner: Any) -> None:
    """Make what is constructed for "cuda" work on the CPU."""
    construct = owner.__init__

    def init(self: Any, device: str = "cuda", *args: Any, **kwargs: Any) -> None:
        kwargs.pop("device_type", None)
        construct(self, "cpu" if device == "cuda" else device, *args, **kwargs)
        if owner is torch.amp.GradScaler:
            self._device = device

    owner.__init__ = init
