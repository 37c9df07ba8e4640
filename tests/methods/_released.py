"""Checkpoints in the layouts of others, with seeded numbers: what their code and ours must make the same of."""

import argparse
import zlib

import numpy as np
import torch

from bench.external.checkpoints import sources


def source_of(name):
    return next(source for source in sources() if source.name == name)


def state_of(source, sizes):
    """A seeded state dict as the source's code would save it: sizes by letter."""
    return {e.theirs: numbers(e.theirs, e.shape) for e in source.layout(sizes)}


def numbers(key, shape):
    """Numbers that let signals through: by the key alone, so the order of keys does not matter."""
    rng = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    name = key.rpartition(".")[2]
    if name in ("running_var", "moving_variance", "gamma") or (len(shape) == 1 and name == "weight"):
        return 0.5 + 0.5 * torch.rand(shape, generator=rng)
    fan = torch.Size(shape[1:] if name != "kernel" else shape[:-1]).numel()
    return torch.randn(shape, generator=rng) * ((1.6 / fan) ** 0.5 if len(shape) > 1 else 0.05)


def picture(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(7))


def latent(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(8))


def probe(y):
    """Nine numbers of an output: seven spread over it, its mean and its deviation."""
    flat = y.detach().double().flatten()
    picked = flat[torch.linspace(0, len(flat) - 1, 9)[1:-1].long()]
    return [round(float(v), 6) for v in (*picked, flat.mean(), flat.std())]


def write(folder, source, state):
    """The file as the source's code writes it."""
    if source.name.startswith("imatge-upc"):
        arrays = {f"arr_{2 * int(k.partition('.')[0]) + k.endswith('bias')}": v.numpy() for k, v in state.items()}
        np.savez(folder / "x.npz", **arrays)
        return folder / "x.npz"
    if source.name.startswith("RaphaelMeudec"):
        return write_keras(folder / "x.h5", state)
    wrapped = {"model_state_dict": state, "args": argparse.Namespace(seed=1), "global_step": 3}
    torch.save(wrapped if source.wrapper or "mimicry" in source.name else state, folder / "x.pth")
    return folder / "x.pth"


def write_keras(path, state, first=30):
    """Layers in an order that is not that of their numbers, as HDF5 lists them by name: conv2d_100 comes before conv2d_98."""
    import h5py

    names = {"conv": "conv2d", "norm": "batch_normalization"}
    with h5py.File(path, "w") as file:
        for key, tensor in state.items():
            kind, place, name = key.split(".")
            layer = f"{names[kind]}_{first + int(place)}"
            file.require_group(f"{layer}/{layer}")[f"{name}:0"] = tensor.numpy()
    return path
