"""A pickle that runs code when it is loaded, and the place where libraries would find it."""

import os

import torch


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def in_hub(home, name, owned):
    """A hostile checkpoint of that name in torch hub's folder below `home`, for TORCH_HOME; loaded, it makes the folder `owned`."""
    file = home / "hub/checkpoints" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"x": Hostile(owned), "model": Hostile(owned)}, file)
    return file
