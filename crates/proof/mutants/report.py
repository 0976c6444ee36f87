"""Writes docs/mutants.md from the build and the verdicts; why a survivor may stay is in `reasons.txt`."""

import json
import math
from collections import Counter, defaultdict
from pathlib import Path

from build import PACKAGES, ROOT, WORK

HERE = Path(__file__).parent
INTRO = """# Mutation testing

What cargo-mutants changes in `crates/tcp` and `crates/wire`, and whether a test of the crates notices. cargo-mutants lists the
mutants; one build holds all of them, each behind a switch, so that a mutant costs a run of the tests that reach it and no build.
The few that no switch reaches are tried by cargo-mutants itself. How, and how to run it:
[crates/proof/mutants](../crates/proof/mutants/README.md). This page is generated.

"""


def reasons():
    """Pairs of a reason and the beginning of a key it is for."""
    found, why = [], None
    for line in (HERE / "reasons.txt").read_text().splitlines():
        if line.startswith("    "):
            found.append((line.strip(), why))
        elif line and not line.startswith("#"):
            why = line
    return found


def bounds(caught, n):
    """Wilson's interval of 95 %."""
    p, z = caught / n, 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return f"{100 * (middle - half):.1f} to {100 * (middle + half):.1f} %"


def table(mutants, verdicts):
    rows = ["| | " + " | ".join(f"`crates/{c}`" for c, _ in PACKAGES.values()) + " |", "|---|" + "---|" * len(PACKAGES)]
    columns = []
    for package in PACKAGES:
        mine = [m for m in mutants if m["package"] == package]
        unviable = sum(1 for m in mine if "unviable" in (m["status"], verdicts.get(m["key"], {}).get("verdict")))
        seen = [(m, v) for m in mine if (v := verdicts.get(m["key"])) and v["verdict"] != "unviable"]
        alone = sum(1 for m, _ in seen if m["status"] == "inexpressible")
        kind = Counter(v["verdict"] for _, v in seen)
        others = sum(1 for _, v in seen if v["verdict"] != "survived" and v["package"] != package)
        noticed = kind["caught"] + kind["timeout"]
        tried, viable = len(seen), len(mine) - unviable
        columns.append([
            ("listed by cargo-mutants", len(mine)),
            ("do not compile", unviable),
            ("tried", f"{tried} of {viable}"),
            ("of these with a build of their own: constants, opaque types", alone),
            ("a test fails", kind["caught"]),
            ("of these a test of `crates/tcp` only", others or "–"),
            ("no end in time", kind["timeout"]),
            ("survived", kind["survived"]),
            ("**caught, of those tried**", f"**{100 * noticed / tried:.1f} %**" + ("" if tried == viable else f" ({bounds(noticed, tried)})")),
        ])
    for cells in zip(*columns):
        rows.append(f"| {cells[0][0]} | " + " | ".join(str(value) for _, value in cells) + " |")
    return "\n".join(rows) + "\n\n"


def bullets(mutants):
    by_file = defaultdict(list)
    for m in mutants:
        file, _, what = m["key"].partition(": ")
        by_file[file.removeprefix("crates/").replace("/src/", ": ", 1)].append(what)
    return "".join(f"- {file}: " + "; ".join(f"`{w}`" for w in whats) + "\n" for file, whats in sorted(by_file.items()))


def main():
    mutants = json.loads((WORK / "built.json").read_text())["mutants"]
    verdicts = {v["key"]: v for v in map(json.loads, (WORK / "verdicts.jsonl").open())}
    why, groups, unused = reasons(), defaultdict(list), set()
    unused = {key for key, _ in why}
    for m in mutants:
        if verdicts.get(m["key"], {}).get("verdict") == "survived":
            matching = [(key, reason) for key, reason in why if m["key"].startswith(key)]
            unused -= {key for key, _ in matching}
            groups[max(matching, key=lambda r: len(r[0]))[1] if matching else ""].append(m)
    text = INTRO + table(mutants, verdicts) + "## Survivors\n\n"
    for reason in dict.fromkeys(reason for _, reason in why):
        if groups[reason]:
            text += f"**{reason}** ({len(groups[reason])})\n\n{bullets(groups[reason])}\n"
    if groups[""]:
        text += f"**Not looked into yet, or a test is missing.** ({len(groups[''])})\n\n{bullets(groups[''])}\n"
    if left := [m for m in mutants if m["status"] != "unviable" and m["key"] not in verdicts]:
        text += f"## Not tried ({len(left)})\n\n{bullets(left)}\n"
    (ROOT / "docs" / "mutants.md").write_text(text.rstrip() + "\n")
    for key in unused:
        print("survives no more:", key)


if __name__ == "__main__":
    main()
