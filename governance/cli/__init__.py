"""The console script `countersign`: what data scientists and pipelines say to the platform, over HTTP with a token.

It works outside any Django project and starts fast: a command is imported when it is called, and only
`check --local` loads what measures, in a process of its own.
"""
