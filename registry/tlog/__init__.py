"""Transparency logs in the formats of C2SP (signed-note, tlog-checkpoint, tlog-tiles, …): bytes in, bytes out.

Nothing here knows Django or a database, so that whoever trusts neither can use it on files alone.
"""
