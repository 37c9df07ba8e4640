"""Trains the bundled digit classifier: `python -m bench.features._train_digits_cnn` (about a minute on one core).

The digits of scikit-learn, enlarged to 32 x 32, split as `datasets.digits` does it; the test digits are scored once.
Beside the weights stands digits_cnn.json: the recipe, the data's hash, the figures and the hash of the file.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import logging
from collections.abc import Sequence
from importlib.metadata import version

import torch
from safetensors.torch import save
from torch import Tensor, nn

from bench.dataset import SPLITS, Split
from bench.feature import round_to_8_bits
from bench.features import digits_cnn
from bench.features._digit_network import DigitNetwork
from datasets.digits import Digits

_log = logging.getLogger(__name__)
_MODES = ("bilinear", "bicubic", "nearest")  # of enlarging: the classifier must not care which


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the weights besides the data."""

    steps: int = 1500
    batch_size: int = 64
    lr: float = 3e-3
    weight_decay: float = 0.05
    turn: float = 0.2  # of the random affine map: turns and shears of at most that (radians), the two scales differ by at most that
    shrink: float = 1.6  # a digit may become this much smaller: other sets leave a margin
    shift: float = 0.15  # of half a side
    harden: float = 10.0  # greatest slope of the curve that makes strokes crisp: other sets have more pixels to draw with
    noise: float = 0.1  # greatest standard deviation
    seed: int = 0


def enlarged(x: Tensor, mode: str, side: int = DigitNetwork.side) -> Tensor:
    """Digits as a data set would show them, 8 bits."""
    return round_to_8_bits(nn.functional.interpolate(x, size=(side, side), mode=mode))


def train(recipe: Recipe) -> nn.Module:
    """The network after `recipe.steps` updates."""
    torch.manual_seed(recipe.seed)
    x, y = _digits("train", 8)
    network = DigitNetwork().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.steps)
    for step in range(recipe.steps):
        chosen = torch.randint(len(x), (recipe.batch_size,))
        loss = nn.functional.cross_entropy(network(_varied(enlarged(x[chosen], _MODES[step % len(_MODES)]), recipe))[1], y[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            _log.info("step %d of %d: loss %.3f", step, recipe.steps, float(loss.detach()))
    return network.eval()


def _varied(x: Tensor, recipe: Recipe) -> Tensor:
    """Turned, scaled, sheared, shifted, drawn with harder strokes, dimmed and noisy."""
    n = len(x)
    unit = 2 * torch.rand(5, n) - 1  # turn, shear, ratio of the scales, two shifts
    angle, shear = recipe.turn * unit[0], recipe.turn * unit[1]
    size = 0.9 + (recipe.shrink - 0.9) * torch.rand(n)
    wide, high = size, size * (1 + recipe.turn * unit[2])
    right, down = recipe.shift * size * unit[3:]
    rows = (wide * angle.cos(), -high * (angle + shear).sin(), right), (wide * angle.sin(), high * (angle + shear).cos(), down)
    grid = nn.functional.affine_grid(torch.stack([torch.stack(row, 1) for row in rows], 1), list(x.shape), align_corners=False)
    moved = nn.functional.grid_sample(x, grid, align_corners=False)
    slope, edge = 1 + (recipe.harden - 1) * torch.rand(n, 1, 1, 1) * torch.randint(2, (n, 1, 1, 1)), 0.3 + 0.3 * torch.rand(n, 1, 1, 1)
    hard = torch.where(slope > 1, ((moved - edge) * slope + 0.5).clamp(0, 1), moved)
    noise = recipe.noise * torch.rand(n, 1, 1, 1) * torch.randn(x.shape)
    return (hard * (0.7 + 0.3 * torch.rand(n, 1, 1, 1)) + noise).clamp(0, 1)


def accuracy(split: Split) -> dict[str, float]:
    """Share of right classes of the bundled network, by how the digits were enlarged; and its mean log-likelihood."""
    network, (small, y) = digits_cnn.DigitsCNN(), _digits(split, 8)
    shown = {f"{mode} {side}": enlarged(small, mode, side) for mode in _MODES for side in (16, 32)}
    logits = {
        name: network.logits(x) for name, x in (shown | {f"digits[size={side}]": _digits(split, side)[0] for side in (16, 32)}).items()
    }
    likelihood = -float(nn.functional.cross_entropy(logits["digits[size=32]"], y))
    return {name: round(float((z.argmax(1) == y).double().mean()), 4) for name, z in logits.items()} | {
        "log-likelihood": round(likelihood, 4)
    }


def _digits(split: Split, size: int) -> tuple[Tensor, Tensor]:
    """Digits n x 1 x size x size in [0, 1] and their labels n."""
    data = Digits(size=size).open(None, split)
    assert data.labels is not None
    return data.x / 255, data.labels


def _main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for field in dataclasses.fields(Recipe):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    recipe = Recipe(**vars(parser.parse_args(arguments)))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    network = train(recipe)
    state = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    digits_cnn.WEIGHTS.write_bytes(save({k: v.contiguous() for k, v in state.items()}))
    report = {
        "recipe": dataclasses.asdict(recipe),
        "data": {
            split: {"digits": len(data), "fingerprint": data.fingerprint} for split in SPLITS if (data := Digits(size=8).open(None, split))
        },
        "versions": {"torch": version("torch")},
        "parameters": sum(p.numel() for p in network.parameters()),
        "validation": accuracy("validation"),
        "test": accuracy("test"),
        "sha256": hashlib.sha256(digits_cnn.WEIGHTS.read_bytes()).hexdigest(),
    }
    digits_cnn.WEIGHTS.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _log.info("%s", report)


if __name__ == "__main__":
    _main()
