"""A copy of the program with one more setting of a queue: what its definition alone brings about."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path

from tests.support.processes import ServerProcess, running_server_process

ROOT = Path(__file__).parents[2]
NAME = "patience"
DEFAULT, LEAST, MOST = 3, 1, 9
HELP = "How often a visitor may ask"
LABEL = "Patience of the staff"
_DEFINITION = f"""
    {NAME}: Annotated[
        int,
        Meta(ge={LEAST}, le={MOST}, description="{HELP}"),
        Setting(Group.PEOPLE, "{LABEL}", unit="times", is_public=True),
    ] = {DEFAULT}
"""
_END_OF_SETTINGS = "\n\nclass QueueConfig("


class ProgramCopy:
    """The copy, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """Copy the program and add the setting to its definitions, in one file."""
        self._folder = folder
        shutil.copytree(ROOT / "wr", folder / "wr", ignore=shutil.ignore_patterns("__pycache__"))
        file = folder / "wr" / "model" / "queue_settings.py"
        text = file.read_text()
        assert text.count(_END_OF_SETTINGS) == 1
        file.write_text(text.replace(_END_OF_SETTINGS, _DEFINITION + _END_OF_SETTINGS))

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run its Python with these arguments; it imports the copy, and the tests of the original."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("WR_")}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self._folder,
            env={**ours, "PYTHONPATH": f"{self._folder}:{ROOT}", "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def serving(self) -> Iterator[ServerProcess]:
        """Run its server, on an embedded store."""
        with ExitStack() as stack:
            # Python looks for a module in the working folder first.
            with chdir(self._folder):
                server = stack.enter_context(running_server_process(self._folder / "data"))
            yield server
