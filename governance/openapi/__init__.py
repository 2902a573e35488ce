"""The description of every endpoint in OpenAPI 3.1, drawn up by a command and kept in openapi.yaml.

Addresses, parameters, rights and words come from the endpoints themselves; bodies.yaml says what is sent and answered.
"""
