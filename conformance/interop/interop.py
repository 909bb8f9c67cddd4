# SPDX-License-Identifier: MIT
"""Interop with the existing package, both ways:  interop.py BUILD CALLS [SEED]

A C client against the package's RPCServer, the package's RPCClient against C servers, and the byte
pipe against the package's transport, both ways. Every answer is compared exactly; the last line is
the totals. BUILD is the directory with the built programs (build/release).
"""

import contextlib
import json
import logging
import os
import queue
import random
import subprocess
import sys
import threading
import time
import traceback
import uuid

import orjson
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from shm_rpc_bridge import RPCClient, RPCError, RPCTimeoutError, RPCTransportError
from shm_rpc_bridge.exceptions import RPCMethodError
from shm_rpc_bridge.transport.transport_chooser import SharedMemoryTransport

import values
from values import same

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD, CALLS = sys.argv[1], int(sys.argv[2])
SEED = int(sys.argv[3]) if len(sys.argv) > 3 and sys.argv[3] else random.SystemRandom().randrange(2**32)
SIZE = 4096
CAPACITY = SIZE - 4
BATCH = 200
DEADLINE_S = 30
logging.disable(logging.CRITICAL)

calls_made = 0


def count(calls):
    global calls_made
    calls_made += calls


def channel():
    return f"interop-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(repr(w) if not isinstance(w, str) else w for w in what))


# ---- processes


@contextlib.contextmanager
def process(*command, ready=None):
    """A child with pipes; ended and waited for. Nothing it does may outlive the test."""
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    timer = threading.Timer(3600, child.kill)
    timer.daemon = True
    timer.start()
    try:
        while ready and (line := child.stdout.readline()) and line.strip() != ready:
            child.said = line.strip()
        yield child
    finally:
        timer.cancel()
        with contextlib.suppress(OSError):
            child.stdin.close()
        child.terminate()
        try:
            child.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise AssertionError(f"{command} did not end on SIGTERM")
        finally:
            child.stdout.close()


def python_server(name, size=SIZE, timeout=5.0):
    return process(sys.executable, os.path.join(HERE, "python_server.py"), name, str(size), str(timeout), ready="ready")


def c_server(name, size=SIZE):
    return process(f"{BUILD}/interop/echo_server", name, str(size), ready="ready")


class Driver:
    """The C client as a child: batches of calls in, outcomes out, by a thread so that no pipe fills."""

    def __init__(self, child):
        self.child = child
        self.answers = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.answers.put(line)
        self.answers.put("")

    def call_texts(self, texts):
        """Each text is the JSON of one call; returns the decoded outcomes."""
        self.child.stdin.write("\n".join(texts) + "\n\n")
        self.child.stdin.flush()
        count(len(texts))
        out = []
        for _ in texts:
            line = self.answers.get(timeout=DEADLINE_S)
            check(line, "the C client ended early:", texts)
            out.append(orjson.loads(line))
        return out

    def call(self, method, _typed=False, _timeout_ms=None, **params):
        call = {"method": method, "params": params, "typed": _typed}
        if _timeout_ms:
            call["timeout_ms"] = _timeout_ms
        return self.call_texts([orjson.dumps(call).decode()])[0]

    def result(self, method, _typed=False, **params):
        answer = self.call(method, _typed, **params)
        check(answer["status"] == "ok", method, params, answer)
        return answer["result"]

    def error(self, method, **params):
        answer = self.call(method, **params)
        check(answer["status"] == "method_error", method, params, answer)
        return answer["error"]


@contextlib.contextmanager
def c_client(name, size=SIZE, timeout_ms=10000):
    with process(f"{BUILD}/interop/echo_driver", name, str(size), str(timeout_ms)) as child:
        driver = Driver(child)
        yield driver
        # The end of its input ends the client, and it must end well.
        child.stdin.close()
        check(child.wait(DEADLINE_S) == 0, "the C client's exit status", child.returncode)


def no_objects(name):
    left = [f for f in os.listdir("/dev/shm") if f"srb_{name}_" in f]
    check(not left, "left behind:", left)


def given_values(examples, strategy):
    def decorate(function):
        plain = settings(
            max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
        )
        return seed(SEED)(plain(given(strategy)(function)))

    return decorate


# ---- C client, Python server


def fits(text):
    """Whether a message's text fits a request and its response with room for every envelope."""
    return len(text.encode()) < CAPACITY - 200


def echo_lines(driver, pairs):
    """pairs: (text of the message, typed). All echoed by one batch and compared."""
    lines = [f'{{"method":"echo","typed":{"true" if typed else "false"},"params":{{"message":{text}}}}}' for text, typed in pairs]
    for (text, typed), answer in zip(pairs, driver.call_texts(lines)):
        check(answer["status"] == "ok", "echo of", text, answer)
        check(same(answer["result"], orjson.loads(text)), "echo of", text, "typed" if typed else "raw", "gave", answer)


def c_to_python_properties(calls):
    with python_server(name := channel()), c_client(name) as driver:
        examples = min(max(calls // 4, 50), 2000)

        @given_values(examples, st.lists(st.tuples(values.json_values, st.booleans()), min_size=1, max_size=15))
        def property(batch):
            texts = [(orjson.dumps(value).decode(), typed) for value, typed in batch]
            echo_lines(driver, [(text, typed) for text, typed in texts if fits(text)] or [("0", False)])

        property()
    no_objects(name)


def c_to_python_bulk(calls):
    rng = random.Random(SEED)
    with python_server(name := channel()), c_client(name) as driver:
        while calls > 0:
            batch = []
            while len(batch) < BATCH:
                text = values.render(rng, values.random_value(rng), newlines=False)
                if fits(text):
                    batch.append((text, rng.random() < 0.5))
            echo_lines(driver, batch)
            calls -= BATCH
    no_objects(name)


def c_to_python_keywords(calls):
    """Keyword arguments of any name but the empty ones of C strings, by the parameter functions too."""
    rng = random.Random(SEED + 1)
    with python_server(name := channel()), c_client(name) as driver:
        for _ in range(100):
            params = {values.random_text(rng, 10): values.random_scalar(rng) for _ in range(rng.randrange(8))}
            typed = rng.random() < 0.5 and not any("\0" in key for key in params)
            got = driver.result("params", typed, **params) if "self" not in params else params
            check(same(got, params), params, "gave", got)


def c_to_python_sizes(calls):
    """Every size near the limit; beyond it nothing is sent and the next call works."""
    with python_server(name := channel()), c_client(name) as driver:
        # {"request_id":"","method":"echo","params":{"message":""}} without white space, and the id.
        low, high = CAPACITY - 150, CAPACITY + 10
        outcomes = [driver.call("echo", message="m" * n) for n in range(low, high)]
        limit = sum(answer["status"] == "ok" for answer in outcomes)
        check(0 < limit < high - low, "the largest request lies outside", low, high)
        for n, answer in enumerate(outcomes):
            if n < limit:
                check(answer.get("result") == "m" * (low + n), "size", low + n, answer)
            else:
                check(answer["status"] == "too_large" and not answer["maybe_executed"], "size", low + n, answer)
        for n in (1, 2, 3):
            size = CAPACITY - len(orjson.dumps({"request_id": "i" * 32, "result": "", "error": None})) - n + 1
            check(driver.result("big", n=size) == "x" * size, "the largest response", size)
        check(driver.result("__running__") is True, "after all sizes")
    no_objects(name)


def c_to_python_errors(calls):
    with python_server(name := channel()) as server, c_client(name) as driver:
        check(server.said == "INITIALIZED", "status before start:", server.said)
        check(driver.result("__running__") is True, "__running__")
        server.stdin.write("status\n")
        server.stdin.flush()
        status = server.stdout.readline().strip()
        check(status == "RUNNING", "RPCServer status beside an idle C client:", status)
        check(driver.error("nope") == "RPCError: Unknown method: nope", "unknown method")
        check(driver.error("größe😀") == "RPCError: Unknown method: größe😀", "unknown method, non-ASCII")
        for type_ in ("ValueError", "Custom"):
            for message in ("", "no", "ü" * 1500, "😀" * 900, 'a"\\\n\0b'):
                check(driver.error("fail", type=type_, message=message) == f"{type_}: {message}", type_, message)
        check("missing 1 required" in driver.error("add", a=1), "missing argument")
        check("unexpected keyword" in driver.error("echo", message=1, extra=2), "surplus argument")
        check(driver.error("add", a=1, b="x").startswith("TypeError: "), "wrong type")
        check(same(driver.result("add", a=5, b=3), 8), "add")
        check(same(driver.result("add", a=0.5, b=3), 3.5), "add doubles")
        check(driver.call_texts(['{"method":"echo","params":{"message":1,"message":2}}'])[0]["result"] == 2, "duplicate keys")
        bad = driver.call_texts(['{"method":"echo","params":[1]}'])[0]
        check(bad["status"] in ("invalid", "serialization") and not bad["maybe_executed"], "params no object", bad)
        check(driver.result("echo", message="still") == "still", "after the errors")
    no_objects(name)


def c_to_python_server_faults(calls):
    """What makes the package's server exit ends as a time-out that may have run, and no worse."""
    for method, params in (("unserialisable", {}), ("big", {"n": CAPACITY}), ("fail_at_length", {"n": 4000})):
        with python_server(name := channel()) as server, c_client(name, timeout_ms=700) as driver:
            check(same(driver.result("bump"), 1), "bump")
            answer = driver.call(method, **params)
            check(answer["status"] in ("timeout", "not_found", "peer_gone_maybe_executed"), method, answer)
            check(answer["maybe_executed"], method, answer)
            server.wait(DEADLINE_S)
            # The package removed its objects; nobody answers, and the client says so in time.
            answer = driver.call("bump")
            check(answer["status"] != "ok" and not answer["maybe_executed"], "after", method, answer)
            with python_server(name):
                # On an unmarked channel no lock tells the client that its server is gone, but its
                # name tells, after a time-out, that there is another.
                check(same(driver.result("bump"), 1), "old client, new server")
                check(same(driver.result("bump"), 2), "old client, new server")
        no_objects(name)


class RawServer:
    """The package's transport as a server that answers just what a test wants."""

    def __init__(self, name, answer):
        self.transport = SharedMemoryTransport.create(name, SIZE, 0.2)
        self.answer = answer
        self.ending = False
        self.error = None
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        try:
            while not self.ending:
                with contextlib.suppress(RPCTimeoutError):
                    for response in self.answer(self.transport.receive_request()):
                        self.transport.send_response(response)
        except Exception as e:
            self.error = e

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending = True
        self.thread.join(DEADLINE_S)
        self.transport.close()
        if self.error:
            raise self.error


def c_client_ids(calls):
    """Every request has an id of its own, and is the envelope and nothing else."""
    seen = []

    def answer(request):
        request = orjson.loads(request)
        check(list(request) == ["request_id", "method", "params"], "keys", request)
        check(type(request["request_id"]) is str and len(request["request_id"]) >= 22, "id", request)
        seen.append(request["request_id"])
        yield orjson.dumps({"request_id": request["request_id"], "result": len(seen), "error": None})

    with RawServer(name := channel(), answer), c_client(name) as driver:
        results = driver.call_texts(['{"method":"m","params":{}}'] * 300)
        check([r["result"] for r in results] == list(range(1, 301)), "results in order")
    check(len(set(seen)) == 300, "ids repeat")
    no_objects(name)


def c_client_envelopes(calls):
    """Responses of every legal shape, and of illegal ones, from a server that knows no mercy."""
    rng = random.Random(SEED + 2)
    plan = []

    def answer(request):
        id = orjson.loads(request)["request_id"]
        kind, value = plan[0]
        quoted = values.render(rng, id, newlines=True)
        text = values.render(rng, value, newlines=False)
        foreign = orjson.dumps({"request_id": str(uuid.uuid4()), "result": "foreign", "error": None})
        if kind == "shape":
            members = [f'"request_id" : {quoted}', f'"result":{text}', '"error":' + rng.choice(("null", '""'))]
            if rng.random() < 0.3:
                members.pop()
            members += [f'"extra{i}":{values.render(rng, values.random_value(rng), newlines=False)}' for i in range(rng.randrange(3))]
            rng.shuffle(members)
            message = " {" + ",".join(members) + "}\n\t"
            yield message.encode() if len(message.encode()) <= CAPACITY else f'{{"request_id":{quoted},"result":{text}}}'.encode()
        elif kind == "foreign":
            yield foreign
            yield orjson.dumps({"request_id": id, "result": value, "error": None})
        elif kind == "absent":
            yield orjson.dumps({"request_id": id})
        elif kind == "error":
            yield orjson.dumps({"request_id": id, "result": value, "error": "Custom: é\0"})
        else:
            yield kind.replace(b"ID", json.dumps(id).encode())

    broken = [b"", b"not json", b"[]", b"{}", b'{"request_id":7,"result":1,"error":null}', b"\xff", b'{"request_id":ID,"result":1',
              b'{"request_id":ID,"result":1,"error":7}', b'{"request_id":ID,"result":01}', b'{"request_id":ID}x']
    with RawServer(name := channel(), answer), c_client(name) as driver:
        for _ in range(200):
            plan[:] = [(rng.choice(("shape", "shape", "foreign", "absent", "error")), values.random_value(rng, 2))]
            kind, value = plan[0]
            got = driver.call("m")
            if kind == "error":
                check(got["status"] == "method_error" and got["error"] == "Custom: é\0", got)
            else:
                check(got["status"] == "ok" and same(got["result"], None if kind == "absent" else value), plan, got)
        for message in broken:
            plan[:] = [(message, None)]
            got = driver.call("m")
            check(got["status"] == "protocol", message, got)
            plan[:] = [("shape", 1)]
            check(same(driver.result("m"), 1), "after", message)
    no_objects(name)


def tool_to_python(calls):
    """The command's own client against the package's server."""
    with python_server(name := channel()):
        run = subprocess.run([f"{BUILD}/shmrpc", "call", name, "add", "a:=5", "b:=3"], capture_output=True, text=True, timeout=DEADLINE_S)
        check(run.returncode == 0 and run.stdout == "8\n", run)
        run = subprocess.run([f"{BUILD}/shmrpc", "call", name, "fail", "type=Custom", "message=né"], capture_output=True, text=True, timeout=DEADLINE_S)
        check(run.returncode == 1 and "Custom: né" in run.stderr and not run.stdout, run)
        run = subprocess.run([f"{BUILD}/shmrpc", "ping", name], capture_output=True, text=True, timeout=DEADLINE_S)
        check(run.returncode == 0, run)
        count(3)
    no_objects(name)


# ---- Python client, C server


@contextlib.contextmanager
def rpc_client(name, size=SIZE, timeout=5.0):
    client = RPCClient(name, buffer_size=size, timeout=timeout, wait_for_server=10)
    try:
        yield client
    finally:
        client.close()


def method_error(client, method, **params):
    count(1)
    try:
        result = client.call(method, **params)
    except RPCMethodError as e:
        return str(e)
    raise AssertionError(f"{method}({params}) gave {result!r} and no error")


def python_to_c_properties(calls):
    with c_server(name := channel()), rpc_client(name) as client:
        examples = min(max(calls // 4, 50), 2000)

        @given_values(examples, st.lists(st.tuples(values.json_values, st.booleans()), min_size=1, max_size=15))
        def property(batch):
            for value, typed in batch:
                if fits(orjson.dumps(value).decode()):
                    got = client.call("echo_typed" if typed else "echo", message=value)
                    check(same(got, value), "echo of", value, "typed" if typed else "raw", "gave", got)
                    count(1)

        property()
    no_objects(name)


def python_to_c_bulk(calls):
    rng = random.Random(SEED + 3)
    with c_server(name := channel()), rpc_client(name) as client:
        while calls > 0:
            value = values.random_value(rng)
            if fits(orjson.dumps(value).decode()):
                got = client.call(rng.choice(("echo", "echo_typed")), message=value)
                check(same(got, value), "echo of", value, "gave", got)
                count(1)
                calls -= 1
    no_objects(name)


def raw_call(transport, request):
    transport.send_request(request)
    count(1)
    return orjson.loads(transport.receive_response())


def python_to_c_envelopes(calls):
    """Requests of every legal shape: ids of any kind, order, white space, escapes, surplus keys."""
    rng = random.Random(SEED + 4)
    with c_server(name := channel()):
        transport = SharedMemoryTransport.open(name, SIZE, 5.0, 10)
        for _ in range(max(calls // 10, 500)):
            id, value = values.random_text(rng), values.random_value(rng, 2)
            members = [f'"request_id":{values.render(rng, id)}', f'{values.render(rng, "method")}: {values.render(rng, "echo")}',
                       f'"params":{{"message":{values.render(rng, value)}}}']
            members += [f'"extra{i}": {values.render(rng, values.random_value(rng, 1))}' for i in range(rng.randrange(3))]
            rng.shuffle(members)
            request = ("\r\n{" + " ,".join(members) + " } ").encode()
            if len(request) > CAPACITY - 100:
                continue
            answer = raw_call(transport, request)
            check(sorted(answer) == ["error", "request_id", "result"], "keys", answer)
            check(answer["request_id"] == id and answer["error"] is None, request, answer)
            check(same(answer["result"], orjson.loads(request)["params"]["message"]), request, answer)
        transport.close()
    no_objects(name)


def python_to_c_garbage(calls):
    """What made the package's server exit: answered where an id can be read, dropped where not."""
    answered = {
        b'{"request_id":"a"}': "a",
        b'{"request_id":"b","method":"echo"}': "b",
        b'{"request_id":"c","params":{}}': "c",
        b'{"request_id":"d","method":7,"params":{}}': "d",
        b'{"request_id":"e","method":"echo","params":[1]}': "e",
        b'{"request_id":"f","method":"echo","params":null}': "f",
        b'{"request_id":17,"method":"echo","params":{"message":1}}': 17,
    }
    dropped = [b"", b"garbage", b"[]", b"null", b"{}", b'{"method":"echo","params":{}}', b"\xef\xbb\xbf{}", b'{"request_id":"x"', b"\xff\xfe",
               b'{"request_id":"x","method":"echo","params":{"message":01}}', b"[" * 2000]
    with c_server(name := channel()):
        transport = SharedMemoryTransport.open(name, SIZE, 5.0, 10)
        for request, id in answered.items():
            answer = raw_call(transport, request)
            check(same(answer["request_id"], id) and answer["error"].startswith("RPCError: Invalid request: "), request, answer)
        for n, request in enumerate(dropped):
            transport.send_request(request)
            answer = raw_call(transport, orjson.dumps({"request_id": f"after{n}", "method": "echo", "params": {"message": n}}))
            check(answer == {"request_id": f"after{n}", "result": n, "error": None}, "after", request, answer)
        for length in (CAPACITY + 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            transport.request_empty_sem.acquire(5)
            transport.request_mmap[:4] = length.to_bytes(4, sys.byteorder)
            transport.request_full_sem.release()
            answer = raw_call(transport, b'{"request_id":"z","method":"__running__","params":{}}')
            check(answer["result"] is True, "after length", length, answer)
        transport.close()
    no_objects(name)


def python_to_c_sizes(calls):
    with c_server(name := channel()), rpc_client(name) as client:
        fixed = len(orjson.dumps({"request_id": str(uuid.uuid4()), "method": "echo", "params": {"message": ""}}))
        for n in range(CAPACITY - fixed - 20, CAPACITY - fixed + 1):
            check(client.call("echo", message="m" * n) == "m" * n, "size", n)
            count(1)
        for n in (1, 2, 1000, 100000):
            try:
                client.call("echo", message="m" * (CAPACITY - fixed + n))
                raise AssertionError("an oversize request went out")
            except RPCTransportError as e:
                check("too large" in str(e), str(e))
            check(client.call("echo", message=n) == n, "after an oversize request")
        fixed = len(orjson.dumps({"request_id": str(uuid.uuid4()), "result": "", "error": None}))
        for n in range(CAPACITY - fixed - 5, CAPACITY - fixed + 1):
            check(client.call("big", n=n) == "x" * n, "response of", n)
            count(1)
        for n in range(CAPACITY - fixed + 1, CAPACITY - fixed + 50):
            error = method_error(client, "big", n=n)
            check(error.startswith("RPCError: Response too large: "), error)
        check(client.call("__running__") is True, "after all sizes")
    no_objects(name)


def python_to_c_errors(calls):
    with c_server(name := channel()), rpc_client(name) as client:
        check(client.call("__running__") is True, "__running__")
        check(method_error(client, "nope") == "RPCError: Unknown method: nope", "unknown method")
        check(method_error(client, "größe\0😀") == "RPCError: Unknown method: größe\0😀", "unknown method, non-ASCII")
        for message in ("", "no", "ü" * 1500, "😀" * 900, 'a"\\\n\t\x01'):
            check(method_error(client, "fail", type="Custom", message=message) == f"Custom: {message}", "fail", message)
        check(method_error(client, "unserialisable").startswith("RPCSerializationError: "), "unserialisable")
        check(method_error(client, "silent"), "a handler that gives no answer")
        for params, word in (({}, "missing"), ({"message": 1, "extra": 2}, "unexpected")):
            error = method_error(client, "echo", **params)
            check(error.startswith("TypeError: ") and word in error, params, error)
        check(method_error(client, "big", n="x").startswith("TypeError: "), "wrong type")
        check(method_error(client, "big", n=1.5).startswith("TypeError: "), "no integer")
        check(method_error(client, "big", n=2**64 - 1).startswith("OverflowError: "), "too big an integer")
        for kind, value in {"null": None, "bool": True, "int64": values.I64_MIN, "uint64": values.U64_MAX, "double": -0.0,
                            "string": "a\0b😀"}.items():
            check(same(client.call("answer", kind=kind), value), "answer", kind)
            count(1)
        try:
            client.call("echo", message=object())
            raise AssertionError("an object was serialised")
        except RPCError:
            pass
        check(client.call("echo", message="still") == "still", "after the errors")
    no_objects(name)


def python_to_c_long_error_is_cut(calls):
    """An error text longer than the buffer arrives cut, at every alignment to the character size."""
    with process(f"{BUILD}/interop/echo_server", name := channel(), "256", ready="ready"):
        transport = SharedMemoryTransport.open(name, 256, 5.0, 10)
        for width, character in ((1, "x"), (2, "é"), (3, "€"), (4, "😀")):
            for pad in range(width + 3):
                type_, id = "T" * (1 + pad), "i"
                message = character * ((250 - 90) // width)
                request = orjson.dumps({"request_id": id, "method": "fail", "params": {"type": type_, "message": message}})
                # The reply's envelope is smaller than the request's, so only a longer id fills it up.
                while len(request) + 1 <= 252:
                    id += "i"
                    request = orjson.dumps({"request_id": id, "method": "fail", "params": {"type": type_, "message": message}})
                answer = raw_call(transport, request)
                check(answer["request_id"] == id and answer["error"], answer)
                check(f"{type_}: {message}".startswith(answer["error"]), answer)
        for unknown in ("é" * 90, "😀" * 40, "x" * 180):
            request = orjson.dumps({"request_id": "i", "method": unknown, "params": {}})
            answer = raw_call(transport, request)
            check(f"RPCError: Unknown method: {unknown}".startswith(answer["error"]) and len(answer["error"]) > 20, answer)
        transport.close()
    no_objects(name)


def python_to_tool(calls):
    """The command's own server: the calculator, the accumulator, and its errors."""
    with process(f"{BUILD}/shmrpc", "serve", name := channel(), "--test-methods") as server:
        with rpc_client(name) as client:
            check(same(client.call("add", a=5, b=3), 8), "add")
            check(same(client.call("add", a=2**62, b=2**62 - 1), 2**63 - 1), "add at the limit")
            check(same(client.call("subtract", a=5, b=8), -3), "subtract")
            check(same(client.call("multiply", a=-4, b=3), -12), "multiply")
            check(same(client.call("divide", a=1, b=2), 0.5), "divide")
            check(same(client.call("power", base=2, exponent=10) + 0.0, 1024.0), "power")
            check(same(client.call("sqrt", x=2.25) + 0.0, 1.5), "sqrt")
            check(method_error(client, "divide", a=1, b=0) == "ValueError: Cannot divide by zero", "divide by zero")
            check(method_error(client, "multiply", a=2**62, b=4).startswith("OverflowError: "), "overflow")
            check(method_error(client, "add", a=1).startswith("TypeError: "), "missing argument")
            check(same(client.call("accumulate", client_id="c", val=2.5) + 0.0, 2.5), "accumulate")
            check(same(client.call("accumulate", client_id="c", val=2.5) + 0.0, 5.0), "accumulate twice")
            client.call("clear", client_id="c")
            check(same(client.call("accumulate", client_id="c", val=1) + 0.0, 1.0), "cleared")
            check(client.call("big", n=1000) == "x" * 1000, "big")
            check(method_error(client, "big", n=5000).startswith("RPCError: Response too large: "), "too big")
            check(method_error(client, "fail", type="Custom", message="né") == "Custom: né", "fail")
            check(method_error(client, "unserialisable").startswith("RPCSerializationError: "), "unserialisable")
            check(client.call("echo", message="a\0b😀") == "a\0b😀", "echo")
            check(type(client.call("count")) is int, "count")
            check(client.call("__running__") is True, "__running__")
            count(14)
        server.terminate()
        check(server.wait(DEADLINE_S) == 0, "exit status after SIGTERM:", server.returncode)
    no_objects(name)


# ---- The byte pipe


def payload(rng):
    length = rng.choice((0, 1, 2, 3, CAPACITY - 1, CAPACITY, rng.randrange(CAPACITY + 1), rng.randrange(64)))
    return rng.randbytes(length)


def python_pipe_to_c(calls):
    rng = random.Random(SEED + 5)
    with process(f"{BUILD}/interop/pipe_peer", "serve", name := channel(), str(SIZE), ready="ready"):
        transport = SharedMemoryTransport.open(name, SIZE, 5.0, 10)
        for _ in range(calls):
            data = payload(rng)
            transport.send_request(data)
            count(1)
            check(transport.receive_response() == bytes(~b & 0xFF for b in data), "pipe of", len(data), "bytes")
        transport.close()
    no_objects(name)


INVERTED = bytes(~b & 0xFF for b in range(256))


def c_pipe_to_python(calls):
    rng = random.Random(SEED + 6)
    with RawServer(name := channel(), lambda request: [request.translate(INVERTED)]):
        with process(f"{BUILD}/interop/pipe_peer", "call", name, str(SIZE)) as child:
            driver = Driver(child)
            while calls > 0:
                batch = [payload(rng) for _ in range(min(calls, 50))]
                child.stdin.write("".join(f".{data.hex()}\n" for data in batch) + "\n")
                child.stdin.flush()
                count(len(batch))
                for data in batch:
                    line = driver.answers.get(timeout=DEADLINE_S)
                    check(line and bytes.fromhex(line[1:]) == data.translate(INVERTED), "pipe of", len(data), "bytes", line)
                calls -= len(batch)
    no_objects(name)


# ---- All of it

# The function and its share of the calls, in percent.
TESTS = [
    (c_to_python_properties, 10),
    (c_to_python_bulk, 30),
    (c_to_python_keywords, 0),
    (c_to_python_sizes, 0),
    (c_to_python_errors, 0),
    (c_to_python_server_faults, 0),
    (c_client_ids, 0),
    (c_client_envelopes, 0),
    (tool_to_python, 0),
    (python_to_c_properties, 10),
    (python_to_c_bulk, 30),
    (python_to_c_envelopes, 5),
    (python_to_c_garbage, 0),
    (python_to_c_sizes, 0),
    (python_to_c_errors, 0),
    (python_to_c_long_error_is_cut, 0),
    (python_to_tool, 0),
    (python_pipe_to_c, 8),
    (c_pipe_to_python, 8),
]


def main():
    only = os.environ.get("INTEROP_ONLY", "")
    passed = failed = 0
    print(f"seed {SEED} (repeat with: make interop SEED={SEED})", flush=True)
    for test, share in TESTS:
        if only not in test.__name__:
            continue
        before, begin = calls_made, time.monotonic()
        try:
            test(CALLS * share // 100)
            passed += 1
            verdict = "ok"
        except Exception:
            failed += 1
            verdict = "FAIL"
            traceback.print_exc(file=sys.stdout)
        print(f"{verdict:5} {test.__name__:32} {calls_made - before:8} calls {time.monotonic() - begin:7.1f} s", flush=True)
    print(f"{calls_made} calls between C and Python, {failed} wrong")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


sys.exit(main())
