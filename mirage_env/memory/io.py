"""The file of a memory: one safetensors file with a format name and version."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mirage_env.files import atomic_write
from mirage_env.memory.latent_memory import LatentMemory
from mirage_env.memory.rules import MemoryRules
from mirage_env.memory.store import KEY_VIEW_SHIFT, Tokens, gathered

FORMAT = "mirage_env.LatentMemory"
VERSION = 2
"""Version 1 had no rules; its files load with the default ones."""
_RULES = "rules"


def save_memory(memory: LatentMemory, path: str | os.PathLike[str]) -> None:
    """Write one safetensors file, whole or not at all."""
    with atomic_write(path) as temporary:
        save_file(memory_to_tensors(memory), temporary, {"format": FORMAT, "version": str(VERSION)})


def load_memory(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> LatentMemory:
    """The memory that ``save_memory`` wrote; errors as in ``read_tensors``."""
    tensors, _ = read_tensors(path, FORMAT, VERSION)
    try:
        return memory_from_tensors(tensors, device)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def memory_to_tensors(memory: LatentMemory) -> dict[str, Tensor]:
    """Everything that a memory holds, by name, on the CPU; its rules as the bytes of a JSON object."""
    columns = memory._columns()._asdict()
    tensors = {name: column.detach().cpu().contiguous() for name, column in columns.items()}
    told = json.dumps({**memory.rules.to_dict(), "removed": memory.removed})
    return {**tensors, _RULES: torch.tensor(list(told.encode()), dtype=torch.uint8)}


def memory_from_tensors(tensors: dict[str, Tensor], device: torch.device | str = "cpu") -> LatentMemory:
    """The memory that ``memory_to_tensors`` took apart; ValueError if the tensors do not fit together."""
    if set(tensors) - {_RULES} != set(Tokens._fields):
        raise ValueError(f"a memory consists of the tensors {', '.join(Tokens._fields)}, got {', '.join(tensors)}")
    tokens = Tokens(**{name: column for name, column in tensors.items() if name != _RULES})
    _check_consistent(tokens)
    rules, removed = _rules_of(tensors[_RULES]) if _RULES in tensors else (MemoryRules(), 0)
    memory = LatentMemory(tokens.latents.shape[1], tokens.latents.dtype, device, rules)
    memory.removed = removed
    if tokens.key.numel():
        memory._parts = (gathered([Tokens(*(column.to(memory.device) for column in tokens))]),)
    return memory


def read_tensors(path: str | os.PathLike[str], kind: str, version: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file whose metadata names the format ``kind``, at most ``version``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, of another format, or of a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path} to load a {kind} from")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = list(file.keys()) if metadata.get("format") == kind else []
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is truncated or is not a safetensors file ({error})") from error
    if metadata.get("format") != kind:
        raise ValueError(f"{path} does not hold a {kind}: its format is {metadata.get('format')!r}")
    found = metadata.get("version", "")
    if not found.isdecimal():
        raise ValueError(f"{path} is damaged: its format version is {found!r}, not a number")
    if int(found) > version:
        raise ValueError(f"{path} has version {found} of {kind}, this program knows up to {version}: update mirage_env")
    return tensors, metadata


def _rules_of(column: Tensor) -> tuple[MemoryRules, int]:
    try:
        told = json.loads(bytes(column.tolist()))
        removed = told.pop("removed")
        if isinstance(removed, bool) or not isinstance(removed, int) or removed < 0:
            raise ValueError(f"it cannot have removed {removed!r} tokens")
        return MemoryRules(**told), removed
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the memory's rules cannot be read: {error}") from error


def _check_consistent(tokens: Tokens) -> None:
    count, views = tokens.key.numel(), len(tokens.lift) if tokens.lift.ndim else 0
    channels = tokens.latents.shape[-1] if tokens.latents.ndim == 2 else 0
    expected: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {
        "sphere": (torch.float32, (4, count)),
        "plane": (torch.float32, (3, count)),
        "trim": (torch.uint8, (count,)),
        "key": (torch.int64, (count,)),
        "latents": (tokens.latents.dtype, (count, channels)),
        "imagined": (torch.float32, (count,)),
        "lift": (torch.float64, (views, 12)),
    }
    for name, column in tokens._asdict().items():
        dtype, shape = expected[name]
        if column.dtype != dtype or tuple(column.shape) != shape:
            raise ValueError(f"the memory's {name} should be {dtype} {shape}, not {column.dtype} {tuple(column.shape)}")
        if column.is_floating_point() and not bool(torch.isfinite(column).all()):
            raise ValueError(f"the memory's {name} holds NaN or infinite numbers")
    if channels < 1 or not tokens.latents.is_floating_point():
        raise ValueError("the memory's latents should be a floating grid (tokens, channels)")
    if not count:
        return
    ascending = bool((tokens.key.diff() > 0).all()) and int(tokens.key[0]) >= 0
    if not ascending or int(tokens.key[-1]) >> KEY_VIEW_SHIFT >= views or not bool((tokens.plane[0] > 0).all()):
        raise ValueError("the memory's keys or planes are out of range")
