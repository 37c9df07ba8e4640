"""Suite files (TOML), read strictly: an unknown key or value is an error that names the known ones."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pydantic import ValidationError

from bench.errors import UsageError
from bench.registry import ROOT
from bench.suites.schema import Suite, explain
from bench.text import one_line

SUITES = ROOT / "bench" / "suites"
_BYTES = 1 << 18  # of a suite file; those that ship have a few thousand
_DOT, _DOTS = re.compile(r"[\w\"'-][ \t]*\.(?=[ \t]*[\w\"'-])"), 50  # of one dotted key: the parser takes the square of their number
CLAIMS, CLAIMS_TITLE = (
    "claims",
    "Does the theory in the papers hold?",
)  # the suite that is no grid of trials: see `bench.commands.check_claims`


def suite_names() -> list[str]:
    """The suites that ship with the project."""
    return sorted(p.stem for p in SUITES.glob("*.toml"))


def load_suite(name_or_file: str) -> Suite:
    """Read a suite by name or from a file.

    Raises:
        UsageError: no such suite, no TOML, or an unknown key or value (the message names the known ones).
    """
    path = Path(name_or_file)
    if path.suffix != ".toml":
        path = SUITES / f"{name_or_file}.toml"
        if name_or_file not in suite_names():
            raise UsageError(f"unknown suite {name_or_file!r}; known: {', '.join([*suite_names(), CLAIMS])}; or give a .toml file")
    try:
        return Suite.model_validate({"name": path.stem, **tomllib.loads(_text(path))})
    except OSError as error:
        raise UsageError(one_line(f"cannot read the suite {path}: {error.strerror or error}")) from error
    except ValidationError as error:
        raise UsageError(one_line(f"{path}: {explain(error)}")) from error
    except RecursionError as error:
        raise UsageError(one_line(f"{path} is no suite: its values nest too deeply")) from error
    except ValueError as error:  # no TOML, no UTF-8, a number beyond what Python reads
        raise UsageError(one_line(f"{path} is no TOML: {error}")) from error


def _text(path: Path) -> str:
    """The content of a suite file, within what a parser can take."""
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for without end
        raise OSError("it is no file")
    with path.open("rb") as file:
        content = file.read(_BYTES + 1)
    if len(content) > _BYTES:
        raise OSError(f"it is longer than {_BYTES:,} bytes")
    text = content.decode("utf-8-sig")
    if any(len(_DOT.findall(key)) > _DOTS for key in re.split(r"[=,{}\[\]\n]", text)):
        raise ValueError(f"more than {_DOTS} dots in one key")
    return text
