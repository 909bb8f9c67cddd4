#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adapter of the conformance kit for the Python port.

Reads verbs, one JSON object a line, and writes one reply for each; the protocol is
conformance/runner/adapter-schema.json. Everything that a port does happens in shmrpc_port.py.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
import shmrpc_port as port  # noqa: E402

logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="server: %(message)s")
sys.setrecursionlimit(20_000)  # a tree of 1,024 levels is a line of more than 2,048
threading.stack_size(16 << 20)


class Unsupported(Exception):
    """The port, or this adapter, does not have a feature."""


def make_error(name: str) -> type:
    return type(name, (Exception,), {})


class Service:
    """A server in a thread of its own, with the handlers that every port serves for the kit."""

    def __init__(self, name: bytes, buffer_size: int, timeout: float | None):
        self.effects = 0
        self.ended: str | None = None
        methods = {method.__name__: method for method in
                   (self.echo, self.add, self.sleep, self.fail, self.big, self.count,
                    self.unserialisable, self.exit)}
        self.server = port.Server(name, methods, buffer_size, timeout)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        try:
            self.server.run()
        except port.ShmRpcError as error:
            self.ended = error.kind
            logging.warning("serving ended: %s", error)

    def stop(self) -> None:
        self.server.stop()
        self.thread.join()
        self.server.close()

    def echo(self, message):
        self.effects += 1
        return message

    def add(self, a, b):
        self.effects += 1
        total = a + b
        if isinstance(total, int) and not -(2**63) <= total < 2**64:
            raise OverflowError("the sum has no 64-bit integer")
        return total

    def sleep(self, seconds):
        time.sleep(seconds)
        self.effects += 1

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


def milliseconds(verb: dict, key: str) -> float | None:
    """A time-out in seconds; the kit says -1 for none."""
    value = int(verb.get(key, "5000"))
    return None if value == -1 else value / 1000


class Adapter:
    """One method a verb, with _ for the dot in its name."""

    def __init__(self) -> None:
        self.things: dict[str, object] = {}
        self.number = 0

    def keep(self, prefix: str, thing: object) -> str:
        self.number += 1
        handle = f"{prefix}{self.number}"
        self.things[handle] = thing
        return handle

    def find(self, verb: dict, kind: type, key: str = "handle") -> object:
        thing = self.things.get(verb[key])
        if not isinstance(thing, kind):
            raise port.ShmRpcError("invalid", "no such handle")
        return thing

    def hello(self, _: dict) -> dict:
        return {
            "implementation": "python-port",
            "version": "1",
            "roles": ["server", "client"],
            "levels": ["wire", "recovery"],
            "transports": ["posix"],
            "features": ["async", "probe", "codec", "segment_size", "wait_block"],
            "limits": {"default_buffer": str(port.DEFAULT_BUFFER)},
            "libc": os.confstr("CS_GNU_LIBC_VERSION"),
        }

    def server_start(self, verb: dict) -> dict:
        size = int(verb.get("buffer_bytes", port.DEFAULT_BUFFER))
        service = Service(bytes.fromhex(verb["name"]), size, milliseconds(verb, "timeout_ms"))
        return {"handle": self.keep("s", service)}

    def server_stop(self, verb: dict) -> dict:
        service = self.find(verb, Service)
        del self.things[verb["handle"]]
        service.stop()
        return {} if service.ended is None else {"class": service.ended}

    def client_open(self, verb: dict) -> dict:
        size = int(verb["buffer_bytes"]) if "buffer_bytes" in verb else None
        client = port.Client(
            bytes.fromhex(verb["name"]), size, milliseconds(verb, "timeout_ms"),
            wait_for_server=int(verb.get("wait_for_server_ms", "0")) / 1000,
            wait_busy=int(verb.get("wait_busy_ms", "0")) / 1000)
        return {"handle": self.keep("c", client), "buffer_bytes": str(client.buffer_size)}

    def client_close(self, verb: dict) -> dict:
        client = self.find(verb, port.Client)
        del self.things[verb["handle"]]
        client.close()
        return {}

    def call_of(self, verb: dict):
        """A call with its parameters read; the call itself may go on in another thread."""
        client = self.find(verb, port.Client)
        method = bytes.fromhex(verb["method"]).decode("utf-8")

        def work() -> dict:
            params = port.json_read(bytes.fromhex(verb["params"]))
            if not isinstance(params, dict):
                raise port.ShmRpcError("invalid", "params is no object")
            return {"result": port.json_write(client.call(method, params)).hex()}

        return work

    def client_call(self, verb: dict) -> dict:
        return self.call_of(verb)()

    def client_call_async(self, verb: dict) -> dict:
        work, outcome = self.call_of(verb), []
        thread = threading.Thread(target=lambda: outcome.append(answer(work)), daemon=True)
        thread.start()
        return {"call": self.keep("a", (thread, outcome))}

    def client_wait(self, verb: dict) -> dict:
        thread, outcome = self.find(verb, tuple, "call")
        del self.things[verb["call"]]
        thread.join()
        return {"__reply__": outcome[0]}

    def codec_decode(self, verb: dict) -> dict:
        need_json(verb)
        try:
            return {"tree": to_tree(port.json_read(bytes.fromhex(verb["hex"])))}
        except port.ShmRpcError as error:
            return {"reject": {"class": error.kind, "text": printable(str(error))}}

    def codec_encode(self, verb: dict) -> dict:
        need_json(verb)
        return {"hex": port.json_write(from_tree(verb["tree"])).hex()}

    def probe(self, _: dict) -> dict:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            lines = len(maps.readlines())
        return {
            "fds": str(len(os.listdir("/proc/self/fd")) - 1),
            "maps": str(lines),
            "threads": str(len(os.listdir("/proc/self/task"))),
        }

    def quit(self, _: dict) -> dict:
        self.stop_servers()
        return {}

    def stop_servers(self) -> None:
        services = [thing for thing in self.things.values() if isinstance(thing, Service)]
        self.things.clear()
        for service in services:
            service.server.stop()
        for service in services:
            service.stop()


def need_json(verb: dict) -> None:
    if verb["kind"] != "json":
        raise Unsupported("codec-" + verb["kind"])


def to_tree(value: object) -> dict:
    """The kit's tagged tree of a value."""
    if value is None:
        return {"t": "null"}
    if isinstance(value, bool):
        return {"t": "bool", "v": "true" if value else "false"}
    if isinstance(value, int):
        return {"t": "int", "v": str(value)}
    if isinstance(value, float):
        return {"t": "double", "v": struct.pack(">d", value).hex()}
    if isinstance(value, str):
        return {"t": "string", "v": value.encode("utf-8").hex()}
    if isinstance(value, list):
        return {"t": "array", "v": [to_tree(item) for item in value]}
    members = [[key.encode("utf-8").hex(), to_tree(item)] for key, item in value.items()]
    return {"t": "object", "v": members}


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
        return bytes.fromhex(tree["v"]).decode("utf-8")
    if kind == "array":
        return [from_tree(item) for item in tree["v"]]
    return {bytes.fromhex(key).decode("utf-8"): from_tree(item) for key, item in tree["v"]}


def printable(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def answer(work) -> dict:
    """The reply to a verb, without its id."""
    try:
        body = work()
    except port.ShmRpcError as error:
        reply = {"class": error.kind, "text": printable(str(error)),
                 "maybe_executed": "true" if error.maybe_executed else "false"}
        if error.kind == "method_error":
            reply["text_hex"] = str(error).encode("utf-8").hex()
        return {"rpc_error": reply}
    except Unsupported as error:
        return {"unsupported": {"feature": str(error)}}
    except Exception as error:  # a fault of the port or of the adapter, not an answer of the port
        logging.exception("a verb failed")
        return {"internal": {"text": printable(f"{type(error).__name__}: {error}")}}
    return body.get("__reply__", {"ok": body})


def read_lines():
    """Lines of standard input. Plain read calls, unbuffered: the kit's tracer takes them as markers."""
    pending = b""
    while chunk := os.read(0, 1 << 20):
        *lines, pending = (pending + chunk).split(b"\n")
        yield from lines


def write_line(reply: dict) -> None:
    line = json.dumps(reply).encode("ascii") + b"\n"
    while line:
        line = line[os.write(1, line):]


def main() -> None:
    adapter = Adapter()
    # Signals that a case sends in numbers must interrupt waits, not end the adapter.
    for number in (signal.SIGUSR1, signal.SIGALRM, signal.SIGWINCH):
        signal.signal(number, lambda *_: None)
    for line in read_lines():
        verb = json.loads(line)
        name = verb["verb"]
        known = name in ("hello", "probe", "quit") or name.startswith(("server.", "client.", "codec."))
        work = getattr(adapter, name.replace(".", "_"), None) if known else None
        if work is None:
            reply = {"unsupported": {"feature": name}}
        else:
            reply = answer(lambda: work(verb))
        write_line({"id": verb["id"], **reply})
        if name == "quit":
            break
    adapter.stop_servers()


main()
