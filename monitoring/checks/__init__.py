"""The mathematics of checks and monitors: pure functions from arrays to measurements. No Django, no queue, no limits."""
