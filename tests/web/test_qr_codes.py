"""QR codes: one picture for each address, drawn once whoever asks for it."""

from contextlib import suppress

import trio

from tests.gate.test_outage import Clock
from wr.api.pages.qr_codes import QrCodes
from wr.model.refusals import RateLimited


async def test_all_who_ask_for_one_address_at_once_get_one_picture() -> None:
    pictures: list[bytes] = []
    codes = QrCodes(Clock())

    async def ask() -> None:
        pictures.append(await codes.picture("https://wait.example/wait/demo"))

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(ask)
    assert len(pictures) == 100
    assert all(picture is pictures[0] for picture in pictures)
    assert pictures[0].startswith(b"<svg")


async def test_new_pictures_are_refused_beyond_ten_a_second_and_kept_ones_never() -> None:
    clock = Clock()
    codes = QrCodes(clock)
    drawn = 0
    for second in range(3):
        clock.now = float(second)
        for number in range(50):
            with suppress(RateLimited):
                await codes.picture(f"https://host-{second}-{number}.example/")
                drawn += 1
        assert await codes.picture("https://host-0-0.example/")
    assert drawn == 30
