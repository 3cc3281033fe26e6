"""A device that is not there, to find what mixes tensors of two devices on a computer that has one only.

Tensors on it are computed on the processor, but say that they are elsewhere (on ``PRETENDED``), cannot become NumPy
arrays, and refuse to meet others as CUDA refuses: only single numbers, and indices from the processor into what is
elsewhere, may mix. The memory then reads by torch, as it does on CUDA.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

PRETENDED = torch.device("meta")
"""The one kind of device besides the processor that a build of torch without CUDA knows by name."""
_INDEXED = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")
_COPIES = ("aten::_to_copy", "aten::copy_")


class _Elsewhere(torch.Tensor):
    """A tensor on the pretended device; ``held`` is what it really is."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> _Elsewhere:
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=PRETENDED,
        )  # fmt: skip

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    def __repr__(self) -> str:  # type: ignore[override]
        return f"_Elsewhere({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@contextmanager
def pretended_device() -> Iterator[torch.device]:
    """Inside, ``PRETENDED`` is a device like any other."""
    with torch.no_grad(), _Calls(), _Operations():
        yield PRETENDED


def moved(module: torch.nn.Module) -> Any:
    """A copy of a network with its weights on the pretended device."""
    module = copy.deepcopy(module)
    for part in module.modules():
        for table in (part._parameters, part._buffers):
            for name, value in table.items():
                if value is not None:
                    table[name] = _Elsewhere(value.data)  # type: ignore[assignment]
    return module


def _held(value: Any) -> Any:
    return value.held if isinstance(value, _Elsewhere) else value


def _sent(value: Any) -> Any:
    return _Elsewhere(value) if isinstance(value, torch.Tensor) and not isinstance(value, _Elsewhere) else value


def _is_there(device: Any) -> bool:
    return device is not None and torch.device(device).type == PRETENDED.type


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One of torch's operations, on what the tensors really are."""
    name = func._schema.name
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, _Elsewhere)]
    here = [tensor for tensor in tensors if not isinstance(tensor, _Elsewhere) and tensor.dim() > 0]
    if there and here and name not in _COPIES:
        values = args[2] if name in _INDEXED[1:] else None
        carried = isinstance(values, torch.Tensor) and values.dim() > 0 and not isinstance(values, _Elsewhere)
        if name not in _INDEXED or not isinstance(args[0], _Elsewhere) or carried:
            raise RuntimeError(f"{name} meets tensors of two devices")
    kwargs = dict(kwargs)
    leaves = name == "aten::_to_copy" and kwargs.get("device") is not None and not _is_there(kwargs["device"])
    arrives = _is_there(kwargs.get("device"))
    if arrives:
        kwargs["device"] = torch.device("cpu")
    found = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if name.endswith("_") and not name.endswith("__"):  # in place
        return args[0]
    return found if leaves or not (there or arrives) else tree_map(_sent, found)


class _Operations(TorchDispatchMode):
    """What torch does below Python, such as making a tensor of a number."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Calls(TorchFunctionMode):
    """What torch would do on a device before any operation, and what needs the numbers themselves."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name, first = getattr(func, "__name__", ""), args[0] if args else None
        if name == "to" and isinstance(first, torch.Tensor):
            wanted = kwargs.pop("device", args[1] if len(args) > 1 else None)
            if isinstance(wanted, str | torch.device):
                dtype = args[2] if len(args) > 2 else kwargs.get("dtype")
                held = _held(first) if dtype is None else _held(first).to(dtype)
                return _Elsewhere(held) if _is_there(wanted) else held
            return func(*args, **kwargs)
        if isinstance(first, _Elsewhere):
            if name in ("numpy", "__array__"):
                raise TypeError("a tensor elsewhere cannot become an array: bring it to the processor first")
            if name == "cpu":
                return first.held
            if name in ("tolist", "data_ptr"):
                return getattr(first.held, name)()
            if name == "new_tensor":
                return _Elsewhere(torch.tensor(args[1], dtype=first.dtype))
            if name == "as_tensor":
                kept = first if kwargs.get("device") is None or _is_there(kwargs["device"]) else first.held
                return kept if kwargs.get("dtype") is None else kept.to(kwargs["dtype"])
        if _is_there(kwargs.get("device")) and not any(isinstance(leaf, _Elsewhere) for leaf in tree_leaves(args)):
            return tree_map(_sent, func(*args, **{**kwargs, "device": torch.device("cpu")}))
        return func(*args, **kwargs)
