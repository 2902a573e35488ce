"""Runs the whole platform on one machine, from wheels, without root: for demos and tests, not production."""
