"""Whole updates as CUDA graphs, for any method: what an update launches is recorded once and launched again as one.

An update may be recorded where it is the same program each time. So the first updates are watched: every call of an operation with its
memory and its numbers (`_trace`), all that Python keeps on the method (`_python_state`), and what is asked of the update's number
(`_watched`). Two updates that do not differ are one program, which is recorded at the third and replayed from then on, at each number
that would be told the same: a stage that ends, or a long update now and then, is another program. Batches are drawn as ever and copied into
the memory that the program reads; learning rates lie in tensors, which `anneal` fills before. What no graph can hold (a number that is
read back, a step that depends on the number of the update, pictures that Python remembers) makes updates run as ever, and `note` says why.

While a program is replayed the method's generator rests at its yield. It goes on where Python is wanted, as state lives on self: `t`, the
stream and the random numbers of the device are as if it had run.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from torch import Tensor

from bench.graphs import _batches, _capturable, _python_state
from bench.graphs._annealing import Annealing
from bench.graphs._cuda_graph import CudaRecorder, Recorder
from bench.graphs._program import Program
from bench.graphs._trace import Trace
from bench.graphs._watched import Path, Watched, use_all
from bench.method import Logs, Method
from bench.text import first_line

_KINDS = 8  # of updates


class GraphedUpdates:
    """The updates of a method in training, replayed where they can be.

    Attributes:
        replayed: how many were.
    """

    def __init__(self, method: Method, stream: Iterator[Any], recorder: Recorder | None = None) -> None:
        self.method, self.feed = method, _batches.Feed(stream)
        self.recorder = CudaRecorder(method.device) if recorder is None else recorder
        self.programs: list[Program] = []
        self.replayed = 0
        self._annealing = Annealing(method)
        _capturable.make_capturable(method)

    def updates(self) -> Generator[Logs, None, None]:
        """What `method.train` yields."""
        with self._annealing.installed():
            self._train = self._start()
            try:
                while (logs := self._update()) is not None:
                    yield logs
            finally:
                self._train.close()

    def recheck(self) -> None:
        """Forget what was recorded on memory that the method has left, as evaluation might make it; what follows is recorded anew."""
        memory = _python_state.memory(self.method)
        self.programs = [p for p in self.programs if all(memory.get(path) == address for path, address in p.memory.items())]

    def note(self) -> str:
        """What became of it, for the record."""
        reasons = dict.fromkeys(program.obstacle for program in self.programs if program.obstacle)
        if not reasons:
            return "updates are replayed from CUDA graphs"
        some = "some updates run" if any(program.replay for program in self.programs) else "updates run"
        return f"{some} without CUDA graphs: {'; '.join(reasons)}"

    def _update(self) -> Logs | None:
        """The next update, in the way that is open to it; None after the last."""
        program = next((p for p in self.programs if p.path.holds(self.method.t)), None)
        if program is None:
            return self._watch(Program(Path())) if len(self.programs) < _KINDS else self._run()
        if program.obstacle:
            return self._run()
        if program.replay is not None:
            return self._replay(program)
        return self._record(program) if program.alike else self._watch(program)

    def _run(self) -> Logs | None:
        """An update as ever."""
        with self.recorder.running():
            return next(self._train, None)

    # -- an update that is watched
    def _watch(self, program: Program) -> Logs | None:
        """An update as ever, and what it was."""
        method, path, t = self.method, Path(program.path.inputs), self.method.t
        before, trace = _python_state.python_state(method), Trace(method.device)
        self.feed.trace, self.feed.drawn = trace, 0
        path.inputs.begin(trace.paused)
        method.t = Watched(t, path)  # type: ignore[assignment]
        try:
            with self.recorder.running(), self._annealing.watched(t, trace), trace:
                logs = next(self._train, None)
        finally:
            self.feed.trace = None
            self._settle()
        if logs is None:
            return None
        logs = dict(use_all(dict(logs)))
        difference = _python_state.difference(before, _python_state.python_state(method))
        if method.t != t + 1:
            trace.obstacle = f"its updates count by {method.t - t} in self.t"
        trace.obstacle = trace.obstacle or self._annealing.obstacle
        if not program.watched:
            self.programs.append(program)
        program.take_in(path, trace, logs, difference)
        program.draws, program.anneals = self.feed.drawn, self._annealing.called
        return logs

    def _settle(self) -> None:
        """Leave no watched number on the method."""
        method = self.method
        method.t = method.t.value if isinstance(method.t, Watched) else method.t
        for name, value in list(vars(method).items()):
            if (plain := use_all(value)) is not value:
                setattr(method, name, plain)

    # -- an update that is recorded
    def _record(self, program: Program) -> Logs | None:
        """Record an update, and make it."""
        batches, t = self._draw(program), self.method.t
        try:
            program.buffers = [_batches.buffers_like(batch) for batch in batches]
            self.feed.waiting, self.feed.drawn = list(program.buffers), 0
            program.path.inputs.begin(None)
            self.method.t = Watched(t, Path(program.path.inputs))  # type: ignore[assignment]
            with self.recorder.running(), self._annealing.recorded():
                program.logs, program.replay = self.recorder.record(lambda: self._once(program))
        except RuntimeError as error:  # CUDA's, of memory among them
            program.obstacle = f"recording failed: {first_line(error)}"
            self._begin_again(t)
            self.feed.waiting = batches
            return self._run()
        finally:
            self._settle()
        self.method.t = t
        assert program.trace is not None
        program.memory = {path: x for path, x in _python_state.memory(self.method).items() if program.trace.keeps(x)}
        return self._replay_on(program, batches)

    def _once(self, program: Program) -> dict[str, Tensor | float]:
        """The update that is recorded.

        Raises:
            RuntimeError: it is not the one that was watched.
        """
        self.feed.trace = trace = Trace(self.method.device)
        try:
            with trace:
                logs = next(self._train, None)
        finally:
            self.feed.trace = None
        assert program.trace is not None
        if difference := program.trace.difference(trace) or "it is the last" * (logs is None):
            raise RuntimeError(difference)
        program.read = list(trace.read)
        return dict(logs or {})

    def _begin_again(self, t: int) -> None:
        """The generator anew, at the update that could not be recorded: nothing of it was computed."""
        self._train.close()
        self.method.t, self._train = t, self._start()
        for module in self.method.modules().values():
            module.zero_grad()  # what was recorded left gradients in memory that is gone

    # -- an update that is replayed
    def _replay(self, program: Program) -> Logs | None:
        """An update by its graph, or as ever where a batch has another shape."""
        batches = self._draw(program)
        if all(map(_batches.fits, batches, program.buffers)):
            return self._replay_on(program, batches)
        self.feed.waiting = batches
        return self._run()

    def _replay_on(self, program: Program, batches: list[Any]) -> Logs:
        assert program.replay is not None
        with self.recorder.running():
            if program.anneals:
                self._annealing.plain()
            program.path.inputs.fill(self.method.t)
            _batches.fill(program.buffers, batches, program.read)
            program.replay()
            logs = {key: value.clone() if isinstance(value, Tensor) else value for key, value in program.logs.items()}
        self.method.t += 1
        self.replayed += 1
        return logs

    def _draw(self, program: Program) -> list[Any]:
        return [next(self.feed.stream) for _ in range(program.draws)]

    def _start(self) -> Generator[Logs, None, None]:
        return (logs for logs in self.method.train(self.feed))
