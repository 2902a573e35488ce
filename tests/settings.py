"""The project's settings on a data folder that lives as long as this test process."""

import os
import tempfile

HOME = tempfile.mkdtemp(prefix="countersign-test-")
os.environ.update(
    COUNTERSIGN_HOME=HOME,
    ARTIFACTS=f"{HOME}/artifacts",
    PUBLISHED_LOG=f"{HOME}/log-public",
    LOG_ANCHOR=f"{HOME}/log-anchor",
    LOG_POLICY_FILE=f"{HOME}/keys/log.policy",
    LOG_VKEY_FILE=f"{HOME}/keys/log.vkey",
    LOG_KEY_FILE=f"{HOME}/keys/log.key",
    WARRANT_VKEY_FILE=f"{HOME}/keys/warrant.vkey",
    WARRANT_KEY_FILE=f"{HOME}/keys/warrant.key",
    WEBHOOK_PUBLIC_KEY_FILE=f"{HOME}/keys/webhook.public",
    WEBHOOK_KEY_FILE=f"{HOME}/keys/webhook.key",
    SECRET_KEY="only for tests",
    PROCESS="web",
    PUBLIC_URL="http://127.0.0.1:8000",
    MLFLOW_DISABLE_TELEMETRY="true",
    DO_NOT_TRACK="true",
    OMP_NUM_THREADS="1",
)

from governance.settings import *  # noqa: E402, F403, TID251

STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
DATABASES["default"]["OPTIONS"].pop("options")  # noqa: F405 - no statement waits on a page: a test machine is slow
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
LOGGING["root"]["level"] = "ERROR"  # noqa: F405
