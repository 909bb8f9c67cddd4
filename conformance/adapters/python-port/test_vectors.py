#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The vectors of the specification, read by the Python port: python3 test_vectors.py"""

import json
import pathlib
import struct
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import shmrpc_port as port  # noqa: E402

VECTORS = pathlib.Path(__file__).resolve().parents[3] / "spec" / "vectors"
LITTLE = sys.byteorder == "little"


def vectors(file: str, key: str) -> list:
    found = json.loads((VECTORS / file).read_text(encoding="utf-8"))[key]
    assert found, f"{file} has no {key}"
    return found


def field(vector: dict, key: str) -> bytes:
    """Bytes are given as KEY or as KEY_hex."""
    if key in vector:
        return vector[key].encode("utf-8")
    return bytes.fromhex(vector[key + "_hex"])


def tagged(value: object) -> dict:
    """What json.json says of a root, for a value that was read."""
    if value is None:
        return {"type": "null"}
    if isinstance(value, bool):
        return {"type": "true" if value else "false"}
    if isinstance(value, int):
        return {"integer": str(value)}
    if isinstance(value, float):
        return {"double": struct.pack(">d", value).hex()}
    if isinstance(value, str):
        return {"string_hex": value.encode("utf-8").hex()}
    return {"type": "array" if isinstance(value, list) else "object"}


def levels(value: object) -> int:
    """Counted without recursion, as SRPC-JSON-007 counts them."""
    deepest, todo = 0, [(value, 1)]
    while todo:
        item, level = todo.pop()
        if isinstance(item, (dict, list)):
            deepest = max(deepest, level)
            inner = item.values() if isinstance(item, dict) else item
            todo.extend((one, level + 1) for one in inner)
    return deepest


class Vectors(unittest.TestCase):
    def slot(self, capacity: int) -> port.Segment:
        """The request slot of a channel that has no name."""
        channel = port.Channel()
        self.addCleanup(channel.close)
        for kind, size in [(port.Segment, capacity + 4)] * 2 + [(port.Semaphore, 32)] * 4:
            channel.create(b"", kind, size)
        channel.map(capacity + 4)
        return channel.req

    def test_names(self):
        for vector in vectors("names.json", "names"):
            with self.subTest(vector["id"]):
                try:
                    files = port.file_names(field(vector, "name"))
                except port.ShmRpcError as error:
                    self.assertEqual(error.kind, vector["verdict"])
                    continue
                self.assertEqual(vector["verdict"], "ok")
                wanted = vector.get("files") or [bytes.fromhex(f) for f in vector["files_hex"]]
                wanted = [f if isinstance(f, bytes) else f.encode("utf-8") for f in wanted]
                self.assertEqual(files, wanted)

    @unittest.skipUnless(LITTLE, "the length words are those of a little-endian machine")
    def test_frames_read(self):
        for vector in vectors("frames.json", "read"):
            with self.subTest(vector["id"]):
                capacity = vector["capacity"]
                slot = self.slot(capacity)
                begin = bytes.fromhex(vector["segment_hex"])
                slot.mapping[:len(begin)] = begin
                try:
                    payload = slot.receive()
                except port.ShmRpcError as error:
                    self.assertEqual(error.kind, vector["verdict"])
                    continue
                self.assertEqual(vector["verdict"], "ok")
                self.assertEqual(payload, bytes.fromhex(vector["payload_hex"]))

    @unittest.skipUnless(LITTLE, "the length words are those of a little-endian machine")
    def test_frames_write(self):
        for vector in vectors("frames.json", "write"):
            with self.subTest(vector["id"]):
                capacity = vector["capacity"]
                slot, untouched = self.slot(capacity), b"\xa5" * (capacity + 4)
                slot.mapping[:] = untouched
                try:
                    payload = bytes.fromhex(vector["payload_hex"])
                    slot.need_room(payload)
                    slot.send(payload)
                except port.ShmRpcError as error:
                    self.assertEqual(error.kind, vector["verdict"])
                    self.assertEqual(slot.mapping[:], untouched)
                    continue
                self.assertEqual(vector["verdict"], "ok")
                begin = bytes.fromhex(vector["segment_hex"])
                self.assertEqual(slot.mapping[:], begin + untouched[len(begin):])

    def test_requests(self):
        for vector in vectors("envelopes.json", "requests"):
            with self.subTest(vector["id"]):
                try:
                    verdict, *rest = port.judge_request(field(vector, "text"))
                except port.ShmRpcError as error:
                    self.assertEqual((error.kind, vector["verdict"]), ("protocol", "drop"))
                    continue
                self.assertEqual(verdict, vector["verdict"], rest)
                raw_id = port.json_read(vector["raw_id"].encode())
                self.assertEqual(tagged(rest[0]), tagged(raw_id))
                self.assertEqual(rest[0], raw_id)
                if verdict == "valid":
                    self.assertEqual(rest[1].encode("utf-8"), field(vector, "method"))
                    self.assertEqual(rest[2], port.json_read(vector["params"].encode()))

    def test_responses(self):
        for vector in vectors("envelopes.json", "responses"):
            with self.subTest(vector["id"]):
                own_id = field(vector, "own_id").decode("utf-8")
                try:
                    verdict, value = port.judge_response(field(vector, "text"), own_id)
                except port.ShmRpcError as error:
                    verdict, value = error.kind, str(error)
                self.assertEqual(verdict, vector["verdict"], value)
                if verdict == "result":
                    self.assertEqual(value, port.json_read(vector["result"].encode()))
                if verdict == "method_error":
                    self.assertEqual(value.encode("utf-8"), field(vector, "error"))

    def test_json(self):
        for vector in vectors("json.json", "texts"):
            with self.subTest(vector["id"]):
                try:
                    value = port.json_read(field(vector, "text"))
                except port.ShmRpcError as error:
                    self.assertEqual(error.kind, vector["verdict"])
                    continue
                self.assertEqual(vector["verdict"], "ok")
                self.assertEqual(tagged(value), vector["value"])
                if "levels" in vector:
                    self.assertEqual(levels(value), vector["levels"])
                if "member" in vector:
                    key = bytes.fromhex(vector["member"]["key_hex"]).decode("utf-8")
                    self.assertEqual(tagged(value[key]), vector["member"]["value"])
                # What was read can be written, and reads back the same.
                self.assertEqual(repr(port.json_read(port.json_write(value))), repr(value))

    def test_refused_when_written(self):
        deep = None
        for _ in range(port.LEVELS + 1):
            deep = [deep]
        cycle = []
        cycle.append(cycle)
        for value in (float("nan"), float("inf"), float("-inf"), 2**64, -(2**63) - 1, "\ud83d",
                      {"\udc00": 1}, {1: 2}, object(), deep, cycle, b"bytes"):
            with self.assertRaises(port.ShmRpcError) as caught:
                port.json_write(value)
            self.assertEqual(caught.exception.kind, "serialization")
        port.json_write(deep[0])  # 1,024 levels
        self.assertEqual(port.json_write([-0.0, 1e16, 5e-324]), b"[-0.0,1e+16,5e-324]")


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(failed > 0)
