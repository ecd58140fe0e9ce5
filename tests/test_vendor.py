"""Other people's scripts and styles: fetched as locked, all or nothing, and part of the wheel."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from wr.web.assets import own_assets

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Checkout:
    """A checkout with one locked package, and a folder that is all there is of package indexes."""

    folder: Path
    index: Path

    @property
    def vendor(self) -> Path:
        return self.folder / "wr/web/vendor"

    def publish(self, script: str) -> str:
        """Put a package with that script into the index; returns the hash of its wheel."""
        self.index.mkdir(exist_ok=True)
        wheel = self.index / "others-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("others/dist/script.js", script)
            archive.writestr("others/dist/not-wanted.js", "not wanted")
            archive.writestr(
                "others-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: others\nVersion: 1.0\n"
            )
            archive.writestr(
                "others-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr("others-1.0.dist-info/RECORD", "")
        return hashlib.sha256(wheel.read_bytes()).hexdigest()

    def lock(self, sha256: str, files: str = "others/dist/script.js script.js\n") -> None:
        """Lock the package to that hash, and say which files to take."""
        (self.folder / "wr/web/vendor.lock").write_text(f"others==1.0 --hash=sha256:{sha256}\n")
        (self.folder / "wr/web/vendor.files").write_text(f"# path name\n\n{files}")

    def fetch(self) -> subprocess.CompletedProcess[str]:
        """Run the script of the checkout."""
        index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index), "PIP_CONFIG_FILE": os.devnull}
        return subprocess.run(
            [self.folder / "scripts/vendor"],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, **index},
        )

    def fetched(self) -> dict[str, str]:
        """What is there, but for the note of what it was made from."""
        return {file.name: file.read_text() for file in self.vendor.glob("[!.]*")}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "checkout", tmp_path / "index")
    (made.folder / "scripts").mkdir(parents=True)
    (made.folder / "wr/web").mkdir(parents=True)
    (made.folder / ".venv/bin").mkdir(parents=True)
    (made.folder / ".venv/bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (made.folder / ".venv/bin/python").chmod(0o755)
    shutil.copy(ROOT / "scripts/vendor", made.folder / "scripts/vendor")
    return made


def test_the_files_that_are_named_are_taken_out_of_the_locked_packages_and_no_others(
    checkout: Checkout,
) -> None:
    checkout.lock(checkout.publish("first"))
    assert checkout.fetch().returncode == 0
    assert checkout.fetched() == {"script.js": "first"}


def test_what_has_been_fetched_is_not_fetched_again(checkout: Checkout) -> None:
    checkout.lock(checkout.publish("first"))
    checkout.fetch()
    shutil.rmtree(checkout.index)
    again = checkout.fetch()
    assert (again.returncode, again.stderr) == (0, "")


def test_a_new_lock_or_a_lost_file_is_fetched(checkout: Checkout) -> None:
    checkout.lock(checkout.publish("first"))
    checkout.fetch()
    checkout.lock(checkout.publish("second"))
    checkout.fetch()
    assert checkout.fetched() == {"script.js": "second"}
    (checkout.vendor / "script.js").unlink()
    checkout.fetch()
    assert checkout.fetched() == {"script.js": "second"}


def test_a_package_that_is_not_the_locked_one_is_refused_and_what_was_there_stays(checkout: Checkout) -> None:
    checkout.lock(checkout.publish("first"))
    checkout.fetch()
    checkout.lock("0" * 64)
    refused = checkout.fetch()
    assert refused.returncode == 1
    assert "vendor: cannot fetch the packages of wr/web/vendor.lock" in refused.stderr
    assert checkout.fetched() == {"script.js": "first"}
    assert [file.name for file in checkout.vendor.parent.glob(".vendor-*")] == []


def test_a_file_that_no_package_has_any_more_is_named(checkout: Checkout) -> None:
    checkout.lock(checkout.publish("first"), "others/moved.js script.js\n")
    refused = checkout.fetch()
    assert refused.returncode == 1
    assert "no package of wr/web/vendor.lock contains others/moved.js" in refused.stderr
    assert not checkout.vendor.exists()


def vendored() -> list[str]:
    """The names of `vendor.files`."""
    lines = (ROOT / "wr/web/vendor.files").read_text().splitlines()
    return sorted(line.split()[1] for line in lines if line and not line.startswith("#"))


def test_an_editable_install_finds_every_file_that_is_fetched() -> None:
    assert set(vendored()) <= set(own_assets().names())


def test_an_installed_wheel_finds_every_file_of_the_pages(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", "--target"]
    subprocess.run([sys.executable, "-m", "pip", *install, installed, wheel], check=True, capture_output=True)
    ask = "from wr.web import assets; print(assets.__file__); print(*assets.own_assets().names())"
    answer = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
    )
    place, names = answer.stdout.splitlines()
    assert Path(place).is_relative_to(installed)
    assert names.split() == own_assets().names()
    assert set(vendored()) <= set(names.split())
    for folder in ("static", "vendor", "templates", "texts"):
        files = [file for file in (ROOT / "wr/web" / folder).rglob("[!.]*") if file.is_file()]
        for file in files:
            assert (installed / file.relative_to(ROOT)).read_bytes() == file.read_bytes()
    assert list((installed / "wr/web").glob("vendor.*")) == []
