"""A service behind proxies that costs nothing worth measuring: 1 KB of JSON, whatever is asked without a body."""

import asyncio
import sys
from typing import cast

import uvloop

BODY = b'{"polls": "' + b"x" * 1010 + b'"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
END = b"\r\n\r\n"


class Quiet(asyncio.Protocol):
    """One connection: an answer for every head that ends."""

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        """Answer."""
        if not self._rest and data.endswith(END) and data.count(END) == 1:
            self._transport.write(ANSWER)
            return
        *heads, self._rest = (self._rest + data).split(END)
        self._transport.write(ANSWER * len(heads))


async def main() -> None:
    """Serve until ended."""
    server = await asyncio.get_running_loop().create_server(Quiet, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
