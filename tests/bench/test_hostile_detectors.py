"""A detector's weights that are damaged or another network's: one line that names the file."""

import pytest
import torch
from safetensors.torch import save_file

from bench import registry
from bench.errors import UsageError

CONTENTS = {
    "empty": lambda file: file.write_bytes(b""),
    "text": lambda file: file.write_text("<html>404</html>"),
    "half": lambda file: (torch.save({"w": torch.zeros(30_000)}, file), file.write_bytes(file.read_bytes()[:60_000])),
    "another network's": lambda file: torch.save({"features.0.weight": torch.zeros(3)}, file),
    "a tensor": lambda file: torch.save(torch.zeros(3), file),
    "a list": lambda file: torch.save([1], file),
    "safetensors": lambda file: save_file({"w": torch.zeros(3)}, file),
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("part", ["yolo[weights={}]", "torchvision[model=ssdlite320_mobilenet_v3_large,weights={}]"])
def test_weights_that_are_none(tmp_path, part, content):
    file = tmp_path / "x.pt"
    CONTENTS[content](file)
    detector = registry.make("detector", part.format(file))
    with pytest.raises(UsageError, match=str(file)) as caught:
        detector(torch.rand(1, 3, 64, 64))
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file_of_weights(tmp_path):
    from bench.errors import Unavailable

    for part in ("yolo", "torchvision"):
        with pytest.raises(Unavailable, match="no weights at"):
            registry.make("detector", f"{part}[weights={tmp_path}]").require()
