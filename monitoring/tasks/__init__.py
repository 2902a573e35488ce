"""Doorbells: an id in, one service call. One module per kind of worker, so that each imports only what it needs."""
