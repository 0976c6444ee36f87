"""Runs the tests against every mutant of the build and appends the verdicts to `verdicts.jsonl`; goes on where it stopped.

    run.py [--jobs N] [--only PACKAGE] [--in PATH ...] [--again]

`--again` runs those once more that survived, after tests were added and `build.py` made the build anew. A mutant is tried against the tests that reach its place, the quick ones first, until one fails.
"""

import argparse
import json
import os
import random
import re
import resource
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from build import COPY, PACKAGES, WORK

# Processor time, so that other load does not count: all tests of `tcp` together take 3 s without a mutant.
SECONDS = 10
MEMORY = 4 << 30
QUICK = 0.03
LOCK = threading.Lock()


def limits(seconds):
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def start(binary, package, switch, args, seconds=SECONDS, **kwargs):
    env = os.environ | {
        "NETSTACK_MUTANT": str(switch), "RUST_BACKTRACE": "0",
        "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "true", "PROPTEST_MAX_SHRINK_ITERS": "0",
    }
    cwd = COPY / "crates" / PACKAGES[package][0]
    return subprocess.Popen(
        [binary, *args], cwd=cwd, env=env, preexec_fn=lambda: limits(seconds), text=True, errors="replace", **kwargs
    )


class Tests:
    """The tests of a package: their names, how long each takes, and the places it reaches."""

    def __init__(self, binary, package, jobs):
        self.binary, self.package = binary, package
        listed = subprocess.run([binary, "--list"], capture_output=True, text=True, check=True).stdout
        self.names = re.findall(r"^(\S+): test$", listed, re.M)
        self.reached, self.took = {}, {}
        with ThreadPoolExecutor(jobs) as pool:
            for name, took, sites in pool.map(self.reach, self.names):
                if sites is None:
                    print(f"{name} fails without a mutant and is left out", flush=True)
                    continue
                self.took[name] = took
                for site in sites:
                    self.reached.setdefault(site, []).append(name)

    def reach(self, name):
        before = time.monotonic()
        run = start(self.binary, self.package, "reach", ["--exact", "--nocapture", name],
                    seconds=10 * SECONDS, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        err = run.communicate()[1]
        sites = {int(n) for n in re.findall(r"reached (\d+)", err)} if run.returncode == 0 else None
        return name, time.monotonic() - before, sites

    def verdict(self, mutant):
        """None if all tests pass, else the one that fails, or "timeout"."""
        names = self.reached.get(mutant["site"], [])
        for slow in (False, True):
            some = [n for n in names if (self.took[n] > QUICK) == slow]
            if some and (by := self.run(mutant["id"], some)):
                return by
        return None

    def run(self, number, names):
        run = start(self.binary, self.package, number, ["--exact", "--test-threads=1", *names],
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        watch = threading.Timer(60 * SECONDS, run.kill)
        watch.start()
        try:
            last = ""
            for line in run.stdout:
                if line.startswith("test "):
                    last = line.split()[1]
                    if line.rstrip().endswith("FAILED"):
                        run.kill()
                        run.wait()
                        return last
            code = run.wait()
        finally:
            watch.cancel()
        if code == 0:
            return None
        return "timeout" if code in (-signal.SIGXCPU, -signal.SIGKILL) else f"{last} ({code})"


def verdict(tests, mutant):
    """Tests of the crate itself first; for `wire` those of `tcp`, which stands on it, after them."""
    stages = [mutant["package"]] + (["netstack-tcp"] if mutant["package"] == "netstack-wire" else [])
    for package in stages:
        if by := tests[package].verdict(mutant):
            return {"verdict": "timeout" if by == "timeout" else "caught", "by": by, "package": package}
    reached = any(mutant["site"] in tests[package].reached for package in stages)
    return {"verdict": "survived", "reached": reached}


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--jobs", type=int, default=2)
    args.add_argument("--again", action="store_true")
    args.add_argument("--only", choices=PACKAGES, help="the mutants of one crate")
    args.add_argument("--in", nargs="+", dest="paths", default=[""], help="those in files whose paths begin so: crates/tcp/src/send")
    args = args.parse_args()
    built = json.loads((WORK / "built.json").read_text())
    path = WORK / "verdicts.jsonl"
    known = {}
    if path.exists():
        known = {v["key"]: v["verdict"] for v in map(json.loads, path.open())}
    todo = [m for m in built["mutants"] if m["status"] == "viable" and args.only in (None, m["package"])]
    todo = [m for m in todo if m["file"].startswith(tuple(args.paths))]
    todo = [m for m in todo if known.get(m["key"]) in (("survived",) if args.again else (None,))]
    # Shuffled, so that any part of the run is a sample.
    random.Random(1).shuffle(todo)
    tests = {p: Tests(built["binaries"][p.replace("-", "_")], p, args.jobs) for p in PACKAGES}
    print(f"{len(todo)} to run", flush=True)

    def one(mutant):
        try:
            v = verdict(tests, mutant)
        except Exception as e:
            print(mutant["key"], repr(e), flush=True)
            raise
        with LOCK, path.open("a") as out:
            out.write(json.dumps({"key": mutant["key"], **v}) + "\n")

    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(one, todo))


if __name__ == "__main__":
    main()
