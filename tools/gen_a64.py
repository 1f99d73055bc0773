#!/usr/bin/env python3
"""Generates C tables from the A64 instruction table.

  gen_a64.py tables A64.def FORMATS.def > a64_tables.inc   rows, where(), decision tree: for src/a64/decode.c
  gen_a64.py text A64.def FORMATS.def > a64_text.inc       operand enum, texts, aliases: for src/a64/disasm.c
  gen_a64.py doc A64.def FORMATS.def > instructions.md     the instruction set as a document

The table is checked: patterns well formed, every row reachable, and two rows that match a common word must
be nested (one has all the other's fixed bits and more, so it is tried first) or told apart by their where
expressions. A violation ends the build.
"""
import random
import re
import sys

PROPERTIES = ("READS_NZCV", "WRITES_NZCV", "ENDS_BLOCK", "LOADS", "STORES")


class Row:
    def __init__(self, op, args):
        if len(args) not in (7, 8):
            fail(f"row {args[0]}: {len(args)} columns")
        self.op = op
        self.id, self.name, self.pattern, self.format, self.feature, self.group = args[:6]
        self.properties = [] if args[6] == "0" else [p.strip() for p in args[6].split("|")]
        self.where = args[7] if len(args) == 8 else ""
        if len(self.pattern) != 32:
            fail(f"row {self.id}: pattern of {len(self.pattern)} characters")
        if len(self.id) > 23 or len(self.name) > 11:
            fail(f"row {self.id}: name longer than struct a64_row has room for")
        for p in self.properties:
            if p not in PROPERTIES:
                fail(f"row {self.id}: property {p}")
        self.mask = int("".join("1" if c in "01" else "0" for c in self.pattern), 2)
        self.value = int("".join("1" if c == "1" else "0" for c in self.pattern), 2)
        self.fields = {}  # letter -> bit numbers, high bit of the field first
        for i, c in enumerate(self.pattern):
            if c not in "01":
                self.fields.setdefault(c, []).append(31 - i)
        self.holds = python_where(self.where)

    def specificity(self):
        return bin(self.mask).count("1")

    def matches(self, word):
        if word & self.mask != self.value:
            return False
        return self.holds is None or bool(eval(self.holds, {}, self.values(word)))

    def values(self, word):
        out = {}
        for letter, numbers in self.fields.items():
            v = 0
            for n in numbers:
                v = v << 1 | (word >> n & 1)
            out[letter] = v
        return out


def fail(message):
    sys.exit("gen_a64.py: " + message)


def python_where(text):
    """The where expression as compiled Python, or None. At most one ?: and that outermost."""
    if not text:
        return None
    text = text.replace("&&", " and ").replace("||", " or ")
    text = re.sub(r"!(?!=)", " not ", text)
    m = re.fullmatch(r"([^?]*)\?([^:]*):(.*)", text)
    if m:
        text = f"({m[2].strip()}) if ({m[1].strip()}) else ({m[3].strip()})"
    return compile(text.strip(), text, "eval")


def strip_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def calls(text, macro):
    """Yields the argument lists of MACRO(...) calls; string arguments are unquoted."""
    for m in re.finditer(r"^%s\(((?:\"[^\"]*\"|[^\")])*)\)" % macro, text, re.M):
        args = re.findall(r"\"[^\"]*\"|[^,\"]+", m[1])
        args = [a.strip() for a in args]
        yield [a for a in args if a]


def read_table(path):
    text = strip_comments(open(path, encoding="utf-8").read())
    named = dict(re.findall(r"^#define (\w+) \"([^\"]*)\"", text, re.M))
    rows = []
    for args in calls(text, "INSN"):
        args = [a[1:-1] if a.startswith('"') else a for a in args]
        if len(args) == 8:
            args[7] = named.get(args[7], args[7])
        rows.append(Row(len(rows) + 1, args))
    if len({r.id for r in rows}) != len(rows):
        fail("a row id occurs twice")
    return rows


def check(rows):
    rng = random.Random(1)
    for r in rows:
        free = ~r.mask & 0xFFFFFFFF
        if not any(r.matches(r.value | rng.getrandbits(32) & free) for _ in range(4000)):
            fail(f"row {r.id}: its where expression never holds")
    for i, a in enumerate(rows):
        for b in rows[i + 1:]:
            if (a.value ^ b.value) & a.mask & b.mask:
                continue
            both = a.mask | b.mask
            nested = a.mask != b.mask and both in (a.mask, b.mask)
            if nested:
                continue
            for _ in range(4000):
                w = a.value | b.value | rng.getrandbits(32) & ~both & 0xFFFFFFFF
                if a.matches(w) and b.matches(w):
                    fail(f"rows {a.id} and {b.id} both match {w:08x}")


# ---- where expressions as C ----

def c_field(row, letter):
    """C expression for a field of word w: one term for each run of adjacent bits."""
    terms = []
    numbers = row.fields[letter]
    left = len(numbers)
    i = 0
    while i < len(numbers):
        j = i
        while j + 1 < len(numbers) and numbers[j + 1] == numbers[j] - 1:
            j += 1
        width = j - i + 1
        left -= width
        term = f"(w >> {numbers[j]} & {(1 << width) - 1})"
        terms.append(f"{term} << {left}" if left else term)
        i = j + 1
    return "(" + " | ".join(terms) + ")" if len(terms) > 1 else terms[0]


def c_where(row, text):
    def field(m):
        if m[0] not in row.fields:
            fail(f"row {row.id}: no field {m[0]} for \"{text}\"")
        return c_field(row, m[0])
    return re.sub(r"\b[A-Za-z]\b", field, text)


class Wheres:
    """Distinct where expressions, numbered from 1; 0 is no restriction."""

    def __init__(self):
        self.numbers = {}

    def number(self, row, text):
        if not text:
            return 0
        return self.numbers.setdefault(c_where(row, text), len(self.numbers) + 1)

    def write(self, name):
        print(f"static bool {name}(unsigned number, uint32_t w) {{")
        print("    switch (number) {")
        for text, number in self.numbers.items():
            print(f"    case {number}: return {text};")
        print("    }\n    return true;\n}\n")


# ---- the decision tree ----

LEAF_ROWS = 3   # a leaf has at most this many candidates where the bits can tell them apart
ROOT = (21, 11)  # every major group is told apart by the top bits


class Tree:
    def __init__(self, rows):
        self.nodes = []       # (shift, width, first entry)
        self.entries = []     # node number, or LEAF | first candidate
        self.candidates = []  # row or None, which ends a list
        self.leaves = {}
        self.inner = {}
        self.root = self.build(sorted(rows, key=lambda r: -r.specificity()), ROOT)

    def split(self, rows, window):
        shift, width = window
        field = (1 << width) - 1 << shift
        for v in range(1 << width):
            bits = v << shift
            yield [r for r in rows if not (r.value ^ bits) & r.mask & field]

    def choose(self, rows):
        """The window of bits that leaves the fewest rows per entry, counting the table's own size."""
        best = None
        for width in range(1, 7):
            for shift in range(0, 33 - width):
                sizes = [len(s) for s in self.split(rows, (shift, width))]
                if max(sizes) == len(rows) and min(sizes) == len(rows):
                    continue
                cost = sum(s * s for s in sizes) / len(sizes) + 0.05 * len(sizes)
                if best is None or cost < best[0]:
                    best = (cost, (shift, width), max(sizes))
        return best

    def leaf(self, rows):
        key = tuple(r.op for r in rows)
        if key not in self.leaves:
            self.leaves[key] = len(self.candidates)
            self.candidates += rows + [None]
        return ("leaf", self.leaves[key])

    def build(self, rows, window=None):
        if window is None:
            if len(rows) <= LEAF_ROWS:
                return self.leaf(rows)
            best = self.choose(rows)
            if best is None or best[2] == len(rows):
                return self.leaf(rows)
            window = best[1]
        key = (tuple(r.op for r in rows), window)
        if key in self.inner:
            return ("node", self.inner[key])
        parts = list(self.split(rows, window))
        node = len(self.nodes)
        first = len(self.entries)
        self.inner[key] = node
        self.nodes.append((window[0], window[1], first))
        self.entries += [None] * len(parts)
        for i, part in enumerate(parts):
            self.entries[first + i] = self.build(part)
        return ("node", node)


def write_tables(rows):
    print("/* Generated by tools/gen_a64.py from a64.def. */\n")
    print("const struct a64_row a64_rows[A64_OP_COUNT] = {")
    print('    {".inst", "UNALLOCATED", "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii", GROUP_SYSTEM, '
          "FEATURE_BASE, A64_ENDS_BLOCK, 0, 0},")
    for r in rows:
        properties = " | ".join("A64_" + p for p in r.properties) or "0"
        print(f'    {{"{r.name}", "{r.id}", "{r.pattern}", GROUP_{r.group}, '
              f"FEATURE_{r.feature}, {properties}, {r.mask:#010x}, {r.value:#010x}}},")
    print("};\n")
    wheres = Wheres()
    tree = Tree(rows)
    if len(tree.entries) >= 0x8000 or len(tree.candidates) >= 0x8000:
        fail("the decision tree needs more than 15 bits of index")
    print("static const struct candidate candidates[] = {")
    for r in tree.candidates:
        if r is None:
            print("    {0, 0, A64_UNALLOCATED, 0},")
        else:
            print(f"    {{{r.mask:#010x}, {r.value:#010x}, A64_{r.id}, {wheres.number(r, r.where)}}},")
    print("};\n\nstatic const struct node nodes[] = {")
    for shift, width, first in tree.nodes:
        print(f"    {{{first}, {shift}, {width}}},")
    print("};\n\nstatic const uint16_t entries[] = {")
    numbers = [n | 0x8000 if kind == "leaf" else n for kind, n in tree.entries]
    for i in range(0, len(numbers), 14):
        print("    " + " ".join(f"{n:#06x}," for n in numbers[i:i + 14]))
    print("};\n")
    wheres.write("where_holds")


# ---- disassembly ----

def write_text(rows, formats_path):
    source = strip_comments(open(formats_path, encoding="utf-8").read())
    formats = {a[0]: a[1][1:-1] if len(a) > 1 else "" for a in calls(source, "FORMAT")}
    aliases = [[a.strip('"') for a in args] + [""] * (4 - len(args)) for args in calls(source, "ALIAS")]
    operands = sorted(set(re.findall(r"\{(\w+)\}", source)))
    if len(operands) > 255:
        fail("more than 255 operand kinds")
    code = {name: i + 1 for i, name in enumerate(operands)}

    pool = {}  # distinct strings -> offset: offsets need no relocation when the program starts
    pool_size = 0

    def pooled(text):
        nonlocal pool_size
        if text not in pool:
            pool[text] = pool_size
            pool_size += len(re.sub(r"\{\w+\}", "12", text)) + 1
        return pool[text]

    def c_string(text):
        parts = re.split(r"\{(\w+)\}", text)
        return "".join(p if i % 2 == 0 else f"\\001\\{code[p]:03o}" for i, p in enumerate(parts))

    print("/* Generated by tools/gen_a64.py from a64.def and formats.def. */\n")
    print("/* An operand stands in a text as the byte 1 and its number. */\nenum operand {\n    OPERAND_none,")
    for name in operands:
        print(f"    OPERAND_{name},")
    print("};\n\n/* Offset in strings of each row's text. */")
    print("static const uint16_t row_text[A64_OP_COUNT] = {")
    by_id = {}
    for r in rows:
        by_id[r.id] = r
        if r.format not in formats:
            fail(f"row {r.id}: format {r.format} is not in formats.def")
        print(f"    [A64_{r.id}] = {pooled(formats[r.format])},")
    print("};\n")
    for name in formats:
        if name not in {r.format for r in rows}:
            fail(f"format {name} is not used")
    wheres = Wheres()
    lines = {}
    for row, where, name, text in aliases:
        if row not in by_id:
            fail(f"alias of unknown row {row}")
        number = 0 if where == "1" else wheres.number(by_id[row], where)
        lines.setdefault(by_id[row].op, []).append(
            f"    {{A64_{row}, {number}, {pooled(name)}, {pooled(text)}}},")
    print("/* Sorted by row. */\nstatic const struct alias aliases[] = {")
    for op in sorted(lines):
        print("\n".join(lines[op]))
    print("};\n\nstatic const char strings[] =")
    print("\n".join(f'    "{c_string(text)}\\0"' for text in pool) + ";\n")
    if pool_size > 0xFFFF:
        fail("the texts need more than 16 bits of offset")
    wheres.write("alias_holds")


def write_doc(rows):
    print("# A64 instructions\n")
    print("Generated from src/a64/a64.def. The pattern is the encoding, bit 31 first; letters are fields.\n")
    group = None
    for r in rows:
        if r.group != group:
            group = r.group
            print(f"\n## {group}\n\n| row | mnemonic | encoding | feature |\n|---|---|---|---|")
        print(f"| {r.id} | {r.name} | `{r.pattern}` | {r.feature} |")


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("tables", "text", "doc"):
        fail("usage: gen_a64.py tables|text|doc a64.def formats.def")
    rows = read_table(sys.argv[2])
    if sys.argv[1] == "tables":
        check(rows)
        write_tables(rows)
    elif sys.argv[1] == "text":
        write_text(rows, sys.argv[3])
    else:
        write_doc(rows)


main()
