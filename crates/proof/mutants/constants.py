"""Tries with cargo-mutants itself what no switch reaches (constants, functions that give an unnamed type), a build for each, and
appends the verdicts to `verdicts.jsonl`.

    constants.py [--jobs N]
"""

import argparse
import json
import os
import re
import subprocess

from build import OUT, PACKAGES, ROOT, WORK

VERDICTS = {"CaughtMutant": "caught", "MissedMutant": "survived", "Timeout": "timeout", "Unviable": "unviable"}


def pattern(mutant):
    return "^" + re.sub(r"([^\w\s/<>='&:-])", r"\\\1", mutant["name"]) + "$"


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--jobs", type=int, default=1)
    args = args.parse_args()
    todo = {m["name"]: m for m in json.loads(OUT.read_text())["mutants"] if m["status"] == "inexpressible"}
    print(f"{len(todo)} to run", flush=True)
    # The names do not keep it from deleting fields of structs: no more files than needed.
    command = ["cargo-mutants", "mutants", "--baseline", "skip", "--timeout", "60", "--jobs", str(args.jobs), "--cap-lints", "true"]
    command += ["--output", str(WORK / "constants")]
    command += [a for p in PACKAGES for a in ("--package", p)]
    command += [a for f in sorted({m["file"] for m in todo.values()}) for a in ("--file", f)]
    command += [a for m in todo.values() for a in ("--re", pattern(m))]
    environment = os.environ | {"PROPTEST_DISABLE_FAILURE_PERSISTENCE": "true"}
    subprocess.run([*command, "--", "--lib"], cwd=ROOT, env=environment)
    outcomes = json.loads((WORK / "constants" / "mutants.out" / "outcomes.json").read_text())["outcomes"]
    with (WORK / "verdicts.jsonl").open("a") as out:
        for outcome in outcomes:
            if mutant := todo.get(outcome["scenario"]["Mutant"]["name"]):
                verdict = {"key": mutant["key"], "verdict": VERDICTS[outcome["summary"]], "package": mutant["package"]}
                out.write(json.dumps(verdict) + "\n")


if __name__ == "__main__":
    main()
