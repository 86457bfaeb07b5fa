#!/usr/bin/env python3
"""ecsx-@NAME@: run by `ecsx @NAME@`. The contract it keeps is ecsx' docs/plugins.md."""

import argparse
import json
import os
import subprocess
import sys

VERSION = "0.1.0"
SUMMARY = "Say which task would be taken"

# The options of ecsx mean the same after the name as before it: there they become environment.
GLOBALS = {
    "--cluster": "ECSX_CLUSTER",
    "--service": "ECSX_SERVICE",
    "--profile": "ECSX_PROFILE",
    "--region": "ECSX_REGION",
    "--config": "ECSX_CONFIG",
    "--color": "ECSX_COLOR",
}
ECSX = os.environ.get("ECSX_BIN", "ecsx")


def parser():
    parser = argparse.ArgumentParser(prog="ecsx @NAME@", description=SUMMARY, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"ecsx-@NAME@ {VERSION}")
    parser.add_argument("--field", choices=["task_id", "container", "cluster"], help="print this only")
    parser.add_argument("-v", "--verbose", action="store_const", const="1", help="say more")
    parser.add_argument("-q", "--quiet", action="store_const", const="1", help="say only what failed")
    parser.add_argument("-C", metavar="DIR", help="work in DIR")
    for option, variable in GLOBALS.items():
        parser.add_argument(option, default=os.environ.get(variable), help=f"[env: {variable}]")
    return parser


def describe():
    """What ecsx asks once, on `ecsx plugin inspect` and `install`."""
    return {
        "schema": 1,
        "name": "@NAME@",
        "version": VERSION,
        "summary": SUMMARY,
        "protocol": [1],
        "complete": True,
    }


def complete(words):
    """What ecsx asks at TAB: the words before the cursor, and the one at the cursor."""
    *before, current = words or [""]
    for option, value in zip(before, before[1:]):
        if option in GLOBALS:
            os.environ[GLOBALS[option]] = value
    if before and before[-1] in GLOBALS:
        # ecsx knows its own values: ask it, as the shell would. Its answer is ours.
        return subprocess.run([ECSX, "__complete", "target", before[-1], current])
    options = {string: action for action in parser()._actions for string in action.option_strings}
    previous = options.get(before[-1]) if before else None
    if previous is not None and previous.nargs is None:
        candidates = [(value, "") for value in previous.choices or []]
    else:
        candidates = [(name, action.help or "") for name, action in options.items() if name.startswith("--")]
    for value, about in candidates:
        if value.startswith(current):
            print(f"{value}\t{about}" if about else value)
    print(":4")  # no file names


def target(arguments):
    """The task and container that ecsx would take."""
    if arguments.C:
        os.chdir(arguments.C)
    given = vars(arguments)
    for option, variable in {**GLOBALS, "--verbose": "ECSX_VERBOSE", "--quiet": "ECSX_QUIET"}.items():
        if given[option.lstrip("-")]:
            os.environ[variable] = given[option.lstrip("-")]
    answer = subprocess.run([ECSX, "target", "-o", "json"], stdout=subprocess.PIPE)
    if answer.returncode:
        sys.exit(answer.returncode)  # ecsx has said why
    return json.loads(answer.stdout)


def main(words):
    if words[:2] == ["__ecsx", "describe"]:
        return print(json.dumps(describe()))
    if words[:1] == ["__complete"]:
        return complete(words[1:])
    arguments = parser().parse_args(words)
    found = target(arguments)
    print(found[arguments.field] if arguments.field else json.dumps(found, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
