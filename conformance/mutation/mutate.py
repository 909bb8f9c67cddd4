#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write a copy of src/ in which every mutation is built in and chosen at run time.

    mutate.py COPY        writes COPY/*.c, COPY/*.h and COPY/mutations.json

libclang parses each file of src/; the bodies of its functions are mutated, those of inline functions in
headers too. A mutation is one small change of the source:

    comparison   < to >=, <= to >, == to !=, and the reverse
    boundary     < to <=, <= to <, > to >=, >= to >
    constant+1   a number or character one larger; true and false swapped
    constant-1   a number or character one smaller
    logical      && to ||, || to &&
    arithmetic   + to -, * to /, % to *, << to >>, & to |, ^ to &, +=, ++ and so on
    negate       a condition that is a call or a variable, negated
    return       another status; null for a pointer; a number one larger; a truth value negated (not what
                 a function returns that always returns null)
    call         a call whose result is not used, removed (SYS_OK(x) counts as a call)
    require      REQUIRE(x) or INVARIANT(x) removed from a function that tests can call
    ensure       any other assertion turned into its contrary: ENSURE(x), and all of a static function, are
                 there against our own mistakes only, so no test can tell one from its absence; but one
                 must come past it
    order        an atomic operation that is sequentially consistent made relaxed

What is not mutated: the inside of an assertion's condition (it is removed or negated as a whole),
UNREACHABLE and the crash points (macros named ..._POINT), the inside of a macro call, the step of a for loop, and constants where the
language wants a constant expression (sizes of arrays, case labels, enumerators, static data).

A mutation's id is FILE:FUNCTION:OPERATOR:ORDINAL, the ordinal counting within function and operator, so
that it outlives changes elsewhere in the file.
"""

import json
import os
import re
import shutil
import sys

try:
    from clang.cindex import Config, CursorKind, Index, StorageClass, TokenKind, TranslationUnit, TypeKind
except ImportError:
    sys.exit("mutate: no libclang for %s: the package is python3-clang" % sys.executable)

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "..", "..", "src")

COMPARISON = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
LOGICAL = {"&&": "||", "||": "&&"}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "<<": ">>", ">>": "<<", "&": "|", "|": "&",
              "^": "&"}
ASSIGNMENT = {op + "=": other + "=" for op, other in ARITHMETIC.items()}
STEP = {"++": "--", "--": "++"}
ASSERTIONS = {"REQUIRE", "INVARIANT", "ENSURE"}
# Statements that are no calls to be removed.
NO_CALL = {"UNREACHABLE"}

K = CursorKind
TRANSPARENT = {K.UNEXPOSED_EXPR, K.PAREN_EXPR}
# Where the language wants a constant.
LABELS = {K.CASE_STMT}


class Mutation:
    """One mutation: its number at run time, and the edits that make it in the source text."""

    def __init__(self, number, operator, function, edits):
        self.number = number
        self.operator = operator
        self.function = function
        self.edits = edits
        self.id = None


class Node:
    """A piece of source that is rewritten; build(render) gives the new text."""

    def __init__(self, start, end, build):
        self.start, self.end, self.build = start, end, build


class File:
    def __init__(self, path, text):
        self.path, self.text = path, text
        self.nodes = []
        self.mutations = []

    def render(self, start, end, after=-1):
        """The text of a range with all nodes inside it rewritten, but only those listed behind `after`."""
        out, position = [], start
        for number in range(after + 1, len(self.nodes)):
            node = self.nodes[number]
            if node.start < position or node.end > end:
                continue
            out.append(self.text[position:node.start])
            out.append(node.build(lambda s, e, n=number: self.render(s, e, n)))
            position = node.end
        out.append(self.text[position:end])
        return "".join(out)


class Mutator:
    def __init__(self):
        self.count = 0
        self.files = {}
        self.index = Index.create()

    # ---- the tree -----------------------------------------------------------------------------

    def parse(self, path):
        unit = self.index.parse(
            path, args=["-std=c11", "-D_GNU_SOURCE", "-iquote", SOURCE, "-include", os.path.join(HERE, "parse.h")],
            options=TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
        wrong = [d for d in unit.diagnostics if d.severity >= 3]
        if wrong:
            sys.exit("mutate: %s" % wrong[0])
        self.macros = {}
        for cursor in unit.cursor.get_children():
            if cursor.kind == K.MACRO_INSTANTIATION and cursor.location.file:
                self.macros.setdefault(cursor.location.file.name, []).append(
                    (cursor.extent.start.offset, cursor.extent.end.offset, cursor.spelling))
        self.always_null = {c.spelling for c in unit.cursor.get_children() if self.returns_null(c)}
        done = set()
        for cursor in unit.cursor.get_children():
            if cursor.kind == K.FUNCTION_DECL and cursor.is_definition() and cursor.location.file:
                name = os.path.normpath(cursor.location.file.name)
                if os.path.dirname(name) == os.path.normpath(SOURCE) and name not in self.parsed:
                    done.add(name)
                    self.enter(name, cursor)
        self.parsed |= done

    def returns_null(self, cursor):
        """Whether it is a function of this unit that returns nothing but the word NULL."""
        if cursor.kind != K.FUNCTION_DECL or not cursor.is_definition() or cursor.storage_class != StorageClass.STATIC:
            return False
        returned = [c for c in cursor.walk_preorder() if c.kind == K.RETURN_STMT]
        with open(cursor.location.file.name, encoding="utf-8") as stream:
            text = stream.read()
        return bool(returned) and all(
            re.sub(r"\W", "", text[r.extent.start.offset:r.extent.end.offset]) == "returnNULL" for r in returned)

    def enter(self, name, cursor):
        if name not in self.files:
            with open(name, encoding="utf-8") as stream:
                text = stream.read()
            assert text.isascii(), name
            self.files[name] = File(name, text)
        self.file = self.files[name]
        # Of macro calls inside each other only the outermost has a place of its own in the text.
        self.inside = sorted(m for n, list in self.macros.items() if os.path.normpath(n) == name for m in list)
        self.function = cursor.spelling
        self.static = cursor.storage_class == StorageClass.STATIC
        self.result = cursor.result_type.get_canonical()
        body = [c for c in cursor.get_children() if c.kind == K.COMPOUND_STMT][0]
        self.negated = set()
        self.visit(body)

    def span(self, cursor):
        return cursor.extent.start.offset, cursor.extent.end.offset

    def macro(self, start, end):
        """The name of the macro whose call the range is or lies in."""
        for first, last, name in self.inside:
            if first <= start and end <= last:
                return name
        return None

    def source(self, start, end):
        return self.file.text[start:end]

    def bare(self, cursor):
        """Through parentheses and conversions that are not written."""
        while cursor.kind in TRANSPARENT:
            inner = list(cursor.get_children())
            if len(inner) != 1:
                break
            if self.macro(*self.span(cursor)) is not None:
                break
            cursor = inner[0]
        return cursor

    def operator(self, cursor):
        """(operator, left, right) of a binary expression; (None, None, None) if it is none."""
        if cursor.kind not in (K.BINARY_OPERATOR, K.COMPOUND_ASSIGNMENT_OPERATOR):
            return None, None, None
        if self.macro(*self.span(cursor)) is not None:
            return None, None, None
        left, right = cursor.get_children()
        text = self.source(left.extent.end.offset, right.extent.start.offset)
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S).strip()
        return text, left, right

    def unary(self, cursor):
        """(operator, operand, whether it stands before)"""
        if cursor.kind != K.UNARY_OPERATOR or self.macro(*self.span(cursor)) is not None:
            return None, None, None
        operand = next(cursor.get_children())
        start, end = self.span(cursor)
        before = self.source(start, operand.extent.start.offset).strip()
        if before:
            return before, operand, True
        return self.source(operand.extent.end.offset, end).strip(), operand, False

    # ---- what is mutated ----------------------------------------------------------------------

    def mutation(self, operator, *edits):
        self.count += 1
        made = Mutation(self.count, operator, self.function, list(edits))
        self.file.mutations.append(made)
        return made.number

    def node(self, start, end, build):
        self.file.nodes.append(Node(start, end, build))

    def visit(self, cursor):
        kind = cursor.kind
        start, end = self.span(cursor)
        name = self.macro(start, end)
        if name is not None:
            self.opaque(start, end, name)
            return
        children = list(cursor.get_children())
        if kind == K.COMPOUND_STMT:
            for child in children:
                self.statement(child)
        elif kind in (K.IF_STMT, K.WHILE_STMT, K.SWITCH_STMT):
            if kind != K.SWITCH_STMT:
                self.condition(children[0])
            self.visit(children[0])
            for child in children[1:]:
                self.statement(child)
        elif kind == K.DO_STMT:
            self.statement(children[0])
            self.condition(children[1])
            self.visit(children[1])
        elif kind == K.FOR_STMT:
            self.loop(cursor, children)
        elif kind == K.CASE_STMT:
            self.statement(children[-1])
        elif kind in (K.DEFAULT_STMT, K.LABEL_STMT):
            self.statement(children[-1])
        elif kind == K.RETURN_STMT:
            if children:
                self.returned(children[0])
        elif kind == K.VAR_DECL:
            self.variable(cursor, children)
        elif kind in (K.ENUM_DECL, K.STRUCT_DECL, K.STATIC_ASSERT) or kind.is_reference():
            pass
        elif kind in (K.BINARY_OPERATOR, K.COMPOUND_ASSIGNMENT_OPERATOR):
            self.binary(cursor)
        elif kind == K.UNARY_OPERATOR:
            self.prefix(cursor)
        elif kind == K.CONDITIONAL_OPERATOR:
            self.condition(children[0])
            for child in children:
                self.visit(child)
        elif kind in (K.INTEGER_LITERAL, K.CHARACTER_LITERAL):
            self.constant(start, end)
        elif kind == K.CXX_UNARY_EXPR:
            pass  # sizeof, _Alignof
        elif kind == K.CALL_EXPR and cursor.spelling in ASSERTIONS | NO_CALL:
            pass
        elif kind == K.CALL_EXPR and cursor.spelling.startswith("_mm"):
            for child in children:
                if self.bare(child).kind != K.INTEGER_LITERAL:
                    self.visit(child)
        else:
            for child in children:
                self.visit(child)

    def variable(self, cursor, children):
        if cursor.storage_class == StorageClass.STATIC:
            return
        # The sizes of an array come before its initialiser.
        array = cursor.type.kind in (TypeKind.CONSTANTARRAY, TypeKind.VARIABLEARRAY)
        for child in children:
            if array and child.kind == K.INTEGER_LITERAL:
                continue
            if not (array and self.source(child.extent.end.offset, child.extent.end.offset + 1) == "]"):
                self.visit(child)

    def loop(self, cursor, children):
        text = self.file.text
        position = text.index("(", self.span(cursor)[0])
        depth, cuts = 0, []
        while True:
            position += 1
            if text[position] in "([{":
                depth += 1
            elif text[position] in ")]}":
                if depth == 0:
                    break
                depth -= 1
            elif text[position] == ";" and depth == 0:
                cuts.append(position)
        for child in children[:-1]:
            where = self.span(child)[0]
            if where < cuts[0]:
                self.visit(child)
            elif where < cuts[1]:
                self.condition(child)
                self.visit(child)
        self.statement(children[-1])

    def statement(self, cursor):
        start, end = self.span(cursor)
        name = self.macro(start, end)
        call = self.bare(cursor)
        if call.kind == K.CSTYLE_CAST_EXPR and call.type.kind == TypeKind.VOID:
            call = self.bare(list(call.get_children())[-1])
        if name is not None:
            if not name.endswith("_POINT") and self.source(start, end).endswith(")"):
                self.removal("call", start, end)
        elif call.kind == K.CALL_EXPR:
            called = call.spelling
            if called in ("REQUIRE", "INVARIANT") and not self.static:
                self.removal("require", start, end)
            elif called in ASSERTIONS:
                argument = list(call.get_children())[-1]
                first, last = self.span(argument)
                number = self.mutation("ensure", (first, last, "!(%s)" % self.source(first, last)))
                self.node(first, last, lambda render: "mutation(%du) != (_Bool)(%s)" % (number, render(first, last)))
            elif called not in NO_CALL:
                self.removal("call", start, end)
        self.visit(cursor)

    def removal(self, operator, start, end):
        number = self.mutation(operator, (start, end, "(void)0"))
        self.node(start, end, lambda render: "(mutation(%du) ? (void)0 : (void)(%s))" % (number, render(start, end)))

    def opaque(self, start, end, name):
        """A macro call: a whole of which only true, false and atomic operations have mutations."""
        text = self.source(start, end)
        if text in ("true", "false"):
            other = "false" if text == "true" else "true"
            number = self.mutation("constant+1", (start, end, other))
            self.node(start, end, lambda render: "(mutation(%du) ? %s : %s)" % (number, other, text))
        elif name.startswith("atomic_") and name != "atomic_init" and text.startswith(name + "(") and \
                not name.endswith("_explicit"):
            relaxed = ", memory_order_relaxed" * (2 if "compare" in name else 1)
            weak = name + "_explicit" + text[len(name):-1] + relaxed + ")"
            number = self.mutation("order", (start, end, weak))
            self.node(start, end, lambda render: "(mutation(%du) ? %s : %s)" % (number, weak, text))

    def constant(self, start, end):
        text = self.source(start, end)
        more = self.mutation("constant+1", (start, end, "(%s + 1)" % text))
        less = self.mutation("constant-1", (start, end, "(%s - 1)" % text))
        self.node(start, end, lambda render: "(mutation(%du) ? %s + 1 : mutation(%du) ? %s - 1 : %s)" %
                  (more, text, less, text, text))

    def vector(self, cursor):
        return cursor.type.get_canonical().kind in (TypeKind.VECTOR, TypeKind.EXTVECTOR)

    def vector_edits(self, cursor):
        """(operator, edit) of each mutation in an expression over vectors."""
        core = self.bare(cursor)
        operator, left, right = self.operator(core)
        if operator is None or not (self.vector(left) or self.vector(right)):
            start, end = self.span(core)
            if core.kind in (K.INTEGER_LITERAL, K.CHARACTER_LITERAL) and self.macro(start, end) is None:
                text = self.source(start, end)
                yield "constant+1", (start, end, "(%s + 1)" % text)
                yield "constant-1", (start, end, "(%s - 1)" % text)
            return
        a, b = left.extent.end.offset, right.extent.start.offset
        for name, table in (("comparison", COMPARISON), ("boundary", BOUNDARY), ("arithmetic", ARITHMETIC)):
            if operator in table:
                yield name, (a, b, self.source(a, b).replace(operator, table[operator], 1))
        yield from self.vector_edits(left)
        yield from self.vector_edits(right)

    def vectors(self, cursor):
        """An expression over vectors: its parts must stay constants, so it is repeated as a whole."""
        start, end = self.span(cursor)
        variants = [(self.mutation(operator, edit), edit) for operator, edit in self.vector_edits(cursor)]
        text = "".join("mutation(%du) ? (%s%s%s) : " % (number, self.source(start, first), new,
                                                       self.source(last, end))
                       for number, (first, last, new) in variants)
        whole = "(%s(%s))" % (text, self.source(start, end))
        self.node(start, end, lambda render: whole)

    def binary(self, cursor):
        operator, left, right = self.operator(cursor)
        start, end = self.span(cursor)
        if self.vector(left) or self.vector(right):
            self.vectors(cursor)
            return
        a, b = self.span(left), self.span(right)
        swap = lambda new: (a[1], b[0], self.source(a[1], b[0]).replace(operator, new, 1))
        if operator in COMPARISON:
            flip = self.mutation("comparison", swap(COMPARISON[operator]))
            moved = self.mutation("boundary", swap(BOUNDARY[operator])) if operator in BOUNDARY else None

            def compare(render):
                other = "" if moved is None else "mutation(%du) ? l%d %s r%d : " % (moved, flip, BOUNDARY[operator], flip)
                return "({ __auto_type l%d = (%s); __auto_type r%d = (%s); mutation(%du) ? l%d %s r%d : %sl%d %s r%d; })" % (
                    flip, render(*a), flip, render(*b), flip, flip, COMPARISON[operator], flip, other, flip,
                    operator, flip)
            self.node(start, end, compare)
        elif operator in LOGICAL:
            # The right side once in the text: a && b is (a != 0 ? b : a), with 1 for 0 it is a || b.
            number = self.mutation("logical", swap(LOGICAL[operator]))
            test = "!=" if operator == "&&" else "=="
            self.node(start, end, lambda render: "({ _Bool l%d = (%s); l%d %s mutation(%du) ? (_Bool)(%s) : l%d; })" % (
                number, render(*a), number, test, number, render(*b), number))
            self.condition(left)
            self.condition(right)
        elif operator in ARITHMETIC and self.arithmetic_fits(operator, left, right):
            number = self.mutation("arithmetic", swap(ARITHMETIC[operator]))
            self.node(start, end, lambda render: (
                "({ __auto_type l%d = (%s); __auto_type r%d = (%s); mutation(%du) ? l%d %s r%d : l%d %s r%d; })" % (
                    number, render(*a), number, render(*b), number, number, ARITHMETIC[operator], number, number,
                    operator, number)))
        elif operator in ASSIGNMENT:
            number = self.mutation("arithmetic", swap(ASSIGNMENT[operator]))
            self.node(start, end, lambda render: "(mutation(%du) ? (%s %s %s) : (%s %s %s))" % (
                number, render(*a), ASSIGNMENT[operator], render(*b), render(*a), operator, render(*b)))
        self.visit(left)
        self.visit(right)

    def arithmetic_fits(self, operator, left, right):
        pointer = lambda c: c.type.get_canonical().kind in (TypeKind.POINTER, TypeKind.CONSTANTARRAY,
                                                            TypeKind.INCOMPLETEARRAY)
        if pointer(right):
            return False
        return not pointer(left) or operator in "+-"

    def prefix(self, cursor):
        operator, operand, before = self.unary(cursor)
        start, end = self.span(cursor)
        inner = self.span(operand) if operand is not None else None
        if operator == "!":
            self.condition(operand)
        elif operator in STEP:
            new = STEP[operator]
            text = self.source(*inner)
            edit = (start, end, new + text if before else text + new)
            number = self.mutation("arithmetic", edit)
            self.node(start, end, lambda render: "(mutation(%du) ? %s : %s)" % (
                number, new + render(*inner) if before else render(*inner) + new,
                operator + render(*inner) if before else render(*inner) + operator))
        for child in cursor.get_children():
            self.visit(child)

    def condition(self, cursor):
        """Negate the parts of a condition that no other operator would turn round."""
        core = self.bare(cursor)
        operator, left, right = self.operator(core)
        if operator in COMPARISON or operator in LOGICAL or self.unary(core)[0] == "!":
            return
        start, end = self.span(core)
        if self.source(start, end) in ("true", "false") or core.kind == K.INTEGER_LITERAL:
            return
        self.negate("negate", start, end)

    def negate(self, operator, start, end):
        if (start, end) in self.negated:
            return
        self.negated.add((start, end))
        number = self.mutation(operator, (start, end, "!(%s)" % self.source(start, end)))
        self.node(start, end, lambda render: "(mutation(%du) != (_Bool)(%s))" % (number, render(start, end)))

    def returned(self, cursor):
        core = self.bare(cursor)
        start, end = self.span(cursor)
        text = self.source(start, end)
        literal = core.kind in (K.INTEGER_LITERAL, K.CHARACTER_LITERAL) or text in ("true", "false", "NULL")
        if literal:
            self.visit(cursor)
            return
        if self.result.kind == TypeKind.BOOL:
            operator = self.operator(core)[0]
            if operator not in COMPARISON and operator not in LOGICAL and self.unary(core)[0] != "!":
                self.negate("return", start, end)
        elif self.result.kind == TypeKind.ENUM and self.result.spelling == "enum shmrpc_status":
            self.replaced(start, end, "SHMRPC_SYSTEM" if text == "SHMRPC_OK" else "SHMRPC_OK", False)
        elif self.result.kind == TypeKind.POINTER:
            if core.spelling not in self.always_null:
                self.replaced(start, end, "((void *)0)", False)
        elif self.result.kind not in (TypeKind.RECORD, TypeKind.ELABORATED, TypeKind.VECTOR, TypeKind.UNEXPOSED):
            self.replaced(start, end, "+ 1", True)
        self.visit(cursor)

    def replaced(self, start, end, other, added):
        text = self.source(start, end)
        other_text = "(%s) + 1" % text if added else "((%s), %s)" % (text, other)
        number = self.mutation("return", (start, end, other_text))
        self.node(start, end, lambda render: "({ __auto_type v%d = (%s); mutation(%du) ? %s : v%d; })" % (
            number, render(start, end), number, "v%d + 1" % number if added else other, number))

    # ---- all of it ----------------------------------------------------------------------------

    def run(self):
        self.parsed = set()
        for name in sorted(os.listdir(SOURCE)):
            if name.endswith(".c"):
                self.parse(os.path.normpath(os.path.join(SOURCE, name)))
        for file in self.files.values():
            # A node is listed before what lies inside it; nodes with the same range stay as they came.
            file.nodes.sort(key=lambda n: (n.start, -n.end))


def identify(file):
    """Ids, and for people the line and the text before and after."""
    seen, listed = {}, []
    base = os.path.basename(file.path)
    for m in sorted(file.mutations, key=lambda m: (m.edits[0][0], m.number)):
        key = (m.function, m.operator)
        seen[key] = seen.get(key, 0) + 1
        m.id = "%s:%s:%s:%d" % (base, m.function, m.operator, seen[key])
        start, end, new = m.edits[0]
        line_start = file.text.rfind("\n", 0, start) + 1
        line_end = file.text.find("\n", end)
        line_end = len(file.text) if line_end < 0 else line_end
        words = lambda text: " ".join(text.split())
        listed.append({
            "id": m.id, "number": m.number, "operator": m.operator, "file": base, "function": m.function,
            "line": file.text.count("\n", 0, start) + 1,
            "start": start, "end": end, "new": new,
            "before": words(file.text[line_start:line_end]),
            "after": words(file.text[line_start:start] + new + file.text[end:line_end])})
    return listed


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    copy = sys.argv[1]
    os.makedirs(copy, exist_ok=True)
    mutator = Mutator()
    mutator.run()
    listed = []
    for name in sorted(os.listdir(SOURCE)):
        path = os.path.normpath(os.path.join(SOURCE, name))
        if not name.endswith((".c", ".h")):
            continue
        target = os.path.join(copy, name)
        if path in mutator.files:
            file = mutator.files[path]
            with open(target, "w", encoding="utf-8") as stream:
                stream.write('#include "mutation.h"\n#line 1 "src/%s"\n' % name + file.render(0, len(file.text)))
            listed += identify(file)
        else:
            shutil.copyfile(path, target)
    with open(os.path.join(copy, "mutations.json"), "w", encoding="utf-8") as stream:
        json.dump(listed, stream, indent=0)
    print("mutate: %d mutations in %d files" % (len(listed), len(mutator.files)))


if __name__ == "__main__":
    main()
