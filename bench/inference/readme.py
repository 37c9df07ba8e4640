"""The page beside an exported file: what it is, how it is used, where it comes from, what it may be used for."""

from __future__ import annotations

import hashlib
import inspect

from bench import registry
from bench.inference.export import OPSET, TOLERANCE, Exported, Format
from bench.inference.load import Origin
from bench.method import Method

_USE: dict[Format, str] = {
    "onnx": """    import numpy as np, onnxruntime
    session = onnxruntime.InferenceSession("{file}")
    (y,) = session.run(None, {{"{input}": x}})  # x: float32""",
    "torch": """    import torch
    model = torch.export.load("{file}").module()
    y = model(x)  # x: float32""",
    "safetensors": """    from safetensors.torch import load_file
    tensors = load_file("{file}")  # keys: NETWORK.LAYER.NAME of the file of the method""",
}
_NEEDS: dict[Format, str] = {
    "onnx": f"ONNX, opset {OPSET}; needs ONNX Runtime alone",
    "torch": "a program of `torch.export`; needs PyTorch alone, not this project",
    "safetensors": "the weights of the networks alone, without code",
}


def write(file: str, kind: Format, exported: Exported, origin: Origin, method: Method) -> str:
    """The page, in Markdown."""
    restores = hasattr(method, "restore")
    verb = "Pictures in [0, 1] in, pictures clipped to [0, 1] out" if restores else "Latents in, samples out"
    use = _USE[kind].format(file=file, input="observed" if restores else "z")
    title, paper = _paper(origin)
    checked = (
        f"Run once when it was written: it differs from the method by at most {exported.difference:.1e} (allowed: {TOLERANCE:g}), at three "
        f"sizes{f' and down to sides of {exported.smallest} pixels' if exported.smallest else ''}.\n\n"
        if exported.difference is not None and restores
        else f"Run once when it was written: it differs from the method by at most {exported.difference:.1e} (allowed: {TOLERANCE:g}).\n\n"
        if exported.difference is not None
        else ""
    )
    return f"""# {origin.label}

{title}

{paper}

## Use

`{file}`: {_NEEDS[kind]}. {verb}: {exported.inputs} to {exported.outputs}; what happens before and after the network is
{"left to you" if kind == "safetensors" else "inside"}.

{use}

{checked}## Card

| | |
|---|---|
| method | `{origin.spec}` |
| task | `{origin.task}` |
| networks in the file | {", ".join(exported.networks)} |
| parameters | {_parameters(method, exported):,} |
| sha256 of the file | `{hashlib.sha256(exported.data).hexdigest()}` |

## Provenance

{_provenance(origin)}

## Licence

The code that made this file is Apache-2.0. Weights carry the terms of what they were trained on and of who published them: see the task's
data (`python runner.py data`) and, of a checkpoint of others, its source.
"""


def _paper(origin: Origin) -> tuple[str, str]:
    """The title and the next paragraph of the file of a method."""
    doc = inspect.getdoc(inspect.getmodule(registry.find("method", origin.spec.name))) or ""
    title, _, rest = doc.partition("\n\n")
    return " ".join(title.split()), " ".join(rest.partition("\n\n")[0].split())


def _parameters(method: Method, exported: Exported) -> int:
    return sum(p.numel() for name in exported.networks for p in method.modules()[name].parameters())


def _provenance(origin: Origin) -> str:
    weights = f"`{origin.weights}`" if origin.weights else "none"
    rows = {"sha256 of the weights' file": weights}
    if origin.trial:
        rows |= {
            "trial": f"`{origin.trial}`", "training": f"`{origin.training}`", "suite": origin.suite, "tier": origin.tier,
            "seed": str(origin.seed),
        }  # fmt: skip
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())])
