"""Processes that a rehearsal may kill and freeze: those that it started itself, and no others.

Nothing here takes a process id from anywhere: a signal goes to a child that was started by the same object
and that has not been waited for, so the number cannot have become another process's.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_STOP_S = 15.0


class OwnProcess:
    """One child, started again and again with the same command; what it writes goes to a file."""

    def __init__(
        self, name: str, command: Sequence[str], log_file: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log_file = log_file
        self._command = list(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. It ends with this process, however that ends, and Ctrl-C is not for it.

        Call this from the main thread: the kernel's promise to end a child with its parent is tied to the
        thread that started it.

        Raises:
            OSError: it cannot be started.
        """
        if self._running() is not None:
            return
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is built from known parts or the operator's own
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_end_with_parent() if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call
            )

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs or was never started."""
        return None if self._process is None else self._process.poll()

    def send(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        process = self._running()
        if process is not None:
            # `send_signal` looks once more, so the number is never another process's.
            process.send_signal(number)

    def kill(self) -> None:
        """End it as the kernel does when memory runs out; frozen or not."""
        process = self._running()
        if process is not None:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Have it stand still."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        self.send(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """Ask it to end in order."""
        self.send(signal.SIGTERM)

    def wait(self) -> bool:
        """Wait until it has ended, for 15 s at most; returns whether it has."""
        if self._process is None:
            return True
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _running(self) -> subprocess.Popen[bytes] | None:
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process


def own_environment() -> dict[str, str]:
    """Copy the environment without the settings of `wr`, which are for the operator's own server."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("WR_", "OTEL_"))}


def _end_with_parent() -> "ctypes._FuncPointer":
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # type: ignore[return-value]
