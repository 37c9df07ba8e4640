"""A loaded method as files for other programs: the network with what happens to a picture before and after it.

What is exported does to N x C x H x W pictures in [0, 1] what `restore` does, clipped to [0, 1]; of a generator, to latents what `decode`
does. ONNX files are run in ONNX Runtime, programs of torch are read again, and either must agree with the method before it is kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.errors import Unavailable, UsageError
from bench.evaluation import evaluation_mode
from bench.inference.load import Loaded
from bench.method import Batch
from bench.text import first_line

Format = Literal["onnx", "safetensors", "torch"]
FORMATS: tuple[Format, ...] = get_args(Format)
NAMES: dict[Format, str] = {"onnx": "model.onnx", "safetensors": "model.safetensors", "torch": "model.pt2"}

TOLERANCE = 1e-4  # by which a result may differ from the method's, on [0, 1]
OPSET = 20
_TRACED = (2, 267, 283)  # pictures, height, width: no multiples of what a network pads to, and larger
_OTHERS = ((1, 272, 328), (3, 347, 301))  # sizes that the result is held to besides
_LEAST = (16, 32, 64, 128, 256)  # sides down to which it is tried
_LATENTS = (2, 5)

Run = Callable[[Tensor], Tensor]


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        data: the file.
        inputs, outputs: their shapes, as a text.
        difference: the largest from the method's own results; None where nothing was run.
        smallest: the least side of a picture that was tried and agreed; 0 where there is none.
        networks: by attribute name, those that are in the file.
    """

    data: bytes
    inputs: str
    outputs: str
    difference: float | None
    smallest: int
    networks: tuple[str, ...]


def export(loaded: Loaded, kind: Format) -> Exported:
    """The network of a method in a format; it is checked against the method.

    Raises:
        UsageError: the method has no network, draws random numbers, needs more than a picture, or cannot be expressed in the format.
        Unavailable: a package is missing.
    """
    method, label = loaded.method, loaded.origin.label
    _refuse(method, label, kind)
    with evaluation_mode(method):
        _settle(method)
        core, examples = _core(method)
        shapes = _shapes(core, examples[0])
        used = _used(method, core, examples[0])
        if kind == "safetensors":
            return Exported(_weights(method, used), *shapes, None, 0, used)
        program = _program(core, examples[0], label, kind)
        data, run = _as_onnx(program, core, label) if kind == "onnx" else _as_torch(program)
        difference = max(_difference(core, run, x, label) for x in examples)
        return Exported(data, *shapes, difference, _smallest(core, run, examples[0]), used)


def _refuse(method: Any, label: str, kind: Format) -> None:
    if not method.networks():
        raise UsageError(f"{label} has no network: there is nothing to export")
    if not (hasattr(method, "restore") or hasattr(method, "decode")):
        raise UsageError(f"{label} neither restores pictures nor decodes latents: there is nothing to export")
    if lacking := sorted(method.needs & {"psf", "sinogram"}):
        raise UsageError(f"{label} needs more than a picture ({', '.join(lacking)}): it cannot be exported")
    if kind != "safetensors" and method.stochastic_inference:
        raise UsageError(
            f"{label} draws random numbers when it restores, which no two programs draw alike: export it with mc_dropout=false, "
            "or --format safetensors for the weights alone"
        )


def _settle(method: Any) -> None:
    """Put averaged weights, from which samples are drawn, in the place of those that were trained."""
    if getattr(method, "average", None):
        method.G.load_state_dict({**method.G.state_dict(), **method.average})
        method.average = {}


# -- the network with its pre- and post-processing
class _Core(nn.Module):
    """Base: holds the method's networks as its own, so that their weights go along."""

    free: tuple[str, ...] = ()  # names of the axes after the first that may be of any size

    def __init__(self, method: Any) -> None:
        super().__init__()
        self.method = method
        for name, network in method.modules().items():
            self.add_module(name, network)


class _Restoration(_Core):
    free = ("H", "W")

    @override
    def forward(self, observed: Tensor) -> Tensor:
        y: Tensor = self.method.restore(Batch(observed))
        return y.clamp(0, 1)


class _Generation(_Core):
    @override
    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.method.decode(z)
        return y.clamp(0, 1) if y.dim() == 4 else y


def _core(method: Any) -> tuple[_Core, list[Tensor]]:
    """The network, and inputs of several sizes, the first of which it is traced with."""
    rng = torch.Generator().manual_seed(0)
    if not hasattr(method, "restore"):
        return _Generation(method).eval(), [method.z(n) for n in _LATENTS]
    channels = getattr(method.task, "channels", 3)
    sizes = [_TRACED, *_OTHERS]
    return _Restoration(method).eval(), [torch.rand(n, channels, h, w, generator=rng).to(method.device) for n, h, w in sizes]


def _shapes(core: _Core, x: Tensor) -> tuple[str, str]:
    """Of inputs and outputs, free axes by their names: "N x 3 x H x W", "N x 3 x 4 H x 4 W"."""
    y = core(x)
    times = y.shape[-1] // x.shape[-1] if core.free else 1
    large = [f"{times} {axis}" if times > 1 else axis for axis in core.free]
    fixed = [tensor.shape[1 : tensor.dim() - len(core.free)] for tensor in (x, y)]
    before, after = (" x ".join(map(str, ["N", *sizes, *axes])) for sizes, axes in zip(fixed, (core.free, large)))
    return before, after


def _used(method: Any, core: nn.Module, x: Tensor) -> tuple[str, ...]:
    """The networks that are run."""
    seen: set[str] = set()
    hooks = [
        m.register_forward_hook(lambda *_, name=name: seen.add(name))
        for name, network in method.modules().items()
        for m in network.modules()
    ]
    try:
        core(x)
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(sorted(seen))


# -- formats
def _program(core: _Core, x: Tensor, label: str, kind: Format) -> torch.export.ExportedProgram:
    axes = {0: torch.export.Dim.DYNAMIC, **{i: torch.export.Dim.DYNAMIC for i in range(x.dim() - len(core.free), x.dim())}}
    with _quiet():
        try:
            program = torch.export.export(
                core, (x,), dynamic_shapes=(axes,), strict=False, prefer_deferred_runtime_asserts_over_guards=True
            )
            return _without_assertions(program)
        except Exception as error:  # whatever stops the tracer
            raise _inexpressible(label, kind, x, error) from error


def _without_assertions(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Without what the tracer took for granted of the size it saw, such as that something is padded; other sizes are tried afterwards."""
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if node.target is torch.ops.aten._assert_scalar.default:
            graph.erase_node(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()
    return program


def _inexpressible(label: str, kind: Format, x: Tensor, error: Exception) -> UsageError:
    of = f"{kind}{f' (opset {OPSET})' if kind == 'onnx' else ''}, input {' x '.join(map(str, x.shape))}, batch and sides free"
    return UsageError(f"{label} cannot be expressed as {of}: {type(error).__name__}: {first_line(error)}")


def _as_onnx(program: torch.export.ExportedProgram, core: _Core, label: str) -> tuple[bytes, Run]:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (torch's exporter stands on it)
    except ImportError as error:
        raise Unavailable("export to ONNX needs onnxscript and onnxruntime: pip install 'ganbench[export]'") from error
    names = ("observed", "restored") if core.free else ("z", "samples")
    file = io.BytesIO()
    with _quiet():
        try:
            made: Any = torch.onnx.export(program, (), input_names=names[:1], output_names=names[1:], opset_version=OPSET, verbose=False)
            made.save(file)
        except Exception as error:
            raise _inexpressible(label, "onnx", program.example_inputs[0][0], error) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    return file.getvalue(), lambda x: torch.from_numpy(session.run(None, {names[0]: x.cpu().numpy()})[0])


def _as_torch(program: torch.export.ExportedProgram) -> tuple[bytes, Run]:
    file = io.BytesIO()
    with _quiet():
        torch.export.save(program, file)
        file.seek(0)
        again = torch.export.load(file).module()
    return file.getvalue(), again


def _weights(method: Any, used: tuple[str, ...]) -> bytes:
    from safetensors.torch import save

    networks = method.modules()
    tensors = {f"{name}.{k}": v.detach().cpu().contiguous().clone() for name in used for k, v in networks[name].state_dict().items()}
    return save(tensors)  # type: ignore[no-any-return]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters print and warn of what is their own business."""
    said = io.StringIO()
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


# -- checks
def _difference(core: nn.Module, run: Run, x: Tensor, label: str) -> float:
    """How far a result is from the method's.

    Raises:
        UsageError: farther than `TOLERANCE`, or it cannot be run at this size.
    """
    size = " x ".join(map(str, x.shape))
    try:
        y = run(x).cpu()
    except Exception as error:
        raise UsageError(f"{label}: what was exported cannot be run on {size}: {first_line(error)}") from error
    expected = core(x).cpu()
    found = float((y - expected).abs().max()) if y.shape == expected.shape else float("inf")
    if not found <= TOLERANCE:
        raise UsageError(f"{label}: what was exported differs from the method by {found:.2g} on {size}, more than {TOLERANCE:g}")
    return found


def _smallest(core: _Core, run: Run, x: Tensor) -> int:
    """The least side that agrees."""
    for side in _LEAST if core.free else ():
        with contextlib.suppress(Exception):
            _difference(core, run, torch.rand(1, x.shape[1], side, side + 1).to(x), "")
            return side
    return 0
