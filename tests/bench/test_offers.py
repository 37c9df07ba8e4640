"""Tasks keep the protocols that methods are written against, and offer what methods may need."""

import typing

import pytest
from typing_extensions import get_protocol_members

from bench import offers, registry
from bench.conformance.toys import TOYS
from bench.method import Method

KINDS = {
    "restore": [offers.RestorationTask, offers.OutputsTask],
    "sample": [offers.GenerationTask, offers.SamplesTask],
    "minimise": [offers.MinimisationTask],
}
ALONE = {
    "saliency": [offers.SaliencyTask, offers.OutputsTask],
    **{name: [offers.OutputsTask] for name in ("boxes", "labels", "maps", "pictures", "slices")},
}
MORE = {"denoise": offers.DenoisingTask, "ldct": offers.TomographyTask, "sr": offers.EnlargementTask}
CAPABILITIES = set(typing.get_args(offers.Capability))


def task_kind(method):
    """What a method's class says of its task: the argument of `Method[...]`."""
    for base in method.__mro__:
        for origin in getattr(base, "__orig_bases__", ()):
            for kind in typing.get_args(origin):
                if isinstance(kind, type):
                    return kind
    return None


@pytest.mark.parametrize("name", registry.names("task"))
def test_tasks_keep_their_protocol(name):
    task = registry.find("task", name)
    kinds = ALONE[name] if name in ALONE else [*KINDS[task.verb], *([MORE[name]] if name in MORE else [])]
    for kind in kinds:
        lacking = get_protocol_members(kind) - set(dir(task))
        assert not lacking, f"{name} is no {kind.__name__}: it lacks {sorted(lacking)}"


@pytest.mark.parametrize("name", registry.names("method"))
def test_methods_name_the_kind_of_their_task(name):
    method = registry.find("method", name)
    kind = task_kind(method)
    assert kind is not None, f"{name}: write Method[RestorationTask], or whichever kind its task is"
    assert method.needs <= CAPABILITIES
    fitting = [toy() for toy in TOYS if hasattr(method, toy.verb) and method.needs <= toy().offers]
    assert get_protocol_members(kind) <= set(dir(fitting[0]))


def test_the_test_sees_a_member_that_is_missing():
    class Half(Method[offers.GenerationTask]):
        pass

    assert task_kind(Half) is offers.GenerationTask
    assert not get_protocol_members(offers.GenerationTask) <= set(dir(registry.find("task", "deblur")))
