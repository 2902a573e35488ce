"""ANSWERS: deployments, the scoring path, explanations, decisions, outcomes. May import registry."""
