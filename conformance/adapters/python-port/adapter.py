#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adapter of the conformance kit for the Python port. What a port does is all in shmrpc_port.py."""

from __future__ import annotations

import logging
import pathlib
import signal
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1]))
import python_adapter as kit  # noqa: E402
import shmrpc_port as port  # noqa: E402


class Service(kit.Handlers):
    """A server in a thread of its own."""

    def __init__(self, name: bytes, size: int, timeout: float | None):
        super().__init__()
        self.ended: str | None = None
        self.server = port.Server(name, self.methods, size, timeout)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        try:
            self.server.run()
        except port.ShmRpcError as error:
            self.ended = error.kind
            logging.warning("serving ended: %s", error)

    def stop(self) -> str | None:
        self.server.stop()
        self.thread.join()
        self.server.close()
        return self.ended


class Adapter(kit.Adapter):
    about = {
        "implementation": "python-port",
        "version": "1",
        "levels": ["wire", "recovery"],
        "features": ["async", "probe", "codec", "segment_size", "wait_block"],
    }
    default_buffer = port.DEFAULT_BUFFER
    read = staticmethod(port.json_read)
    write = staticmethod(port.json_write)

    def make_server(self, name: bytes, size: int, timeout_ms: int) -> Service:
        return Service(name, size, seconds(timeout_ms))

    def make_client(self, name: bytes, size: int | None, timeout_ms: int, verb: dict) -> tuple:
        client = port.Client(name, size, seconds(timeout_ms),
                             wait_for_server=int(verb.get("wait_for_server_ms", "0")) / 1000,
                             wait_busy=int(verb.get("wait_busy_ms", "0")) / 1000)
        return client, client.buffer_size

    def call(self, client: port.Client, method: str, params: bytes) -> bytes:
        value = port.json_read(params)
        if not isinstance(value, dict):
            raise kit.Refused("invalid", "params is no object")
        return port.json_write(client.call(method, value))

    def refusal(self, error: Exception) -> kit.Refused | None:
        if isinstance(error, port.ShmRpcError):
            return kit.Refused(error.kind, str(error), error.maybe_executed)
        return error if isinstance(error, kit.Refused) else None

    def end(self) -> None:
        for service in self.servers.values():
            service.server.stop()
        for service in self.servers.values():
            service.stop()


def seconds(milliseconds: int) -> float | None:
    return None if milliseconds == -1 else milliseconds / 1000


logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="server: %(message)s")
# Signals that a case sends in numbers must interrupt waits, not end the adapter.
for number in (signal.SIGUSR1, signal.SIGALRM, signal.SIGWINCH):
    signal.signal(number, lambda *_: None)
kit.serve(Adapter())
