"""Backbones by their timm name, built without weights; and pretrained weights for them, when they can be had."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

log = logging.getLogger("trabecula")

_PATIENCE_S = 3.0
_REMEDY = "Put <name>.safetensors into the folder that TRABECULA_WEIGHTS names to use them"
_ENDINGS = (".safetensors", ".pth", ".npz")
_HUB_FILE = "model.safetensors"
Weights = dict[str, torch.Tensor]


def backbone(name: str, *, channels: int = 3, outputs: int = 0, options: Mapping[str, Any] | None = None) -> Any:
    """Build a timm network with random weights; without `outputs` it ends in its pooled features.

    `options` are those of the timm model, such as `img_size` or `growth_rate`. Nothing is downloaded.
    Raises `RuntimeError` for a name that timm does not know.
    """
    return _timm().create_model(name, pretrained=False, in_chans=channels, num_classes=outputs, **dict(options or {}))


def pretrained(networks: Mapping[str, nn.Module]) -> str:
    """Put ImageNet weights into backbones, given by their timm names, and say where they came from.

    Looks in the folder that `TRABECULA_WEIGHTS` names (`<name>.safetensors`, `.pth` or `.npz`, in the layout of timm
    or torchvision), then in the cache of the hub, then, where it answers within three seconds, at the hub. All
    backbones or none: when one has no weights, all stay as they are, and one warning is logged.
    """
    try:
        found = {name: _find(name) for name in networks}
        ready = {name: _fitted(network, found[name][0]) for name, network in networks.items()}
    except LookupError as error:
        origin = f"random: {error}"
        log.warning("no pretrained weights (%s): training starts from random ones. %s", error, _REMEDY)
        return origin
    for name, network in networks.items():
        network.load_state_dict(ready[name])
    return "imagenet: " + ", ".join(sorted({where for _, where in found.values()}))


def read_weights(path: Path) -> Weights:
    """Read a state dict from safetensors, a `.pth` file without code in it, or `.npz`.

    Raises `ValueError` that names the file when it cannot be read.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {key: _float(torch.from_numpy(arrays[key])) for key in arrays.files}
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # noqa: PLC0415 only for such files

            return {key: _float(value) for key, value in load_file(path).items()}
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        return {key: _float(value) for key, value in loaded.get("state_dict", loaded).items()}
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as weights ({error}); replace or remove it") from error


def _find(name: str) -> tuple[Weights, str]:
    """Return weights and their origin; raises `LookupError` that says why there are none."""
    return _from_folder(name) or _from_hub(name)


def _from_folder(name: str) -> tuple[Weights, str] | None:
    room = os.environ.get("TRABECULA_WEIGHTS")
    for path in (Path(room) / f"{name}{ending}" for ending in _ENDINGS) if room else ():
        if path.exists():
            try:
                return read_weights(path), f"folder {room}"
            except ValueError as error:
                raise LookupError(str(error)) from error
    return None


def _from_hub(name: str) -> tuple[Weights, str]:
    published = _timm().get_pretrained_cfg(name)
    if published is None or not published.hf_hub_id:
        raise LookupError(f"nobody publishes weights of {name}")
    hub = importlib.import_module("huggingface_hub")
    kept = hub.try_to_load_from_cache(published.hf_hub_id, _HUB_FILE)
    try:
        if isinstance(kept, str):
            return read_weights(Path(kept)), "hub cache"
        if _within(_PATIENCE_S, lambda: hub.HfApi().model_info(published.hf_hub_id, timeout=_PATIENCE_S)):
            return read_weights(Path(hub.hf_hub_download(published.hf_hub_id, _HUB_FILE))), "hub"
    except Exception as error:
        raise LookupError(f"the download failed: {error}") from error
    raise LookupError("not reachable")


def _within(seconds: float, call: Callable[[], object]) -> bool:
    """Say whether a call returns in time; a name server that never answers is left behind."""
    done: list[object] = []

    def attempt() -> None:
        try:
            done.append(call())
        except Exception:
            return

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(done)


def _fitted(network: nn.Module, weights: Weights) -> Weights:
    """Return a whole state dict for a timm network; its classifier keeps random weights where the classes differ.

    Weights in the naming of torchvision are matched by order and shape. Raises `LookupError` when any other weight is
    missing or has another shape.
    """
    published: Any = network.pretrained_cfg
    head = published.get("classifier") or ()
    heads = tuple(f"{each}." for each in ([head] if isinstance(head, str) else head))
    wanted = network.state_dict()
    given = _renamed(_translated(network, weights), wanted)
    taken = {key: given[key] for key in wanted if key in given and given[key].shape == wanted[key].shape}
    if lacking := [key for key in wanted if key not in taken and not key.startswith(heads)]:
        raise LookupError(f"{len(lacking)} of {len(wanted)} weights do not fit the network, first {lacking[0]}")
    return wanted | taken


def _translated(network: nn.Module, weights: Weights) -> Weights:
    """Apply timm's own translation of published checkpoints, where the architecture has one."""
    translate = getattr(importlib.import_module(type(network).__module__), "checkpoint_filter_fn", None)
    if translate is None:
        return weights
    try:
        return dict(translate(weights, network))
    except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise LookupError(f"the weights are not those of {type(network).__name__}: {error}") from error


def _renamed(given: Weights, wanted: Mapping[str, torch.Tensor]) -> Weights:
    """Give weights of another naming the wanted names, when order and shapes agree one by one."""
    if any(key in wanted for key in given) or len(given) < len(wanted):
        return given
    pairs = list(zip(wanted.items(), given.values(), strict=False))
    if any(old.shape != new.shape for (_, old), new in pairs):
        return given
    return {key: new for (key, _), new in pairs}


def _float(weights: torch.Tensor) -> torch.Tensor:
    return weights.float() if weights.is_floating_point() else weights


def _timm() -> Any:
    return importlib.import_module("timm")
