"""How a training or a judgement ends: whatever happens in it is an outcome with its reason."""

from __future__ import annotations

import contextlib
import errno
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from bench.errors import Unavailable, UsageError
from bench.store.stored import Outcome, Stored
from bench.text import encodable
from bench.training import out_of_memory
from bench.training.data_parallel import RankLost
from bench.training.device_errors import loses_device
from bench.training.loop import Diverged, Interrupted
from bench.training.out_of_memory import OnOOM

TRACEBACK = "traceback.txt"
DEVICE_LOST = "device_lost"  # a tag


@contextlib.contextmanager
def outcome_of(record: Stored, folder: Path, params: Mapping[str, str], on_oom: OnOOM = "fail") -> Iterator[None]:
    """Note in a record how what happens in here ends; a traceback goes into its folder.

    Args:
        record: whose outcome and reason are set.
        folder: of its files.
        params: hyper-parameters, of which those that take memory are named where there is too little.
        on_oom: what was done about it.

    Raises:
        UsageError: bad input that would spoil every trial (a corrupt picture, a full disk).
        Interrupted: the user asked to stop.
        RankLost: a process that shares the trial died.
    """
    try:
        yield
    except (Interrupted, UsageError, RankLost):
        raise
    except Diverged as error:
        _set_outcome(record, "diverged", str(error))
        record.summary["diverged_step"] = float(error.step)
    except Unavailable as error:
        _set_outcome(record, "skipped", str(error))
    except torch.OutOfMemoryError as error:
        _set_outcome(record, "failed", out_of_memory.advice(error, params, on_oom))
    except out_of_memory.EvaluationOutOfMemory as error:
        _set_outcome(record, "failed", str(error))
    except (Exception, SystemExit) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UsageError(f"no space left for {folder}: free some or give another --out, then run the same command again") from error
        _set_outcome(record, "failed", f"{type(error).__name__}: {str(error).strip()}".splitlines()[0])
        if loses_device(error):
            record.tags[DEVICE_LOST] = "after this error the process could not use the GPU any more"
        (folder / TRACEBACK).write_text(traceback.format_exc(), "utf-8", "backslashreplace")


def _set_outcome(record: Stored, outcome: Outcome, reason: str) -> None:
    record.outcome, record.reason = outcome, encodable("; ".join(filter(None, [reason, record.tags.get("on_oom")])))
