"""The pages that see everything: models, versions and what people decide about them, dossiers, health."""
