# SPDX-License-Identifier: MIT
"""SHM-RPC version 1 in one module of Python: both roles, levels Wire and Recovery.

Written from spec/shm-rpc.md and spec/vectors/ alone, as a check of that text and as an example for
whoever ports it to another language. The ids beside the code name the requirements that it meets.
It uses the standard library, and ctypes for the semaphore functions of glibc. Needs CPython 3.9 or
newer, Linux, glibc 2.30 or newer, and a 64-bit build.

    server = Server("calc", {"add": lambda a, b: a + b})      client = Client("calc")
    server.run()        # until server.stop()                 client.call("add", {"a": 5, "b": 3})
    server.close()                                            client.close()
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import logging
import math
import mmap
import os
import re
import stat
import struct
import sys
import threading
import time
import uuid

if struct.calcsize("P") != 8:
    raise ImportError("SHM-RPC needs a 64-bit process")  # SRPC-SEM-003

log = logging.getLogger("shmrpc")

DEFAULT_BUFFER = 4096  # SRPC-LIMIT-001
DEFAULT_TIMEOUT = 5.0  # seconds, SRPC-TIME-001
LENGTH_BYTES = 4
SEMAPHORE_BYTES = 32  # SRPC-SEM-001
LEVELS = 1024  # of JSON arrays and objects, SRPC-JSON-007
MS = 1_000_000  # nanoseconds
SLICE = 100 * MS  # no wait blocks longer without looking around
PATIENCE = 200 * MS  # for what another process holds for a moment only, SRPC-RECLAIM-007
SLOT_PATIENCE = 1500 * MS  # longer than a server may take for a repair, SRPC-ATTACH-013
GLANCE = 20 * MS  # how long a slot may be seen in somebody's hands while attaching


class ShmRpcError(Exception):
    """A failure, reported under one of the error classes of section 3.10 (SRPC-ERR-001)."""

    def __init__(self, kind: str, text: str, maybe_executed: bool = False):
        super().__init__(text)
        self.kind = kind
        self.maybe_executed = maybe_executed  # of a call: False only if it certainly has not run


def system_error(error: OSError) -> ShmRpcError:
    return ShmRpcError("system", f"{error.strerror} (errno {error.errno})")


# ---- JSON, section 3.6 -----------------------------------------------------------------------------
#
# Python's json module is nearly strict. What it lacks: it takes NaN and infinities, lets numbers
# overflow to infinity, takes lone surrogates, guesses encodings, and has no limit of levels but the
# interpreter's own, which is lower than 1,024.

sys.setrecursionlimit(max(sys.getrecursionlimit(), 4 * LEVELS))

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]' if sys.version_info >= (3, 11)
                    else r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
# Every escape of a text that is known to be valid; group 1 is a surrogate that is no half of a pair.
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)


def _read_double(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("number too large")  # SRPC-JSON-008
    return value


def _read_integer(text: str) -> int | float:
    if len(text) <= 20:  # longer ones are out of range, and int() takes quadratic time for them
        value = int(text)
        if -(2**63) <= value < 2**64:
            return value  # SRPC-JSON-010
    return _read_double(text)  # SRPC-JSON-014


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")  # SRPC-JSON-001


_DECODER = json.JSONDecoder(parse_int=_read_integer, parse_float=_read_double,
                            parse_constant=_refuse_constant)


def _too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= LEVELS:
        return False
    depth = 0
    for token in _TOKEN.finditer(text):
        first = token[0][0]
        depth += (first in "[{") - (first in "]}")
        if depth > LEVELS:
            return True
    return False


def json_read(data: bytes) -> object:
    """The value of a JSON text, or ShmRpcError of class serialization."""
    try:
        text = data.decode("utf-8")  # strict about overlong forms and surrogates: SRPC-JSON-002
        if _too_deep(text):
            raise ValueError(f"more than {LEVELS} levels")
        value = _DECODER.decode(text)  # the last of equal keys counts, as SRPC-JSON-006 wants it
        if any(escape[1] for escape in _ESCAPE.finditer(text)):
            raise ValueError("lone surrogate")  # SRPC-JSON-004, in members that do not count too
    except (ValueError, RecursionError) as error:
        raise ShmRpcError("serialization", f"not JSON: {error}") from None
    return value


def _check_writable(value: object) -> None:
    """Refuses what json.dumps would write although no reader could read it back."""
    todo = [(value, 1)]
    while todo:
        item, level = todo.pop()
        if isinstance(item, (dict, list, tuple)):
            if level > LEVELS:
                raise ValueError(f"more than {LEVELS} levels")  # SRPC-JSON-015; ends cycles too
            if isinstance(item, dict):
                if not all(isinstance(key, str) for key in item):
                    raise TypeError("a key is no string")
                item = item.values()
            todo.extend((inner, level + 1) for inner in item)
        elif isinstance(item, int) and not -(2**63) <= item < 2**64:
            raise ValueError("integer beyond 64 bits")


def json_write(value: object) -> bytes:
    """The text of a value (SRPC-JSON-012), or ShmRpcError of class serialization."""
    try:
        _check_writable(value)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False,  # SRPC-JSON-009
                          check_circular=False, separators=(",", ":"))
        return text.encode("utf-8")  # fails for lone surrogates
    except (ValueError, TypeError, RecursionError) as error:
        raise ShmRpcError("serialization", str(error)) from None


# ---- Envelope, sections 3.7 and 4.8 ----------------------------------------------------------------


def request_text(ident: str, method: str, params: dict) -> bytes:
    return json_write({"request_id": ident, "method": method, "params": params})


def response_text(ident: object, result: object, error: str | None) -> bytes:
    return json_write({"request_id": ident, "result": result, "error": error})  # SRPC-ENV-002


def judge_request(message: bytes) -> tuple:
    """("valid", id, method, params), ("error_reply", id, why) or ("drop", why)."""
    try:
        request = json_read(message)
    except ShmRpcError as error:
        return "drop", str(error)  # SRPC-ENV-014
    if not isinstance(request, dict) or "request_id" not in request:
        return "drop", "no request id"
    ident = request["request_id"]
    if not isinstance(ident, str):
        return "error_reply", ident, "request_id is no string"  # SRPC-ENV-013
    if not isinstance(request.get("method"), str):
        return "error_reply", ident, "method is absent or no string"
    if not isinstance(request.get("params"), dict):
        return "error_reply", ident, "params is absent or no object"
    return "valid", ident, request["method"], request["params"]


def judge_response(message: bytes, own_id: str) -> tuple:
    """("result", value), ("method_error", text), ("foreign", None) or ("protocol", why)."""
    try:
        response = json_read(message)
    except ShmRpcError as error:
        return "protocol", str(error)  # SRPC-CALL-004
    if not isinstance(response, dict) or not isinstance(response.get("request_id"), str):
        return "protocol", "the response is no object with a string request_id"
    if response["request_id"] != own_id:
        return "foreign", None  # SRPC-CALL-005, whatever else is in it
    error = response.get("error")
    if error is None or error == "":
        return "result", response.get("result")  # SRPC-ENV-008
    if isinstance(error, str):
        return "method_error", error  # SRPC-ENV-007
    return "protocol", "the error is neither a string nor null"  # SRPC-CALL-011


# ---- Frames, sections 3.5 and 4.3 ------------------------------------------------------------------

_LENGTH = struct.Struct("@I")  # unsigned, native byte order: SRPC-FRAME-001


def write_frame(segment, capacity: int, message: bytes) -> None:
    if len(message) > capacity:
        raise ShmRpcError("too_large", f"{len(message)} bytes do not fit into {capacity}")
    segment[LENGTH_BYTES:LENGTH_BYTES + len(message)] = message
    _LENGTH.pack_into(segment, 0, len(message))


def read_frame(segment, capacity: int) -> bytes:
    """A private copy of the message: one load of the length, one copy (SRPC-FRAME-006, -007)."""
    (length,) = _LENGTH.unpack_from(segment, 0)
    if length > capacity:  # SRPC-FRAME-004
        raise ShmRpcError("protocol", f"a frame of {length} bytes where {capacity} fit")
    return bytes(segment[LENGTH_BYTES:LENGTH_BYTES + length])


def clear_frame(segment) -> None:
    _LENGTH.pack_into(segment, 0, 0)  # SRPC-FRAME-008


# ---- Semaphores, section 3.4 -----------------------------------------------------------------------


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.sem_init.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint)
_libc.sem_post.argtypes = _libc.sem_trywait.argtypes = (ctypes.c_void_p,)
_libc.sem_getvalue.argtypes = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))
_libc.sem_clockwait.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Timespec))
_libc.linkat.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
AT_FDCWD = -100
AT_SYMLINK_FOLLOW = 0x400
CLOCK_MONOTONIC = 1

now = time.monotonic_ns


class Semaphore:
    """A sem_t in a mapped file. glibc's functions order memory as section 3.13 needs it."""

    def __init__(self, mapping: mmap.mmap):
        self._mapping = mapping
        self._sem = (ctypes.c_char * SEMAPHORE_BYTES).from_buffer(mapping)

    def init(self, value: int) -> None:
        _libc.sem_init(self._sem, 1, value)  # SRPC-SEM-004

    def post(self) -> None:
        if _libc.sem_post(self._sem) != 0:  # only at the largest value there is
            raise ShmRpcError("protocol", "a semaphore overflows")

    def try_wait(self) -> bool:
        return _libc.sem_trywait(self._sem) == 0

    def wait(self, deadline: int) -> bool:
        """False when the deadline, an absolute time of CLOCK_MONOTONIC, has passed."""
        until = _Timespec(*divmod(deadline, 1000 * MS))
        while _libc.sem_clockwait(self._sem, CLOCK_MONOTONIC, until) != 0:
            if ctypes.get_errno() == errno.ETIMEDOUT:
                return False
            if ctypes.get_errno() != errno.EINTR:
                raise system_error(OSError(ctypes.get_errno(), "sem_clockwait"))
        return True

    def value(self) -> int:
        number = ctypes.c_int()
        _libc.sem_getvalue(self._sem, number)
        return number.value

    def close(self) -> None:
        self._sem = None  # the mapping cannot be closed while something points into it
        self._mapping.close()


# ---- Objects, sections 3.1, 3.2 and 4.1 ------------------------------------------------------------

SHM = b"/dev/shm"
_LOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length 0 = all, pid 0
F_SETLEASE = getattr(fcntl, "F_SETLEASE", 1024)
F_SETSIG = getattr(fcntl, "F_SETSIG", 10)
F_OFD_GETLK = getattr(fcntl, "F_OFD_GETLK", 36)
F_OFD_SETLK = getattr(fcntl, "F_OFD_SETLK", 37)
SIGURG = 23


def file_names(name: str | bytes) -> list[bytes]:
    """The six files of a channel below /dev/shm, in the order of creation (SRPC-NAME-001)."""
    try:
        raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ShmRpcError("invalid", "the name is no text") from None
    if not 1 <= len(raw) <= 236 or b"/" in raw or b"\0" in raw:  # SRPC-NAME-002, -003
        raise ShmRpcError("invalid", "a channel name has 1 to 236 bytes and no / or NUL")
    segments = [b"srb_" + raw + end for end in (b"_req", b"_resp")]
    ends = (b"_req_empty", b"_req_full", b"_resp_empty", b"_resp_full")
    return segments + [b"sem.srb_" + raw + end for end in ends]


class Object:
    """One of the six files, open. Python's mmap keeps a duplicate of the descriptor; it shares the
    open file, so locks and leases count once, and go when both are closed."""

    def __init__(self, path: bytes, fd: int):
        self.path, self.fd, self.named = path, fd, False
        self.mapping: mmap.mmap | None = None
        self.status = os.fstat(fd)

    @classmethod
    def create(cls, path: bytes, size: int) -> Object:
        """A whole object without a name: memory reserved, mode set (4.1, SRPC-OBJ-006, SEG-004)."""
        fd = os.open(SHM, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            for start in range(0, size, 1 << 20):  # in pieces: signals cannot starve it (SEG-005)
                os.posix_fallocate(fd, start, min(1 << 20, size - start))
            os.fchmod(fd, 0o1600)  # the sticky bit is the mark: SRPC-OWN-002
            return cls(path, fd)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def open(cls, path: bytes) -> Object:
        """Never follows a link (SRPC-ATTACH-003) and never waits for the holder of a lease."""
        return cls(path, os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))

    def fault(self) -> str | None:
        if not stat.S_ISREG(self.status.st_mode):
            return "is no regular file"
        return None if self.status.st_uid == os.geteuid() else "belongs to another user"

    @property
    def marked(self) -> bool:
        return bool(self.status.st_mode & stat.S_ISVTX)

    def leads_here(self) -> bool:
        try:
            there = os.lstat(self.path)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (self.status.st_dev, self.status.st_ino)

    def link(self) -> bool:
        """Gives the object its name; False if the name is taken (SRPC-OBJ-002)."""
        here = b"/proc/self/fd/%d" % self.fd
        if _libc.linkat(AT_FDCWD, here, AT_FDCWD, self.path, AT_SYMLINK_FOLLOW) != 0:
            if ctypes.get_errno() == errno.EEXIST:
                return False
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.named = True
        return True

    def unlink(self) -> None:
        if self.leads_here():  # SRPC-LIFE-005
            os.unlink(self.path)

    def lock(self) -> bool:
        try:
            fcntl.fcntl(self.fd, F_OFD_SETLK, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def locked_by_another(self) -> bool:
        """Looks without taking the lock (SRPC-OWN-007)."""
        asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        return _LOCK.unpack(fcntl.fcntl(self.fd, F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK

    def lease(self) -> bool:
        """The proof of 4.4 that nobody else has the object open or mapped."""
        try:
            fcntl.fcntl(self.fd, F_SETSIG, SIGURG)
            fcntl.fcntl(self.fd, F_SETLEASE, fcntl.F_WRLCK)
        except OSError:  # EAGAIN: somebody has it; anything else: no proof (SRPC-RECLAIM-006)
            return False
        return True

    def give_back_lease(self) -> None:
        fcntl.fcntl(self.fd, F_SETLEASE, fcntl.F_UNLCK)

    def map(self, size: int) -> mmap.mmap:
        self.mapping = mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        return self.mapping

    def close(self) -> None:
        if self.mapping is not None:
            self.mapping.close()
        os.close(self.fd)


# ---- Channel: what both roles do with the six objects -----------------------------------------------


class Slot:
    """A segment with its two semaphores (3.8). Who calls send or receive has waited before."""

    def __init__(self, segment: mmap.mmap, size: int, empty: Semaphore, full: Semaphore):
        self.segment, self.empty, self.full = segment, empty, full
        self.capacity = size - LENGTH_BYTES

    def send(self, message: bytes) -> None:
        write_frame(self.segment, self.capacity, message)
        self.full.post()  # SRPC-HAND-001

    def receive(self) -> bytes:
        try:
            return read_frame(self.segment, self.capacity)
        finally:  # after a bad length too: SRPC-RECOVER-001, SRPC-CALL-012
            self.free()

    def free(self) -> None:
        clear_frame(self.segment)
        self.empty.post()  # SRPC-HAND-002

    def values(self) -> tuple[int, int]:
        values = self.empty.value(), self.full.value()
        if max(values) > 1:
            raise ShmRpcError("protocol", "a semaphore value is above 1")  # SRPC-SEM-007
        return values


class Channel:
    """The six objects, mapped."""

    def __init__(self, objects: list[Object], size: int):
        self.objects = objects
        self.owned, self.leased = objects[:2]  # req carries the owner lock, resp the client lock
        self.semaphores = [Semaphore(item.map(SEMAPHORE_BYTES)) for item in objects[2:]]
        self.req = Slot(self.owned.map(size), size, *self.semaphores[:2])
        self.resp = Slot(self.leased.map(size), size, *self.semaphores[2:])

    def owner_died(self) -> bool:
        return self.owned.marked and not self.owned.locked_by_another()  # OWN-006, RECOVER-005

    def close(self) -> None:
        for semaphore in self.semaphores:
            semaphore.close()
        for item in reversed(self.objects):  # req, and with it the owner lock, last
            item.close()


# ---- Server, sections 4.1, 4.4, 4.7 and 4.8 ---------------------------------------------------------


class Server:
    """Publishes a channel and answers calls. A method gets the params as keyword arguments."""

    def __init__(self, name: str | bytes, methods: dict, buffer_size: int = DEFAULT_BUFFER,
                 timeout: float | None = DEFAULT_TIMEOUT):
        self.paths = [SHM + b"/" + file for file in file_names(name)]
        if not 128 <= buffer_size <= 2**32 - 1:  # SRPC-LIMIT-002, -003
            raise ShmRpcError("invalid", "buffer_size is out of range")
        self.size = buffer_size
        self.timeout = timeout_ns(timeout)
        self.methods = {**methods, "__running__": lambda **_: True}  # SRPC-ENV-010
        self._stopping = False
        self.channel: Channel | None = None
        self._publish()

    def _publish(self) -> None:
        made: list[Object] = []
        try:
            for path in self.paths:
                made.append(Object.create(path, SEMAPHORE_BYTES if len(made) > 1 else self.size))
            channel = Channel(made, self.size)
            for semaphore, value in zip(channel.semaphores, (1, 0, 1, 0)):  # SRPC-SEM-002
                semaphore.init(value)
            made[0].lock()  # before it has a name: SRPC-OWN-001
            self._link_req(made[0])
            patience = now() + PATIENCE
            for item in made[1:]:
                self._link_piece(item, patience)
        except BaseException as error:  # remove what was made, and no more: SRPC-LIFE-004
            self._remove(made)
            for item in made:
                item.mapping = None  # the collector unmaps
            for item in reversed(made):
                os.close(item.fd)
            raise system_error(error) if isinstance(error, OSError) else error
        self.channel = channel

    def _link_req(self, req: Object) -> None:
        patience = now() + PATIENCE  # a reclaimer or an attaching client is there for a moment only
        while not req.link():
            holder = self._reclaim()
            if holder is not None:
                if now() >= patience:
                    raise ShmRpcError("busy", holder)  # SRPC-OWN-008, SRPC-RECLAIM-002
                time.sleep(0.005)

    def _link_piece(self, item: Object, patience: int) -> None:
        """Leftovers while req is ours belong to a closing original, or to nobody any more."""
        while not item.link():
            if now() < patience:  # SRPC-RECLAIM-007
                time.sleep(0.005)
                continue
            found: list[Object] = []
            try:
                self._find(item.path, found)
                for old in found:
                    if not old.lease():  # SRPC-RECLAIM-008
                        raise ShmRpcError("busy", "somebody uses a leftover of this name")
                    old.unlink()
            except BlockingIOError:
                raise ShmRpcError("busy", "somebody holds a lease on a leftover") from None
            finally:
                for old in found:
                    old.close()

    @staticmethod
    def _find(path: bytes, found: list[Object]) -> None:
        """Opens what has a name, if anything has; what is not ours to judge is refused (RECLAIM-001)."""
        try:
            old = Object.open(path)
        except FileNotFoundError:
            return
        found.append(old)
        if old.fault() is not None:
            raise ShmRpcError("system", f"{os.fsdecode(path)} {old.fault()}")

    def _reclaim(self) -> str | None:
        """Removes a dead channel (4.4). None: try again now; a text: why the name is busy."""
        found: list[Object] = []
        try:
            self._find(self.paths[0], found)
            if not found:
                return None
            req = found[0]
            if not req.lock():
                return "another server holds the name"
            if not req.leads_here():  # SRPC-RECLAIM-003
                return None
            for path in self.paths[1:]:
                self._find(path, found)
            for old in found:  # a marked object needs no proof but the lock: SRPC-RECLAIM-004, -005
                if not old.marked and not old.lease():
                    return "somebody has an object open that shows no owner"
            for old in found[1:] + found[:1]:  # req last: SRPC-RECLAIM-009
                old.unlink()
            return None
        except BlockingIOError:
            return "somebody holds a lease on an object of this name"
        finally:
            for old in reversed(found):  # gives back the leases, and the lock last
                old.close()

    def _remove(self, objects: list[Object]) -> None:
        """Unlinks what is named, under the name req (SRPC-RECLAIM-013), req last (SRPC-OWN-005)."""
        if not any(item.named for item in objects):
            return
        guard, made = objects[0], None
        if not guard.leads_here():  # somebody unlinked it; stand in under a new one
            guard = made = Object.create(self.paths[0], SEMAPHORE_BYTES)
            if not guard.lock() or not guard.link():  # the name is another server's now
                guard = None
        if guard is not None:
            for item in objects[1:]:
                item.unlink()
            guard.unlink()
        if made is not None:
            made.close()

    def close(self) -> None:
        if self.channel is not None:
            self._remove(self.channel.objects)  # SRPC-LIFE-002
            self.channel.close()
            self.channel = None

    def stop(self) -> None:
        self._stopping = True

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
        req, before = self.channel.req, self._values()
        if not req.full.wait(now() + SLICE):
            self._repair(before, look_at_req=True)
            return
        try:
            message = req.receive()
        except ShmRpcError as error:
            self._values()  # a semaphore that overflowed is another matter than a bad length
            log.warning("dropped: %s", error)  # SRPC-RECOVER-001
            return
        reply = self._answer(message)
        if reply is not None:
            self._send(reply)

    def _values(self) -> tuple:
        return self.channel.req.values() + self.channel.resp.values()

    def _send(self, reply: bytes) -> None:
        resp, deadline = self.channel.resp, now() + self.timeout
        while True:
            before = self._values()
            if resp.empty.wait(min(deadline, now() + SLICE)):
                resp.send(reply)
                return
            self._repair(before, look_at_req=False)
            if now() >= deadline or self._stopping:
                if not resp.empty.try_wait():
                    log.warning("a response that nobody made room for is dropped")  # RECOVER-009
                    return
                resp.send(reply)
                return

    def _repair(self, before: tuple, look_at_req: bool) -> None:
        """Frees the slots of a dead client (4.7): after values that stood still for a slice, and
        while a lease keeps everybody else from the response segment (SRPC-RECOVER-007)."""
        req, resp = self.channel.req, self.channel.resp
        suspicious = (look_at_req and before[:2] == (0, 0)) or before[2] == 0
        if not suspicious or self._values() != before or not self.channel.leased.lease():
            return
        try:
            if self._values() != before:
                return
            if look_at_req and before[:2] == (0, 0):
                req.empty.post()  # SRPC-RECOVER-008
            if before[2] == 0 and (before[3] == 0 or resp.full.try_wait()):
                resp.free()  # SRPC-RECOVER-010, -011
            log.info("repaired after the death of a client")
        finally:
            self.channel.leased.give_back_lease()

    def _answer(self, message: bytes) -> bytes | None:
        verdict, *rest = judge_request(message)
        if verdict == "drop":
            log.warning("dropped: %s", rest[0])
            return None
        if verdict == "error_reply":
            return self._failed(rest[0], f"RPCError: Invalid request: {rest[1]}")  # SRPC-ENV-015
        ident, method, params = rest
        if method not in self.methods:
            return self._failed(ident, f"RPCError: Unknown method: {method}")  # SRPC-ENV-011
        try:
            result = self.methods[method](**params)
        except Exception as error:  # SRPC-ENV-012: whatever the method raises is the answer
            return self._failed(ident, f"{type(error).__name__}: {error}")
        try:
            reply = response_text(ident, result, None)
        except ShmRpcError as error:
            return self._failed(ident, f"RPCSerializationError: {error}")  # SRPC-ENV-017
        if len(reply) > self.channel.resp.capacity:
            return self._failed(ident, f"RPCError: Response too large: {len(reply)} bytes where "
                                       f"{self.channel.resp.capacity} fit")  # SRPC-ENV-016
        return reply

    def _failed(self, ident: object, text: str) -> bytes | None:
        """An error reply, its text cut so that it fits (SRPC-ENV-018); None if none fits (-019)."""
        text = text.encode("utf-8", "replace").decode("utf-8")
        capacity = self.channel.resp.capacity
        reply = response_text(ident, None, text)
        if len(reply) <= capacity:
            return reply
        room = capacity - len(response_text(ident, None, ""))
        end = 0
        while end < len(text) and (width := len(json_write(text[end])) - 2) <= room:
            room -= width
            end += 1
        return response_text(ident, None, text[:end]) if end > 0 else None


# ---- Client, sections 4.2, 4.5 and 4.6 --------------------------------------------------------------


class _TryAgain(Exception):
    """The channel cannot be attached to at the moment; `until` is when to give up."""

    def __init__(self, kind: str, text: str, until: int):
        super().__init__(text)
        self.kind, self.until = kind, until


def timeout_ns(seconds: float | None) -> int:
    """None is no time-out: as good as one of centuries."""
    if seconds is None:
        return 2**62
    if not 0.001 <= seconds <= (2**31 - 1) / 1000:
        raise ShmRpcError("invalid", "the time-out is out of range")
    return int(seconds * 1000 * MS)


class Client:
    """Attaches to a channel and calls methods. Threads may share one; their calls take turns.

    Without buffer_size it uses the size of the smaller segment (SRPC-LIMIT-004)."""

    def __init__(self, name: str | bytes, buffer_size: int | None = None,
                 timeout: float | None = DEFAULT_TIMEOUT, wait_for_server: float = 0.0,
                 wait_busy: float = 0.0):
        self.paths = [SHM + b"/" + file for file in file_names(name)]
        if buffer_size is not None and not LENGTH_BYTES < buffer_size <= 2**32 - 1:
            raise ShmRpcError("invalid", "buffer_size is out of range")
        self.wanted = buffer_size
        self.timeout = timeout_ns(timeout)
        self._turn = threading.Lock()
        self._closed = False
        self.channel: Channel | None = None
        self._attach(int(wait_for_server * 1000 * MS), int(wait_busy * 1000 * MS))

    @property
    def buffer_size(self) -> int:
        return self.channel.req.capacity + LENGTH_BYTES

    def _attach(self, wait_for_server: int, wait_busy: int) -> None:
        begin = now()
        while True:
            try:
                self.channel = self._attach_once(begin, wait_for_server, wait_busy)
                return
            except _TryAgain as again:
                if now() >= again.until:
                    raise ShmRpcError(again.kind, str(again)) from None
                # Long enough for a server to get its lease in between, see SRPC-ATTACH-013.
                time.sleep(min(0.02, (again.until - now()) / 1e9))

    def _attach_once(self, begin: int, wait_for_server: int, wait_busy: int) -> Channel:
        """How a client attaches, step by step as in 4.2."""
        objects: list[Object] = []
        absent = begin + wait_for_server
        channel = None
        try:
            for path in self.paths:
                self._open_one(path, objects, absent, begin + max(wait_busy, PATIENCE))
            req, resp = objects[:2]
            smaller = min(req.status.st_size, resp.status.st_size)
            if smaller < (self.wanted or LENGTH_BYTES + 1):
                raise ShmRpcError("too_large", f"the segments have {smaller} bytes only")
            if not req.leads_here():  # SRPC-ATTACH-007
                raise _TryAgain("not_found", "the channel was replaced meanwhile", absent)
            if req.marked and not req.locked_by_another():  # SRPC-ATTACH-009
                raise _TryAgain("not_found", "the server of this channel is dead", absent)
            channel = Channel(objects, self.wanted or smaller)
            if not resp.lock():  # SRPC-ATTACH-010, -011
                raise _TryAgain("busy", "another client is attached", begin + wait_busy)
            if channel.resp.full.try_wait():  # SRPC-ATTACH-012
                channel.resp.free()
            if req.marked and self._in_nobodys_hands(channel):  # SRPC-ATTACH-013
                raise _TryAgain("busy", "a dead client left a slot that the server cannot free",
                                begin + max(wait_busy, SLOT_PATIENCE))
            return channel
        except BaseException as error:
            if channel is not None:
                channel.close()
            else:
                for item in objects:
                    item.close()
            raise system_error(error) if isinstance(error, OSError) else error

    @staticmethod
    def _open_one(path: bytes, objects: list[Object], absent: int, leased: int) -> None:
        try:
            item = Object.open(path)
        except FileNotFoundError:
            raise _TryAgain("not_found", "no such channel", absent) from None
        except BlockingIOError:  # a server repairs, or somebody reclaims: for a moment
            raise _TryAgain("busy", "somebody holds a lease on an object", leased) from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise ShmRpcError("protocol", f"{os.fsdecode(path)} is no regular file") from None
            raise
        objects.append(item)
        fault = item.fault()
        if fault is None and item.status.st_mode & 0o777 != 0o600:  # SRPC-ATTACH-005, SRPC-OWN-004
            fault = "has not mode 0600"
        if fault is not None:  # SRPC-ATTACH-003, -004
            raise ShmRpcError("protocol", f"{os.fsdecode(path)} {fault}")
        size = item.status.st_size
        if size == 0 or (len(objects) > 2 and size != SEMAPHORE_BYTES):  # SRPC-ATTACH-006, -008
            raise _TryAgain("not_found", "the channel is half-made", absent)
        if objects[0].marked and not item.marked:  # SRPC-ATTACH-014
            raise _TryAgain("not_found", "the channel is half-made: leftovers beside it", absent)

    @staticmethod
    def _in_nobodys_hands(channel: Channel) -> bool:
        waiting, until = [channel.req, channel.resp], now() + GLANCE
        while True:
            waiting = [s for s in waiting if (s.empty.value(), s.full.value()) == (0, 0)]
            if not waiting or now() >= until:
                return bool(waiting)
            time.sleep(0.001)

    def call(self, method: str, params: dict | None = None) -> object:
        ident = str(uuid.uuid4())  # SRPC-ENV-006
        message = request_text(ident, method, {} if params is None else params)  # SRPC-CALL-003
        deadline = now() + self.timeout  # one for all waits: SRPC-CALL-006
        if not self._turn.acquire(timeout=min(self.timeout / 1e9, threading.TIMEOUT_MAX)):
            raise ShmRpcError("timeout", "another thread's call went on; not sent")
        try:
            if self._closed:
                raise ShmRpcError("invalid", "the client is closed")
            self._renew()
            return self._exchange(self.channel, ident, message, deadline)
        finally:
            self._turn.release()

    def _renew(self) -> None:
        """SRPC-CALL-010: after the death of its server a call begins by attaching anew."""
        if self.channel is not None and self.channel.owner_died():
            self.channel.close()
            self.channel = None
        if self.channel is None:
            try:
                self._attach(0, 0)
            except ShmRpcError as error:
                if error.kind == "not_found":
                    raise ShmRpcError("peer_gone_not_started", "the server is gone") from None
                raise

    def _exchange(self, channel: Channel, ident: str, message: bytes, deadline: int) -> object:
        if len(message) > channel.req.capacity:
            raise ShmRpcError("too_large", f"{len(message)} bytes, {channel.req.capacity} fit")
        gone = self._wait(channel, channel.req.empty, deadline)
        if gone == "timeout" and not channel.owned.marked:
            raise ShmRpcError(gone, "slot abandoned: the request slot stayed occupied")  # RECOVER-013
        if gone is not None:
            kind = gone if gone == "timeout" else "peer_gone_not_started"
            raise ShmRpcError(kind, "the request slot did not become free; not sent")
        channel.req.send(message)
        while True:
            gone = self._wait(channel, channel.resp.full, deadline)
            if gone is not None:
                raise self._give_up(channel, message, gone)
            try:
                verdict, value = judge_response(channel.resp.receive(), ident)
            except ShmRpcError as error:
                verdict, value = error.kind, str(error)
            if verdict == "result":
                return value
            if verdict != "foreign":
                raise ShmRpcError(verdict, value, maybe_executed=True)  # SRPC-ERR-002
            if now() >= deadline:  # a flood of foreign responses is no reason to stay
                raise self._give_up(channel, message, "timeout")

    def _wait(self, channel: Channel, semaphore: Semaphore, deadline: int) -> str | None:
        """None with the token; else why there will be none."""
        while True:
            channel.req.values(), channel.resp.values()  # protocol if one is above 1: SRPC-SEM-007
            if semaphore.wait(min(deadline, now() + SLICE)):
                return None
            if channel.owner_died():  # SRPC-RECOVER-002
                # It may have answered, and died then (C6 of 3.8).
                return None if semaphore is channel.resp.full and semaphore.try_wait() else "died"
            if now() >= deadline or self._closed:
                return "timeout"

    @staticmethod
    def _give_up(channel: Channel, message: bytes, why: str) -> ShmRpcError:
        """Takes the request back if nobody has taken it (SRPC-CALL-007, SRPC-RECOVER-003)."""
        withdrawn = channel.req.full.try_wait()
        if withdrawn:
            frame = _LENGTH.pack(len(message)) + message
            withdrawn = channel.req.segment[:len(frame)] == frame
            if withdrawn:
                channel.req.free()
            else:
                channel.req.full.post()  # another's: SRPC-RECOVER-004
        text = "the call has not run" if withdrawn else "the call may have run"  # SRPC-CALL-008
        if why == "timeout":
            return ShmRpcError("timeout", f"no response in time; {text}", not withdrawn)
        kind = "peer_gone_not_started" if withdrawn else "peer_gone_maybe_executed"
        return ShmRpcError(kind, f"the server died; {text}", not withdrawn)

    def close(self) -> None:
        """Ends a call in another thread at its next slice. Removes no object (SRPC-LIFE-003)."""
        self._closed = True
        with self._turn:
            if self.channel is not None:
                self.channel.close()
                self.channel = None
