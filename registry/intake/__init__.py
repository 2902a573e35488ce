"""The files of a model, from where a client says they are: which addresses are understood, and what is never accepted.

`models:/m-…`, `runs:/…` and `mlflow-artifacts:` are asked of the tracking server, `s3:`, `gs:`, `az:` and `abfss:` of
an object store; `models:/<name>/<number>` is a version of ours, `file:` is read under the folders that the operator
allows. Files come piece by piece.
"""
