"""What a process may use of its machine's memory."""

from pathlib import Path

import pytest

from wr.store.machine_memory import memory_bytes

MIB = 2**20


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/\n", {"sys/fs/cgroup/memory.max": f"{512 * MIB}\n"}, 512 * MIB),
        # The outer group bounds what the inner one may have.
        (
            "0::/shop/wr\n",
            {"sys/fs/cgroup/shop/wr/memory.max": "max\n", "sys/fs/cgroup/shop/memory.max": f"{300 * MIB}\n"},
            300 * MIB,
        ),
        (
            "9:cpu:/\n4:memory:/wr\n0::/\n",
            {"sys/fs/cgroup/memory/wr/memory.limit_in_bytes": f"{200 * MIB}\n"},
            200 * MIB,
        ),
    ],
)
def test_a_containers_limit_counts_where_it_has_one(
    tmp_path: Path, group: str, files: dict[str, str], expected: int
) -> None:
    for name, text in {"proc/self/cgroup": group, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory_bytes(tmp_path) == expected


def test_without_a_limit_it_is_what_the_machine_has(tmp_path: Path) -> None:
    assert memory_bytes(tmp_path) > 100 * MIB
