# SPDX-License-Identifier: MIT
"""SHM-RPC version 1 in one module of Python: both roles, levels Wire and Recovery.

Written from spec/shm-rpc.md and spec/vectors/ alone, as a check of that text and as an example for
whoever ports it to another language. The ids beside the code name the requirements that it meets.
Needs CPython 3.10 or newer, Linux, glibc 2.30 or newer (ctypes calls its semaphores), 64 bits.

    server = Server("calc", {"add": lambda a, b: a + b})      client = Client("calc")
    server.run()        # until server.stop()                 client.call("add", {"a": 5, "b": 3})
    server.close()                                            client.close()
"""
from __future__ import annotations

import bisect
import ctypes
import fcntl
import json
import logging
import math
import mmap
import os
import signal
import stat
import struct
import sys
import threading
import time
import uuid
from contextlib import closing, suppress

if struct.calcsize("P") != 8:
    raise ImportError("SHM-RPC needs a 64-bit process")  # SRPC-SEM-003

log = logging.getLogger("shmrpc")
now = time.monotonic_ns
MS, SECOND = 10**6, 10**9  # in nanoseconds
SLICE = 100 * MS  # no wait blocks longer without looking around
PATIENCE = 200 * MS  # for what others do in a moment: SRPC-RECLAIM-007, a lease, a reclaimer's lock
SLOT_PATIENCE = 1500 * MS  # longer than a server takes for a repair, SRPC-ATTACH-013
DEFAULT_BUFFER = 4096  # SRPC-LIMIT-001
LARGEST_BUFFER = 2**32 - 1  # SRPC-LIMIT-003
SEMAPHORE_BYTES = 32  # SRPC-SEM-001
LEVELS = 1024  # of JSON arrays and objects, SRPC-JSON-007


class ShmRpcError(Exception):
    """A failure; `kind` is one of the error classes of section 3.10 (SRPC-ERR-001). A call that
    fails without `maybe_executed` has certainly not run."""

    def __init__(self, kind: str, text: str, patience: int = 0):
        super().__init__(text)
        self.kind, self.maybe_executed = kind, False
        self.patience = patience  # inside an attach: how long to try again at least


# JSON, section 3.6. Python's json module is nearly strict. It takes NaN and infinities, lets
# numbers overflow, takes lone surrogates, and has no limit of levels but the interpreter's own.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 4 * LEVELS))


def _read_number(text: str) -> int | float:
    if len(text) <= 20 and text.lstrip("-").isdigit() and -(2**63) <= int(text) < 2**64:
        return int(text)  # SRPC-JSON-010
    if not math.isfinite(value := float(text)):  # also of an integer beyond that: SRPC-JSON-014
        raise ValueError(f"{text[:20]} is no finite number")  # SRPC-JSON-001, -008
    return value


_NUMBERS = dict.fromkeys(("parse_int", "parse_float", "parse_constant"), _read_number)
_READER = json.JSONDecoder(**_NUMBERS)  # the last of equal keys counts: SRPC-JSON-006
_READER_OF_ALL = json.JSONDecoder(  # an object as the list of all its keys and values
    object_pairs_hook=lambda pairs: [part for pair in pairs for part in pair], **_NUMBERS)


def _check(value: object) -> None:
    """Refuses what json.dumps would write and no reader may read."""
    todo = [(value, 1)]
    while todo:
        item, level = todo.pop()
        if isinstance(item, dict):
            if not all(isinstance(key, str) for key in item):
                raise TypeError("a key is no string")
            item = [*item, *item.values()]
        if isinstance(item, (list, tuple)):
            if level > LEVELS:  # a cycle ends here too
                raise ValueError(f"more than {LEVELS} levels")  # SRPC-JSON-007, -015
            todo.extend((one, level + 1) for one in item)
        elif isinstance(item, str):
            item.encode("utf-8")  # no lone surrogate: SRPC-JSON-004
        elif isinstance(item, int) and not -(2**63) <= item < 2**64:
            raise ValueError("integer beyond 64 bits")


def json_read(data: bytes, failure: str = "serialization") -> object:
    """The value of a JSON text, or ShmRpcError of the class of failure."""
    try:
        text = data.decode("utf-8")  # strict about overlong forms and surrogates: SRPC-JSON-002
        _check(_READER_OF_ALL.decode(text))
        return _READER.decode(text)
    except (ValueError, RecursionError) as error:
        raise ShmRpcError(failure, f"not JSON: {error}") from None


def json_write(value: object) -> bytes:
    """The text of a value (SRPC-JSON-012), or ShmRpcError of class serialization."""
    try:
        _check(value)
        return json.dumps(value, ensure_ascii=False, allow_nan=False, check_circular=False,
                          separators=(",", ":")).encode("utf-8")  # NaN: SRPC-JSON-009
    except (ValueError, TypeError, RecursionError) as error:
        raise ShmRpcError("serialization", str(error)) from None


def judge_request(message: bytes) -> tuple:
    """("valid", id, method, params) or ("error_reply", id, why); ShmRpcError: to be dropped."""
    request = json_read(message, "protocol")  # SRPC-ENV-014
    if not isinstance(request, dict) or "request_id" not in request:
        raise ShmRpcError("protocol", "no request id")
    ident, method, params = map(request.get, ("request_id", "method", "params"))
    for value, kind, why in ((ident, str, "request_id is no string"),  # SRPC-ENV-013
                             (method, str, "method is absent or no string"),
                             (params, dict, "params is absent or no object")):
        if not isinstance(value, kind):
            return "error_reply", ident, why
    return "valid", ident, method, params


def judge_response(message: bytes, own_id: str) -> tuple:
    """("result", value) or ("foreign", None); ShmRpcError of class method_error or protocol."""
    response = json_read(message, "protocol")  # SRPC-CALL-004
    if not isinstance(response, dict) or not isinstance(response.get("request_id"), str):
        raise ShmRpcError("protocol", "the response is no object with a string request_id")
    if response["request_id"] != own_id:
        return "foreign", None  # SRPC-CALL-005, whatever else is in it
    error = response.get("error")
    if error is None or error == "":
        return "result", response.get("result")  # SRPC-ENV-008
    kind = "method_error" if isinstance(error, str) else "protocol"  # SRPC-ENV-007, SRPC-CALL-011
    raise ShmRpcError(kind, str(error))


_LOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length (0: all), pid
_WHOLE = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
_LENGTH = struct.Struct("@I")  # unsigned, native byte order: SRPC-FRAME-001
_libc = ctypes.CDLL(None)


def file_names(name: str | bytes) -> list[bytes]:
    """The six files of a channel below /dev/shm, in the order of creation (SRPC-NAME-001)."""
    raw = os.fsencode(name)  # SRPC-NAME-005
    if not 1 <= len(raw) <= 236 or b"/" in raw or b"\0" in raw:  # SRPC-NAME-002, -003
        raise ShmRpcError("invalid", "a channel name has 1 to 236 bytes and no / or NUL")
    ends = (b"_req", b"_resp", b"_req_empty", b"_req_full", b"_resp_empty", b"_resp_full")
    return [(b"srb_" if end in ends[:2] else b"sem.srb_") + raw + end for end in ends]


class Object:
    """One of the six files, open. Python's mmap keeps a duplicate of the descriptor; it shares the
    open file, so a lock or lease counts once, and goes when both are closed."""

    def __init__(self, path: bytes, fd: int):
        self.path, self.fd, self.named, self.mapping, self.sem = path, fd, False, None, None
        self.status = os.fstat(fd)
        self.marked = bool(self.status.st_mode & stat.S_ISVTX)  # SRPC-OWN-002

    def leads_here(self) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.lstat(self.path), self.status)
        return False

    def link(self) -> bool:
        """Gives the object its name; False if the name is taken (SRPC-OBJ-002)."""
        with suppress(FileExistsError):  # src_dir_fd lets os.link follow the /proc link
            os.link(b"/proc/self/fd/%d" % self.fd, self.path, src_dir_fd=self.fd)
            self.named = True
        return self.named

    def unlink(self) -> None:
        if self.leads_here():  # SRPC-LIFE-005
            os.unlink(self.path)

    def lock(self) -> bool:
        with suppress(BlockingIOError, PermissionError):
            fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, _WHOLE)
            return True
        return False

    def owner_died(self) -> bool:
        """Looks at the lock without taking it (SRPC-OWN-006, -007)."""
        found = fcntl.fcntl(self.fd, fcntl.F_OFD_GETLK, _WHOLE)
        return self.marked and _LOCK.unpack(found)[0] == fcntl.F_UNLCK

    def lease(self) -> bool:
        """The proof of 4.4 that nobody else has the object open or mapped."""
        with suppress(OSError):  # whatever the reason: no proof (SRPC-RECLAIM-006)
            fcntl.fcntl(self.fd, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(self.fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            return True
        return False

    def close(self) -> None:
        self.mapping = self.sem = None  # the memory is unmapped when nothing refers to it
        os.close(self.fd)


class Semaphore(Object):
    """A sem_t in a file (3.4). glibc's functions order memory as section 3.13 needs it."""

    def map(self) -> None:
        memory = mmap.mmap(self.fd, SEMAPHORE_BYTES)
        self.sem = ctypes.byref(ctypes.c_char.from_buffer(memory))

    def post(self) -> None:
        if _libc.sem_post(self.sem) != 0:  # only at the largest value there is
            raise ShmRpcError("protocol", "a semaphore overflows")

    def try_wait(self) -> bool:
        return _libc.sem_trywait(self.sem) == 0

    def wait(self, deadline: int) -> bool:
        """False when the deadline, an absolute time of CLOCK_MONOTONIC, has passed."""
        until = (ctypes.c_long * 2)(*divmod(deadline, SECOND))  # struct timespec
        while _libc.sem_clockwait(self.sem, time.CLOCK_MONOTONIC, until) != 0:
            if now() >= deadline:  # else a signal came
                return False
        return True

    def value(self) -> int:
        number = ctypes.c_int()
        _libc.sem_getvalue(self.sem, ctypes.byref(number))
        return number.value


class Segment(Object):
    """A slot: the memory of one message with its two semaphores (3.5, 3.8)."""

    def map(self, size: int, empty: Semaphore, full: Semaphore) -> None:
        self.mapping, self.capacity = mmap.mmap(self.fd, size), size - 4
        self.empty, self.full = empty, full

    def need_room(self, message: bytes) -> None:
        if len(message) > self.capacity:  # SRPC-FRAME-003
            raise ShmRpcError("too_large", f"{len(message)} bytes where {self.capacity} fit")

    def send(self, message: bytes) -> None:
        """For who has the token of empty, and a message that fits."""
        self.mapping[4:4 + len(message)] = message
        _LENGTH.pack_into(self.mapping, 0, len(message))
        self.full.post()  # SRPC-HAND-001

    def receive(self) -> bytes:
        """For who has the token of full. One load of the length, one copy: SRPC-FRAME-006, -007."""
        try:
            (length,) = _LENGTH.unpack_from(self.mapping, 0)
            if length > self.capacity:  # SRPC-FRAME-004
                raise ShmRpcError("protocol", f"{length} bytes where {self.capacity} fit")
            return self.mapping[4:4 + length]
        finally:  # after a bad length too: SRPC-RECOVER-001, SRPC-CALL-012
            self.free()

    def free(self) -> None:
        _LENGTH.pack_into(self.mapping, 0, 0)  # SRPC-FRAME-008
        self.empty.post()  # SRPC-HAND-002


class Channel(list):
    """The objects that are open. Of all six, req has the owner lock, resp the client lock."""

    def close(self) -> None:
        while self:
            self.pop().close()  # gives back leases, and the owner lock last

    def create(self, path: bytes, kind: type, size: int) -> None:
        """A whole object without a name: memory reserved, mode set (4.1, SRPC-OBJ-006, SEG-004)."""
        fd = os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR, 0o600)
        self.append(kind(path, fd))
        for start in range(0, size, 1 << 20):  # in pieces: signals cannot starve it (SEG-005)
            os.posix_fallocate(fd, start, min(1 << 20, size - start))
        os.fchmod(fd, 0o1600)  # the sticky bit is the mark: SRPC-OWN-002

    def open(self, path: bytes, kind: type) -> bool:
        """Opens what has the name, if anything has. Refuses what is not ours (SRPC-ATTACH-004,
        SRPC-RECLAIM-001), never follows a link (SRPC-ATTACH-003) or waits for a lease to end."""
        try:
            self.append(kind(path, os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)))
        except FileNotFoundError:
            return False
        except BlockingIOError:  # a server repairs, or somebody reclaims
            raise ShmRpcError("busy", "somebody has a lease on it", patience=PATIENCE) from None
        if not stat.S_ISREG(self[-1].status.st_mode) or self[-1].status.st_uid != os.geteuid():
            raise ShmRpcError("system", f"{os.fsdecode(path)} is no regular file of this user")
        return True

    def map(self, size: int) -> None:
        for semaphore in self[2:]:
            semaphore.map()
        self.req, self.resp = self[:2]
        self.req.map(size, *self[2:4])
        self.resp.map(size, *self[4:6])

    def values(self) -> tuple[int, ...]:
        values = tuple(semaphore.value() for semaphore in self[2:])
        if max(values) > 1:
            raise ShmRpcError("protocol", "a semaphore value is above 1")  # SRPC-SEM-007
        return values


class End:
    """What a server and a client have in common."""

    def __init__(self, name: str | bytes, timeout: float | None):
        kinds = [Segment] * 2 + [Semaphore] * 4
        self.paths = [(b"/dev/shm/" + file, kind) for file, kind in zip(file_names(name), kinds)]
        if timeout is not None and not 0.001 <= timeout <= (2**31 - 1) / 1000:
            raise ShmRpcError("invalid", "the time-out is out of range")
        self.timeout = int((timeout or 1e9) * SECOND)  # none: as good as one of 30 years
        self.channel = Channel()


class Server(End):
    """Publishes a channel and answers calls (4.1, 4.4, 4.7, 4.8). Methods get keyword arguments."""

    def __init__(self, name: str | bytes, methods: dict, buffer_size: int = DEFAULT_BUFFER,
                 timeout: float | None = 5.0):
        super().__init__(name, timeout)
        if not 128 <= buffer_size <= LARGEST_BUFFER:  # SRPC-LIMIT-002
            raise ShmRpcError("invalid", "buffer_size is out of range")
        self.size, self._stopping = buffer_size, False
        self.methods = {**methods, "__running__": lambda **_: True}  # SRPC-ENV-010
        self._publish()

    def _publish(self) -> None:
        try:
            for path, kind in self.paths:
                self.channel.create(path, kind, self.size if kind is Segment else SEMAPHORE_BYTES)
            self.channel.map(self.size)
            for semaphore, value in zip(self.channel[2:], (1, 0, 1, 0)):  # SRPC-SEM-002
                _libc.sem_init(semaphore.sem, 1, value)  # shared: SRPC-SEM-004
            self.channel[0].lock()  # before it has a name: SRPC-OWN-001
            until = now() + PATIENCE
            while not self.channel[0].link():
                try:
                    self._reclaim()
                except ShmRpcError as error:  # who attaches or reclaims is there for a moment only
                    if error.kind != "busy" or now() >= until:  # SRPC-OWN-008, SRPC-RECLAIM-002
                        raise
                    time.sleep(0.005)
            until = now() + PATIENCE
            for item in self.channel[1:]:
                while not item.link():
                    time.sleep(0.005)  # for a closing original: SRPC-RECLAIM-007
                    if now() >= until:
                        self._remove_leftover(item)
        except BaseException as error:
            self.close()  # removes what was made, and no more: SRPC-LIFE-004
            if isinstance(error, OSError):
                raise ShmRpcError("system", str(error)) from error
            raise

    def _remove_leftover(self, item: Object) -> None:
        with closing(Channel()) as found:
            if found.open(item.path, type(item)):
                if not found[0].lease():  # SRPC-RECLAIM-008
                    raise ShmRpcError("busy", "somebody uses a leftover of this name")
                found[0].unlink()

    def _reclaim(self) -> None:
        """Removes a dead channel (4.4)."""
        with closing(Channel()) as found:
            if found.open(*self.paths[0]) and not found[0].lock():
                raise ShmRpcError("busy", "another server holds the name")
            if not found or not found[0].leads_here():  # SRPC-RECLAIM-003
                return
            for path, kind in self.paths[1:]:
                found.open(path, kind)
            for old in found:  # what is marked needs no proof but the lock: SRPC-RECLAIM-004, -005
                if not old.marked and not old.lease():
                    raise ShmRpcError("busy", "somebody has an object open that shows no owner")
            for old in found[1:] + found[:1]:  # req last: SRPC-RECLAIM-009
                old.unlink()

    def close(self) -> None:
        """Removes what has a name (SRPC-LIFE-002), req last, which it holds (SRPC-RECLAIM-013)."""
        with closing(self.channel) as objects, closing(Channel()) as stand_in:
            if not any(item.named for item in objects):
                return
            guard = objects[0]
            if not guard.leads_here():  # somebody took req away; stand in for it
                stand_in.create(guard.path, Segment, SEMAPHORE_BYTES)
                guard = stand_in[0]
            if guard.leads_here() or (guard.lock() and guard.link()):
                for item in objects[1:] + [guard]:
                    item.unlink()

    def stop(self) -> None:
        self._stopping = True  # from a method, another thread or a signal handler

    def run(self) -> None:
        while not self._stopping:
            try:
                self._serve_one()
            except ShmRpcError as error:
                if error.kind != "protocol":
                    raise
                log.warning("%s; publishing anew", error)  # SRPC-SEM-007
                self.close()
                self._publish()

    def _serve_one(self) -> None:
        channel, before = self.channel, self.channel.values()
        if not channel.req.full.wait(now() + SLICE):
            return self._repair(before)
        try:
            reply, deadline = self._answer(channel.req.receive()), now() + self.timeout
        except ShmRpcError as error:
            channel.values()  # a semaphore that overflows is another matter than a bad length
            log.warning("dropped: %s", error)  # SRPC-RECOVER-001
            return
        while reply is not None:
            before = channel.values()
            if channel.resp.empty.wait(min(deadline, now() + SLICE)):
                channel.resp.send(reply)
                return
            if now() >= deadline or self._stopping:
                log.warning("a response that nobody makes room for is dropped")  # SRPC-RECOVER-009
                return
            self._repair(before)

    def _repair(self, before: tuple) -> None:
        """Frees the slots of a dead client (4.7): after values that stood still for a slice, and
        while a lease keeps everybody else from the response segment (SRPC-RECOVER-007)."""
        channel = self.channel
        stuck_req, stuck_resp = before[:2] == (0, 0), before[2] == 0
        if not (stuck_req or stuck_resp) or channel.values() != before or not channel[1].lease():
            return
        try:
            if channel.values() == before:
                if stuck_req:
                    channel.req.free()  # SRPC-RECOVER-008
                if stuck_resp and (before[3] == 0 or channel.resp.full.try_wait()):
                    channel.resp.free()  # SRPC-RECOVER-010, -011
        finally:
            fcntl.fcntl(channel[1].fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def _answer(self, message: bytes) -> bytes | None:
        verdict, ident, *rest = judge_request(message)
        envelope = {"request_id": ident, "result": None, "error": None}  # SRPC-ENV-002
        try:
            if verdict == "error_reply":
                raise ShmRpcError("invalid", f"Invalid request: {rest[0]}")  # SRPC-ENV-015
            method, params = rest
            if method not in self.methods:
                raise ShmRpcError("invalid", f"Unknown method: {method}")  # SRPC-ENV-011
            reply = json_write({**envelope, "result": self.methods[method](**params)})
            if len(reply) > self.size - 4:  # SRPC-ENV-016
                raise ShmRpcError("too_large", f"Response too large: {len(reply)} bytes")
            return reply
        except Exception as error:  # whatever the method raises is the answer: SRPC-ENV-012
            name = type(error).__name__
            if isinstance(error, ShmRpcError):  # SRPC-ENV-017
                name = "RPCSerializationError" if error.kind == "serialization" else "RPCError"
            text = f"{name}: {error}"[:self.size].encode("utf-8", "replace").decode("utf-8")
        # The number of the cuts that fit (SRPC-ENV-018); the first of them is empty (SRPC-ENV-019).
        cuts = bisect.bisect_right(range(len(text) + 1), self.size - 4,
                                   key=lambda n: len(json_write({**envelope, "error": text[:n]})))
        return json_write({**envelope, "error": text[:cuts - 1]}) if cuts > 1 else None


class Client(End):
    """Attaches to a channel and calls methods (4.2, 4.5, 4.6). Threads may share one; they take
    turns. Without buffer_size it uses the size of the smaller segment (SRPC-LIMIT-004)."""

    def __init__(self, name: str | bytes, buffer_size: int | None = None,
                 timeout: float | None = 5.0, wait_for_server: float = 0.0, wait_busy: float = 0.0):
        super().__init__(name, timeout)
        if buffer_size is not None and not 4 < buffer_size <= LARGEST_BUFFER:
            raise ShmRpcError("invalid", "buffer_size is out of range")
        self._wanted, self._turn, self._closed = buffer_size, threading.Lock(), False
        self._attach(not_found=int(wait_for_server * SECOND), busy=int(wait_busy * SECOND))

    def _attach(self, **waits: int) -> None:
        """Tries again for as long as the failure's kind is worth."""
        begin = now()
        while not self.channel:
            try:
                self._attach_once(self.channel)
            except BaseException as error:
                self.channel.close()
                if isinstance(error, OSError):
                    raise ShmRpcError("system", str(error)) from error
                if not isinstance(error, ShmRpcError):
                    raise
                left = begin + max(waits.get(error.kind, 0), error.patience) - now()
                if left <= 0:
                    raise
                time.sleep(min(0.02, left / SECOND))  # a server gets a lease in between: ATTACH-013

    def _attach_once(self, channel: Channel) -> None:
        """How a client attaches, step by step as in 4.2."""
        for path, kind in self.paths:
            if not channel.open(path, kind):
                raise ShmRpcError("not_found", "no such channel")
            item, size = channel[-1], channel[-1].status.st_size
            if item.status.st_mode & 0o777 != 0o600:  # SRPC-ATTACH-005, SRPC-OWN-004
                raise ShmRpcError("system", f"{os.fsdecode(path)} has not mode 0600")
            half_made = size != SEMAPHORE_BYTES if kind is Semaphore else size == 0
            if half_made or (channel[0].marked and not item.marked):  # SRPC-ATTACH-006, -008, -014
                raise ShmRpcError("not_found", "the channel is half-made")
        req, resp = channel[:2]
        smaller = min(req.status.st_size, resp.status.st_size)
        if smaller < (self._wanted or 5):  # SRPC-SEG-002
            raise ShmRpcError("too_large", f"the segments have {smaller} bytes only")
        if not req.leads_here():  # SRPC-ATTACH-007
            raise ShmRpcError("not_found", "the channel was replaced meanwhile")
        if req.owner_died():  # SRPC-ATTACH-009
            raise ShmRpcError("not_found", "the server of this channel is dead")
        self.buffer_size = self._wanted or smaller
        channel.map(self.buffer_size)
        if not resp.lock():  # SRPC-ATTACH-010, -011
            raise ShmRpcError("busy", "another client is attached")
        if channel.resp.full.try_wait():  # SRPC-ATTACH-012
            channel.resp.free()
        glance, pairs = now() + 20 * MS, (channel[2:4], channel[4:6])
        while req.marked and any(empty.value() == full.value() == 0 for empty, full in pairs):
            if now() >= glance:  # SRPC-ATTACH-013
                raise ShmRpcError("busy", "a dead client left a slot", patience=SLOT_PATIENCE)
            time.sleep(0.001)

    def call(self, method: str, params: dict | None = None) -> object:
        ident = str(uuid.uuid4())  # SRPC-ENV-006
        message = json_write({"request_id": ident, "method": method, "params": params or {}})
        deadline = now() + self.timeout  # one for all waits: SRPC-CALL-006
        if not self._turn.acquire(timeout=min(self.timeout / SECOND, threading.TIMEOUT_MAX)):
            raise ShmRpcError("timeout", "another thread's call went on; not sent")
        try:
            if self._closed:
                raise ShmRpcError("invalid", "the client is closed")
            if self.channel and self.channel.req.owner_died():  # SRPC-CALL-010
                self.channel.close()
            self._attach()
            return self._exchange(ident, message, deadline)
        except ShmRpcError as error:
            if error.kind == "not_found":
                error.kind = "peer_gone_not_started"
            raise
        finally:
            self._turn.release()

    def _exchange(self, ident: str, message: bytes, deadline: int) -> object:
        req, resp = self.channel.req, self.channel.resp
        req.need_room(message)  # SRPC-CALL-003
        state = "occupied" if req.marked else "slot abandoned"  # SRPC-RECOVER-013
        self._wait(req.empty, deadline, f"the request slot did not become free ({state}); not sent")
        req.send(message)
        while True:
            try:
                self._wait(resp.full, deadline, "no response came")
                verdict, result = judge_response(resp.receive(), ident)
                if verdict == "result":
                    return result
                if now() >= deadline:  # a flood of foreign responses is no reason to stay
                    raise ShmRpcError("timeout", "responses to others came")
            except ShmRpcError as error:  # SRPC-CALL-008, SRPC-ERR-002
                unanswered = error.kind in ("timeout", "peer_gone_not_started")
                error.maybe_executed = not (unanswered and self._withdraw(message))
                if error.maybe_executed and error.kind == "peer_gone_not_started":
                    error.kind = "peer_gone_maybe_executed"
                raise

    def _wait(self, semaphore: Semaphore, deadline: int, failure: str) -> None:
        """Returns with the token."""
        while True:
            self.channel.values()
            if semaphore.wait(min(deadline, now() + SLICE)):
                return
            if self.channel.req.owner_died():  # SRPC-RECOVER-002
                if semaphore.try_wait():  # what it did before it died counts: C6 of 3.8
                    return
                raise ShmRpcError("peer_gone_not_started", f"the server died; {failure}")
            if now() >= deadline or self._closed:
                raise ShmRpcError("timeout", failure)

    def _withdraw(self, message: bytes) -> bool:
        """Takes the request back if nobody has taken it (SRPC-CALL-007, SRPC-RECOVER-003)."""
        req, frame = self.channel.req, _LENGTH.pack(len(message)) + message
        if not req.full.try_wait():
            return False
        if req.mapping[:len(frame)] != frame:
            req.full.post()  # another's: SRPC-RECOVER-004
            return False
        req.free()
        return True

    def close(self) -> None:
        """Ends a call of another thread at its next slice. Removes no object (SRPC-LIFE-003)."""
        self._closed = True
        with self._turn:
            self.channel.close()
