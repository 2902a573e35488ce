"""A simulated world to show Countersign with."""
