"""Rewrites the sources so that one build holds every mutant that cargo-mutants lists.

A mutant is a branch that the environment variable NETSTACK_MUTANT switches on by its number:

    a + b    becomes    (if !matches!(at(7), 7 | 8) { a + b } else if at(7) == 7 { a - b } else { a * b })

What does not lend itself to a branch (constants, lengths of arrays) is left out here and told apart in the result.
"""

import re
from collections import defaultdict

import tree_sitter_rust
from tree_sitter import Language, Parser

PARSER = Parser(Language(tree_sitter_rust.language()))

WILDCARD = re.compile(r"[\s_,().]+|[a-z]\w*")

SWITCH = """
#[doc(hidden)]
pub mod mutants {
    use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
    /// What is switched on; 0: nothing; MAX: not known yet, or what is reached is reported.
    static ACTIVE: AtomicU32 = AtomicU32::new(u32::MAX);
    static REPORTING: AtomicBool = AtomicBool::new(false);
    static REACHED: [AtomicBool; 1 << 14] = [const { AtomicBool::new(false) }; 1 << 14];
    #[cold]
    fn read(site: u32) -> u32 {
        if !REPORTING.load(Relaxed) {
            let switch = std::env::var("NETSTACK_MUTANT").unwrap_or_default();
            if switch != "reach" {
                let number = switch.parse().unwrap_or(0);
                ACTIVE.store(number, Relaxed);
                return number;
            }
            REPORTING.store(true, Relaxed);
        }
        let reached = &REACHED[site as usize];
        if !reached.load(Relaxed) && !reached.swap(true, Relaxed) {
            std::eprintln!("reached {site}");
        }
        0
    }
    /// What is switched on, asked at a site.
    #[inline(always)]
    pub fn at(site: u32) -> u32 {
        match ACTIVE.load(Relaxed) {
            u32::MAX => read(site),
            number => number,
        }
    }
}
"""


def ancestors(node):
    while node:
        yield node
        node = node.parent


def is_const_fn(function):
    return any(c.type == "function_modifiers" and b"const" in c.text for c in function.children)


def in_constant(node):
    """Whether the expression is evaluated by the compiler, where nothing can be switched."""
    child = None
    for node in ancestors(node):
        if node.type in ("const_item", "static_item", "array_type", "enum_variant"):
            return True
        if node.type == "array_expression" and child and node.child_by_field_name("length") == child:
            return True
        if node.type == "function_item":
            return False
        child = node
    return False


class File:
    """A source file and the mutants in it, each at the node that has to be wrapped."""

    def __init__(self, path, source, mutants, switch):
        self.path, self.source, self.switch = path, source, switch
        self.tree = PARSER.parse(source)
        self.sites = defaultdict(list)
        self.touched = set()
        self.inexpressible, self.unviable = [], []
        self.consts = defaultdict(list)
        # The number under which the site of a mutant reports that it is reached, where it is not the mutant's own.
        self.site = {}
        lines = source.split(b"\n")
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)

        def offset(at):
            row = at["line"] - 1
            return starts[row] + len(lines[row].decode()[: at["column"] - 1].encode())

        for mutant in mutants:
            self.place(mutant, offset(mutant["span"]["start"]), offset(mutant["span"]["end"]))

    def place(self, mutant, start, end):
        node = self.tree.root_node.descendant_for_byte_range(start, end)
        genre = mutant["genre"]
        edit = (start, end, mutant["replacement"])
        returns = (mutant["function"] or {}).get("return_type") or ""
        if in_constant(node) or genre == "FnValue" and "impl Iterator" in returns:
            return self.inexpressible.append(mutant["id"])
        function = next((a for a in ancestors(node) if a.type == "function_item"), None)
        if genre == "FnValue":
            node = function.child_by_field_name("body")
        elif genre == "BinaryOperator":
            node = node.parent
            if node.type == "let_chain":
                # `a || let ..` is no Rust.
                return self.unviable.append(mutant["id"])
            # A new operator may bind otherwise than the old one: the whole chain is parsed again.
            while node.parent.type == "binary_expression":
                node = node.parent
        elif genre == "UnaryOperator":
            node = node if node.type == "unary_expression" else node.parent
        elif genre in ("MatchArm", "MatchArmGuard"):
            arm = next(a for a in ancestors(node) if a.type == "match_arm")
            node = arm.child_by_field_name("pattern")
            if genre == "MatchArm" and not any(map(self.takes_all, arm.parent.named_children)):
                # What remains is not exhaustive.
                return self.unviable.append(mutant["id"])
        elif genre == "StructField":
            node = next(c for c in node.children if c.start_byte == start) if node.type == "field_initializer_list" else node
        if function and is_const_fn(function):
            self.consts[function.child_by_field_name("name").text.decode()].append(mutant["id"])
        self.sites[node.id].append((mutant["id"], genre, edit))
        self.touched.update(a.id for a in ancestors(node))

    def takes_all(self, arm):
        return arm.type == "match_arm" and WILDCARD.fullmatch(self.text(arm.child_by_field_name("pattern")))

    def text(self, node):
        return self.source[node.start_byte : node.end_byte].decode()

    def on(self, number):
        return f"{self.switch}::mutants::at({number}) == {number}"

    def branches(self, original, changed):
        """`original` unless one of `changed`, pairs of number and text, is switched on."""
        numbers = " | ".join(str(n) for n, _ in changed)
        self.site |= {n: changed[0][0] for n, _ in changed}
        out = f"if !matches!({self.switch}::mutants::at({changed[0][0]}), {numbers}) {{ {original} }}"
        for i, (n, text) in enumerate(changed):
            last = i + 1 == len(changed)
            out += " else " + ("" if last else f"if {self.on(n)} ") + f"{{ /*<{n}*/ {text} /*>{n}*/ }}"
        return out

    def spliced(self, node, edit):
        start, end, replacement = edit
        source = self.source
        return (source[node.start_byte : start] + replacement.encode() + source[end : node.end_byte]).decode()

    def render(self, node, skip, keep_const):
        if node.id not in self.touched and node.type != "function_modifiers":
            return self.text(node)
        if node.type == "match_pattern":
            return self.render_pattern(node, skip, keep_const)
        out, at = [], node.start_byte
        for child in node.children:
            out.append(self.source[at : child.start_byte].decode())
            if child.type == "function_modifiers" and b"const" in child.text:
                name = node.child_by_field_name("name").text.decode()
                stripped = name in self.consts and name not in keep_const
                out.append(self.text(child).replace("const", "") if stripped else self.text(child))
            else:
                out.append(self.render(child, skip, keep_const))
            at = child.end_byte
        out.append(self.source[at : node.end_byte].decode())
        inner = "".join(out)
        sites = [s for s in self.sites.get(node.id, []) if s[0] not in skip]
        return self.wrap(node, inner, sites) if sites else inner

    def wrap(self, node, inner, sites):
        if node.type == "block":
            heads = [f"if {self.on(n)} {{ return /*<{n}*/ {e[2]} /*>{n}*/; }}" for n, _, e in sites]
            return "{ " + " ".join(heads) + inner[1:]
        if node.type in ("field_initializer", "shorthand_field_initializer"):
            return self.wrap_field(node, inner, sites)
        out = self.branches(inner, [(n, self.spliced(node, e)) for n, _, e in sites])
        return out if node.type == "compound_assignment_expr" else f"({out})"

    def wrap_field(self, node, inner, sites):
        """A field that is left out has the value it has in the base expression."""
        fields = node.parent
        base = next(c for c in fields.children if c.type == "base_field_initializer")
        base = self.text(base).removeprefix("..").strip()
        if base == "Default::default()":
            base = f"<{self.text(fields.parent.child_by_field_name('name'))}>::default()"
        name, _, value = inner.partition(":")
        name = name.strip()
        return f"{name}: " + self.branches(value.strip() or name, [(n, f"({base}).{name}") for n, _, _ in sites])

    def render_pattern(self, node, skip, keep_const):
        guard = node.child_by_field_name("condition")
        sites = [s for s in self.sites.get(node.id, []) if s[0] not in skip]
        end = next((c.start_byte for c in node.children if c.type == "if"), node.end_byte)
        out = self.source[node.start_byte : end].decode().rstrip()
        conditions = [f"/*<{n}*/ !({self.on(n)}) /*>{n}*/" for n, genre, _ in sites if genre == "MatchArm"]
        if guard:
            inner = self.render(guard, skip, keep_const)
            changed = [(n, e[2]) for n, genre, e in sites if genre == "MatchArmGuard"]
            if changed:
                inner = f"({self.branches(inner, changed)})"
            elif not guard.type.startswith("let_"):
                inner = f"({inner})"
            conditions.append(inner)
        return out + (" if " + " && ".join(conditions) if conditions else "")

    def of_functions(self, names):
        """The mutants in constant functions of these names."""
        return [n for name in names if name in self.consts for n in self.consts[name]]

    def rewritten(self, skip, keep_const):
        return self.render(self.tree.root_node, skip, keep_const)


MARKER = re.compile(r"/\*<(\d+)\*/|/\*>(\d+)\*/")


def blamed(text, start, end):
    """The mutants whose text an error from octet `start` to `end` lies in, the innermost alone, or lies around."""
    text = text.encode().decode("latin-1")
    opened, ranges = {}, []
    for m in MARKER.finditer(text):
        if m[1]:
            opened[m[1]] = m.end()
        else:
            ranges.append((opened[m[2]], m.start(), int(m[2])))
    inside = [(b - a, n) for a, b, n in ranges if a <= start and end <= b]
    if inside:
        return {min(inside)[1]}
    return {n for a, b, n in ranges if start <= a and b <= end}
