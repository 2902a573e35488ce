"""What stock clients speak: the Open Inference Protocol V2 and MLflow's /invocations. Bytes in, rows out, and back.

Nothing here decides: a request is read, its rows go to `scoring.decisions`, and what was decided is written down again.
"""
