# SPDX-License-Identifier: MIT
"""The package's own server in a process of its own: python_server.py NAME BUFFER-SIZE TIMEOUT.

Prints "ready". A line "status" on standard input is answered with what the server says of itself;
the end of standard input, or SIGTERM, ends it.
"""

import logging
import os
import signal
import sys
import threading
import time

from shm_rpc_bridge import RPCServer

logging.disable(logging.CRITICAL)


class Custom(Exception):
    pass


def main():
    name, size, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    server = RPCServer(name, buffer_size=size, timeout=timeout)
    count = 0

    def fail_at_length(n):
        raise Custom("é" * n)

    def fail(type, message):
        raise {"ValueError": ValueError, "Custom": Custom}[type](message)

    def bump():
        nonlocal count
        count += 1
        return count

    server.register("echo", lambda message: message)
    server.register("params", lambda **all: all)
    server.register("add", lambda a, b: a + b)
    server.register("big", lambda n: "x" * n)
    server.register("fail", fail)
    server.register("fail_at_length", fail_at_length)
    server.register("bump", bump)
    server.register("unserialisable", lambda: object())
    server.register("sleep", time.sleep)

    print(server._status().value, flush=True)
    print("ready", flush=True)

    def control():
        for line in sys.stdin:
            if line.strip() == "status":
                print(server._status().value, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=control, daemon=True).start()
    server.start()
    print(server._status().value, flush=True)


main()
