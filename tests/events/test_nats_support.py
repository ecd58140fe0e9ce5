"""What the tests look at NATS with."""

import asyncio
import json

import nats

from tests.support.nats import NatsServer


def test_all_that_a_stream_holds_is_read_however_much_it_is(nats_server: NatsServer) -> None:
    nats_server.make_stream(name="WAITINGROOM", subjects=["waitingroom.>"])

    async def publish() -> None:
        client = await nats.connect(nats_server.url)
        stream = client.jetstream()
        for number in range(1_100):
            body = json.dumps({"id": str(number)}).encode()
            await stream.publish("waitingroom.test", body, headers={"Nats-Msg-Id": str(number)})
        await client.close()

    asyncio.run(publish())
    assert [event["id"] for _, event in nats_server.stored()] == [str(number) for number in range(1_100)]
