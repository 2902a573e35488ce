#!/usr/bin/env python3
"""Verify a Countersign dossier offline, with Python's standard library alone (3.8 or newer).

    python3 verify.py DOSSIER.zip [--policy FILE] [--key VKEY]...

Exit 0: every byte of the archive is accounted for. Exit 1: the first bad record is named. Exit 2: wrong usage.

Give --policy with the log's trust policy (c2sp.org/tlog-policy: its logs, the witnesses you believe, their quorum) and
--key with the governor's public key, both as you got them from somebody other than the operator. Without them the keys
inside the dossier are used, and what is shown is only that the dossier agrees with itself.

The file reads from top to bottom in the order of the argument: an untouched archive, the logs' heads, their entries,
the records that they name, and what must follow from them. What that does not prove is said at the end.
"""

import argparse
import base64
import collections
import contextlib
import datetime
import hashlib
import io
import json
import math
import re
import struct
import sys
import zipfile
import zlib

FORMAT = "countersign-dossier/2"
KINDS = ("decision", "version", "model", "period")
INTAKE = "service:intake"  # pins what somebody asked for
LOGS, ENDS = ("governance", "decisions"), ("opening", "closing")
JOURNAL = re.compile("[0-9a-f]{32}/[1-9][0-9]{0,17}/[0-9a-f]{64}")  # which, at which place, under which hash
MOMENT = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}([.][0-9]{6})?[+]00:00")  # they compare as texts
NOT_PROVEN = (
    "that what was sent in as inputs, labels or training data was true;",
    "that a model is good, fair or fit for its purpose: only what was measured, by which rules, and who signed;",
    "that signers acted honestly: people who colluded, or who lent each other passwords, signed validly;",
    "that nothing was kept back: only of a period's governance entries is it shown that none is missing;",
    "that no newer policy was adopted just before a request, unless a period over that time shows every entry.",
)


class Bad(Exception):
    """The first record that is not as it should be."""


def demand(right, what, reason, *values):
    """Refuse a record, for a reason, unless it is right."""
    if not right:
        raise Bad("%s: %s" % (what, reason % values))


@contextlib.contextmanager
def about(what):
    """Name the record that turns out not to be of its form, whatever breaks while it is read."""
    try:
        yield
    except Bad:
        raise
    except Exception as error:
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
    with about("archive"), zipfile.ZipFile(io.BytesIO(data)) as archive:
        items = archive.infolist()
        sizes = [item.file_size for item in items if item.compress_type == zipfile.ZIP_STORED]
        small = len(sizes) == len(items) < 65536 and sum(sizes) <= len(data)
        demand(small, "archive", "it would unpack to more than it holds")
        files = {item.filename: archive.read(item) for item in items}
    demand(pack(files) == data, "archive", "its bytes are not those of an untouched dossier")
    return files


# ---- Ed25519 (RFC 8032), verification only -----------------------------------------------------------------------
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)


def _point(data):
    """Return the point that 32 bytes encode, in extended coordinates; None when they are not the encoding of one."""
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    x = x if (x * x - square) % _P == 0 else x * _ROOT % _P
    if y >= _P or (x * x - square) % _P or (x == 0 and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return (x, y, 1, x * y % _P)


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


_BASE = _point(b"\x58" + b"\x66" * 31)


def ed25519(public, message, signature):
    """Say whether the signature is by this public key over this message."""
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = _point(public), _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= _L or _times(8, a)[0] == 0:  # a key of small order signs anything
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _L
    left, right = _times(s, _BASE), _add(r, _times(h, a))
    return not ((left[0] * right[2] - right[0] * left[2]) % _P or (left[1] * right[2] - right[1] * left[2]) % _P)


# ---- keys, notes, policies (C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy) ---------------------
NOTE_KEY, COSIGNER, ML_DSA = 1, 4, 6  # signature types; Python's standard library knows nothing of the last one
Key = collections.namedtuple("Key", "name identity kind public")
Policy = collections.namedtuple("Policy", "logs names quorum")  # names: -> a witness's Key, or a group's (k, members)
Head = collections.namedtuple("Head", "note size root cosigned unchecked sealed")


def unbase64(text, what):
    """Decode canonical base64 only."""
    with about(what):
        data = base64.b64decode(text, validate=True)
    demand(base64.b64encode(data).decode() == text, what, "not canonical base64")
    return data


def parse_key(vkey, what, kinds=(NOTE_KEY,)):
    """Return the key that a vkey (name+id+base64 of type and public key) says, if it is of one of these types."""
    name, _, rest = vkey.partition("+")
    identity, _, encoded = rest.partition("+")
    demand(name and encoded and not any(c.isspace() for c in name), what, "not a verifier key")
    key = unbase64(encoded, what)
    fits = key[0] in kinds and len(key) == (1313 if key[0] == ML_DSA else 33)
    demand(fits, what, "not a key of a type that belongs here")
    proper = hashlib.sha256(name.encode("utf-8", "surrogateescape") + b"\n" + key).digest()[:4]
    demand(proper.hex() == identity, what, "the key's id does not belong to its bytes")
    return Key(name, proper, key[0], key[1:])


def parse_policy(data, what):
    """Return the policy that the bytes of a tlog-policy file say; Bad for any line that is not of its form."""
    demand(not re.search(rb"[^\t\n -~\x80-\xff]", data), what, "it holds control characters")
    logs, names, members, quorum = {}, {}, set(), []
    for line_number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        here, (word, *rest) = "%s line %d" % (what, line_number), re.split("[ \t]+", line.strip(" \t"))
        if not word or word.startswith("#"):
            continue
        if word in ("witness", "group") and rest:
            demand(rest[0] not in names and rest[0] != "none", here, "the name %s is taken", rest[0])
        if word == "log" and len(rest) in (1, 2):
            logs[rest[0]] = parse_key(rest[0], here, (NOTE_KEY, ML_DSA))
        elif word == "witness" and len(rest) in (2, 3):
            names[rest[0]] = parse_key(rest[1], here, (COSIGNER, ML_DSA))
        elif word == "group" and len(rest) > 2:
            most = len(rest) - 2
            least = {"all": str(most), "any": "1"}.get(rest[1], rest[1])
            demand(re.fullmatch("[1-9][0-9]{0,3}", least) and int(least) <= most, here, "not a number of its members")
            known = all(name in names and name not in members for name in rest[2:]) and len(set(rest[2:])) == most
            demand(known, here, "a member is not defined above, or is one already")
            members.update(rest[2:])
            names[rest[0]] = (int(least), set(rest[2:]))
        elif word == "quorum" and len(rest) == 1:
            demand(rest[0] in names or rest[0] == "none", here, "nobody is called %s", rest[0])
            quorum.append(rest[0])
        else:
            raise Bad("%s: not a line of a tlog-policy" % here)
    demand(len(quorum) == 1, what, "a policy has exactly one quorum line")
    for keys in (list(logs.values()), [item for item in names.values() if isinstance(item, Key)]):
        demand(len({key.public for key in keys}) == len(keys), what, "a key is named twice")
    return Policy(logs, names, None if quorum[0] == "none" else quorum[0])


def met(policy, cosigners):
    """Say whether these witnesses are the policy's quorum; a quorum of none asks for nobody."""
    done = set(cosigners)
    for name, item in policy.names.items():  # a group names only what stands above it
        if not isinstance(item, Key) and len(done & item[1]) >= item[0]:
            done.add(name)
    return policy.quorum is None or policy.quorum in done


def parse_note(data, what):
    """Return the text of a signed note and its signatures: (key name, key id, signature), each only once."""
    with about(what):
        note = data.decode("utf-8")
    text, blank, block = note.rpartition("\n\n")
    lines = block.split("\n")
    clean = blank and not lines.pop() and not any(c < " " and c != "\n" for c in note)
    demand(clean and 0 < len(lines) <= 100, what, "not a signed note")
    signatures = []
    for line in dict.fromkeys(lines):
        match = re.fullmatch("\u2014 ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})", line)
        blob = unbase64(match[2], what) if match else b""
        demand(len(blob) > 4, what, "a signature line is malformed")
        signatures.append((match[1], blob[:4], blob[4:]))
    return text + "\n", signatures


def open_checkpoint(data, key, what, policy=None, demanded=False):
    """Return the head that a log signed, with who of the policy cosigned it and when; `demanded`: by its quorum."""
    text, signatures = parse_note(data, what)
    match = re.fullmatch("([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n", text)
    demand(match and match[1] == key.name and int(match[2]) < 1 << 63, what, "not a checkpoint of %s", key.name)
    witnesses = policy.names.items() if policy else ()
    known = {(item.name, item.identity): (label, item) for label, item in witnesses if isinstance(item, Key)}
    signed, cosigned, unchecked, sealed = False, {}, [], None
    for name, identity, signature in signatures:
        label, witness = known.get((name, identity), (name, None))
        if (name, identity) == (key.name, key.identity):
            signed = ed25519(key.public, text.encode(), signature)
            demand(signed, what, "the log's signature is wrong")
        elif witness and witness.kind == COSIGNER:
            moment = int.from_bytes(signature[:8], "big")
            message = b"cosignature/v1\ntime %d\n" % moment + text.encode()
            right = len(signature) == 72 and 0 < moment < 1 << 63 and ed25519(witness.public, message, signature[8:])
            demand(right, what, "the cosignature by %s is wrong", label)
            cosigned[label] = min(moment, cosigned.get(label, moment))
        else:
            unchecked.append("%s (%s)" % (name, "ML-DSA-44" if len(signature) in (2420, 2428) else "unknown key"))
    demand(signed, what, "the log did not sign it")
    for moment in sorted(cosigned.values(), reverse=True):  # at last, the first second at which the quorum was met
        if policy.quorum and met(policy, [name for name in cosigned if cosigned[name] <= moment]):
            sealed = moment
    enough = not demanded or policy.quorum is None or sealed is not None
    demand(enough, what, "cosigned by %s, which is not the quorum", ", ".join(sorted(cosigned)) or "no witness")
    return Head(data, int(match[2]), unbase64(match[3], what), cosigned, unchecked, sealed)


# ---- the tree (RFC 6962 and RFC 9162 section 2.1; C2SP tlog-proof and tlog-witness) --------------------------------
def leaf_hash(entry):
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left, right):
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def parse_proof(data, start, note, what):
    """Return the number and the hashes (leaf's side first) of a proof that leads to the checkpoint of a note."""
    head, _, embedded = data.partition(b"\n\n")
    form = "(0|[1-9][0-9]{0,18})((?:\n[A-Za-z0-9+/]{43}=){0,63})"  # no sign, no leading zero, 32 bytes a line
    match = re.fullmatch(re.escape(start) + form, head.decode("ascii", "replace"))
    demand(match and embedded == note, what, "malformed, or it does not lead to the checkpoint of this dossier")
    return int(match[1]), [unbase64(line, what) for line in match[2].split("\n")[1:]]


def climb(node, last, path, what):
    """Yield each hash of a proof and whether it stands left (RFC 9162 2.1.3.2 and 2.1.4.2)."""
    for item in path:
        demand(last, what, "the proof is too long")
        left = bool(node & 1) or node == last
        yield item, left
        while left and node and not node & 1:
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    demand(not last, what, "the proof is too short")


def included(entry, data, head, what):
    """Return the index at which a tlog-proof shows an entry under a head; Bad if it does not."""
    index, path = parse_proof(data, "c2sp.org/tlog-proof@v1\nindex ", head.note, what)
    demand(index < head.size, what, "its place is beyond the tree")
    result = leaf_hash(entry)
    for item, left in climb(index, head.size - 1, path, what):
        result = node_hash(item, result) if left else node_hash(result, item)
    demand(result == head.root, what, "the entry is not in the log")
    return index


def check_growth(data, old, new, what):
    """Check that one head extends another, by the body of a request to a witness (tlog-witness)."""
    size, path = parse_proof(data, "old ", new.note, what)
    demand(size == old.size <= new.size, what, "it does not begin at the earlier checkpoint")
    if old.size in (0, new.size):
        demand(not path and old.root == (new.root if old.size else root_of([])), what, "the checkpoints differ")
        return
    if old.size & (old.size - 1) == 0:
        path.insert(0, old.root)
    node, last = old.size - 1, new.size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = path[0]
    for item, left in climb(node, last, path[1:], what):
        before = node_hash(item, before) if left else before
        after = node_hash(item, after) if left else node_hash(after, item)
    demand((before, after) == (old.root, new.root), what, "the log is not shown to have only grown")


def grow(peaks, size, leaf):
    """Append a leaf to a tree of this size, given by the roots of its complete subtrees, largest first."""
    peaks.append(leaf)
    while size & 1:
        peaks[-2:] = [node_hash(*peaks[-2:])]
        size >>= 1


def root_of(peaks):
    """Return the root over the complete subtrees of a tree."""
    result = peaks[-1] if peaks else hashlib.sha256(b"").digest()
    for peak in reversed(peaks[:-1]):
        result = node_hash(peak, result)
    return result


# ---- the dossier: whose keys, which heads, which entries ----------------------------------------------------------
class World:
    """What has been established so far about a dossier: `entries` by path, `records` by kind and digest."""

    def __init__(self, files, pinned, policy):
        """Begin with the files (path -> bytes), and the keys (texts) and the policy (bytes) that the reader trusts."""
        own = parse_policy(files["log-policy"], "log-policy") if "log-policy" in files else None
        self.files, self.pinned, self.demanded = files, set(pinned), policy is not None
        self.policy = parse_policy(policy, "the policy given") if self.demanded else own
        self.keys, self.trust, self.heads, self.manifest, self.period = {}, {}, {}, {}, None
        self.entries, self.records, self.requests, self.served, self.notes = {}, {}, {}, {}, []

    def under(self, folder):
        """Return the paths in a folder."""
        return sorted(path for path in self.files if path.startswith(folder))

    def about(self, *events, **facts):
        """Return the entries of these events with these facts, in the order of their log."""
        found = [e for e in self.entries.values() if e["event"] in events]
        return sorted((e for e in found if facts.items() <= e["facts"].items()), key=lambda e: e["place"])

    def all(self, kind):
        """Return (digest, path, value, the entry that names it first) of each record of a kind, in the log's order."""
        rows = [(digest, *row) for digest, row in self.records.get(kind, {}).items()]
        return sorted(rows, key=lambda row: row[3]["place"])

    def record(self, kind, digest, what):
        """Return the record of a kind with this digest."""
        demand(digest in self.records.get(kind, {}), what, "the %s it names is not in the dossier", kind)
        return self.records[kind][digest][1]

    def in_scope(self, model):
        """Say whether the dossier tells of a model: a period may be of one, and still hold every entry."""
        return self.period is None or self.period["model"] in (None, model)


def parse(data, what):
    """Return the JSON value of bytes; a name given twice or a number that is none is refused."""

    def unique(items):
        demand(len(dict(items)) == len(items), what, "a name is given twice")
        return dict(items)

    with about(what):
        return json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_constant={}.__getitem__)


def sha256(data):
    """Return the hexadecimal digest."""
    return hashlib.sha256(data).hexdigest()


def read_keys(world):
    """Read the keys in the dossier; refuse any that the reader's policy or keys do not name."""
    for path in world.under("keys/"):
        text, name = world.files[path].decode("utf-8", "surrogateescape"), path[5:-5]
        demand(text.endswith("\n") and path.endswith(".vkey"), path, "not a verifier key")
        vkey, key = text[:-1], parse_key(text[:-1], path)
        demand(key.name.endswith("/" + name), path, "this key belongs to %s", key.name)
        by_policy = world.demanded and vkey in world.policy.logs
        trusted = by_policy or vkey in world.pinned
        demand(trusted or not (world.pinned or world.demanded and name in LOGS), path, "this is not a key you pinned")
        world.keys[name] = key
        world.trust[name] = "a log of your policy" if by_policy else "pinned by you" if trusted else ""
    for name in (*LOGS, "warrants"):
        demand(name in world.keys, "keys/%s.vkey" % name, "missing")


def read_manifest(world):
    """Check that the manifest names every file there is, with its digest."""
    what = "manifest.json"
    manifest = world.manifest = parse(world.files.get(what, b""), what)
    demand(manifest["format"] == FORMAT and manifest["kind"] in KINDS, what, "not of the format %s", FORMAT)
    digests = dict(manifest["files"])
    for path in sorted(set(world.files) | set(digests)):
        demand(path in world.files, path, "missing, though manifest.json names it")
        beside = re.fullmatch("(manifest|issued|before|after)[.]json|(checkpoints|proofs)/.*", path)
        demand(path in digests or beside, path, "not in the manifest")
        right = path not in digests or sha256(world.files[path]) == digests[path]
        demand(right, path, "its bytes differ from the manifest")


def read_head(world, path, log, size=None):
    """Return the head of a log that a file of the dossier holds; at an end of a period an empty log has none."""
    if size == 0 and path not in world.files:
        return Head(b"", 0, root_of([]), {}, [], None)
    demand(path in world.files, path, "missing")
    head = open_checkpoint(world.files[path], world.keys[log], path, world.policy, world.demanded and size is None)
    demand(size in (None, head.size), path, "not the head that period/period.json names")
    return head


def read_entry(data, what, log, index):
    """Return an entry's contents with its place, if they have the form of one."""
    entry = parse(data, what)
    with about(what):
        texts = [entry[name] for name in ("at", "id", "event", "subject", "actor")]
        right = all(isinstance(text, str) for text in texts) and isinstance(entry["facts"], dict)
        demand(right and MOMENT.fullmatch(texts[0]), what, "not an entry")
        return dict(entry, place=(log, index), path=what)


def read_entries(world):
    """Check the newest head of each log and the inclusion of every entry that comes with a proof of its own."""
    for path in world.under("checkpoints/"):
        demand(path[12:] in LOGS, path, "belongs to nothing")
        world.heads[path[12:]] = read_head(world, path, path[12:])
    for path in world.under("proofs/"):
        log = path.split("/")[1]
        demand(log in world.heads, "checkpoints/%s" % log if log in LOGS else path, "missing, or belongs to nothing")
    used = {"proofs/%s/growth" % log for log in world.heads if world.manifest["kind"] == "period"}
    single = [path for path in ("before.json", "after.json", "issued.json") if path in world.files]
    for path in world.under("entries/") + single:
        with about(path):
            log, name = ("governance", path) if path in single else path.split("/")[1:]
            proof = "proofs/%s/%s" % (log, name.replace(".json", ".tlog-proof"))
            demand(proof in world.files, proof, "missing")
            index = included(world.files[path], world.files[proof], world.heads[log], proof)
            entry = world.entries[path] = read_entry(world.files[path], path, log, index)
            demand(path in single or entry["id"] + ".json" == name, path, "it calls itself %s", entry["id"])
            used.add(proof)
    for path in world.under("proofs/"):
        demand(path in used, path, "belongs to nothing")
    demand("issued.json" in single, "issued.json", "missing")


# ---- a period: all governance entries between two heads, and what frames them --------------------------------------
def read_period(world):
    """Check that a period holds every governance entry between its heads, and how far the log of decisions grew."""
    what, listed = "period/period.json", "period/governance.jsonl"
    said = world.period = parse(world.files.get(what, b""), what)
    ends = said["ends"] = {}
    for log in LOGS:
        ends[log] = [read_head(world, "period/%s.%s" % (log, end), log, said[log][end]) for end in ENDS]
    opening, closing = ends["governance"]
    lines = world.files.get(listed, b"").split(b"\n")
    number = closing.size - opening.size
    demand(not lines.pop() and len(lines) == number, listed, "not the %d entries between its heads", number)
    peaks = [unbase64(peak, what) for peak in said["governance"]["peaks"]]
    known = len(peaks) == bin(opening.size).count("1") and root_of(peaks) == opening.root
    demand(known, what, "its peaks are not those of period/governance.opening")
    for index, line in enumerate(lines, opening.size):
        grow(peaks, index, leaf_hash(line))
        path = "%s, entry %d" % (listed, index)
        world.entries[path] = read_entry(line, path, "governance", index)
    demand(root_of(peaks) == closing.root, listed, "an entry was left out, added or changed between the heads")
    demand(MOMENT.fullmatch(said["from"]) and MOMENT.fullmatch(said["until"]), what, "not between two moments")
    at = {entry["place"]: entry["at"] for entry in world.entries.values()}
    framed = not opening.size or at.get(("governance", opening.size - 1), said["from"]) < said["from"]
    demand(framed, "period/governance.opening", "the entry before it is not shown to be from before the period")
    framed = at.get(("governance", closing.size), "") >= said["until"]
    demand(framed, "period/governance.closing", "the entry behind it is not shown to be from after the period")
    old, new = ends["decisions"]
    if new.size:
        check_growth(world.files.get("period/decisions.growth", b""), old, new, "period/decisions.growth")
    counted = sum(said["decisions"]["events"].values())
    demand(counted == new.size - old.size, what, "its counts are not the entries between the heads of decisions")
    for log, head in world.heads.items():
        path = "proofs/%s/growth" % log
        check_growth(world.files.get(path, b""), ends[log][1], head, path)


def check_scope(world):
    """Check that what a period tells of versions in its scope is told with their records, and what it says of them."""
    what, ends = "period/period.json", [("governance", head.size) for head in world.period["ends"]["governance"]]
    registered = {}
    for entry in world.about("version.requested") + world.about("version.registered"):
        registered.setdefault(entry["subject"], {}).update(entry["facts"])
    for entry in world.entries.values():
        if entry["subject"].startswith("version:") and ends[0] <= entry["place"] < ends[1]:
            facts = registered.get(entry["subject"])
            demand(facts, entry["path"], "the registration of its version is not in the dossier")
            if world.in_scope(facts["model"]):
                kind, fact = ("version", "version") if "version" in facts else ("registration", "asked")
                world.record(kind, facts[fact], entry["path"])
    made = sorted(world.served.items(), key=lambda item: item[1]["place"])
    serving = {row["model"]: number for number, row in made if row["place"] < ends[0]}
    demand(serving == world.period["serving_at_start"], what, "what served at its start is not what was deployed")
    for number in world.period["decisions_by_deployment"]:
        demand(int(number) in world.served, what, "deployment %s, which decided, is not in the dossier", number)


# ---- records: each is one that an entry of the right kind names ----------------------------------------------------
NAMED_BY = {  # kind of a record: the fact that names its digest, the events of the entries that have it
    "registration": ("asked", "version.requested"),
    "version": ("version", "version.registered"),
    "description": ("description", "model.registered", "model.described", "version.requested", "version.registered"),
    "tag": ("tag", "model.tagged"),
    "dataset": ("record", "dataset.registered"),
    "prose": ("prose", "card.written"),
    "inventory": ("inventory", "inventory.recorded"),
    "policy": ("policy", "policy.adopted"),
    "package": ("package", "package.assembled"),
    "result": ("result", "check.performed"),
    "request": ("digest", "approval.requested"),
    "signature": ("signature", "approval.signed", "approval.refused"),
    "reason": ("reason", "deployment.refused", "registration.refused"),
    "answer": ("text", "alert.answered"),
    "cause": ("cause", "case.opened"),
    "detail": ("detail", "case.ended"),
}
TEXTS = ("answer", "cause", "detail")  # plain text, not JSON


def read_records(world):
    """Check that each record's digest is the one that an entry made when it was recorded names."""
    named = {}
    for kind, (fact, *events) in NAMED_BY.items():
        for entry in world.about(*events):
            named.setdefault((kind, entry["facts"].get(fact)), entry)
    for path in world.under("records/"):
        kind, digest = path.split("/")[1], sha256(world.files[path])
        demand((kind, digest) in named, path, "no proven entry names it")
        value = world.files[path].decode("utf-8") if kind in TEXTS else parse(world.files[path], path)
        world.records.setdefault(kind, {})[digest] = (path, value, named[kind, digest])


def check_versions(world):
    """Check that each version is its author's, and that every data set it names is there."""
    known = {dataset["dataset"] for _, _, dataset, _ in world.all("dataset")}
    asked = {entry["subject"]: entry for entry in world.about("version.requested")}
    for _, path, registration, entry in world.all("registration"):
        with about(path):
            demand(entry["actor"] == registration["asked_by"], path, "not asked for by whom it says")
    for _, path, version, entry in world.all("version"):
        with about(path):
            author = entry if entry["actor"] != INTAKE else asked.get(entry["subject"], entry)  # who asked for it
            demand(author["actor"] == version["author"], path, "its author is not who registered it")
            same = all(author["facts"][fact] == version[fact] for fact in ("model", "number"))
            demand(same, path, "not the version that its author asked for")
            for role in ("training", "reference", "holdout", "golden"):
                named = version["lineage"].get("%s_data" % role)
                demand(not named or named in known, path, "its %s data set is not in the dossier", role)


# ---- approval: evidence, the policy in force, signatures -----------------------------------------------------------
def check_evidence(world):
    """Check that each request rests on the results in the dossier: all that its policy requires, each good enough."""
    for _, path, request, _ in world.all("request"):
        with about(path):
            package = world.record("package", request["package"], path)
            policy = world.record("policy", request["policy"], path)
            demand(package["policy"] == request["policy"], path, "the package was judged by another policy")
            digests, verdicts = {}, {}
            for digest, _, result, _ in world.all("result"):
                if (result["version"], result["policy"]) == (package["version"], request["policy"]):
                    digests[result["check"]], verdicts[result["check"]] = digest, result["verdict"]
            text = json.dumps(digests, sort_keys=True, separators=(",", ":"))  # of plain words this is RFC 8785
            demand(sha256(text.encode()) == request["evidence"], path, "its evidence is not that in the dossier")
            for check in sorted(policy["rules"]["checks"]):
                verdict = verdicts.get(check, "nothing")
                demand(verdict in ("pass", "warn"), path, "the required check %s says %s", check, verdict)


def check_requests(world):
    """Check who asked and who signed, and keep for each request what a deployment needs of it."""
    for digest, path, request, entry in world.all("request"):
        with about(path):
            entered = (entry["facts"]["request"], entry["actor"]) == (request["id"], request["requester"])
            demand(entered, path, "it was not entered by its requester")
            package = world.record("package", request["package"], path)
            version = world.record("version", package["version"], path)
            involved, given = {version["author"], request["requester"]}, []
            for row in world.all("signature"):
                if row[2]["request"] == request["id"]:
                    check_signature(world, row, digest, entry, involved)
                    involved.add(row[2]["signer"])
                    given.append(row)
            policy = in_force(world, version["model"], entry)
            world.requests[digest] = dict(request, entry=entry, signatures=given, in_force=policy)


def in_force(world, model, entry):
    """Return the digest of the policy in force for a model's tier when an entry was made, by the log's order."""
    tier = world.about("model.registered", name=model)[0]["facts"]["tier"]
    adopted = world.about("policy.adopted", tier=tier)
    numbers = [e["facts"]["number"] for e in adopted]
    demand(numbers == list(range(1, len(numbers) + 1)), "records/policy", "a policy of tier %s is left out", tier)
    return [e["facts"]["policy"] for e in adopted if e["place"] < entry["place"]][-1]


def check_signature(world, row, digest, asked, involved):
    """Check that a signature is over a request's digest, by somebody who may sign it, and was entered as such."""
    _, path, signature, entry = row
    with about(path):
        event = "approval.signed" if signature["outcome"] == "approve" else "approval.refused"
        said = (event, signature["request"], signature["signer"])
        demand((entry["event"], entry["facts"]["request"], entry["actor"]) == said, path, "entered as something else")
        demand(signature["digest"] == digest, path, "it is over another digest than the request's")
        demand(signature["signer"] not in involved, path, "its signer is author, requester or signed twice")
        demand(asked["place"] < entry["place"], path, "it was given before the request")
        added = [e for e in world.about("person.added") if e["subject"] == signature["signer"]]
        roles = [e["facts"]["roles"] for e in added if e["place"] < entry["place"]]
        held = roles[-1] if roles else [signature["role"]]
        demand(signature["role"] in held, path, "its signer was not given the role %s", signature["role"])
        if not roles:
            world.notes.append("that %s is %s is the operator's word" % (signature["signer"], signature["role"]))


def missing(world, asked, warranted, order):
    """Return which signatures a request lacks among those that a warrant names and that were given before the order."""
    policy, owed = world.record("policy", asked["policy"], asked["entry"]["path"]), collections.Counter()
    for need in policy["rules"]["signatures"]:
        owed[need["role"]] += need["count"]
    for digest, _, signature, entry in asked["signatures"]:
        if entry["place"] < order["place"]:
            if signature["outcome"] != "approve":
                owed["refused by %s" % signature["signer"]] += 1
            elif digest in warranted and owed[signature["role"]] > 0:
                owed[signature["role"]] -= 1
    return ", ".join("%d x %s" % (number, role) for role, number in sorted(owed.items()) if number > 0)


# ---- deployment: what the governor let serve was ordered after the signatures that its policy demands --------------
def check_deployments(world):
    """Check every deployment in scope, and that no warrant is there without one."""
    models = {e["facts"]["version"]: e["facts"]["model"] for e in world.about("version.registered")}
    for entry in world.about("deployment.made"):
        with about(entry["path"]):
            facts, model = entry["facts"], models[entry["facts"]["version"]]
            if world.in_scope(model):
                check_deployment(world, entry, facts, "warrants/%s.json" % facts["deployment"])
                world.served[facts["deployment"]] = dict(facts, model=model, place=entry["place"])
    known = {"warrants/%s.json" % number for number in world.served}
    for path in world.under("warrants/"):
        demand(path in known, path, "belongs to no deployment")


def check_deployment(world, entry, facts, name):
    """Check one deployment: its warrant, the request and the order it names, and that each came after the other."""
    demand(name in world.files, name, "missing")
    demand(sha256(world.files[name]) == facts["warrant"], name, "not the warrant that was entered")
    with about(name):
        envelope = parse(world.files[name], name)
        body, kind = unbase64(envelope["payload"], name), envelope["payloadType"].encode()
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)
        signatures = [unbase64(item["sig"], name) for item in envelope["signatures"]]
        right = len(signatures) == 1 and ed25519(world.keys["warrants"].public, signed, signatures[0])
        demand(right, name, "the governor's signature is wrong")
        same = facts.get("envelope", envelope) in (envelope, world.files[name].decode("utf-8"))
        demand(same, name, "not the envelope that was entered")
        statement = parse(body, name)
        said, package = statement["predicate"], world.record("package", facts["package"], name)
        warranted = (statement["subject"][0]["digest"]["sha256"], said["request"], said["order"])
        same = warranted == (facts["package"], facts["request"], facts["order"])
        demand(same, name, "it warrants something else than was deployed")
        world.record("request", said["request_digest"], name)
        asked = world.requests[said["request_digest"]]
        same = (asked["id"], asked["package"]) == (said["request"], facts["package"])
        demand(same and package["version"] == facts["version"], name, "the request was for another package")
        right = asked["in_force"] == asked["policy"]
        demand(right, asked["entry"]["path"], "its policy was not in force when approval was requested")
        ordered = world.about("deployment.ordered", order=facts["order"], request=facts["request"])
        timely = len(ordered) == 1 and asked["entry"]["place"] < ordered[0]["place"] < entry["place"]
        demand(timely, name, "nobody ordered it before it was made")
        for digest in said["signatures"]:
            world.record("signature", digest, name)
        lacking = missing(world, asked, said["signatures"], ordered[0])
        demand(not lacking, name, "signatures are missing before the order: %s", lacking)


# ---- one decision: what was committed to, and that the answer follows from its own numbers -------------------------
# How far base + attributions may miss the margin: LightGBM sums in float64 (4e-13 at most over 1000 rounds); of
# scikit-learn's trees the margin is the log-odds of a probability; XGBoost sums in float32 (3e-5 over 1000 rounds of
# depth 6). The platform gives no answer beyond these limits.
TOLERANCE, LINK_TOLERANCE = {"lightgbm": 1e-9, "onnx": 1e-6, "sklearn": 1e-6, "xgboost": 1e-4}, 1e-6


FOLLOWS = {  # a decision: the event that enters it, the fact that commits to it
    "outcome.recorded": "outcome",
    "override.recorded": "override",
    "decision.explained": "explanation",
}


def check_decision(world):
    """Check that the decision is the one entered, adds up, and follows from the package that was signed."""
    answered, salting = world.about("decision.answered"), "decision/salts.json"
    demand(len(answered) == 1, "decision", "not exactly one answer is entered")
    facts, found = answered[0]["facts"], {}
    kept = facts.get("journal", "0" * 32 + "/1/" + "0" * 64)  # where it was kept while the database was gone
    demand(isinstance(kept, str) and JOURNAL.fullmatch(kept), answered[0]["path"], "not a place in a journal")
    salts = parse(world.files.get(salting, b""), salting)
    for path in world.under("decision/"):
        if path != salting:
            name = path[len("decision/") : -len(".json")]
            demand(re.fullmatch("[0-9a-f]{64}", salts.get(name, "")), salting, "no salt of 32 bytes for %s", name)
            prefix = b"countersign/commit/v1/" + name.split("/")[0].encode() + b"\0"
            found[path] = sha256(prefix + bytes.fromhex(salts[name]) + world.files[path])
    demand(len(salts) == len(found), salting, "it holds a salt of nothing")
    for path, part in (("decision/inputs.json", "inputs"), ("decision/answer.json", "answer")):
        demand(found.pop(path, None) == facts[part], path, "not what was committed to when it was answered")
    entered = [e for e in world.about(*FOLLOWS) if e["subject"] == answered[0]["subject"]]
    owed = {(FOLLOWS[e["event"]], e["facts"][FOLLOWS[e["event"]]]): e["path"] for e in entered}
    for path, commitment in sorted(found.items()):
        part = path[len("decision/") :].split("/")[0].replace(".json", "")
        demand(owed.pop((part, commitment), None), path, "not what was committed to when it was recorded")
        said = parse(world.files[path], path) if part == "override" else {}
        demand("decision:%s" % said.get("decision") == answered[0]["subject"] or not said, path, "of another decision")
    for (part, _), path in sorted(owed.items()):
        demand(False, path, "the %s it commits to is not in the dossier", part)
    served = world.served.get(facts["deployment"], {}).get("package") == facts["package"]
    demand(served, "decision", "it was answered by a package that was not deployed")
    package = world.record("package", facts["package"], "decision")
    with about("decision/answer.json"):
        check_answer(world, "decision/answer.json", package, world.record("version", package["version"], "decision"))


def check_answer(world, what, package, version):
    """Check features, additivity, link, band and reasons of an answer under its package, or that it is its fallback."""
    answer = parse(world.files[what], what)
    if "fallback" in answer:
        sent = parse(world.files["decision/inputs.json"], "decision/inputs.json")["features"]
        name, by = falls_back(package["fallback"], sent)
        band = [band for band in package["bands"] if band["name"] == name][0]
        signed = {"score": None, "reasons": [], "band": band["name"], "action": band["action"], **by}
        same = dict(signed, fallback=answer["fallback"]) == answer
        demand(same, what, "the answer is not the fallback of its package")
        return
    band = [band for band in package["bands"] if answer["score"] >= band["from"]][-1]
    same = (band["name"], band["action"]) == (answer["band"], answer["action"])
    demand(same, what, "the band does not follow from the score")
    features = parse(world.files["decision/inputs.json"], "decision/inputs.json")["features"]
    outside = [column["name"] for column in version["schema"] if is_outside(column, features.get(column["name"]))]
    demand(answer.get("out_of_range", []) == outside, what, "the features said to be out of range are others")
    later = "decision/explanation.json"
    if "explanation" not in answer:
        demand(later not in world.files, later, "its answer was explained already")
        check_explanation(what, answer, answer["score"], package, version)
        return
    demand(not answer["reasons"] and "attributions" not in answer, what, "explained, though it says it is not")
    check_link(what, answer, answer["score"])
    if later in world.files:
        check_explanation(later, parse(world.files[later], later), answer["score"], package, version)
    else:
        world.notes.append("the explanation of this answer was still owed when the dossier was issued")


def check_explanation(what, said, score, package, version):
    """Check that an explanation adds up to the margin, that the score follows from it, and the reasons from it."""
    names, values, margin = said["features"], said["attributions"], said["margin"]
    same = names == [column["name"] for column in version["schema"]] and len(values) == len(names)
    demand(same, what, "not one attribution for each feature of the version")
    gap = abs(math.fsum([said["base"], *values]) - margin)
    demand(gap <= TOLERANCE[version["flavour"]], what, "base value and attributions miss the margin by %g", gap)
    check_link(what, said, score)
    demand(said["reasons"] in principal(package["reasons"], names, values), what, REASONS)


def check_link(what, said, score):
    """Check that a score follows from its margin."""
    margin = said["margin"]
    linked = {"logit": lambda: 1 / (1 + math.exp(-margin)), "identity": lambda: margin}[said["link"]]()
    demand(abs(linked - score) <= LINK_TOLERANCE, what, "the score does not follow from the margin")


REASONS = "the reasons do not follow from the attributions"


def principal(reasons, names, values):
    """Return the reasons that a customer may be told, as they are recorded, and as they were, with texts."""
    groups = {}
    for name, value in zip(names, values):
        said = reasons[name]
        key = ("family", said["family"]) if "family" in said else ("feature", name)
        groups.setdefault(key, (said, []))[1].append(value)
    found = []
    for (kind, name), (said, parts) in groups.items():
        value, direction = math.fsum(parts), said.get("direction", "raises")
        if value and direction in ("either", "raises" if value > 0 else "lowers") and not said.get("restricted"):
            found.append((-abs(value), name, said, {kind: name, "contribution": value}))
    found.sort(key=lambda item: item[:2])
    now = [dict(reason, code=said["code"]) for _, _, said, reason in found[:4]]
    before = [dict(reason, code=said["code"], text=said["text"]) for _, _, said, reason in found[:4]]
    return now, before


def falls_back(fallback, sent):
    """Return the band of a fallback for features as they were sent, and what decided: a rule, or a scorecard's sum."""
    for place, rule in enumerate(fallback.get("rules", []), start=1):
        if holds(rule, sent.get(rule["feature"])):
            return rule["band"], {"rule": place}
    if "scorecard" not in fallback:
        return fallback["band"], {}
    items, steps = fallback["scorecard"]["items"], fallback["scorecard"]["bands"]
    points = math.fsum(item["points"] for item in items if holds(item, sent.get(item["feature"])))
    return [fallback["band"], *(step["band"] for step in steps if points >= step["from"])][-1], {"points": points}


def holds(rule, value):
    """Say whether a rule of a fallback holds for the value of its feature."""
    if rule["is"] == "missing" or value is None:
        return rule["is"] == "missing" and value is None
    if rule["is"] == "equal":
        return value == rule["value"]
    return value > rule["value"] if rule["is"] == "above" else value < rule["value"]


def is_outside(column, value):
    """Say whether a value lies beyond what the reference data of the version held."""
    if value is None:
        return False
    low, high = column.get("low"), column.get("high")
    return (low is not None and value < low) or (high is not None and value > high)


# ---- the whole: what each kind of dossier must hold, and under which title ------------------------------------------
ENDINGS = ("version.registered", "registration.refused")  # of a version that was asked for


def check_model(world):
    """Check that no version is left out, and that alerts and cases are told from their beginning."""
    versions = [version for _, _, version, _ in world.all("version")]
    numbers = [version["number"] for version in versions]
    pinned, refused = ({e["subject"] for e in world.about(event)} for event in ENDINGS)
    for entry in [e for e in world.about("version.requested") if e["subject"] not in pinned]:
        numbers.append(entry["facts"]["number"])
        if entry["subject"] not in refused:
            world.notes.append("version %s was asked for; whether it was pinned is not shown" % numbers[-1])
    demand(sorted(numbers) == list(range(1, len(numbers) + 1)), "records/version", "a version is left out")
    alone = len(world.about("model.registered")) == 1 and len({version["model"] for version in versions}) < 2
    demand(alone, "records/version", "not exactly one model")
    begins = {"alert.answered": "alert.raised", "case.opened": "alert.raised", "case.ended": "case.opened"}
    for event, earlier in begins.items():
        fact = earlier.partition(".")[0]
        for entry in world.about(event):
            begun = world.about(earlier, **{fact: entry["facts"][fact]})
            demand(begun, entry["path"], "the %s it speaks of is not in the dossier", fact)


def check_texts(world):
    """Check that every answer to an alert, and cause and end of a case, about the models in scope can be read."""
    scope = {e["subject"] for e in world.about("model.registered") if world.in_scope(e["facts"]["name"])}
    for kind in TEXTS:
        fact, event = NAMED_BY[kind]
        for entry in [e for e in world.about(event) if e["subject"] in scope]:
            world.record(kind, entry["facts"][fact], entry["path"])


def check_title(world):
    """Check kind and title by the records, so that nothing goes under another name, and the manifest by its entry."""
    kind, said = world.manifest["kind"], world.period
    for folder in ("decision", "period"):
        demand(bool(world.under(folder + "/")) == (kind == folder), "manifest.json", "its kind is not what it holds")
    if kind == "model":
        title = "model %s" % world.about("model.registered")[0]["facts"]["name"]
    elif kind == "period":
        title = "period of %s from %s until %s" % (said["model"] or "the whole platform", said["from"], said["until"])
    else:
        versions = world.all("version")
        demand(len(versions) == 1, "records/version", "not exactly one version")
        title = "%s v%s" % (versions[0][2]["model"], versions[0][2]["number"])
    if kind == "decision":
        title = "decision %s by %s" % (world.about("decision.answered")[0]["subject"].partition(":")[2], title)
    demand(world.manifest["title"] == title, "manifest.json", "its title is not what it holds, which is %s", title)
    issued, digest = world.entries["issued.json"], sha256(world.files["manifest.json"])
    entered = issued["event"] == "dossier.issued" and issued["facts"].get("dossier") == digest
    demand(entered, "manifest.json", "not the one that was entered when the dossier was issued")


ORDER = (  # of the argument: where a fault lies that is in no record of its own; which kinds it is made for
    ("keys", KINDS, read_keys),
    ("manifest.json", KINDS, read_manifest),
    ("entries", KINDS, read_entries),
    ("period/period.json", ("period",), read_period),
    ("records", KINDS, read_records),
    ("records/version", KINDS, check_versions),
    ("records/result", KINDS, check_evidence),
    ("records/request", KINDS, check_requests),
    ("warrants", KINDS, check_deployments),
    ("decision/salts.json", ("decision",), check_decision),
    ("records/version", ("model",), check_model),
    ("records", ("model", "period"), check_texts),
    ("period/period.json", ("period",), check_scope),
    ("manifest.json", KINDS, check_title),
)


def verify(data, pinned=(), policy=None):
    """Verify the bytes of a dossier; return a summary, or raise Bad naming the first bad record.

    `pinned`: texts of public keys that the reader trusts; `policy`: bytes of the tlog-policy that the reader trusts.
    """
    with about("archive"):
        world = World(unpack(data), pinned, policy)
        for what, kinds, check in ORDER:
            if world.manifest.get("kind", kinds[0]) in kinds:
                with about(what):
                    check(world)
        held = {"entries": len(world.entries), "deployments": len(world.served)}
        return dict(held, dossier=world.manifest["title"], lines=[plain(line) for line in told(world)])


# ---- what is said about it ---------------------------------------------------------------------------------------
def plain(text):
    """Return what a text says on one line: a name in an archive could else write lines of its own."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def second(number):
    """Return a POSIX second as people read it, up to the year 9999."""
    moment = datetime.datetime.fromtimestamp(min(number, 253402300799), datetime.timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def told(world):
    """Yield the lines that tell of a dossier that verified: what was shown, by whom it was seen, and what was not."""
    yield "VERIFIED  %s" % world.manifest["title"]
    counted = (len(world.entries), len(world.under("records/")), len(world.served), len(world.files))
    yield "  %d log entries proven, %d records, %d deployments, %d files" % counted
    for name, key in sorted(world.keys.items()):
        trust = world.trust[name] or "from the dossier: compare it with the published one"
        yield "  key %s %s (%s)" % (name, key.identity.hex(), trust)
    heads = sorted(world.heads.items())
    for log, ends in world.period["ends"].items() if world.period else ():
        heads += [("%s at the period's %s" % (log, end), head) for end, head in zip(ENDS, ends)]
    for title, head in heads:
        yield "  log of %s: %d entries" % (title, head.size)
        for witness, when in sorted(head.cosigned.items(), key=lambda item: item[1]):
            yield "    cosigned by %s at %s" % (witness, second(when))
        for name in head.unchecked:
            yield "    not checked, and not counted: a line by %s" % name
        if head.sealed:
            yield "    a quorum had seen it at %s: all that it covers was sealed by then" % second(head.sealed)
    if world.period:
        opening, closing = world.period["ends"]["governance"]
        begun = second(max(opening.cosigned.values())) if opening.cosigned else "a head that no witness dated"
        if closing.sealed:
            yield "  the entries of the period were sealed between %s and %s" % (begun, second(closing.sealed))
        counts = (world.period["serving_at_start"], world.period["decisions"]["events"])
        yield "  served at its start: %s; entered about decisions: %s" % counts
    for note in sorted(set(world.notes)):
        yield "  note: %s" % note
    if not world.demanded or not all(world.trust.values()):
        yield "  The archive agrees with itself. That it is the record which others saw is only shown with --policy,"
        yield "  and --key for each key above that is not yours."
    yield "This does not prove:"
    yield from ("  - %s" % text for text in NOT_PROVEN)


def main():
    """Run as a script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dossier")
    parser.add_argument("--key", action="append", default=[], help="a public key you trust (once for each key)")
    parser.add_argument("--policy", help="the tlog-policy file you trust: logs, witnesses, quorum")
    given, policy = parser.parse_args(), None
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with open(given.dossier, "rb") as file:
            data = file.read()
        if given.policy is not None:
            with open(given.policy, "rb") as file:
                policy = file.read()
            parse_policy(policy, given.policy)
        for key in given.key:
            parse_key(key, "--key %s" % key)
    except (OSError, ValueError, Bad) as error:
        print("cannot begin: %s" % plain(error), file=sys.stderr)
        return 2
    try:
        print("\n".join(verify(data, given.key, policy)["lines"]))
    except Bad as bad:
        print("REFUSED  %s" % plain(bad))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
