# SPDX-License-Identifier: MIT
"""The two Python rows: the existing package shm-rpc-bridge, and gRPC for Python.

Roles, arguments and output are those of driver.c, with the row's name in front:

    python peer_python.py ROW version
    python peer_python.py ROW serve ENDPOINT OPTION BUFFER_BYTES
    python peer_python.py ROW call ENDPOINT OPTION BUFFER_BYTES TEXTS SIZE WARMUP CALLS CALLS_PER_S
                                   LIMIT_MS PID
"""

import array
import importlib.metadata
import os
import platform
import struct
import sys
import time

SAMPLE_MAGIC = 0x3168636E65627273
MIN_CALLS = 2


class Bridge:
    """The package as its own benchmark uses it: keyword arguments, one channel."""

    packages = ("shm-rpc-bridge", "posix-ipc", "orjson")

    @staticmethod
    def serve(endpoint, buffer_bytes, ready):
        from shm_rpc_bridge import RPCServer

        server = RPCServer(endpoint, buffer_size=buffer_bytes)
        server.register("echo", lambda message: message)
        ready()
        server.start()

    def __init__(self, endpoint, buffer_bytes):
        from shm_rpc_bridge import RPCClient

        self.client = RPCClient(endpoint, buffer_size=buffer_bytes)

    def call(self, message):
        return self.client.call("echo", message=message)

    def close(self):
        self.client.close()


class Grpc:
    """The generated stub and servicer over a Unix socket."""

    packages = ("grpcio", "protobuf")

    @staticmethod
    def serve(endpoint, buffer_bytes, ready):
        from concurrent import futures

        import echo_pb2
        import echo_pb2_grpc
        import grpc

        class Servicer(echo_pb2_grpc.EchoServicer):
            def Echo(self, request, context):
                return echo_pb2.EchoResponse(message=request.message)

        server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
        echo_pb2_grpc.add_EchoServicer_to_server(Servicer(), server)
        server.add_insecure_port("unix:" + endpoint)
        server.start()
        ready()
        server.wait_for_termination()

    def __init__(self, endpoint, buffer_bytes):
        import echo_pb2
        import echo_pb2_grpc
        import grpc

        self.channel = grpc.insecure_channel("unix:" + endpoint)
        self.stub = echo_pb2_grpc.EchoStub(self.channel)
        self.request = echo_pb2.EchoRequest

    def call(self, message):
        return self.stub.Echo(self.request(message=message)).message

    def close(self):
        self.channel.close()


ROWS = {"shm-rpc-bridge-py": Bridge, "grpc-py-uds": Grpc}


def cpu_ns(server):
    """User and system time of both processes; the clock's number is Linux's, as in
    clock_getcpuclockid(3)."""
    return time.process_time_ns() + time.clock_gettime_ns((~server << 3) | 2)


def peak_rss_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def run_calls(client, texts, calls, interval_ns, limit_ns, latency_ns):
    """The loop of driver.c: only the call stands between the two looks at the clock."""
    call, clock = client.call, time.monotonic_ns
    begin = clock()
    for i in range(calls):
        text = texts[i & 1]
        if interval_ns:
            time.sleep(max(0, begin + i * interval_ns - clock()) / 1e9)
        before = clock()
        answer = call(text)
        after = clock()
        if answer != text:
            sys.exit(f"wrong echo at call {i}: {len(text)} characters sent, {len(answer)} came back")
        latency_ns[i] = min(after - before, 0xFFFFFFFF)
        if limit_ns and after - begin > limit_ns and i + 1 >= MIN_CALLS:
            return i + 1
    return calls


def main(row, role, *argument):
    peer = ROWS[row]
    if role == "version":
        versions = [f"{name} {importlib.metadata.version(name)}" for name in peer.packages]
        print(", ".join([f"Python {platform.python_version()}"] + versions))
        return
    endpoint, _, buffer_bytes = argument[:3]
    if role == "serve":
        peer.serve(endpoint, int(buffer_bytes), lambda: os.write(1, b"ready\n"))
        return
    size, warmup, calls, rate, limit_ms, server = (int(a) for a in argument[4:])
    with open(argument[3], "rb") as file:
        texts = [file.read(size).decode() for _ in range(2)]
    limit_ns = limit_ms * 1_000_000
    client = peer(endpoint, int(buffer_bytes))
    run_calls(client, texts, warmup, 0, limit_ns, array.array("I", bytes(4 * warmup)))
    latency_ns = array.array("I", bytes(4 * calls))
    cpu, wall = cpu_ns(server), time.monotonic_ns()
    made = run_calls(client, texts, calls, 1_000_000_000 // rate if rate else 0, limit_ns, latency_ns)
    wall = time.monotonic_ns() - wall
    cpu = cpu_ns(server) - cpu
    rss = peak_rss_kib("self") + peak_rss_kib(server)
    sys.stdout.buffer.write(struct.pack("=5Q", SAMPLE_MAGIC, made, cpu, wall, rss))
    sys.stdout.buffer.write(latency_ns[:made].tobytes())
    sys.stdout.flush()
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
