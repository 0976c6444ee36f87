"""Makes the build that holds all mutants: lists them, rewrites a copy of the workspace, drops what does not compile."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

from schemata import SWITCH, File, blamed

ROOT = Path(__file__).resolve().parents[3]
WORK = Path(os.environ.get("MUTANTS_DIR", ROOT / "target" / "mutants"))
COPY = WORK / "copy"
OUT = WORK / "built.json"
CARGO = os.environ.get("CARGO", "cargo")
PACKAGES = {"netstack-tcp": ("tcp", "::netstack_wire"), "netstack-wire": ("wire", "crate")}
LEFT_OUT = "crates/tcp/src/testing/**"


def listed():
    """What cargo-mutants would try, numbered from 1 in its order."""
    out = subprocess.run(
        ["cargo-mutants", "mutants", "--list", "--json", "--exclude", LEFT_OUT]
        + [a for p in PACKAGES for a in ("-p", p)],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout
    return keyed([m | {"id": i} for i, m in enumerate(json.loads(out), 1)])


def keyed(mutants):
    """Gives each mutant a key that changes elsewhere in the file leave as it is: its name without the place, and a count."""
    seen = Counter()
    for m in mutants:
        key = re.sub(r"^([^:]+):\d+:\d+", r"\1", m["name"])
        seen[key] += 1
        m["key"] = key if seen[key] == 1 else f"{key} #{seen[key]}"
    return mutants


def copy_workspace():
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    for crate, _ in PACKAGES.values():
        shutil.copytree(ROOT / "crates" / crate, COPY / "crates" / crate)
    shutil.copy(ROOT / "Cargo.lock", COPY)
    (COPY / "docs").symlink_to(ROOT / "docs")
    manifest = (ROOT / "Cargo.toml").read_text().splitlines()
    members = ", ".join(f'"crates/{crate}"' for crate, _ in PACKAGES.values())
    manifest = [f"members = [{members}]" if l.startswith("members") else l for l in manifest]
    (COPY / "Cargo.toml").write_text("\n".join(manifest) + "\n")


def cargo(*args):
    env = os.environ | {"RUSTFLAGS": "--cap-lints=allow", "CARGO_TARGET_DIR": str(WORK / "target")}
    packages = [a for p in PACKAGES for a in ("-p", p)]
    return subprocess.run([CARGO, *args, *packages, "--message-format=json"], cwd=COPY, env=env, stdout=subprocess.PIPE, text=True)


def messages(run):
    for line in run.stdout.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def errors(run):
    for m in messages(run):
        if m["reason"] == "compiler-message" and m["message"]["level"] == "error" and m["message"]["spans"]:
            yield m["message"]


def main():
    mutants = listed()
    by_file = defaultdict(list)
    for m in mutants:
        by_file[m["file"]].append(m)
    copy_workspace()
    files = {}
    for path, some in by_file.items():
        files[path] = File(path, (ROOT / path).read_bytes(), some, PACKAGES[some[0]["package"]][1])
    status = {}
    for f in files.values():
        status |= {n: "inexpressible" for n in f.inexpressible} | {n: "unviable" for n in f.unviable}
    keep_const, why = set(), {}
    if OUT.exists():
        # What did not compile the last time is not tried again. Delete the file to begin anew.
        last = json.loads(OUT.read_text())
        keep_const |= set(last["keep_const"])
        known = {m["key"]: m for m in last["mutants"] if m["status"] == "unviable"}
        for m in mutants:
            if old := known.get(m["key"]):
                status[m["id"]], why[m["id"]] = "unviable", old["why"]
    lib = COPY / "crates/wire/src/lib.rs"
    while True:
        texts = {path: f.rewritten(status, keep_const) for path, f in files.items()}
        for path, text in texts.items():
            (COPY / path).write_text(text)
        lib.write_text((ROOT / "crates/wire/src/lib.rs").read_text() + SWITCH)
        run = cargo("check", "--lib", "--tests")
        found = 0
        for e in errors(run):
            code = (e["code"] or {}).get("code")
            span = next(s for s in e["spans"] if s["is_primary"])
            while span["expansion"] and span["file_name"] not in texts:
                span = span["expansion"]["span"]
            called = e["message"].split("`")[1].split("::")[-1] if code == "E0015" and "`" in e["message"] else None
            if called and called != "at":
                found += called not in keep_const
                keep_const.add(called)
                continue
            text = texts.get(span["file_name"], "")
            numbers = blamed(text, span["byte_start"], span["byte_end"])
            if called:
                # A switch where the compiler evaluates: all of that function's mutants.
                numbers = set()
                print("in a constant:", e["rendered"], file=sys.stderr)
            if not numbers:
                print("nobody's:", e["rendered"], file=sys.stderr)
            for n in numbers - status.keys():
                status[n], why[n] = "unviable", f"{code}: {e['message']}"
                found += 1
        for path, f in files.items():
            for n in f.of_functions(keep_const):
                if n not in status:
                    status[n] = "inexpressible"
                    found += 1
        print(f"dropped {found}, in all {len(status)}; exit {run.returncode}", flush=True)
        if run.returncode == 0:
            break
        if not found:
            sys.exit("errors that no mutant is to blame for")
    run = cargo("test", "--lib", "--no-run")
    if run.returncode:
        sys.exit("the build failed")
    binaries = {m["target"]["name"]: m["executable"] for m in messages(run) if m.get("executable")}
    sites = {n: site for f in files.values() for n, site in f.site.items()}
    for m in mutants:
        m.pop("diff", None)
        m["site"] = sites.get(m["id"], m["id"])
        m["status"], m["why"] = status.get(m["id"], "viable"), why.get(m["id"], "")
    OUT.write_text(json.dumps({"binaries": binaries, "keep_const": sorted(keep_const), "mutants": mutants}))
    print(binaries)


if __name__ == "__main__":
    main()
