"""Builds and runs a Dockerfile like a container engine, as far as the kernel alone can do it.

A root is an overlay on this machine's file system that keeps writes separate. Programs in it
run in separate name spaces, with their own process ids and network.
"""

import contextlib
import fnmatch
import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dockerfile_parse import DockerfileParser

from tests.support.processes import eventually

ROOT = Path(__file__).parents[2]
BUILD_S = 600.0
STOP_S = 10.0
"""Seconds between the signal and the kill of `docker stop`."""
NEEDS = ("unshare", "nsenter", "chroot", "ip")
_OF_THE_BUILDER = (
    "PIP_",
    "SSL_CERT",
    "REQUESTS_CA",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
)


@dataclass(frozen=True)
class Step:
    """One instruction of a Dockerfile."""

    name: str
    value: str

    def words(self) -> list[str]:
        """The value as arguments: from the exec form, or split as a shell does."""
        return list(json.loads(self.value)) if self.value.startswith("[") else shlex.split(self.value)


def stages(file: Path) -> list[list[Step]]:
    """Read a Dockerfile: the steps of each stage, starting with FROM."""
    found: list[list[Step]] = []
    with file.open("rb") as content:
        parser = DockerfileParser(fileobj=content)
        for each in parser.structure:
            if each["instruction"] in ("COMMENT", "ARG"):
                continue
            if each["instruction"] == "FROM":
                found.append([])
            found[-1].append(Step(each["instruction"], each["value"]))
    return found


def context_files(folder: Path) -> list[str]:
    """List the files of the build context: all that .dockerignore allows. Its last matching line counts."""
    lines = (folder / ".dockerignore").read_text().split("\n")
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    tops = {pattern[1:].partition("/")[0] for pattern in patterns if pattern.startswith("!")}
    found = []
    for top in sorted(tops):
        files = [folder / top] if (folder / top).is_file() else (folder / top).rglob("*")
        for file in files:
            name = str(file.relative_to(folder))
            if file.is_file() and not _is_ignored(name, patterns):
                found.append(name)
    return found


def _is_ignored(name: str, patterns: list[str]) -> bool:
    parts = name.split("/")
    paths = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    verdict = False
    for pattern in patterns:
        plain = pattern.removeprefix("!")
        anywhere = plain.removeprefix("**/")
        if any(
            fnmatch.fnmatchcase(path, plain)
            or (anywhere != plain and fnmatch.fnmatchcase(path.rpartition("/")[2], anywhere))
            for path in paths
        ):
            verdict = not pattern.startswith("!")
    return verdict


@dataclass
class Image:
    """A root in which programs run, with the user, folder and environment of the steps."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    workdir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health_check: list[str] = field(default_factory=list)
    stop_signal: signal.Signals = signal.SIGTERM
    skipped: list[Step] = field(default_factory=list)
    """Steps that need another image."""

    def __post_init__(self) -> None:
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        # The official images have Python there. Here a link leads to this machine's Python.
        python = self.path("/usr/local/bin/python")
        python.parent.mkdir(parents=True)
        python.symlink_to("/usr/bin/python3")

    def path(self, path: str) -> Path:
        """Return the outside path of a file that the image has written, while no program runs in it."""
        return self.folder / "upper" / path.lstrip("/")

    def replay(self, steps: list[Step], context: Path, others: Mapping[str, "Image"]) -> None:
        """Execute the steps of a stage, except those that need an image that is not available."""
        for step in steps[1:]:
            if "dragonfly" in step.value and step.name in ("COPY", "RUN"):
                self.skipped.append(step)
            else:
                self._do(step, context, others)

    def _do(self, step: Step, context: Path, others: Mapping[str, "Image"]) -> None:
        match step.name:
            case "WORKDIR":
                self.workdir = step.value
                self.path(self.workdir).mkdir(parents=True, exist_ok=True)
            case "USER":
                self.user = step.value
            case "ENV":
                self.environment |= dict(word.split("=", 1) for word in step.words())
            case "COPY":
                self._copy(step.words(), context, others)
            case "RUN":
                self._build(step.value)
            case "ENTRYPOINT":
                self.entrypoint = step.words()
            case "CMD":
                self.command = step.words()
            case "HEALTHCHECK":
                self.health_check = list(json.loads(step.value[step.value.index("[") :]))
            case "STOPSIGNAL":
                self.stop_signal = signal.Signals[step.value]
            case "LABEL" | "EXPOSE" | "VOLUME":
                pass
            case _:
                raise AssertionError(f"these tests do not support the instruction {step.name}")

    def _copy(self, words: list[str], context: Path, others: Mapping[str, "Image"]) -> None:
        if words[0].startswith("--from="):
            source, target = others[words[0].removeprefix("--from=")].path(words[1]), self.path(words[2])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target, symlinks=True)
            return
        *names, target_name = words
        files = context_files(context)
        for name in files if names == ["."] else names:
            assert name in files, f".dockerignore keeps {name} out"
            # A folder keeps its structure; a single file keeps only its name.
            kept = name if names == ["."] else Path(name).name
            target = self.path(f"{self.workdir}/{target_name}/{kept}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(context / name, target)

    def _build(self, script: str) -> None:
        how = {name: value for name, value in os.environ.items() if name.startswith(_OF_THE_BUILDER)}
        path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = {"PATH": path, "HOME": "/root", **how, **self.environment}
        command = self._spell(["/bin/sh", "-c", script], environment, "0:0", "--mount")
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_S, check=False)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"

    def _spell(
        self, program: list[str], environment: Mapping[str, str], user: str, *spaces: str
    ) -> list[str]:
        folder = shlex.quote(str(self.folder))
        given = [f"{name}={value}" for name, value in environment.items()]
        inside = ["/usr/bin/env", "-i", f"--chdir={self.workdir}", *given, *program]
        script = " && ".join(
            (
                f"cd {folder}",
                "mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root",
                "mount --rbind /dev root/dev",
                "mount -t proc proc root/proc",
                *(["ip link set lo up"] if "--net" in spaces else []),
                f"exec chroot --userspec={user} --groups= root {shlex.join(inside)}",
            )
        )
        return ["unshare", *spaces, "sh", "-c", script]

    @contextmanager
    def running(self, output: Path, *arguments: str, **variables: str) -> Iterator["Container"]:
        """Start it as `docker run` does. The end of the block kills all its processes."""
        command = self._spell(
            [*self.entrypoint, *(arguments or self.command)],
            {**self.environment, **variables},
            self.user,
            *("--mount", "--pid", "--net", "--fork", "--kill-child"),
        )
        with output.open("wb") as file:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        try:
            yield Container(self, process, output)
        finally:
            # Kill the first process inside, with which all others end. It has changed its user, so it would
            # outlive the one outside.
            for first in children_of(process.pid):
                os.kill(first, signal.SIGKILL)
            process.kill()
            process.wait()


def children_of(pid: int) -> list[int]:
    """Return the running children of a process; empty if the process does not run."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


@dataclass
class Container:
    """A running image."""

    image: Image
    outer: subprocess.Popen[bytes]
    output: Path

    @property
    def pid(self) -> int:
        """The id of its first process outside; inside it is 1."""

        def child() -> int | None:
            return next(iter(children_of(self.outer.pid)), None)

        return eventually(child, "the first process is there")

    def wait_for(self, text: str) -> None:
        """Wait until its output contains the text."""

        def said() -> bool:
            assert self.outer.poll() is None, self.output.read_text()
            return text in self.output.read_text()

        eventually(said, f"it has written {text}", 60.0)

    def execute(self, *program: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it as `docker exec` does."""
        given = [f"{name}={value}" for name, value in self.image.environment.items()]
        inside = ["/usr/bin/env", "-i", f"--chdir={self.image.workdir}", *given, *program]
        user = f"--userspec={self.image.user}"
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--root"]
        command = [*enter, "chroot", user, "--groups=", "/", *inside]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def check_health(self) -> int:
        """Run its health check; returns the exit code."""
        return self.execute(*self.image.health_check).returncode

    def processes(self) -> dict[int, tuple[str, str, str]]:
        """All its processes, including zombies, by their id outside: name, state and user id."""
        everything = {}
        for file in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                facts = dict(line.split(":", 1) for line in file.read_text().splitlines())
                everything[int(facts["Pid"])] = {name: value.split() for name, value in facts.items()}
        found = {self.pid}
        # An orphaned process gets the first process as its parent, so all of them are below it.
        while below := {pid for pid, facts in everything.items() if int(facts["PPid"][0]) in found} - found:
            found |= below
        return {
            pid: (facts["Name"][0], facts["State"][0], facts["Uid"][0])
            for pid, facts in everything.items()
            if pid in found
        }

    def stop(self) -> int:
        """Stop it as `docker stop` does, which waits 10 s; returns its exit code."""
        os.kill(self.pid, self.image.stop_signal)
        return self.outer.wait(STOP_S)
