"""What is made of a tensor is made once, anew where the tensor changes, and forgotten with it."""

import gc
import weakref

import torch

from bench.remember import made_of, remember


def test_it_is_made_once_for_each_key_and_content():
    x, made = torch.ones(3), []

    def total():
        made.append(float(x.sum()))
        return made[-1]

    assert [remember(x, "a", total), remember(x, "a", total), remember(x, "b", total)] == [3, 3, 3]
    assert len(made) == 2
    x.mul_(2)
    assert remember(x, "a", total) == 6
    assert made_of(x) == {"a": 6}
    assert made_of(torch.ones(3)) == {}  # equal, but another


def test_it_is_forgotten_with_the_tensor():
    x = torch.ones(3)
    seen = weakref.ref(remember(x, "a", lambda: torch.zeros(2)))
    gc.collect()
    assert seen() is not None
    del x
    gc.collect()
    assert seen() is None
