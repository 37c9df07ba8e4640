"""The page beside an exported file: what it is, how it is used, where it comes from, what it may be used for."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

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
    use = _USE[kind].format(file=file, input="observed" if hasattr(method, "restore") else "z")
    return f"""# {origin.label}

{_paper(origin)}

## Use

`{file}`: {_NEEDS[kind]}. {_meaning(method, exported)}; what happens before and after the network is
{"left to you" if kind == "safetensors" else "inside"}.

{use}

{_checked(exported)}## Card

| | |
|---|---|
| method | `{origin.spec}` |
| task | `{origin.task}` |
| networks in the file | {", ".join(exported.networks)} |
| parameters | {_parameters(method, exported):,} |
| sha256 of the file | `{hashlib.sha256(exported.data).hexdigest()}` |

{_scores(origin)}## Provenance

{_provenance(origin)}

## Licence

The code that made this file is Apache-2.0. Weights carry the terms of what they were trained on and of who published them: see the task's
data (`python runner.py data`) and, of a checkpoint of others, its source.
"""


def _paper(origin: Origin) -> str:
    """The title of the file of a method and, where text follows it, that."""
    doc = inspect.getdoc(inspect.getmodule(registry.find("method", origin.spec.name))) or ""
    title, *rest = doc.split("\n\n")
    paragraphs = [title, *(text for text in rest[:1] if not text.startswith(("|", "Departures:")))]
    return "\n\n".join(" ".join(text.split()) for text in paragraphs)


def _meaning(method: Any, exported: Exported) -> str:
    """What goes in and what comes out."""
    if hasattr(method, "restore"):
        return f"Pictures in [0, 1] in, pictures clipped to [0, 1] out: {exported.inputs} to {exported.outputs}"
    drawn = " ".join((inspect.getdoc(method.z) or "").split())
    return f"Latents in, samples out: {exported.inputs} to {exported.outputs}. {drawn.rstrip('.')}"


def _checked(exported: Exported) -> str:
    if exported.difference is None:
        return ""
    most = f"{exported.difference:.1e} (allowed: {TOLERANCE:g})"
    told = f"Run when it was written, at several sizes: it differs from the method by at most {most}"
    return f"{told}{f'; tried down to sides of {exported.smallest} pixels' if exported.smallest else ''}.\n\n"


def _scores(origin: Origin) -> str:
    """The scores on record, as a section."""
    if not origin.scores:
        return ""
    rows = "\n".join(f"| {column.replace('|', ' ')} | {value:.6g} |" for column, value in origin.scores.items())
    return f"## Scores on record\n\n| | test set of the task |\n|---|---|\n{rows}\n\n"


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
