"""MEASURES: checks on candidates, monitors on production, verdicts, alerts. May import scoring and registry."""
