"""Judges everything in deploy/: renders each overlay, runs every check over it, and then proves that the checks
can fail (faults.py). Exit code 1 with a line for each finding."""

import sys

import compose
import faults
import flows
import links
import policy
import render
import rules
import schema

OBJECT_CHECKS = {"schema": schema.check, "links": links.check, "policy": policy.check, "flows": flows.check}


def findings(every):
    """(check, finding) of all checks over one overlay's objects."""
    for check, run in OBJECT_CHECKS.items():
        yield from ((check, finding) for finding in run(every))


def main():
    found, judged = [], {}
    for overlay in render.OVERLAYS:
        judged[overlay] = render.objects(render.text(overlay))
        found += [f"{overlay}: {check}: {finding}" for check, finding in findings(judged[overlay])]
        print(f"{overlay}: {len(judged[overlay])} objects")
    found += [f"secrets: {finding}" for finding in links.given_by_script()]
    found += [f"compose: {finding}" for finding in compose.check(compose.load())]
    groups = rules.load()
    found += [f"rules: {finding}" for finding in rules.check(groups, judged["keda"])]
    if found:
        print("\n".join(found))
        return 1
    missed, seeded = faults.run(judged, OBJECT_CHECKS)
    for fault, spoiled in rules.seeded(groups):
        seeded += 1
        if not list(rules.check(spoiled, judged["keda"])):
            missed.append(fault)
    for fault, spoil, in compose.SEEDED.items():
        seeded += 1
        if not list(compose.check(compose.spoiled(spoil))):
            missed.append(fault)
    for fault in missed:
        print(f"seeded and not found: {fault}")
    print(f"{seeded} faults were seeded, {seeded - len(missed)} found")
    return 1 if missed or seeded < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
