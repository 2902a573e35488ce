"""UUIDv7 (RFC 9562 section 5.7): identifiers that sort by time, made without asking the database."""

import secrets
import time
import uuid


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | secrets.randbits(80)
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return uuid.UUID(int=value)


def is_identifier(text: str) -> bool:
    """Say whether a text is a UUID as we write them; what an entry calls its subject may be anything."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
