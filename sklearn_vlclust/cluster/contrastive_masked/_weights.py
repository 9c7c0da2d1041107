"""Weights and sizes that a transformer starts with."""

from pathlib import Path

import torch

# Of all transformers of timm that this is for.
HEAD_WIDTH = 64
# Name in timm -> name here; blocks are the same modules on both sides.
_SINGLE = {
    "norm.weight": "norm.weight",
    "norm.bias": "norm.bias",
    "patch_embed.proj.bias": "embed.bias",
}


def read_weights(source):
    """Return the state dict of a vision transformer of timm.

    `source` is a file with one (safetensors, or what `torch.save` wrote), or the name
    of a model of timm, whose weights are downloaded.

    Raises
    ------
    ValueError
        If it is neither, or no plain vision transformer.
    """
    path = Path(source)
    state = _read_file(path) if path.exists() else _download(str(source))
    missing = {"patch_embed.proj.weight", "pos_embed", "norm.weight"} - set(state)
    if missing:
        raise ValueError(
            f"weights={str(source)!r} are not those of a plain vision transformer of "
            f"timm: {', '.join(sorted(missing))} is missing."
        )
    return state


def backbone_of(state):
    """Width, depth and heads of a vision transformer; its heads are 64 wide."""
    width = state["patch_embed.proj.weight"].shape[0]
    blocks = {name.split(".")[1] for name in state if name.startswith("blocks.")}
    return width, len(blocks), max(1, width // HEAD_WIDTH)


def copy_weights(network, state, source):
    """Start the encoder of an :class:`ImageNetwork` from weights of timm.

    Positions are interpolated to the network's grid of patches, and colors to its
    channels. A deeper transformer gives its first blocks.

    Raises
    ------
    ValueError
        If the widths or patches differ, or `state` has too few blocks.
    """
    from timm.layers import resample_abs_pos_embed, resample_patch_embed

    width, depth = network.config["width"], network.config["depth"]
    patch_size = network.config["patch_size"]
    channels, height, breadth = network.config["image_shape"]
    patches = state["patch_embed.proj.weight"].float()
    found = backbone_of(state)
    if found[0] != width or found[1] < depth:
        raise ValueError(
            f"weights={str(source)!r} are {found[0]} wide and {found[1]} blocks deep; "
            f"the transformer is {width} wide and {depth} blocks deep. Give another "
            "backbone, such as (width, depth, heads)."
        )
    patches = resample_patch_embed(patches, [patch_size, patch_size])
    if channels != patches.shape[1]:
        patches = patches.sum(dim=1, keepdim=True).repeat(1, channels, 1, 1) / channels
    positions = state["pos_embed"].float()
    n_prefix = 1 if "cls_token" in state else 0
    grid = [height // patch_size, breadth // patch_size]
    positions = resample_abs_pos_embed(positions, grid, num_prefix_tokens=n_prefix)[0]
    blocks = {
        name.replace("blocks.", "encoder.", 1): value
        for name, value in state.items()
        if name.startswith("blocks.") and int(name.split(".")[1]) < depth
    }
    single = {new: state[old] for old, new in _SINGLE.items()}
    start = {"embed.weight": patches.flatten(1), "positions": positions[n_prefix:]}
    if n_prefix:
        start["class_token"] = state["cls_token"].float().flatten() + positions[0]
    found_names = {**blocks, **single, **start}
    unknown = set(found_names) - set(network.state_dict())
    if unknown:
        raise ValueError(
            f"weights={str(source)!r} have blocks of another kind: {min(unknown)} is "
            "unknown to a plain vision transformer."
        )
    network.load_state_dict(found_names, strict=False)


def copy_last(network, last):
    """Start from the network of the last fit; another number of clusters starts anew.

    Raises
    ------
    ValueError
        If anything but the number of clusters differs.
    """
    differing = {
        name for name, value in network.config.items() if last.config.get(name) != value
    } - {"n_clusters", "n_centers"}
    if differing:
        name = min(differing)
        raise ValueError(
            f"warm_start=True, but {name} was {last.config.get(name)!r} in the last "
            f"fit and is {network.config[name]!r} now. Set warm_start=False to start "
            "anew."
        )
    wanted = network.state_dict()
    fitting = {
        name: value
        for name, value in last.state_dict().items()
        if value.shape == wanted[name].shape
    }
    network.load_state_dict(fitting, strict=False)


def check_sizes(name, value):
    """Return width, depth and heads of a transformer, which may be a list."""
    good = len(value) == 3 and all(isinstance(v, int) and v > 0 for v in value)
    if not good or value[0] % value[2]:
        raise ValueError(
            f"{name}={value!r} is not (width, depth, heads): three positive integers, "
            "the width a multiple of the heads."
        )
    return tuple(value)


def _read_file(path):
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"weights={str(path)!r} cannot be read: {reason}") from error
    for name in ("model", "state_dict"):
        state = state.get(name, state)
    return state


def _download(name):
    import timm

    if not timm.is_model(name):
        raise ValueError(
            f"weights={name!r} is neither a file nor a model of timm, such as "
            "'vit_small_patch16_224.augreg_in21k'."
        )
    return timm.create_model(name, pretrained=True).state_dict()
