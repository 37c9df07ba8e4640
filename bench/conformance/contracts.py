"""`runner.py check`: a part by its name, its spec or its file, a suite by its name or its file, held to the contract of its kind.

The contract of a kind is `bench/conformance/<kind>.py`: its `checks_of(name)` gives title -> check. That of methods is `checks.py`.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import cast

import torch

from bench import registry
from bench.conformance._tools import Check, Checks, checked_on
from bench.errors import Unavailable, UsageError
from bench.spec import parse
from bench.suites import read
from bench.text import first_line, one_line, open_console

SUITE = "suite"
KINDS = (*registry.FOLDERS, SUITE)


def checks_of(kind: str, name: str) -> Checks:
    """Title -> check of a part: one of a kind, by its name or spec."""
    contract = importlib.import_module(f"bench.conformance.{'checks' if kind == 'method' else kind}")
    return cast(Checks, contract.checks_of(name))


def print_check(text: str, data_root: Path | None = None, device: torch.device | str = "cpu") -> int:
    """Make every check of a part and say what holds; where several kinds have the name, of each.

    Args:
        text: a name, a spec, or the path of a file.
        data_root: where data sets and weights are looked for, instead of `GANBENCH_DATA`.
        device: where methods train and parts compute.

    Returns:
        The exit code: 1 where something fails.

    Raises:
        UsageError: there is no such part or file, or it cannot be registered (see `bench.registry`).
    """
    if data_root:
        os.environ["GANBENCH_DATA"] = str(data_root.resolve())  # weights are looked for there too
    console, failed = open_console(), 0
    for kind, name in _parts(text):
        console.print(f"{kind} {name}")
        for title, check in checks_of(kind, name).items():
            with checked_on(device):
                verdict = _verdict(check, name)
            failed += verdict.startswith("FAILS")
            console.print(f"{title:20} {verdict}")
    return int(failed > 0)


def _parts(text: str) -> list[tuple[str, str]]:
    """(kind, name) of all that is called so, or of what is in the file."""
    if text.endswith(".toml"):
        read.load_suite(text)
        return [(SUITE, text)]
    if text.endswith(".py") or Path(text).is_file():
        return [registry.load_plugin(text)]
    name = parse(text).name
    found = [kind for kind in registry.FOLDERS if name in registry.names(kind)] + [SUITE] * (text in read.suite_names())
    if not found:
        raise UsageError(f"nothing is called {name!r}; see `runner.py list`, or give a file")
    return [(kind, text) for kind in found]


def _verdict(check: Check, name: str) -> str:
    try:
        check(name)
    except Unavailable as error:
        return f"not checked: {one_line(error)}"
    except AssertionError as error:
        return f"FAILS: {one_line(error)}"
    except UsageError as error:
        return f"FAILS: {one_line(error)}"
    except NotImplementedError:
        return "FAILS: a method that the base class leaves to its parts is missing"
    except Exception as error:
        return f"FAILS: {type(error).__name__}: {one_line(first_line(error))}"
    return "holds"
