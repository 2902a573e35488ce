"""HTTP interfaces of the registry, and what every API of the project shares: access, bodies, problems."""
