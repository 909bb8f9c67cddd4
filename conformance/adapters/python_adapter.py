# SPDX-License-Identifier: MIT
"""What adapters written in Python have in common: the lines, the verbs and the values.

Reads verbs, one JSON object a line, and writes one reply for each; the protocol is
conformance/runner/adapter-schema.json. A port derives an Adapter and passes it to serve().
"""

from __future__ import annotations

import json
import logging
import os
import struct
import sys
import threading
import time


class Refused(Exception):
    """A failure that is an answer of the port, with its error class: a reply of rpc_error."""

    def __init__(self, kind: str, text: str, maybe_executed: bool | None = None):
        super().__init__(text)
        self.kind, self.maybe_executed = kind, maybe_executed


class Unsupported(Exception):
    """The port, or its adapter, does not have a feature."""


class Handlers:
    """The methods that every port serves for the kit."""

    def __init__(self) -> None:
        self.effects = 0
        self.methods = {method.__name__: method for method in
                        (self.echo, self.add, self.sleep, self.fail, self.big, self.count,
                         self.unserialisable, self.exit)}

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


def make_error(name: str) -> type:
    return type(name, (Exception,), {})


class Adapter:
    """One method a verb, with _ for the dot in its name. Those that raise are for the port."""

    about: dict  # the reply to hello
    default_buffer = 4096

    def make_server(self, name: bytes, size: int, timeout_ms: int):
        """A server that runs, with stop(), which returns the error class it ended with, or None."""
        raise NotImplementedError

    def make_client(self, name: bytes, size: int | None, timeout_ms: int, verb: dict) -> tuple:
        """A client with close(), and the buffer size that it uses."""
        raise NotImplementedError

    def call(self, client, method: str, params: bytes) -> bytes:
        """The JSON text of the result."""
        raise NotImplementedError

    def read(self, data: bytes) -> object:
        """The value of a JSON text."""
        raise NotImplementedError

    def write(self, value: object) -> bytes:
        """The JSON text of a value."""
        raise NotImplementedError

    def refusal(self, error: Exception) -> Refused | None:
        """What an exception of the port says; None if it is a fault and no answer."""
        raise NotImplementedError

    def end(self) -> None:
        """After the last reply."""

    def __init__(self) -> None:
        self.servers: dict = {}
        self.clients: dict = {}
        self.calls: dict = {}
        self.number = 0

    def keep(self, things: dict, prefix: str, thing: object) -> str:
        self.number += 1
        handle = f"{prefix}{self.number}"
        things[handle] = thing
        return handle

    def hello(self, _: dict) -> dict:
        return {
            "roles": ["server", "client"],
            "transports": ["posix"],
            "limits": {"default_buffer": str(self.default_buffer)},
            "libc": os.confstr("CS_GNU_LIBC_VERSION"),
            **self.about,
        }

    def server_start(self, verb: dict) -> dict:
        size, timeout_ms = int(verb.get("buffer_bytes", self.default_buffer)), timeout(verb)
        server = self.make_server(bytes.fromhex(verb["name"]), size, timeout_ms)
        return {"handle": self.keep(self.servers, "s", server)}

    def server_stop(self, verb: dict) -> dict:
        ended = take(self.servers, verb["handle"]).stop()
        return {} if ended is None else {"class": ended}

    def client_open(self, verb: dict) -> dict:
        size = int(verb["buffer_bytes"]) if "buffer_bytes" in verb else None
        name = bytes.fromhex(verb["name"])
        client, used = self.make_client(name, size, timeout(verb), verb)
        return {"handle": self.keep(self.clients, "c", client), "buffer_bytes": str(used)}

    def client_close(self, verb: dict) -> dict:
        take(self.clients, verb["handle"]).close()
        return {}

    def client_call(self, verb: dict) -> dict:
        if verb["handle"] not in self.clients:
            raise Refused("invalid", "no such handle")
        method = bytes.fromhex(verb["method"]).decode("utf-8")
        params = bytes.fromhex(verb["params"])
        return {"result": self.call(self.clients[verb["handle"]], method, params).hex()}

    def client_call_async(self, verb: dict) -> dict:
        outcome: list = []

        def work() -> None:
            outcome.append(self.answer(self.client_call, verb))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return {"call": self.keep(self.calls, "a", (thread, outcome))}

    def client_wait(self, verb: dict) -> dict:
        thread, outcome = take(self.calls, verb["call"])
        thread.join()
        return {"__reply__": outcome[0]}

    def codec_decode(self, verb: dict) -> dict:
        need_json(verb)
        try:
            return {"tree": to_tree(self.read(bytes.fromhex(verb["hex"])))}
        except Exception as error:
            refused = self.refusal(error)
            if refused is None:
                raise
            return {"reject": {"class": refused.kind, "text": printable(str(refused))}}

    def codec_encode(self, verb: dict) -> dict:
        need_json(verb)
        return {"hex": self.write(from_tree(verb["tree"])).hex()}

    def probe(self, _: dict) -> dict:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            lines = len(maps.readlines())
        return {
            "fds": str(len(os.listdir("/proc/self/fd")) - 1),
            "maps": str(lines),
            "threads": str(len(os.listdir("/proc/self/task"))),
        }

    def quit(self, _: dict) -> dict:
        return {}

    def answer(self, work, verb: dict) -> dict:
        """The reply to a verb, without its id."""
        try:
            body = work(verb)
            return body.get("__reply__", {"ok": body})
        except Unsupported as error:
            return {"unsupported": {"feature": str(error)}}
        except Exception as error:
            refused = self.refusal(error)
            if refused is None:  # a fault of the port or of the adapter
                logging.exception("a verb failed")
                return {"internal": {"text": printable(f"{type(error).__name__}: {error}")}}
        reply = {"class": refused.kind, "text": printable(str(refused))}
        if refused.maybe_executed is not None:
            reply["maybe_executed"] = "true" if refused.maybe_executed else "false"
        if refused.kind == "method_error":
            reply["text_hex"] = str(refused).encode("utf-8", "surrogateescape").hex()
        return {"rpc_error": reply}


def take(things: dict, handle: str):
    if handle not in things:
        raise Refused("invalid", "no such handle")
    return things.pop(handle)


def timeout(verb: dict) -> int:
    """In milliseconds; the kit says -1 for none."""
    return int(verb.get("timeout_ms", "5000"))


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


def read_lines():
    """Lines of standard input by plain read calls, which the kit's tracer takes as markers."""
    pending = b""
    while chunk := os.read(0, 1 << 20):
        *lines, pending = (pending + chunk).split(b"\n")
        yield from lines


def write_line(reply: dict) -> None:
    line = json.dumps(reply).encode("ascii") + b"\n"
    while line:
        line = line[os.write(1, line):]


def serve(adapter: Adapter) -> None:
    sys.setrecursionlimit(20_000)  # a tree of 1,024 levels is a line of more than 2,048
    threading.stack_size(16 << 20)
    for line in read_lines():
        verb = json.loads(line)
        name = verb["verb"]
        known = name in ("hello", "probe", "quit")
        known = known or name.startswith(("server.", "client.", "codec."))
        work = getattr(adapter, name.replace(".", "_"), None) if known else None
        if work is None:
            reply = {"unsupported": {"feature": name}}
        else:
            reply = adapter.answer(work, verb)
        write_line({"id": verb["id"], **reply})
        if name == "quit":
            break
    adapter.end()
