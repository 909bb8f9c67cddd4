# SPDX-License-Identifier: MIT
"""Random JSON: values, texts that stand for them, and what "the same" means.

Two sources: hypothesis (finds small counterexamples) and a plain seeded generator (hundreds of
thousands of values a minute). Both reach the corners: the limits of 64 bits, doubles at the edges
of their range, every plane of Unicode, U+0000.
"""

import math
import struct

from hypothesis import strategies as st

I64_MIN, I64_MAX, U64_MAX = -(2**63), 2**63 - 1, 2**64 - 1
INTEGERS = [0, 1, -1, 2**31, -(2**31), 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, I64_MIN, I64_MIN + 1,
            I64_MAX, I64_MAX + 1, U64_MAX - 1, U64_MAX]
DOUBLES = [0.0, -0.0, 0.1, -0.1, 1e16, 1e22, 1e23, 1e308, 1.7976931348623157e308, -1.7976931348623157e308,
           5e-324, -5e-324, 2.2250738585072014e-308, 2.225073858507201e-308, 9007199254740993.0, 1e-7,
           1.0, 123456789.0, 3.141592653589793, 4.35, 2.0**63, 2.0**64, 1e15, 1e17, 1e21]
CHARACTERS = ["\0", "\b", "\t", "\n", "\x1f", '"', "\\", "/", "\x7f", "\x80", "\xff", "\u07ff", "\u0800",
              "\u2028", "\ud7ff", "\ue000", "\ufeff", "\ufffd", "\uffff", "\U00010000", "\U0001f600", "\U0010ffff"]


def same(a, b):
    """Equal in value, in type, in sign of zero and in order of members."""
    if type(a) is not type(b):
        return False
    if type(a) is float:
        return struct.pack("d", a) == struct.pack("d", b)
    if type(a) is list:
        return len(a) == len(b) and all(map(same, a, b))
    if type(a) is dict:
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    return a == b


# ---- hypothesis

_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=60) | st.text(st.sampled_from(CHARACTERS), max_size=20)
_scalar = (
    st.none()
    | st.booleans()
    | st.integers(I64_MIN, U64_MAX)
    | st.sampled_from(INTEGERS)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(DOUBLES)
    | _text
)
json_values = st.recursive(
    _scalar, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(_text, inner, max_size=6), max_leaves=25
)


# ---- the fast generator


def random_text(rng, longest=40):
    kind = rng.random()
    length = rng.randrange(longest)
    if kind < 0.4:
        return "".join(chr(rng.randrange(32, 127)) for _ in range(length))
    if kind < 0.7:
        return "".join(rng.choice(CHARACTERS) for _ in range(length))
    top = rng.choice((0x100, 0x800, 0xD800, 0x110000))
    return "".join(chr(c) for c in (rng.randrange(top) for _ in range(length)) if not 0xD800 <= c <= 0xDFFF)


def random_double(rng):
    if rng.random() < 0.3:
        return rng.choice(DOUBLES)
    while True:
        if rng.random() < 0.5:
            value = struct.unpack("d", struct.pack("Q", rng.getrandbits(64)))[0]
        else:
            value = rng.randrange(-10**9, 10**9) / 10 ** rng.randrange(12)
        if math.isfinite(value):
            return value


def random_scalar(rng):
    kind = rng.randrange(7)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind == 1:
        return rng.choice(INTEGERS)
    if kind == 2:
        return rng.randrange(I64_MIN, U64_MAX + 1) >> rng.randrange(64)
    if kind == 3:
        return random_double(rng)
    return random_text(rng)


def random_value(rng, depth=3):
    kind = rng.random()
    if depth == 0 or kind < 0.6:
        return random_scalar(rng)
    if kind < 0.8:
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(5))]
    return {random_text(rng, 12): random_value(rng, depth - 1) for _ in range(rng.randrange(5))}


# ---- other texts for the same value


def _render_string(rng, text):
    out = ['"']
    for character in text:
        code = ord(character)
        if rng.random() < 0.3:
            for unit in struct.unpack(f">{len(character.encode('utf-16-be')) // 2}H", character.encode("utf-16-be")):
                out.append(f"\\u{unit:04x}" if rng.random() < 0.5 else f"\\u{unit:04X}")
        elif character in '"\\':
            out.append("\\" + character)
        elif code < 0x20:
            short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}.get(code)
            out.append(short if short and rng.random() < 0.8 else f"\\u{code:04x}")
        elif character == "/" and rng.random() < 0.5:
            out.append("\\/")
        else:
            out.append(character)
    out.append('"')
    return "".join(out)


def render(rng, value, newlines=True):
    """Any of the many JSON texts of a value: white space, escapes and forms of number at random."""
    spaces = " \t\n\r" if newlines else " \t"

    def gap():
        return "" if rng.random() < 0.7 else "".join(rng.choice(spaces) for _ in range(rng.randrange(3)))

    def number(x):
        text = repr(x)
        if type(x) is float:
            form = rng.randrange(3)
            if form == 1:
                text = f"{x:.17e}" if rng.random() < 0.5 else f"{x:.17E}"
            elif form == 2 and abs(x) < 1e25 and abs(x) > 1e-5:
                text = f"{x:.40f}"
        return text

    def walk(x):
        if x is None:
            return "null"
        if x is True:
            return "true"
        if x is False:
            return "false"
        if type(x) is str:
            return _render_string(rng, x)
        if type(x) is list:
            return "[" + ",".join(gap() + walk(y) + gap() for y in x) + gap() + "]"
        if type(x) is dict:
            return (
                "{"
                + ",".join(gap() + _render_string(rng, k) + gap() + ":" + gap() + walk(y) + gap() for k, y in x.items())
                + gap()
                + "}"
            )
        return number(x)

    return walk(value)
