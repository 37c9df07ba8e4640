"""Optimizers whose steps are the same program each time: what changes from step to step lies in tensors beside the parameters."""

from __future__ import annotations

import torch
from torch.optim import Optimizer

from bench.method import Method


def make_capturable(method: Method) -> None:
    """Put the learning rates and counts of steps of a method's optimizers into tensors, where their rules can read them there.

    Results change by rounding: rates are float32, and a bias correction is computed on the device.
    """
    for opt in vars(method).values():
        if hasattr(opt, "make_capturable"):
            opt.make_capturable()
        elif isinstance(opt, Optimizer):
            make_torch_capturable(opt)


def make_torch_capturable(opt: Optimizer) -> None:
    """The same of a rule of torch, where it has a form that can be captured."""
    if not all("capturable" in group or group.get("fused") for group in opt.param_groups):
        return
    for group in opt.param_groups:
        if "capturable" in group:
            group["capturable"] = True
        group["lr"] = torch.tensor(float(group["lr"]), device=group["params"][0].device)
    opt._warned_capturable_if_run_uncaptured = True  # the first updates run eagerly, on purpose
