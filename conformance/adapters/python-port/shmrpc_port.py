# SPDX-License-Identifier: MIT
"""SHM-RPC version 1 in one module of Python: both roles, levels Wire and Recovery.

Written from spec/shm-rpc.md and spec/vectors/ alone, as a check of that text and as an example for
whoever ports it to another language. The ids beside the code name the requirements that it meets.
Needs CPython 3.9 or newer, Linux, glibc 2.30 or newer (ctypes calls its semaphores), 64 bits.

    server = Server("calc", {"add": lambda a, b: a + b})      client = Client("calc")
    server.run()        # until server.stop()                 client.call("add", {"a": 5, "b": 3})
    server.close()                                            client.close()
"""
from __future__ import annotations

import ctypes, errno, fcntl, itertools, json, logging, math, mmap  # noqa: E401
import os, re, stat, struct, sys, threading, time, uuid  # noqa: E401

if struct.calcsize("P") != 8:
    raise ImportError("SHM-RPC needs a 64-bit process")  # SRPC-SEM-003

log = logging.getLogger("shmrpc")
now = time.monotonic_ns
MS = 1_000_000  # nanoseconds
SLICE = 100 * MS  # no wait blocks longer without looking around
PATIENCE = 200 * MS  # for what others do in a moment: SRPC-RECLAIM-007, a lease, a reclaimer's lock
SLOT_PATIENCE = 1500 * MS  # longer than a server takes for a repair, SRPC-ATTACH-013
DEFAULT_BUFFER = 4096  # SRPC-LIMIT-001
DEFAULT_TIMEOUT = 5.0  # seconds, SRPC-TIME-001
LARGEST_BUFFER = 2**32 - 1  # SRPC-LIMIT-003
SEMAPHORE_BYTES = 32  # SRPC-SEM-001
LEVELS = 1024  # of JSON arrays and objects, SRPC-JSON-007

class ShmRpcError(Exception):
    """A failure; `kind` is one of the error classes of section 3.10 (SRPC-ERR-001)."""

    def __init__(self, kind: str, text: str, maybe_executed: bool = False, until: int = 0):
        super().__init__(text)
        self.kind = kind
        self.maybe_executed = maybe_executed  # of a call: False only if it certainly has not run
        self.until = until  # inside an attach: when to stop trying again

def system_error(error: BaseException) -> BaseException:
    return ShmRpcError("system", str(error)) if isinstance(error, OSError) else error

# ---- JSON, section 3.6 ------------------------------------------------------------------------------
# Python's json module is nearly strict. It takes NaN and infinities, lets numbers overflow to infinity,
# takes lone surrogates, guesses encodings, and has no limit of levels but the interpreter's own.

sys.setrecursionlimit(max(sys.getrecursionlimit(), 4 * LEVELS))
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
# Every escape of a text that is known to be valid; group 1 is a surrogate that is no half of a pair.
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)

def _read_double(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is no finite number")  # SRPC-JSON-001, -008
    return value

def _read_integer(text: str) -> int | float:
    if len(text) <= 20 and -(2**63) <= (value := int(text)) < 2**64:
        return value  # SRPC-JSON-010
    return _read_double(text)  # SRPC-JSON-014

_DECODER = json.JSONDecoder(parse_int=_read_integer, parse_float=_read_double,
                            parse_constant=_read_double)

def json_read(data: bytes) -> object:
    """The value of a JSON text, or ShmRpcError of class serialization."""
    try:
        text = data.decode("utf-8")  # strict about overlong forms and surrogates: SRPC-JSON-002
        if text.count("[") + text.count("{") > LEVELS:
            steps = ((c in "[{") - (c in "]}") for c in _STRING.sub("", text))
            if max(itertools.accumulate(steps), default=0) > LEVELS:
                raise ValueError(f"more than {LEVELS} levels")  # SRPC-JSON-007
        value = _DECODER.decode(text)  # the last of equal keys counts, as SRPC-JSON-006 wants it
        if any(escape[1] for escape in _ESCAPE.finditer(text)):
            raise ValueError("lone surrogate")  # SRPC-JSON-004, in members that do not count too
        return value
    except (ValueError, RecursionError) as error:
        raise ShmRpcError("serialization", f"not JSON: {error}") from None

def json_write(value: object) -> bytes:
    """The text of a value (SRPC-JSON-012), or ShmRpcError of class serialization."""
    try:
        todo = [(value, 1)]  # first refuse what json.dumps would write and no reader read back
        while todo:
            item, level = todo.pop()
            if isinstance(item, (dict, list, tuple)):
                if level > LEVELS:  # a cycle ends here too
                    raise ValueError(f"more than {LEVELS} levels")  # SRPC-JSON-015
                if isinstance(item, dict) and not all(isinstance(key, str) for key in item):
                    raise TypeError("a key is no string")
                inner = item.values() if isinstance(item, dict) else item
                todo.extend((one, level + 1) for one in inner)
            elif isinstance(item, int) and not -(2**63) <= item < 2**64:
                raise ValueError("integer beyond 64 bits")
        return json.dumps(value, ensure_ascii=False, allow_nan=False, check_circular=False,
                          separators=(",", ":")).encode("utf-8")  # NaN: SRPC-JSON-009
    except (ValueError, TypeError, RecursionError) as error:
        raise ShmRpcError("serialization", str(error)) from None

# ---- Envelope, sections 3.7 and 4.8 -----------------------------------------------------------------

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
    ident, method, params = map(request.get, ("request_id", "method", "params"))
    for value, kind, why in ((ident, str, "request_id is no string"),  # SRPC-ENV-013
                             (method, str, "method is absent or no string"),
                             (params, dict, "params is absent or no object")):
        if not isinstance(value, kind):
            return "error_reply", ident, why
    return "valid", ident, method, params

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

# ---- Frames, sections 3.5 and 4.3 -------------------------------------------------------------------

_LENGTH = struct.Struct("@I")  # unsigned, native byte order: SRPC-FRAME-001

def write_frame(segment, capacity: int, message: bytes) -> None:
    if len(message) > capacity:  # SRPC-FRAME-003
        raise ShmRpcError("too_large", f"{len(message)} bytes do not fit into {capacity}")
    segment[4:4 + len(message)] = message
    _LENGTH.pack_into(segment, 0, len(message))

def read_frame(segment, capacity: int) -> bytes:
    """A private copy of the message: one load of the length, one copy (SRPC-FRAME-006, -007)."""
    (length,) = _LENGTH.unpack_from(segment, 0)
    if length > capacity:  # SRPC-FRAME-004
        raise ShmRpcError("protocol", f"a frame of {length} bytes where {capacity} fit")
    return bytes(segment[4:4 + length])

# ---- Objects, sections 3.1, 3.2, 4.1 and 4.4 --------------------------------------------------------

_LOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length (0: all), pid
_WHOLE = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
F_OFD_GETLK, F_OFD_SETLK, F_SETSIG, F_SETLEASE, SIGURG = 36, 37, 10, 1024, 23
AT_FDCWD, AT_SYMLINK_FOLLOW, CLOCK_MONOTONIC = -100, 0x400, 1
_libc = ctypes.CDLL(None, use_errno=True)

def file_names(name: str | bytes) -> list[bytes]:
    """The six files of a channel below /dev/shm, in the order of creation (SRPC-NAME-001)."""
    raw = name if isinstance(name, bytes) else os.fsencode(name)  # SRPC-NAME-005
    if not 1 <= len(raw) <= 236 or b"/" in raw or b"\0" in raw:  # SRPC-NAME-002, -003
        raise ShmRpcError("invalid", "a channel name has 1 to 236 bytes and no / or NUL")
    ends = (b"_req_empty", b"_req_full", b"_resp_empty", b"_resp_full")
    return ([b"srb_" + raw + end for end in (b"_req", b"_resp")]
            + [b"sem.srb_" + raw + end for end in ends])

def object_paths(name: str | bytes) -> list[tuple[bytes, type]]:
    return [(b"/dev/shm/" + file, Semaphore if index > 1 else Object)
            for index, file in enumerate(file_names(name))]

class Object:
    """One of the six files, open. Python's mmap keeps a duplicate of the descriptor; it shares the
    open file, so a lock or lease counts once, and goes when both are closed."""

    def __init__(self, path: bytes, fd: int):
        self.path, self.fd, self.named, self.mapping = path, fd, False, None
        self.status = os.fstat(fd)
        self.marked = bool(self.status.st_mode & stat.S_ISVTX)

    @classmethod
    def create(cls, path: bytes, size: int) -> Object:
        """A whole object without a name: memory reserved, mode set (4.1, SRPC-OBJ-006, SEG-004)."""
        fd = os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
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

    def leads_here(self) -> bool:
        try:
            return os.path.samestat(os.lstat(self.path), self.status)
        except FileNotFoundError:
            return False

    def link(self) -> bool:
        """Gives the object its name; False if the name is taken (SRPC-OBJ-002)."""
        here = b"/proc/self/fd/%d" % self.fd
        if _libc.linkat(AT_FDCWD, here, AT_FDCWD, self.path, AT_SYMLINK_FOLLOW) == 0:
            self.named = True
        elif ctypes.get_errno() != errno.EEXIST:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return self.named

    def unlink(self) -> None:
        if self.leads_here():  # SRPC-LIFE-005
            os.unlink(self.path)

    def lock(self) -> bool:
        try:
            fcntl.fcntl(self.fd, F_OFD_SETLK, _WHOLE)
            return True
        except (BlockingIOError, PermissionError):
            return False

    def locked_by_another(self) -> bool:
        """Looks without taking the lock (SRPC-OWN-007)."""
        return _LOCK.unpack(fcntl.fcntl(self.fd, F_OFD_GETLK, _WHOLE))[0] != fcntl.F_UNLCK

    def lease(self) -> bool:
        """The proof of 4.4 that nobody else has the object open or mapped."""
        try:
            fcntl.fcntl(self.fd, F_SETSIG, SIGURG)
            fcntl.fcntl(self.fd, F_SETLEASE, fcntl.F_WRLCK)
            return True
        except OSError:  # EAGAIN: somebody has it; anything else: no proof (SRPC-RECLAIM-006)
            return False

    def map(self, size: int) -> None:
        self.mapping = mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)

    def close(self) -> None:
        if self.mapping is not None:
            self.mapping.close()
        os.close(self.fd)

class Semaphore(Object):
    """A sem_t in a file (3.4). glibc's functions order memory as section 3.13 needs it."""

    sem = None

    def map(self, size: int) -> None:
        super().map(SEMAPHORE_BYTES)
        self.sem = (ctypes.c_char * SEMAPHORE_BYTES).from_buffer(self.mapping)

    def post(self) -> None:
        if _libc.sem_post(self.sem) != 0:  # only at the largest value there is
            raise ShmRpcError("protocol", "a semaphore overflows")

    def try_wait(self) -> bool:
        return _libc.sem_trywait(self.sem) == 0

    def wait(self, deadline: int) -> bool:
        """False when the deadline, an absolute time of CLOCK_MONOTONIC, has passed."""
        until = (ctypes.c_long * 2)(*divmod(deadline, 1000 * MS))  # struct timespec
        while _libc.sem_clockwait(self.sem, CLOCK_MONOTONIC, until) != 0:
            if ctypes.get_errno() == errno.ETIMEDOUT:
                return False
            if ctypes.get_errno() != errno.EINTR:
                raise system_error(OSError(ctypes.get_errno(), "sem_clockwait"))
        return True

    def value(self) -> int:
        number = ctypes.c_int()
        _libc.sem_getvalue(self.sem, ctypes.byref(number))
        return number.value

    def close(self) -> None:
        self.sem = None  # a mapping cannot be closed while something points into it
        super().close()

def close_all(objects: list[Object]) -> None:
    while objects:
        objects.pop().close()  # req, and with it the owner lock, last

# ---- What both roles do with the six objects --------------------------------------------------------

class Slot:
    """A segment with its two semaphores (3.8). Who calls send or receive has waited before."""

    def __init__(self, segment: Object, size: int, empty: Semaphore, full: Semaphore):
        self.segment, self.empty, self.full = segment.mapping, empty, full
        self.capacity = size - 4

    def send(self, message: bytes) -> None:
        write_frame(self.segment, self.capacity, message)
        self.full.post()  # SRPC-HAND-001

    def receive(self) -> bytes:
        try:
            return read_frame(self.segment, self.capacity)
        finally:  # after a bad length too: SRPC-RECOVER-001, SRPC-CALL-012
            self.free()

    def free(self) -> None:
        _LENGTH.pack_into(self.segment, 0, 0)  # SRPC-FRAME-008
        self.empty.post()  # SRPC-HAND-002

class Channel:
    """The six objects, mapped. The first carries the owner lock, the second the client lock."""

    def __init__(self, objects: list[Object], size: int):
        for item in objects:
            item.map(size)
        self.objects, self.size = objects, size
        self.req = Slot(objects[0], size, *objects[2:4])
        self.resp = Slot(objects[1], size, *objects[4:6])

    def owner_died(self) -> bool:
        return self.objects[0].marked and not self.objects[0].locked_by_another()  # SRPC-OWN-006

    def values(self) -> tuple[int, ...]:
        values = tuple(semaphore.value() for semaphore in self.objects[2:])
        if max(values) > 1:
            raise ShmRpcError("protocol", "a semaphore value is above 1")  # SRPC-SEM-007
        return values

def timeout_ns(seconds: float | None) -> int:
    if seconds is None:
        return 2**62  # no time-out: as good as one of a century
    if not 0.001 <= seconds <= (2**31 - 1) / 1000:
        raise ShmRpcError("invalid", "the time-out is out of range")
    return int(seconds * 1000 * MS)

# ---- Server, sections 4.1, 4.4, 4.7 and 4.8 ---------------------------------------------------------

class Server:
    """Publishes a channel and answers calls. A method gets the params as keyword arguments."""

    def __init__(self, name: str | bytes, methods: dict, buffer_size: int = DEFAULT_BUFFER,
                 timeout: float | None = DEFAULT_TIMEOUT):
        self.paths = object_paths(name)
        if not 128 <= buffer_size <= LARGEST_BUFFER:  # SRPC-LIMIT-002
            raise ShmRpcError("invalid", "buffer_size is out of range")
        self.size, self.timeout = buffer_size, timeout_ns(timeout)
        self.methods = {**methods, "__running__": lambda **_: True}  # SRPC-ENV-010
        self._stopping, self.channel = False, None
        self._publish()

    def _publish(self) -> None:
        made: list[Object] = []
        try:
            for path, kind in self.paths:
                made.append(kind.create(path, SEMAPHORE_BYTES if kind is Semaphore else self.size))
            channel = Channel(made, self.size)
            for semaphore, value in zip(made[2:], (1, 0, 1, 0)):  # SRPC-SEM-002
                _libc.sem_init(semaphore.sem, 1, value)  # shared: SRPC-SEM-004
            made[0].lock()  # before it has a name: SRPC-OWN-001
            until = now() + PATIENCE
            while not made[0].link():
                holder = self._reclaim()  # somebody attaching or reclaiming is there for a moment only
                if holder is not None and now() >= until:
                    raise ShmRpcError("busy", holder)  # SRPC-OWN-008, SRPC-RECLAIM-002
                time.sleep(0 if holder is None else 0.005)
            until = now() + PATIENCE
            for item in made[1:]:
                while not item.link():
                    if now() >= until:
                        self._remove_leftover(item)
                    else:  # a closing original: SRPC-RECLAIM-007
                        time.sleep(0.005)
            self.channel = channel
        except BaseException as error:
            self._unpublish(made)  # what was made, and no more: SRPC-LIFE-004
            raise system_error(error)

    @staticmethod
    def _find(path: bytes, kind: type, found: list[Object]) -> None:
        """Opens what has the name, if anything has; refuses what is not ours (SRPC-RECLAIM-001)."""
        try:
            found.append(kind.open(path))
        except FileNotFoundError:
            return
        except BlockingIOError:
            raise ShmRpcError("busy", "somebody holds a lease on an object of this name") from None
        if found[-1].fault() is not None:
            raise ShmRpcError("system", f"{os.fsdecode(path)} {found[-1].fault()}")

    def _remove_leftover(self, item: Object) -> None:
        found: list[Object] = []
        try:
            self._find(item.path, type(item), found)
            for old in found:
                if not old.lease():  # SRPC-RECLAIM-008
                    raise ShmRpcError("busy", "somebody uses a leftover of this name")
                old.unlink()
        finally:
            close_all(found)

    def _reclaim(self) -> str | None:
        """Removes a dead channel (4.4). None: try again now; a text: why the name is busy."""
        found: list[Object] = []
        try:
            self._find(*self.paths[0], found)
            if not found:
                return None
            if not found[0].lock():
                return "another server holds the name"
            if not found[0].leads_here():  # SRPC-RECLAIM-003
                return None
            for path, kind in self.paths[1:]:
                self._find(path, kind, found)
            for old in found:  # what is marked needs no proof but the lock: SRPC-RECLAIM-004, -005
                if not old.marked and not old.lease():
                    return "somebody has an object open that shows no owner"
            for old in found[1:] + found[:1]:  # req last: SRPC-RECLAIM-009
                old.unlink()
            return None
        except ShmRpcError as error:
            if error.kind == "busy":
                return str(error)
            raise
        finally:
            close_all(found)  # gives back the leases, and the lock last

    def _unpublish(self, objects: list[Object]) -> None:
        """Unlinks what has a name, while it holds the name req (SRPC-RECLAIM-013), req last."""
        standing_in: list[Object] = []
        try:
            if any(item.named for item in objects):
                guard = objects[0]
                if not guard.leads_here():  # somebody took req away; stand in for it
                    guard = Object.create(guard.path, SEMAPHORE_BYTES)
                    standing_in.append(guard)
                if guard.leads_here() or (guard.lock() and guard.link()):
                    for item in objects[1:] + [guard]:
                        item.unlink()
        finally:
            close_all(standing_in)
            close_all(objects)

    def close(self) -> None:
        if self.channel is not None:
            self._unpublish(self.channel.objects)  # SRPC-LIFE-002
            self.channel = None

    def stop(self) -> None:
        """May be called from another thread or a signal handler."""
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
        channel, before = self.channel, self.channel.values()
        if not channel.req.full.wait(now() + SLICE):
            self._repair(before, look_at_req=True)
            return
        try:
            message = channel.req.receive()
        except ShmRpcError as error:
            channel.values()  # a semaphore that overflows is another matter than a bad length
            log.warning("dropped: %s", error)  # SRPC-RECOVER-001
            return
        reply, deadline = self._answer(message), now() + self.timeout
        while reply is not None:
            before = channel.values()
            if channel.resp.empty.wait(min(deadline, now() + SLICE)):
                channel.resp.send(reply)
                return
            if now() >= deadline or self._stopping:
                log.warning("a response that nobody makes room for is dropped")  # SRPC-RECOVER-009
                return
            self._repair(before, look_at_req=False)

    def _repair(self, before: tuple, look_at_req: bool) -> None:
        """Frees the slots of a dead client (4.7): after values that stood still for a slice, and
        while a lease keeps everybody else from the response segment (SRPC-RECOVER-007)."""
        channel = self.channel
        stuck_req, stuck_resp = look_at_req and before[:2] == (0, 0), before[2] == 0
        if not (stuck_req or stuck_resp) or channel.values() != before:
            return
        if not channel.objects[1].lease():
            return
        try:
            if channel.values() == before:
                if stuck_req:
                    channel.req.free()  # SRPC-RECOVER-008
                if stuck_resp and (before[3] == 0 or channel.resp.full.try_wait()):
                    channel.resp.free()  # SRPC-RECOVER-010, -011
        finally:
            fcntl.fcntl(channel.objects[1].fd, F_SETLEASE, fcntl.F_UNLCK)

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
        if len(reply) > self.size - 4:
            why = f"{len(reply)} bytes where {self.size - 4} fit"
            return self._failed(ident, f"RPCError: Response too large: {why}")  # SRPC-ENV-016
        return reply

    def _failed(self, ident: object, text: str) -> bytes | None:
        """An error reply, its text cut so that it fits (SRPC-ENV-018); None if none fits (-019)."""
        text = text.encode("utf-8", "replace").decode("utf-8")
        room = self.size - 4 - len(response_text(ident, None, ""))
        if room >= len(json_write(text)) - 2:
            return response_text(ident, None, text)
        end = 0
        while (width := len(json_write(text[end])) - 2) <= room:
            room, end = room - width, end + 1
        return response_text(ident, None, text[:end]) if end > 0 else None

# ---- Client, sections 4.2, 4.5 and 4.6 --------------------------------------------------------------

class Client:
    """Attaches to a channel and calls methods. Threads may share one; their calls take turns.
    Without buffer_size it uses the size of the smaller segment (SRPC-LIMIT-004)."""

    def __init__(self, name: str | bytes, buffer_size: int | None = None,
                 timeout: float | None = DEFAULT_TIMEOUT, wait_for_server: float = 0.0,
                 wait_busy: float = 0.0):
        self.paths = object_paths(name)
        if buffer_size is not None and not 4 < buffer_size <= LARGEST_BUFFER:
            raise ShmRpcError("invalid", "buffer_size is out of range")
        self.wanted, self.timeout = buffer_size, timeout_ns(timeout)
        self._turn, self._closed = threading.Lock(), False
        self.channel: Channel | None = None
        self._attach(int(wait_for_server * 1000 * MS), int(wait_busy * 1000 * MS))

    @property
    def buffer_size(self) -> int | None:
        return self.channel.size if self.channel is not None else self.wanted

    def _attach(self, wait_for_server: int, wait_busy: int) -> None:
        begin = now()
        while self.channel is None:
            objects: list[Object] = []
            try:
                self._attach_once(objects, begin, begin + wait_for_server, begin + wait_busy)
            except BaseException as error:
                close_all(objects)
                if not isinstance(error, ShmRpcError) or now() >= error.until:
                    raise system_error(error)
                # Long enough for a server to get its lease in between, see SRPC-ATTACH-013.
                time.sleep(min(0.02, (error.until - now()) / 1e9) if error.until > now() else 0)

    def _attach_once(self, objects: list, begin: int, absent: int, busy: int) -> None:
        """How a client attaches, step by step as in 4.2; it gives up at one of the last two times."""
        for path, kind in self.paths:
            objects.append(self._open_one(path, kind, absent, max(busy, begin + PATIENCE)))
            if objects[0].marked and not objects[-1].marked:  # SRPC-ATTACH-014
                raise ShmRpcError("not_found", "the channel is half-made", until=absent)
        req, resp = objects[:2]
        smaller = min(req.status.st_size, resp.status.st_size)
        if smaller < (self.wanted or 5):  # SRPC-SEG-002
            raise ShmRpcError("too_large", f"the segments have {smaller} bytes only")
        if not req.leads_here():  # SRPC-ATTACH-007
            raise ShmRpcError("not_found", "the channel was replaced meanwhile", until=absent)
        if req.marked and not req.locked_by_another():  # SRPC-ATTACH-009
            raise ShmRpcError("not_found", "the server of this channel is dead", until=absent)
        channel = Channel(objects, self.wanted or smaller)
        if not resp.lock():  # SRPC-ATTACH-010, -011
            raise ShmRpcError("busy", "another client is attached", until=busy)
        if channel.resp.full.try_wait():  # SRPC-ATTACH-012
            channel.resp.free()
        stuck, glance = [channel.req, channel.resp] if req.marked else [], now() + 20 * MS
        while stuck := [s for s in stuck if (s.empty.value(), s.full.value()) == (0, 0)]:
            if now() >= glance:  # SRPC-ATTACH-013
                raise ShmRpcError("busy", "a dead client left a slot that the server cannot free",
                                  until=max(busy, begin + SLOT_PATIENCE))
            time.sleep(0.001)
        self.channel = channel

    @staticmethod
    def _open_one(path: bytes, kind: type, absent: int, leased: int) -> Object:
        try:
            item = kind.open(path)
        except FileNotFoundError:
            raise ShmRpcError("not_found", "no such channel", until=absent) from None
        except BlockingIOError:  # a server repairs, or somebody reclaims: for a moment
            raise ShmRpcError("busy", "somebody holds a lease on it", until=leased) from None
        size, fault = item.status.st_size, item.fault()  # SRPC-ATTACH-003, -004
        if fault is None and item.status.st_mode & 0o777 != 0o600:  # SRPC-ATTACH-005, SRPC-OWN-004
            fault = "has not mode 0600"
        half_made = size == 0 or (kind is Semaphore and size != SEMAPHORE_BYTES)
        if fault is not None or half_made:  # SRPC-ATTACH-006, -008
            item.close()
            if fault is not None:
                raise ShmRpcError("system", f"{os.fsdecode(path)} {fault}")
            raise ShmRpcError("not_found", "the channel is half-made", until=absent)
        return item

    def call(self, method: str, params: dict | None = None) -> object:
        ident = str(uuid.uuid4())  # SRPC-ENV-006
        message = json_write({"request_id": ident, "method": method,
                              "params": {} if params is None else params})  # SRPC-CALL-003
        deadline = now() + self.timeout  # one for all waits: SRPC-CALL-006
        if not self._turn.acquire(timeout=min(self.timeout / 1e9, threading.TIMEOUT_MAX)):
            raise ShmRpcError("timeout", "another thread's call went on; not sent")
        try:
            self._renew()
            return self._exchange(self.channel, ident, message, deadline)
        finally:
            self._turn.release()

    def _renew(self) -> None:
        """SRPC-CALL-010: after the death of its server a call begins by attaching anew."""
        if self._closed:
            raise ShmRpcError("invalid", "the client is closed")
        if self.channel is not None and self.channel.owner_died():
            close_all(self.channel.objects)
            self.channel = None
        try:
            self._attach(0, 0)
        except ShmRpcError as error:
            if error.kind == "not_found":
                raise ShmRpcError("peer_gone_not_started", "the server is gone") from None
            raise

    def _exchange(self, channel: Channel, ident: str, message: bytes, deadline: int) -> object:
        if len(message) > channel.size - 4:
            raise ShmRpcError("too_large", f"{len(message)} bytes where {channel.size - 4} fit")
        why = self._wait(channel, channel.req.empty, deadline)
        if why is not None:
            text = "occupied" if channel.objects[0].marked else "slot abandoned"  # RECOVER-013
            kind = why if why == "timeout" else "peer_gone_not_started"
            raise ShmRpcError(kind, f"the request slot did not become free ({text}); not sent")
        channel.req.send(message)
        while True:
            try:
                why = self._wait(channel, channel.resp.full, deadline)
                if why is not None:
                    raise self._give_up(channel, message, why)
                verdict, value = judge_response(channel.resp.receive(), ident)
            except ShmRpcError as error:
                error.maybe_executed |= error.kind in ("protocol", "system")  # it was sent
                raise
            if verdict == "result":
                return value
            if verdict != "foreign":
                raise ShmRpcError(verdict, value, maybe_executed=True)  # SRPC-ERR-002
            if now() >= deadline:  # a flood of foreign responses is no reason to stay
                raise self._give_up(channel, message, "timeout")

    def _wait(self, channel: Channel, semaphore: Semaphore, deadline: int) -> str | None:
        """None with the token; else why there will be none."""
        while True:
            channel.values()
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
        withdrawn, frame = False, _LENGTH.pack(len(message)) + message
        if channel.req.full.try_wait():
            withdrawn = channel.req.segment[:len(frame)] == frame
            if withdrawn:
                channel.req.free()
            else:
                channel.req.full.post()  # another's: SRPC-RECOVER-004
        kind = why
        if why == "died":
            kind = "peer_gone_not_started" if withdrawn else "peer_gone_maybe_executed"
        text = "has not run" if withdrawn else "may have run"  # SRPC-CALL-008
        return ShmRpcError(kind, f"no response; the call {text}", maybe_executed=not withdrawn)

    def close(self) -> None:
        """Ends a call of another thread at its next slice. Removes no object (SRPC-LIFE-003)."""
        self._closed = True
        with self._turn:
            if self.channel is not None:
                close_all(self.channel.objects)
                self.channel = None
