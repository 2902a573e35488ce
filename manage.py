#!/usr/bin/env python
"""Django's entry point. Without DATABASE_URL a command works on the platform that `make run` or `make demo` started."""

import os
import sys

from django.core.management import execute_from_command_line

from governance.platform.environment import of_command, of_files
from governance.platform.home import CannotStart

if __name__ == "__main__":
    os.environ.update(of_files(sys.argv[1:]))
    if "DATABASE_URL" not in os.environ:
        try:
            told = of_command(sys.argv[1:])
        except CannotStart as refusal:
            sys.exit(f"Cannot start: {refusal}")
        # Begin anew: where libraries are found is read when a program starts.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | told)  # noqa: S606
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
    execute_from_command_line(sys.argv)
