"""CycleGAN's schedule, epoch by epoch: constant, then down a line. Its two implementations end differently, so both are here."""

from typing import Annotated, Literal

_ENDS = {"lua": (0, 0), "pytorch": (2, 1)}  # epochs by which the line starts earlier, epochs by which it is longer


def epoch_decay(
    progress: float,
    *,
    epochs: Annotated[int, "epochs of the run"] = 200,
    decay: Annotated[int, "epochs at its end over which the rate falls"] = 100,
    convention: Annotated[
        Literal["lua", "pytorch"], "how the line ends: at 1 / decay (the authors' first code, Lua) or at 0, an epoch earlier (their port)"
    ] = "lua",
) -> float:
    """1 for `epochs - decay` epochs, then linearly down, in steps: the rate changes between epochs only.

    lua: the authors' first code subtracts 1 / decay after each epoch of the decay, so the last one runs at 1 / decay.
    pytorch: their port (commit 000f298) starts one epoch earlier, in steps of 1 / (decay + 1), and the last epoch runs at 0.
    """
    if not 0 < decay <= epochs:
        raise ValueError(f"decay must be in (0, epochs], not {decay} of {epochs}")
    early, longer = _ENDS[convention]
    epoch = min(int(progress * epochs + 1e-9), epochs - 1)  # 0, 1, ...
    return 1 - max(0, epoch + early - (epochs - decay)) / (decay + longer)
