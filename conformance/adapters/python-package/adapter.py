#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adapter of the conformance kit for the existing Python package, shm-rpc-bridge 0.2.4.

It says what the package says and hides nothing: an exception of the package becomes the error class
that comes nearest, a server whose loop ends stays ended.
"""

from __future__ import annotations

import json
import logging
import os
import pathlib
import sys
import threading
import time

import orjson
from shm_rpc_bridge import RPCClient, RPCServer
from shm_rpc_bridge.exceptions import (
    RPCError,
    RPCMethodError,
    RPCSerializationError,
    RPCTimeoutError,
    RPCTransportError,
)

sys.dont_write_bytecode = True
sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1]))
import python_adapter as kit  # noqa: E402
from python_adapter import Refused  # noqa: E402

logging.disable(logging.CRITICAL)


def classify(error: BaseException) -> Refused:
    """The error class of the specification that an exception of the package stands for."""
    text = str(error)
    if isinstance(error, RPCMethodError):
        return Refused("method_error", text)
    if isinstance(error, RPCTimeoutError):
        return Refused("timeout", text)
    if isinstance(error, RPCSerializationError):
        kind = "serialization" if text.startswith("Failed to serialize") else "protocol"
        return Refused(kind, text)
    if isinstance(error, RPCTransportError):
        if "too large" in text or "size mismatch" in text:
            return Refused("too_large", text)
        if "already exists" in text:
            return Refused("busy", text)
        if "No shared memory" in text or "No semaphore" in text or "Timed out waiting" in text:
            return Refused("not_found", text)
        if "Invalid message size" in text:
            return Refused("protocol", text)
        if "Invalid parameter" in text or "null character" in text or "too long" in text:
            return Refused("invalid", text)
        return Refused("system", text)
    if isinstance(error, (RPCError, KeyError, AttributeError)):
        return Refused("protocol", f"{type(error).__name__}: {text}")
    if isinstance(error, (ValueError, TypeError)):
        return Refused("invalid", f"{type(error).__name__}: {text}")
    return Refused("system", f"{type(error).__name__}: {text}")


class Server(kit.Handlers):
    """One RPCServer in a thread of its own."""

    def __init__(self, name: str, size: int, timeout: float):
        super().__init__()
        self.rpc = RPCServer(name, buffer_size=size, timeout=timeout)
        for method_name, method in self.methods.items():
            self.rpc.register(method_name, method)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        while not self.rpc._running and self.thread.is_alive():
            time.sleep(0.001)

    def serve(self) -> None:
        try:
            self.rpc.start()
        except Exception as error:
            print(f"the server's loop ended: {error!r}", file=sys.stderr)

    def stop(self) -> None:
        # The package looks at the flag when its receive times out; close() in another thread waits
        # for the lock that the receive holds.
        self.rpc._running = False
        self.thread.join()


class Adapter(kit.Adapter):
    about = {
        "implementation": "python-package",
        "version": "0.2.4",
        "levels": ["wire"],
        "features": ["async", "probe", "codec"],
    }

    def make_server(self, name: bytes, size: int, timeout_ms: int) -> Server:
        return Server(name.decode("utf-8", "surrogateescape"), size, timeout_ms / 1000)

    def make_client(self, name: bytes, size: int | None, timeout_ms: int, verb: dict) -> tuple:
        size = self.default_buffer if size is None else size
        client = RPCClient(
            name.decode("utf-8", "surrogateescape"),
            buffer_size=size,
            timeout=timeout_ms / 1000,
            wait_for_server=int(verb.get("wait_for_server_ms", 0)) / 1000,
        )
        return client, size

    def call(self, client: RPCClient, method: str, params: bytes) -> bytes:
        value = self.read(params)
        try:
            result = client.call(method, **value)
        except TypeError as error:  # it indexes a response that is no object
            raise Refused("protocol", str(error)) from error
        try:
            return orjson.dumps(result)
        except TypeError:  # the package reads deeper than orjson writes
            return json.dumps(result, ensure_ascii=False).encode()

    def read(self, data: bytes) -> object:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise Refused("serialization", str(error)) from error

    def write(self, value: object) -> bytes:
        try:
            return orjson.dumps(value)
        except TypeError as error:
            raise Refused("serialization", str(error)) from error

    def refusal(self, error: Exception) -> Refused:
        """Whatever the package raises is its answer."""
        return error if isinstance(error, Refused) else classify(error)

    def end(self) -> None:
        os._exit(0)  # its servers would be waited for


kit.serve(Adapter())
