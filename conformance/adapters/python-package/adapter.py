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
import struct
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

logging.disable(logging.CRITICAL)

DEFAULT_BUFFER = 4096


class Refused(Exception):
    """A call of the package failed: what the adapter reports as rpc_error."""

    def __init__(self, error_class: str, text: str, exact: str | None = None):
        super().__init__(text)
        self.error_class = error_class
        self.exact = exact


def classify(error: BaseException) -> Refused:
    """The error class of the specification that an exception of the package stands for."""
    text = str(error)
    if isinstance(error, RPCMethodError):
        return Refused("method_error", text, text)
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


class Server:
    """One RPCServer with the handlers that every port serves, in a thread of its own."""

    def __init__(self, name: str, buffer_bytes: int, timeout: float):
        self.effects = 0
        self.rpc = RPCServer(name, buffer_size=buffer_bytes, timeout=timeout)
        for method in (self.echo, self.add, self.sleep, self.fail, self.big, self.count,
                       self.unserialisable, self.exit):
            self.rpc.register(method.__name__, method)
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
        # The package looks at the flag when its receive times out; close() from another thread waits
        # for the lock that the receive holds.
        self.rpc._running = False
        self.thread.join()

    def echo(self, message):
        self.effects += 1
        return message

    def add(self, a, b):
        self.effects += 1
        return a + b

    def sleep(self, seconds):
        time.sleep(seconds)
        self.effects += 1
        return None

    def fail(self, type, message):
        raise make_error(type)(message)

    def big(self, n):
        return "x" * n

    def count(self):
        return self.effects

    def unserialisable(self):
        return object()

    def exit(self, code):
        os._exit(code)


def make_error(name: str) -> type:
    return type(name, (Exception,), {})


class Adapter:
    def __init__(self) -> None:
        self.handles: dict[str, object] = {}
        self.waiting: dict[str, tuple[threading.Thread, dict]] = {}
        self.next = 0

    def keep(self, prefix: str, thing: object) -> str:
        self.next += 1
        handle = f"{prefix}{self.next}"
        self.handles[handle] = thing
        return handle

    def take(self, verb: dict):
        thing = self.handles.pop(verb["handle"], None)
        if thing is None:
            raise Refused("invalid", "no such handle")
        return thing

    def hello(self, _: dict) -> dict:
        return {
            "implementation": "python-package",
            "version": "0.2.4",
            "roles": ["server", "client"],
            "levels": ["wire"],
            "transports": ["posix"],
            "features": ["async", "probe", "codec"],
            "limits": {"default_buffer": str(DEFAULT_BUFFER)},
            "libc": " ".join(os.confstr("CS_GNU_LIBC_VERSION").split()),
        }

    def server_start(self, verb: dict) -> dict:
        name = bytes.fromhex(verb["name"]).decode("utf-8", "surrogateescape")
        buffer_bytes = int(verb.get("buffer_bytes", DEFAULT_BUFFER))
        timeout = int(verb.get("timeout_ms", 5000)) / 1000
        return {"handle": self.keep("s", Server(name, buffer_bytes, timeout))}

    def server_stop(self, verb: dict) -> dict:
        self.take(verb).stop()
        return {}

    def client_open(self, verb: dict) -> dict:
        name = bytes.fromhex(verb["name"]).decode("utf-8", "surrogateescape")
        buffer_bytes = int(verb.get("buffer_bytes", DEFAULT_BUFFER))
        client = RPCClient(
            name,
            buffer_size=buffer_bytes,
            timeout=int(verb.get("timeout_ms", 5000)) / 1000,
            wait_for_server=int(verb.get("wait_for_server_ms", 0)) / 1000,
        )
        return {"handle": self.keep("c", client), "buffer_bytes": str(buffer_bytes)}

    def client_close(self, verb: dict) -> dict:
        self.take(verb).close()
        return {}

    def call(self, verb: dict) -> dict:
        client = self.handles.get(verb["handle"])
        if client is None:
            raise Refused("invalid", "no such handle")
        method = bytes.fromhex(verb["method"]).decode("utf-8")
        try:
            params = orjson.loads(bytes.fromhex(verb["params"]))
        except orjson.JSONDecodeError as error:
            raise Refused("serialization", str(error)) from error
        try:
            result = client.call(method, **params)
        except TypeError as error:  # it indexes a response that is no object
            raise Refused("protocol", str(error)) from error
        return {"result": to_text(result).hex()}

    def client_call_async(self, verb: dict) -> dict:
        outcome: dict = {}

        def work() -> None:
            outcome.update(answer(lambda: self.call(verb)))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self.next += 1
        self.waiting[f"a{self.next}"] = (thread, outcome)
        return {"call": f"a{self.next}"}

    def client_wait(self, verb: dict) -> dict:
        thread, outcome = self.waiting.pop(verb["call"])
        thread.join()
        return {"__whole__": outcome}

    def codec_decode(self, verb: dict) -> dict:
        if verb["kind"] != "json":
            return {"__whole__": {"unsupported": {"feature": "codec-" + verb["kind"]}}}
        try:
            return {"tree": to_tree(orjson.loads(bytes.fromhex(verb["hex"])))}
        except orjson.JSONDecodeError as error:
            return {"reject": {"class": "serialization", "text": ascii_text(str(error))}}

    def codec_encode(self, verb: dict) -> dict:
        if verb["kind"] != "json":
            return {"__whole__": {"unsupported": {"feature": "codec-" + verb["kind"]}}}
        try:
            return {"hex": orjson.dumps(from_tree(verb["tree"])).hex()}
        except TypeError as error:
            raise Refused("serialization", str(error)) from error

    def probe(self, _: dict) -> dict:
        with open("/proc/self/maps") as maps:
            lines = len(maps.readlines())
        return {
            "fds": str(len(os.listdir("/proc/self/fd")) - 1),
            "maps": str(lines),
            "threads": str(len(os.listdir("/proc/self/task"))),
        }

    def fork(self, _: dict) -> dict:
        return {"__whole__": {"unsupported": {"feature": "fork"}}}

    def quit(self, _: dict) -> dict:
        return {}


def to_text(value: object) -> bytes:
    """The package reads deeper than orjson writes; what it has read is shown by Python's own writer."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=False).encode()


def to_tree(value: object) -> dict:
    if value is None:
        return {"t": "null"}
    if isinstance(value, bool):
        return {"t": "bool", "v": "true" if value else "false"}
    if isinstance(value, int):
        return {"t": "int", "v": str(value)}
    if isinstance(value, float):
        return {"t": "double", "v": struct.pack(">d", value).hex()}
    if isinstance(value, str):
        return {"t": "string", "v": value.encode().hex()}
    if isinstance(value, list):
        return {"t": "array", "v": [to_tree(item) for item in value]}
    return {"t": "object", "v": [[key.encode().hex(), to_tree(item)] for key, item in value.items()]}


def from_tree(tree: dict) -> object:
    kind = tree["t"]
    if kind == "null":
        return None
    if kind == "bool":
        return tree["v"] == "true"
    if kind == "int":
        return int(tree["v"])
    if kind == "double":
        return struct.unpack(">d", bytes.fromhex(tree["v"]))[0]
    if kind == "string":
        return bytes.fromhex(tree["v"]).decode()
    if kind == "array":
        return [from_tree(item) for item in tree["v"]]
    return {bytes.fromhex(key).decode(): from_tree(item) for key, item in tree["v"]}


def ascii_text(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def answer(work) -> dict:
    try:
        body = work()
    except Refused as error:
        refused = error
    except Exception as error:  # whatever the package raises is its answer
        refused = classify(error)
    else:
        return body.get("__whole__", {"ok": body})
    reply = {"class": refused.error_class, "text": ascii_text(str(refused))}
    if refused.exact is not None:
        reply["text_hex"] = refused.exact.encode("utf-8", "surrogateescape").hex()
    return {"rpc_error": reply}


def main() -> None:
    sys.setrecursionlimit(20000)
    adapter = Adapter()
    for line in sys.stdin:
        verb = json.loads(line)
        work = getattr(adapter, verb["verb"].replace(".", "_"), None)
        if verb["verb"] == "client.call":
            work = adapter.call
        if work is None:
            reply = {"unsupported": {"feature": verb["verb"]}}
        else:
            reply = answer(lambda: work(verb))
        print(json.dumps({"id": verb["id"], **reply}), flush=True)
        if verb["verb"] == "quit":
            os._exit(0)


main()
