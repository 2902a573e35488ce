"""Mathematics of checks and monitors: pure functions from arrays to measurements; no Django, no limits."""
