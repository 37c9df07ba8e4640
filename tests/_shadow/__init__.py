"""A shadow CUDA device: code for a GPU runs on a machine without one, and what would go wrong or wait there is seen.

    with Device() as gpu:       # torch.cuda.is_available() is True in here, and torch.device("cuda") works
        ...                     # any eager code, autograd and optimizers too
    gpu.counts                  # operations, waits of the host, copies and their bytes
    gpu.events                  # (kind, operation, place in the code) -> how often, of all that is no mere operation
    gpu.faults                  # what was refused, and where; also where the code swallowed the error

Every tensor stays an ordinary tensor of the CPU, so that kernels, autograd, fused optimizers and safetensors work as they are. What lies on
the device is a mark on the tensor's storage, which views, parameters and gradients share. Three parts see to the rest:

* `_front`, a TorchFunctionMode, sees the Python interface: it answers what asks for a device, and turns "cuda" into "cpu" where tensors are
  made or moved.
* `_floor`, a TorchDispatchMode, sees every ATen operation, those of backward passes too: it marks results, refuses to mix devices, draws
  random numbers from a stream of the device's own, and counts.
* `_driver` replaces what needs a driver: torch.cuda, generators, safetensors' reading onto a device.

It cannot see numbers (TF32, atomics, the algorithms of cuDNN), memory, time, races between streams, kernels that one device alone has, and
C++ code that looks at a device itself. One dispatched operation is taken for one launch: backward convolutions, FFTs and linear algebra
launch more; a fused step launches one a few dozens of tensors.
"""

from _shadow.device import Device
from _shadow.marks import is_on_device, put_on_device

__all__ = ["Device", "is_on_device", "put_on_device"]
