"""A gate in words: for the terminal, for a pull request (Markdown) and for a build server (JUnit XML)."""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from governance.cli import output

Gate = dict[str, Any]
MET = ("pass", "warn")


def lines(gate: Gate, *, everything: bool) -> list[str]:
    """Return the gate as lines of a terminal: each check, and which number missed which limit of which policy line."""
    found = [output.plain(f"{_title(gate)}"), output.plain(_policy(gate)), ""]
    for check in gate["checks"]:
        found.append(f"{output.word(check['verdict'] or check['state'], 12)}  {output.plain(check['check'])}")
        for line in check["lines"]:
            if line["verdict"] != "pass":
                found += _missed(line)
            elif everything:
                found += _sentence("pass", _value(line))
        if not check["lines"]:
            found += [part for reason in check["reasons"] for part in output.wrapped(reason, 16)]
    return [*found, "", *output.wrapped(verdict(gate), 0)]


def _missed(line: dict[str, Any]) -> list[str]:
    policy = f"policy line {line['line']}, {line['n']:,} rows"
    return [*_sentence(line["verdict"], line["reason"]), *output.wrapped(policy, 16)]


def _sentence(found: str, said: str) -> list[str]:
    first, *rest = output.wrapped(said, 16)
    return [f"  {output.word(found, 12)}  {first.strip()}", *rest]


def verdict(gate: Gate) -> str:
    """Return in one sentence whether the gate is passed."""
    every = [line for check in gate["checks"] for line in check["lines"]]
    missed = [line for line in every if line["verdict"] not in MET]
    warned = [line for line in every if line["verdict"] == "warn"]
    if gate.get("unservable"):
        return f"Gate not passed: it is not checked, because it cannot be served: {gate['unservable'].rstrip('.')}."
    if not gate["done"]:
        waiting = ", ".join(check["check"] for check in gate["checks"] if check["state"] != "done")
        return f"Gate not passed: not checked yet: {waiting}. Wait for it with --wait."
    if gate["passed"]:
        return f"Gate passed: {len(every)} limits are met, {len(warned)} with a warning."
    broken = [check["check"] for check in gate["checks"] if check["verdict"] not in MET and not check["lines"]]
    said = [f"{len(missed)} of {len(every)} limits are not met"] if missed else []
    said += [f"could not be measured: {', '.join(broken)}"] if broken else []
    return f"Gate not passed: {'; '.join(said)}."


def markdown(gate: Gate) -> str:
    """Return the gate as Markdown for a pull request."""
    rows = [
        f"| {_cell(check['check'])} | {_cell(line['verdict'])} | {_cell(_value(line))} | `{_cell(line['line'])}` |"
        for check in gate["checks"]
        for line in sorted(check["lines"], key=lambda line: line["verdict"] in MET)
    ]
    bare = [check for check in gate["checks"] if not check["lines"]]
    rows += [
        f"| {_cell(check['check'])} | {_cell(check['verdict'] or check['state'])} | {_cell(_because(check))} | |"
        for check in bare
    ]
    head = ["| check | verdict | measured | policy line |", "|---|---|---|---|"]
    mark = "✅" if gate["passed"] else "❌"
    return "\n".join(
        [f"### {mark} {_cell(_title(gate))}", "", _cell(verdict(gate)), "", *head, *rows, "", _policy(gate), ""]
    )


def junit(gate: Gate) -> bytes:
    """Return the gate as JUnit XML: a suite for each check, a case for each line of the policy."""
    suites = ElementTree.Element("testsuites", name=_clean(_title(gate)))
    for check in gate["checks"]:
        cases = list(_cases(check))
        failed = sum(case.find("failure") is not None for case in cases)
        broken = sum(case.find("error") is not None for case in cases)
        suite = ElementTree.SubElement(suites, "testsuite", name=_clean(check["check"]))
        counts = {"tests": len(cases), "failures": failed, "errors": broken}
        for key, value in {**counts, "time": round(check.get("seconds", 0), 3)}.items():
            suite.set(key, str(value))
        suite.extend(cases)
    for name in ("tests", "failures", "errors"):
        suites.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)


def _cases(check: dict[str, Any]) -> Iterator[ElementTree.Element]:
    for line in check["lines"]:
        name = f"{line['name']} ({line['slice']})" if line["slice"] else line["name"]
        yield _case(check["check"], name, line["verdict"], f"{line['reason'] or _value(line)} [{line['line']}]")
    if not check["lines"]:
        said = " ".join(check["reasons"]) or f"The check is {check['state']}."
        yield _case(check["check"], "measured", check["verdict"] or "insufficient", said)


def _case(check: str, name: str, found: str, said: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_clean(f"gate.{check}"), name=_clean(name))
    kind = {"fail": "failure", "insufficient": "error", "error": "error"}.get(found)
    if kind:
        ElementTree.SubElement(case, kind, message=_clean(said), type=found)
    elif found == "warn":
        ElementTree.SubElement(case, "system-out").text = _clean(f"warning: {said}")
    return case


def _because(check: dict[str, Any]) -> str:
    return " ".join(check["reasons"])


def _title(gate: Gate) -> str:
    name = f"{gate['model']}/{gate['version']}" if gate.get("version") else f"{gate['model']}, not registered"
    return f"Gate of {name}"


def _policy(gate: Gate) -> str:
    policy = gate["policy"]
    known = (
        f"policy of tier {policy['tier']}, number {policy['number']}"
        if policy.get("number")
        else "a policy of your own"
    )
    return f"under {known}" + (f" ({policy['digest'][:12]}…)" if policy.get("digest") else "")


def _value(line: dict[str, Any]) -> str:
    name = f"{line['name']} ({line['slice']})" if line["slice"] else line["name"]
    chance = "" if line["p"] is None else f", p {line['p']:.2g}"
    limit = ", ".join(f"{part.replace('_', ' ')} {edge:g}" for part, edge in line["limit"].items())
    return f"{name} {output.number(line['value'])}{chance} ({limit})"


def _cell(text: str) -> str:
    return output.plain(text).replace("|", "\\|").replace("`", "'").replace("<", "&lt;").replace("@", "@\u200b")


def _clean(text: str) -> str:
    """Return a text without the characters that XML 1.0 cannot hold."""
    return output.plain(text)
