"""How scoring listens: one thread that reads, scores, and answers when PostgreSQL has acknowledged the commit."""
