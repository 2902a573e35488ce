"""A payments simulator, and the whole road walked on a running platform through its public interfaces alone."""
