"""Starts, kills and freezes the processes of a rehearsal with faults. Never touches any other process.

No function takes a process id: an object signals only the child that it started itself and has not waited
for, so the id cannot belong to another process meanwhile.
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
    """One child process, always started with the same command. Its output goes to a file."""

    def __init__(
        self, name: str, command: Sequence[str], log_file: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log_file = log_file
        self._command = list(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process. It ends when this process ends, in whatever way, and does not receive Ctrl-C.

        Call this from the main thread: the kernel ends a child with the thread that started it.

        Raises:
            OSError: the process cannot be started.
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
        """The exit code; None if the process runs or was never started."""
        return None if self._process is None else self._process.poll()

    def send(self, number: int) -> None:
        """Send a signal, if the process still runs."""
        process = self._running()
        if process is not None:
            # `send_signal` checks again that the process runs, so the id never belongs to another process.
            process.send_signal(number)

    def kill(self) -> None:
        """Kill the process with SIGKILL, even if it is frozen."""
        process = self._running()
        if process is not None:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Freeze the process with SIGSTOP."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self.send(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """Ask the process to stop, with SIGTERM."""
        self.send(signal.SIGTERM)

    def wait(self) -> bool:
        """Wait at most 15 s for the process to end. Returns whether it ended."""
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
    """Copy the environment without settings of `wr`, which are meant for the operator's own server."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("WR_", "OTEL_"))}


def _end_with_parent() -> "ctypes._FuncPointer":
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # type: ignore[return-value]
