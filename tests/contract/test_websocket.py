"""WebSocket /ws/queues/{queue_id}."""

from contextlib import suppress

import pytest
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected

from tests.support.site import BASE, Site, error_code
from tests.support.sockets import websocket
from wr.http.websocket_rules import MOST_FRAMES


def place(site: Site, queue_id: str) -> str:
    return str(site.join(queue_id).json()["token"])


async def test_the_position_comes_at_once_and_again_whenever_it_changed(site: Site) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=45)
    ahead, token = place(site, queue_id), place(site, queue_id)
    async with websocket(site, queue_id, token) as socket:
        first = await socket.message()
        assert first == {
            "type": "position_update",
            "data": {
                "position": 2,
                "queue_length": 2,
                "estimated_wait_seconds": 1,
                "heartbeat_timeout_seconds": 45,
                "queue_status": "paused",
            },
        }
        await trio.to_thread.run_sync(lambda: site.call("DELETE", f"/queues/{queue_id}/position", ahead))
        second = await socket.message()
        assert (second["type"], second["data"]["position"]) == ("position_update", 1)
        assert "heartbeat_timeout_seconds" not in second["data"]


async def test_a_timeout_that_was_changed_comes_with_the_next_update(site: Site) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=45)
    token = place(site, queue_id)
    async with websocket(site, queue_id, token) as socket:
        await socket.message()
        changes = {"heartbeat_timeout_seconds": 90, "status": "maintenance"}
        await trio.to_thread.run_sync(lambda: site.admin("PATCH", f"/queues/{queue_id}", changes))
        data = (await socket.message())["data"]
        assert (data["queue_status"], data["heartbeat_timeout_seconds"]) == ("maintenance", 90)


async def test_admission_brings_the_way_in_and_a_normal_close(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = place(site, queue_id)
    async with websocket(site, queue_id, token) as socket:
        await socket.message()
        await trio.to_thread.run_sync(
            lambda: site.admin("PATCH", f"/queues/{queue_id}", {"status": "active"})
        )
        message = await socket.message()
        if message["type"] == "position_update":
            assert "queue_status" not in message["data"]  # The line goes on.
            message = await socket.message()
        assert message["type"] == "admitted"
        assert set(message["data"]) == {"session_id", "session_token", "redirect_url"}
        assert message["data"]["redirect_url"] == "https://shop.example/checkout"
        assert await socket.close_code() == 1000
    session = site.status(queue_id, token).json()["session_token"]
    assert session == message["data"]["session_token"]


async def test_somebody_admitted_before_gets_the_way_in_at_once(site: Site) -> None:
    queue_id = site.make_queue()
    token = place(site, queue_id)
    site.admitted(queue_id, token)
    async with websocket(site, queue_id, token) as socket:
        assert (await socket.message())["type"] == "admitted"
        assert await socket.close_code() == 1000


@pytest.mark.parametrize("end", ["cancelled", "flushed", "queue_deleted"])
async def test_the_end_of_a_place_is_told_with_its_reason(site: Site, end: str) -> None:
    queue_id = site.make_queue(status="paused")
    token = place(site, queue_id)
    ends = {
        "cancelled": lambda: site.call("DELETE", f"/queues/{queue_id}/position", token),
        "flushed": lambda: site.admin("POST", f"/queues/{queue_id}/flush"),
        "queue_deleted": lambda: site.admin("DELETE", f"/queues/{queue_id}"),
    }
    async with websocket(site, queue_id, token) as socket:
        await socket.message()
        await trio.to_thread.run_sync(ends[end])
        assert await socket.message() == {"type": "expired", "data": {"reason": end}}
        assert await socket.close_code() == 1000


async def test_an_open_websocket_keeps_the_place(site: Site) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_interval_seconds=1, heartbeat_timeout_seconds=2)
    token, silent = place(site, queue_id), place(site, queue_id)
    async with websocket(site, queue_id, token) as socket:
        await socket.message()
        # Real seconds pass: the silent one is dropped, which shows that the timeout was over.
        await trio.to_thread.run_sync(
            lambda: site.wait_for(lambda: site.status(queue_id, silent), lambda r: r.status_code == 410)
        )
    assert site.status(queue_id, token).json()["position"] == 1


async def test_a_heartbeat_message_counts_as_one(site: Site) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_interval_seconds=10, heartbeat_timeout_seconds=60)
    token = place(site, queue_id)
    async with websocket(site, queue_id, token) as socket:
        await socket.message()
        await socket.heartbeat()
        used = site.heartbeat(queue_id, token).headers["x-ratelimit-remaining"]
        await socket.heartbeat()
        await trio.to_thread.run_sync(
            lambda: site.wait_for(
                lambda: site.heartbeat(queue_id, token),
                lambda r: int(r.headers["x-ratelimit-remaining"]) < int(used) - 1,
            )
        )


async def test_more_heartbeats_than_the_limit_close_it(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = place(site, queue_id)
    async with websocket(site, queue_id, token) as socket:
        await socket.message()
        for _ in range(40):
            await socket.heartbeat()
        assert await socket.close_code() == 1008
    assert site.status(queue_id, token).json()["position"] == 1


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x00binary", 1003),
        ("not json", 1007),
        ('{"type": 1}', 1008),
        ('{"type": "heartbeat", "data": {"timestamp": "soon"}}', 1008),
        ("[]", 1008),
        ("x" * 5000, 1009),
        ("[" * 4000, 1008),
    ],
)
async def test_what_is_no_message_closes_with_the_code_that_says_why(
    site: Site, message: str | bytes, code: int
) -> None:
    queue_id = site.make_queue(status="paused")
    token = place(site, queue_id)
    async with websocket(site, queue_id, token) as socket:
        await socket.message()
        await socket.connection.send_message(message)
        assert await socket.close_code() == code
    assert site.status(queue_id, token).json()["position"] == 1


async def test_a_heartbeat_may_come_without_its_data(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    ahead, token = place(site, queue_id), place(site, queue_id)
    async with websocket(site, queue_id, token) as socket:
        await socket.message()
        await socket.connection.send_message('{"type": "heartbeat"}')
        await trio.to_thread.run_sync(lambda: site.call("DELETE", f"/queues/{queue_id}/position", ahead))
        assert (await socket.message())["data"]["position"] == 1


@pytest.mark.parametrize(
    "message", ['{"type": "dance"}', '{"type": "ack", "data": [1, {"a": null}]}', '{"type": ""}']
)
async def test_a_message_of_an_unknown_type_is_overlooked_and_the_stream_goes_on(
    site: Site, message: str
) -> None:
    queue_id = site.make_queue(status="paused")
    ahead, token = place(site, queue_id), place(site, queue_id)
    async with websocket(site, queue_id, token) as socket:
        await socket.message()
        for _ in range(5):
            await socket.connection.send_message(message)
        await trio.to_thread.run_sync(lambda: site.call("DELETE", f"/queues/{queue_id}/position", ahead))
        assert (await socket.message())["data"]["position"] == 1


async def test_messages_of_unknown_types_count_against_the_frames_that_a_client_may_send(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    async with websocket(site, queue_id, place(site, queue_id)) as socket:
        await socket.message()
        with suppress(ConnectionClosed):
            for _ in range(MOST_FRAMES + 1):
                await socket.connection.send_message('{"type": "dance"}')
        assert await socket.close_code() == 1008


async def test_a_heartbeats_time_may_be_spelled_with_a_fraction_of_zero(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    ahead, token = place(site, queue_id), place(site, queue_id)
    async with websocket(site, queue_id, token) as socket:
        await socket.message()
        message = '{"type": "heartbeat", "data": {"timestamp": 1704067260000.0}}'
        await socket.connection.send_message(message)
        await trio.to_thread.run_sync(lambda: site.call("DELETE", f"/queues/{queue_id}/position", ahead))
        assert (await socket.message())["data"]["position"] == 1


async def test_a_browser_sends_the_token_as_a_subprotocol_and_gets_bearer_back(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = place(site, queue_id)
    async with websocket(site, queue_id, protocols=["bearer", token]) as socket:
        assert socket.connection.subprotocol == "bearer"
        assert (await socket.message())["data"]["position"] == 1


async def test_the_token_may_come_in_the_query(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = place(site, queue_id)
    async with websocket(site, queue_id, query=f"?access_token={token}") as socket:
        assert (await socket.message())["data"]["position"] == 1


async def refusal(site: Site, queue_id: str, token: str | None = None) -> ConnectionRejected:
    with pytest.RaisesGroup(ConnectionRejected, allow_unwrapped=True, flatten_subgroups=True) as caught:
        async with websocket(site, queue_id, token):
            raise AssertionError("it was opened")
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ConnectionRejected)
    return error


async def test_refusals_before_the_upgrade_are_plain_http_errors(site: Site) -> None:
    queue_id, other = site.make_queue(status="paused"), site.make_queue(status="paused")
    token = place(site, queue_id)
    assert (await refusal(site, queue_id)).status_code == 401
    assert (await refusal(site, queue_id, "rubbish")).status_code == 401
    assert (await refusal(site, other, token)).status_code == 401
    site.admin("POST", f"/queues/{queue_id}/flush")
    assert (await refusal(site, queue_id, token)).status_code == 410
    site.admin("DELETE", f"/queues/{queue_id}")
    gone = await refusal(site, queue_id, token)
    assert gone.status_code == 404
    assert b'"code":"NOT_FOUND"' in gone.body
    assert any(name == b"x-request-id" for name, _ in gone.headers)


def test_a_plain_request_is_told_to_upgrade(site: Site) -> None:
    response = site.http.get("/ws/queues/demo")
    assert response.status_code == 426
    assert response.headers["upgrade"] == "websocket"
    assert error_code(response) == "UPGRADE_REQUIRED"


def test_a_request_to_upgrade_elsewhere_is_answered_as_if_it_were_none(site: Site) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    assert site.http.get(f"{BASE}/health", headers=headers).json()["status"] == "healthy"


async def test_a_token_past_its_time_opens_a_stream_that_brings_a_fresh_one(site: Site) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    token = place(site, queue_id)
    site.clock.advance(1801)
    async with websocket(site, queue_id, token) as socket:
        assert (await socket.message())["type"] == "position_update"
        fresh = await socket.message()
        assert fresh["type"] == "token"
        assert set(fresh["data"]) == {"token", "expires_at"}
        assert (
            site.status(queue_id, fresh["data"]["token"]).json()["expires_at"] == fresh["data"]["expires_at"]
        )


async def test_a_stream_opened_with_a_fresh_token_brings_none_at_once(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    async with websocket(site, queue_id, place(site, queue_id)) as socket:
        assert (await socket.message())["type"] == "position_update"
        with trio.move_on_after(0.3) as quiet:
            await socket.message()
        assert quiet.cancelled_caught
