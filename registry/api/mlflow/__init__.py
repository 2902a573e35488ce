"""The MLflow Model Registry's REST API, as far as an immutable, approval-gated registry can offer it.

Paths, fields and error codes are those of MLflow's protobuf definitions, so that the stock client works unchanged.
"""
