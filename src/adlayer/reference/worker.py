"""The process in which a reference calculates: ``python -m adlayer.reference.worker``, spoken to through its pipes.

A process of its own can be killed when it hangs, may crash without harm, and needs no guard in the user's script. It
ends by itself when whoever started it is gone.
"""

from __future__ import annotations

import os
import pickle
import queue
import struct
import subprocess
import sys
import tempfile
import threading
import weakref
from typing import BinaryIO

from .method import CalculationFailed, ReferenceUnavailable

_ERRORS = {cls.__name__: cls for cls in (CalculationFailed, ReferenceUnavailable, ValueError)}
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class Worker:
    """A process that calls functions, one at a time, and is killed when one takes too long.

    Args:
        threads: how many threads its numerical libraries may use.
    """

    def __init__(self, threads: int = 1):
        self.threads = threads
        self._process: subprocess.Popen | None = None
        self._closed = False

    def __call__(self, function, *arguments, timeout: float | None = None):
        """``function(*arguments)``, computed there; raises ``TimeoutError`` after ``timeout`` seconds."""
        if self._closed:
            raise CalculationFailed("the worker has been closed")
        process = self._running()
        timed_out = threading.Event()
        timer = threading.Timer(timeout, lambda: (timed_out.set(), process.kill())) if timeout else None
        try:
            if timer:
                timer.start()
            _send(process.stdin, pickle.dumps((function, arguments)))
            kind, value = pickle.loads(_receive(process.stdout))
        except (EOFError, OSError):
            process.kill()
            code, last_words = process.wait(), self._last_words()
            self._process = None
            if timed_out.is_set():
                raise TimeoutError(f"took longer than {timeout:g} s and was stopped") from None
            raise CalculationFailed(f"the worker process died (exit code {code}){last_words}") from None
        finally:
            if timer:
                timer.cancel()
            if timed_out.is_set():
                process.wait()  # it was killed, be it after the answer: the next call must not find it alive
        if kind == "result":
            return value
        raise _ERRORS.get(kind, CalculationFailed)(value)

    def close(self) -> None:
        """Kill the process, whatever it is doing."""
        self._closed = True
        if self._process is not None:
            _end(self._process)

    def _running(self) -> subprocess.Popen:
        if self._process is None or self._process.poll() is not None:
            environment = os.environ | {name: str(self.threads) for name in _THREADS}
            environment["PYTHONPATH"] = os.pathsep.join(p or os.getcwd() for p in sys.path)
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches the parent alone, which then closes its workers
            )
            weakref.finalize(self, _end, self._process)
        return self._process

    def _last_words(self) -> str:
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - 2000))
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1].strip()}" if lines else ""


def _send(pipe: BinaryIO, message: bytes) -> None:
    pipe.write(struct.pack("<Q", len(message)) + message)
    pipe.flush()


def _receive(pipe: BinaryIO) -> bytes:
    head = pipe.read(8)
    message = pipe.read(struct.unpack("<Q", head)[0]) if len(head) == 8 else None
    if message is None:
        raise EOFError
    return message


def _end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


def serve() -> None:
    """Answer calls from standard input until it closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what engines print must not mix with the answers
    calls: queue.SimpleQueue = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                calls.put(_receive(sys.stdin.buffer))
        finally:
            os._exit(0)  # the parent is gone: leave, even out of a calculation

    threading.Thread(target=listen, daemon=True).start()
    while True:
        call = calls.get()
        try:
            function, arguments = pickle.loads(call)
        except Exception as error:
            answer = (ReferenceUnavailable.__name__, f"a worker process cannot import what it was given: {error}")
        else:
            answer = _answer(function, arguments)
        _send(answers, pickle.dumps(answer))


def _answer(function, arguments) -> tuple:
    try:
        return "result", function(*arguments)
    except Exception as error:
        return type(error).__name__, str(error).strip() or type(error).__name__
