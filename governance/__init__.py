"""DECIDES: roles, approvals, rollouts, retraining, the dossier; also the project package. May import every app."""
