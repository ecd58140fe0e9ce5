"""Assets: files of the pages, read once however many ask for them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from wr.web.assets import Asset, AssetStore


def test_an_asset_that_many_threads_ask_for_at_once_is_read_by_one_of_them(tmp_path: Path) -> None:
    (tmp_path / "large.js").write_bytes(b"let a = 1;\n" * 100_000)
    storage = AssetStore(tmp_path)
    start = Barrier(8)

    def find(_number: int) -> Asset | None:
        start.wait(10)
        return storage.find("large.js")

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(find, range(8)))
    assert len({id(asset) for asset in found}) == 1
