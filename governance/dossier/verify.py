#!/usr/bin/env python3
"""Verify a Countersign dossier offline, with Python's standard library alone (3.8 or newer).

    python3 verify.py DOSSIER.zip [--key VKEY]...

Exit 0: every byte of the archive is accounted for. Exit 1: the first bad record is named. Exit 2: wrong usage.
Give --key with the log's and the governor's public keys as you got them from somebody other than the operator;
without it, the keys inside the dossier are used, and what is shown is only that the dossier agrees with itself.

It does not prove that inputs were true, that a model is good, or that signers who colluded were honest.
"""

import argparse
import base64
import contextlib
import hashlib
import io
import json
import math
import re
import struct
import sys
import zipfile
import zlib

FORMAT = "countersign-dossier/1"


class Bad(Exception):
    """The first record that is not as it should be."""


@contextlib.contextmanager
def about(what):
    """Name the record that turns out not to be of its form."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise Bad("%s: malformed (%s)" % (what, type(error).__name__)) from error


# ---- the archive: stored zip in one fixed form, so that no byte of the container is free --------------------------


def pack(files):
    """Return the one zip archive (stored, sorted, dated 1980) that holds these files: path -> bytes."""
    body, directory = bytearray(), bytearray()
    for name in sorted(files):
        data, raw = files[name], name.encode()
        fixed = struct.pack("<HHHHHLLLHH", 20, 0x800, 0, 0, 0x21, zlib.crc32(data), len(data), len(data), len(raw), 0)
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + fixed
        directory += struct.pack("<HHHLL", 0, 0, 0, 0, len(body)) + raw
        body += b"PK\x03\x04" + fixed + raw + data
    end = struct.pack("<HHHHLLH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return bytes(body + directory + b"PK\x05\x06" + end)


def unpack(data):
    """Return path -> bytes of an archive made by `pack`; Bad for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            items = archive.infolist()
            stored = all(item.compress_type == zipfile.ZIP_STORED for item in items)
            if not stored or len(items) > 65535 or sum(item.file_size for item in items) > len(data):
                raise ValueError("it would unpack to more than it holds")
            files = {item.filename: archive.read(item) for item in items}
    except Exception as error:
        raise Bad("archive: cannot be read (%s)" % error) from error
    if pack(files) != data:
        raise Bad("archive: its bytes are not those of an untouched dossier")
    return files


# ---- Ed25519 (RFC 8032), verification only -----------------------------------------------------------------------

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)


def _x_of(y, sign):
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    if square == 0:
        return None if sign else 0
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P:
        return None
    return _P - x if (x & 1) != sign else x


def _point(data):
    y = int.from_bytes(data, "little")
    x = _x_of(y & (2**255 - 1), y >> 255)
    y &= 2**255 - 1
    return None if x is None else (x, y, 1, x * y % _P)


def _add(a, b):
    p, q = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    r, s = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    e, f, g, h = q - p, s - r, s + r, q + p
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _times(number, point):
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = _add(result, point)
        point = _add(point, point)
        number >>= 1
    return result


_Y = 4 * pow(5, _P - 2, _P) % _P
_BASE = (_x_of(_Y, 0), _Y, 1, _x_of(_Y, 0) * _Y % _P)


def ed25519(public, message, signature):
    """Say whether the signature is by this public key over this message."""
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = _point(public), _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= _L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _L
    left, right = _times(s, _BASE), _add(r, _times(h, a))
    return not ((left[0] * right[2] - right[0] * left[2]) % _P or (left[1] * right[2] - right[1] * left[2]) % _P)


# ---- keys, notes, trees (C2SP signed-note, tlog-checkpoint, tlog-proof; RFC 6962) ----------------------------------


def unbase64(text, what):
    """Decode canonical base64 only."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Bad("%s: not base64" % what) from error
    if base64.b64encode(data).decode() != text:
        raise Bad("%s: not canonical base64" % what)
    return data


def parse_key(vkey, what):
    """Return (name, id, public key) of a verifier key."""
    parts = vkey.split("+", 2)
    if len(parts) != 3:
        raise Bad("%s: not a verifier key" % what)
    key = unbase64(parts[2], what)
    identity = hashlib.sha256(parts[0].encode() + b"\n" + key).digest()[:4]
    if len(key) != 33 or key[0] != 1 or identity.hex() != parts[1]:
        raise Bad("%s: the key's id does not belong to its bytes" % what)
    return parts[0], identity, key[1:]


def open_checkpoint(note, key, what):
    """Return (size, root) of a signed checkpoint."""
    name, identity, public = key
    match = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([^\n]+)\n\n\u2014 ([^\s]+) ([^\s]+)\n", note)
    if not match or match[1] != name or match[4] != name:
        raise Bad("%s: not a checkpoint of %s" % (what, name))
    blob = unbase64(match[5], what)
    text = note[: note.rindex("\n\n") + 1].encode()
    if blob[:4] != identity or not ed25519(public, text, blob[4:]):
        raise Bad("%s: the checkpoint's signature is wrong" % what)
    root = unbase64(match[3], what)
    if len(root) != 32:
        raise Bad("%s: the checkpoint's root is malformed" % what)
    return int(match[2]), root


def included(entry, proof, checkpoint, what):
    """Return the index at which a tlog-proof shows an entry under (note, size, root); Bad if it does not."""
    note, size, root = checkpoint
    head, blank, embedded = proof.partition("\n\n")
    lines = head.split("\n")
    if not blank or embedded != note or lines[0] != "c2sp.org/tlog-proof@v1" or len(lines) < 2:
        raise Bad("%s: the proof is malformed or under another checkpoint" % what)
    match = re.fullmatch(r"index (0|[1-9][0-9]{0,18})", lines[1])
    hashes = [unbase64(line, what) for line in lines[2:]]
    if not match or int(match[1]) >= size or any(len(item) != 32 for item in hashes):
        raise Bad("%s: the proof is malformed" % what)
    node, last = int(match[1]), size - 1
    result = hashlib.sha256(b"\x00" + entry).digest()
    for item in hashes:
        if last == 0:
            raise Bad("%s: the proof is too long" % what)
        if node & 1 or node == last:
            result = hashlib.sha256(b"\x01" + item + result).digest()
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            result = hashlib.sha256(b"\x01" + result + item).digest()
        node, last = node >> 1, last >> 1
    if last or result != root:
        raise Bad("%s: the entry is not in the log" % what)
    return int(match[1])


# ---- the dossier -------------------------------------------------------------------------------------------------


def parse(data, what):
    """Return the JSON value of bytes."""
    with about(what):
        return json.loads(data)


def sha256(data):
    """Return the hexadecimal digest."""
    return hashlib.sha256(data).hexdigest()


def read_keys(files, pinned):
    """Return key file -> parsed key, refusing keys other than the pinned ones."""
    keys = {}
    for path in sorted(files):
        if path.startswith("keys/"):
            vkey = files[path].decode("ascii", "replace")
            if not vkey.endswith("\n"):
                raise Bad("%s: not a verifier key" % path)
            keys[path[5:-5]] = parse_key(vkey[:-1], path)
            if not keys[path[5:-5]][0].endswith("/" + path[5:-5]):
                raise Bad("%s: this key belongs to %s" % (path, keys[path[5:-5]][0]))
            if pinned and vkey[:-1] not in pinned:
                raise Bad("%s: this is not a key you pinned" % path)
    for needed in ("governance", "decisions", "warrants"):
        if needed not in keys:
            raise Bad("keys/%s.vkey: missing" % needed)
    return keys


def check_manifest(files):
    """Check that the manifest names every file there is, with its digest; return the manifest."""
    if "manifest.json" not in files:
        raise Bad("manifest.json: missing")
    manifest = parse(files["manifest.json"], "manifest.json")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise Bad("manifest.json: not of the format %s" % FORMAT)
    outside = re.compile(r"manifest\.json|issued\.json|checkpoints/.*|proofs/.*")
    with about("manifest.json"):
        digests = dict(manifest["files"])
        paths = sorted(set(files) | set(digests))
    for path in paths:
        if path not in files:
            raise Bad("%s: missing, though manifest.json names it" % path)
        if path in digests:
            if sha256(files[path]) != digests[path]:
                raise Bad("%s: its bytes differ from the manifest" % path)
        elif not outside.fullmatch(path):
            raise Bad("%s: not in the manifest" % path)
    return manifest


def check_entries(files, keys):
    """Check every entry's inclusion; return the entries' contents, oldest first in each log."""
    heads = {}
    for log in ("governance", "decisions"):
        path = "checkpoints/%s" % log
        if path in files:
            note = files[path].decode("utf-8", "replace")
            heads[log] = (note,) + open_checkpoint(note, keys[log], path)
    entries, used = {}, set()
    paths = sorted(p for p in files if p.startswith("entries/")) + ["issued.json"]
    for path in paths:
        with about(path):
            if path not in files:
                raise Bad("%s: missing" % path)
            log, name = path.split("/")[1:] if path != "issued.json" else ("governance", "issued.json")
            proof = "proofs/%s/%s" % (log, name.replace(".json", ".tlog-proof"))
            if proof not in files or log not in heads:
                raise Bad("%s: no proof" % path)
            used.add(proof)
            index = included(files[path], files[proof].decode("utf-8", "replace"), heads[log], proof)
            entries[path] = dict(parse(files[path], path), index=index)
    strays = sorted(p for p in files if p.startswith("proofs/") and p not in used)
    strays += sorted(p for p in files if p.startswith("checkpoints/") and p[12:] not in heads)
    if strays:
        raise Bad("%s: belongs to nothing" % strays[0])
    return entries


def named_digests(entries):
    """Return every digest that a proven entry names -> the entry's path."""
    found = {}
    for path, entry in entries.items():
        with about(path):
            for value in entry["facts"].values():
                if isinstance(value, str):
                    found.setdefault(value, path)
    return found


def check_objects(files, entries):
    """Check that each record's digest is named by a proven entry; return kind -> records."""
    named, objects = named_digests(entries), {}
    for path in sorted(p for p in files if p.startswith("records/")):
        if sha256(files[path]) not in named:
            raise Bad("%s: no proven entry names it" % path)
        objects.setdefault(path.split("/")[1], {})[sha256(files[path])] = (path, parse(files[path], path))
    return objects


def record(objects, kind, digest, what):
    """Return the record of a kind with this digest."""
    if digest not in objects.get(kind, {}):
        raise Bad("%s: the %s it names is not in the dossier" % (what, kind))
    return objects[kind][digest][1]


def check_datasets(objects):
    """Check that every data set a version names is there, with what its columns are."""
    known = set()
    for path, dataset in objects.get("dataset", {}).values():
        with about(path):
            known.add(dataset["dataset"])
    for path, version in objects.get("version", {}).values():
        with about(path):
            for role in ("training", "reference", "holdout", "golden"):
                named = version["lineage"].get("%s_data" % role)
                if named and named not in known:
                    raise Bad("%s: its %s data set is not in the dossier" % (path, role))


def check_requests(objects):
    """Check that approved requests bind what they should and carry the signatures their policy demands."""
    for _, (path, request) in sorted(objects.get("request", {}).items()):
        with about(path):
            package = record(objects, "package", request["package"], path)
            policy = record(objects, "policy", request["policy"], path)
            if package["policy"] != request["policy"]:
                raise Bad("%s: the package was judged by another policy" % path)
            author = record(objects, "version", package["version"], path)["author"]
            owed = {need["role"]: need["count"] for need in policy["rules"]["signatures"]}
            signers, digest = set(), [d for d, item in objects["request"].items() if item[0] == path][0]
            for signature_path, signature in objects.get("signature", {}).values():
                if signature["request"] != request["id"]:
                    continue
                if signature["digest"] != digest:
                    raise Bad("%s: it is over another digest than the request's" % signature_path)
                if signature["signer"] in signers | {author, request["requester"]}:
                    raise Bad("%s: its signer is author, requester or signed twice" % signature_path)
                signers.add(signature["signer"])
                if signature["outcome"] == "approve" and signature["role"] in owed:
                    owed[signature["role"]] -= 1
                elif signature["outcome"] != "approve":
                    owed["refused by %s" % signature["signer"]] = 1
            request["missing"] = {role: number for role, number in owed.items() if number > 0}


def check_evidence(objects):
    """Check that each request's evidence digest is that of the results in the dossier."""
    results = objects.get("result", {})
    for path, request in objects.get("request", {}).values():
        with about(path):
            package = record(objects, "package", request["package"], path)
            judged = (package["version"], request["policy"])
            mine = {r["check"]: digest for digest, (_, r) in results.items() if (r["version"], r["policy"]) == judged}
            compact = json.dumps(mine, sort_keys=True, separators=(",", ":"))  # of plain words this is RFC 8785
            if sha256(compact.encode()) != request["evidence"]:
                raise Bad("%s: its evidence is not the evidence in the dossier" % path)


def check_deployments(files, keys, objects, entries):
    """Check every warrant and that what it lets serve was signed for; return deployment number -> package digest."""
    served = {}
    for place, entry in entries.items():
        with about(place):
            if entry["event"] != "deployment.made":
                continue
            facts = entry["facts"]
            name = "warrants/%s.json" % facts["deployment"]
            if name not in files or sha256(files[name]) != facts["warrant"]:
                raise Bad("%s: missing, or not the warrant that was entered" % name)
            envelope = parse(files[name], name)
            body = unbase64(envelope["payload"], name)
            kind = envelope["payloadType"].encode()
            pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)
            if not ed25519(keys["warrants"][2], pae, unbase64(envelope["signatures"][0]["sig"], name)):
                raise Bad("%s: the governor's signature is wrong" % name)
            statement = parse(body, name)
            said = statement["predicate"]
            if statement["subject"][0]["digest"]["sha256"] != facts["package"] or said["request"] != facts["request"]:
                raise Bad("%s: it warrants something else than was deployed" % name)
            request = record(objects, "request", said["request_digest"], name)
            if request["package"] != facts["package"]:
                raise Bad("%s: the request was for another package" % name)
            if request["missing"]:
                raise Bad("%s: signatures are missing: %s" % (name, sorted(request["missing"])))
            for digest in said["signatures"]:
                record(objects, "signature", digest, name)
            served[facts["deployment"]] = facts["package"]
    return served


def check_decision(files, objects, entries, served):
    """Check that the decision is the one entered, adds up, and follows from the package that was signed."""
    answered = [e for e in entries.values() if e["event"] == "decision.answered"]
    parts = sorted(path for path in files if path.startswith("decision/") and path != "decision/salts.json")
    if not parts and "decision/salts.json" not in files:
        return
    if len(answered) != 1:
        raise Bad("decision: not exactly one answer is entered")
    facts = answered[0]["facts"]
    salts = parse(files.get("decision/salts.json", b""), "decision/salts.json")
    with about("decision/salts.json"):
        found = {path: committed(files[path], path, salts) for path in parts}
    for part in ("inputs", "answer"):
        path = "decision/%s.json" % part
        if found.pop(path, None) != facts[part]:
            raise Bad("%s: not what was committed to when it was answered" % path)
    check_outcomes(found, answered[0]["subject"], entries)
    if served.get(facts["deployment"]) != facts["package"]:
        raise Bad("decision: it was answered by a package that was not deployed")
    package = record(objects, "package", facts["package"], "decision")
    record(objects, "version", package["version"], "decision")
    check_answer(parse(files["decision/answer.json"], "decision/answer.json"), package)


def committed(data, path, salts):
    """Return the commitment under which a part of the decision must have been entered."""
    name = path[len("decision/") : -len(".json")]
    if name not in salts:
        raise Bad("%s: its salt is not in decision/salts.json" % path)
    prefix = b"countersign/commit/v1/" + name.split("/")[0].encode() + b"\0"
    return hashlib.sha256(prefix + bytes.fromhex(salts[name]) + data).hexdigest()


def check_outcomes(found, subject, entries):
    """Check that the outcomes (path -> commitment) are those entered about the decision, and that none is left out."""
    owed = {
        entry["facts"]["outcome"]: path
        for path, entry in entries.items()
        if entry["event"] == "outcome.recorded" and entry["subject"] == subject
    }
    for path in sorted(found):
        if owed.pop(found[path], None) is None:
            raise Bad("%s: not what was committed to when it was recorded" % path)
    for path in sorted(owed.values()):
        raise Bad("%s: the outcome it commits to is not in the dossier" % path)


def check_answer(answer, package):
    """Check additivity, link, band and reasons of an answer under its package."""
    what = "decision/answer.json"
    if len(answer["attributions"]) != len(answer["features"]):
        raise Bad("%s: not one attribution for each feature" % what)
    gap = abs(answer["base"] + sum(answer["attributions"]) - answer["margin"])
    if not gap <= 1e-4:
        raise Bad("%s: base value and attributions miss the margin by %g" % (what, gap))
    margin = answer["margin"]
    score = 1 / (1 + math.exp(-margin)) if answer["link"] == "logit" else margin
    if not abs(score - answer["score"]) <= 1e-6:
        raise Bad("%s: the score does not follow from the margin" % what)
    band = [band for band in package["bands"] if answer["score"] >= band["from"]][-1]
    if (band["name"], band["action"]) != (answer["band"], answer["action"]):
        raise Bad("%s: the band does not follow from the score" % what)
    ranked = sorted(zip(answer["attributions"], answer["features"]), key=lambda item: (-item[0], item[1]))
    expected = [dict(package["reasons"][f], feature=f, contribution=v) for v, f in ranked[:4] if v > 0]
    if answer["reasons"] != expected:
        raise Bad("%s: the reasons do not follow from the attributions" % what)


def check_title(manifest, files, objects, entries):
    """Check that the title is what the records say: nothing is to be shown under the name of something else."""
    if len(objects.get("version", {})) != 1:
        raise Bad("records/version: not exactly one version")
    version = list(objects["version"].values())[0][1]
    title = "%s v%s" % (version["model"], version["number"])
    if any(path.startswith("decision/") for path in files):
        subject = [e["subject"] for e in entries.values() if e["event"] == "decision.answered"][0]
        title = "decision %s by %s" % (subject.partition(":")[2], title)
    if manifest["title"] != title:
        raise Bad("manifest.json: its title is not what it holds, which is %s" % title)


def verify(data, pinned=()):
    """Verify the bytes of a dossier; return a summary, or raise Bad naming the first bad record."""
    with about("archive"):
        return check_all(unpack(data), pinned)


def check_all(files, pinned):
    """Check each part of an unpacked dossier; return the summary."""
    keys = read_keys(files, pinned)
    manifest = check_manifest(files)
    entries = check_entries(files, keys)
    with about("issued.json"):
        issued, facts = entries["issued.json"], entries["issued.json"]["facts"]
        digest = facts.get("dossier") if issued["event"] == "dossier.issued" else None
    if digest != sha256(files["manifest.json"]):
        raise Bad("manifest.json: not the one that was entered when the dossier was issued")
    objects = check_objects(files, entries)
    check_datasets(objects)
    check_evidence(objects)
    check_requests(objects)
    served = check_deployments(files, keys, objects, entries)
    with about("decision"):
        check_decision(files, objects, entries, served)
    with about("manifest.json"):
        check_title(manifest, files, objects, entries)
    return {
        "dossier": manifest["title"],
        "entries": len(entries),
        "records": sum(len(items) for items in objects.values()),
        "deployments": len(served),
        "files": len(files),
        "keys": {name: key[1].hex() for name, key in keys.items()},
        "pinned": bool(pinned),
    }


def plain(text):
    """Return what a text says on one line: a name in an archive could else write lines of its own."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def main():
    """Run as a script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dossier")
    parser.add_argument("--key", action="append", default=[], help="a public key you trust (once for each key)")
    given = parser.parse_args()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with open(given.dossier, "rb") as file:
            data = file.read()
    except OSError as error:
        print("cannot read %s: %s" % (given.dossier, error), file=sys.stderr)
        return 2
    try:
        summary = verify(data, given.key)
    except Bad as bad:
        print("REFUSED  %s" % plain(bad))
        return 1
    print("VERIFIED  %s" % plain(summary["dossier"]))
    print(
        "  %(entries)d log entries proven, %(records)d records, %(deployments)d deployments, %(files)d files" % summary
    )
    for name, identity in sorted(summary["keys"].items()):
        trust = "pinned by you" if summary["pinned"] else "from the dossier: compare it with the published one"
        print("  key %s %s (%s)" % (name, identity, trust))
    return 0


if __name__ == "__main__":
    sys.exit(main())
