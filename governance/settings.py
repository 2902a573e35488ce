"""All settings, in blocks, read from the environment through `env`.

One project, several processes: PROCESS says which one this is, and only what that process needs is switched on.
Thresholds and numbers of approvers are not settings: they are registered policy.
"""

from pathlib import Path

from governance import env

BASE_DIR = Path(__file__).resolve().parent.parent
PROCESS = env.choice(
    "PROCESS",
    {
        "web",
        "scoring",
        "worker",
        "intake",
        "checks",
        "drift",
        "monitors",
        "explainer",
        "train",
        "webhooks",
        "governor",
        "sequencer",
        "beat",
        "setup",
    },
    default="web",
)

# Who answers
SECRET_KEY = env.secret("SECRET_KEY")
DEBUG = env.flag("DEBUG", False)
PUBLIC_URL = env.text("PUBLIC_URL", "http://127.0.0.1:8000")
SCORING_URL = env.text("SCORING_URL", "http://127.0.0.1:8001")
ALLOWED_HOSTS = env.text("ALLOWED_HOSTS", "127.0.0.1,localhost").split(",")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CSRF_FAILURE_VIEW = "governance.problems.forged"

# What is installed
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_htmx",
    "csp",
    "rest_framework",
    "registry",
    "scoring",
    "monitoring",
    "governance",
]
if PROCESS == "scoring":
    ROOT_URLCONF = "scoring.serving_urls"
    MIDDLEWARE = ["django.middleware.security.SecurityMiddleware"]
else:
    ROOT_URLCONF = "governance.urls"
    MIDDLEWARE = [
        "django.middleware.security.SecurityMiddleware",
        "whitenoise.middleware.WhiteNoiseMiddleware",
        "csp.middleware.CSPMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "django_htmx.middleware.HtmxMiddleware",
        "governance.problems.RefusalsMiddleware",
    ]
WSGI_APPLICATION = "governance.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"display": "registry.templatetags.display"},
            "builtins": ["registry.templatetags.display"],
        },
    }
]

# Where things are kept
# Seconds that one statement may take: one that writes and hangs would hold back every checkpoint. Workers look at long
# windows; the sequencer's standby waits for its lock, and set-up and commands for whatever they need.
_PATIENCE = {
    **{"web": 30, "scoring": 5, "governor": 60},
    **dict.fromkeys(("worker", "intake", "checks", "drift", "monitors", "explainer", "train", "webhooks"), 600),
}
DATABASES = {
    "default": env.database("DATABASE_URL", process=PROCESS, patience=_PATIENCE.get(PROCESS, 0))
    | {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
HOME = Path(env.text("COUNTERSIGN_HOME", str(BASE_DIR / ".countersign")))
_artifacts = env.text("ARTIFACTS", str(HOME / "artifacts"))
STORAGES = {
    "artifacts": (
        {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": _artifacts.removeprefix("s3://").partition("/")[0],
                "location": _artifacts.removeprefix("s3://").partition("/")[2],
                "file_overwrite": False,
                "max_memory_size": 16 * 1024 * 1024,  # of an object that is read: the rest waits on the disk
            },
        }
        if _artifacts.startswith("s3://")
        else {
            "BACKEND": "registry.durable.Storage",
            "OPTIONS": {
                "location": _artifacts,
                "file_permissions_mode": 0o640,  # data sets name people: a group may share the folder, nobody else
                "directory_permissions_mode": 0o750,
            },
        }
    ),
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"

# The logs: what anybody may read, and what the database is held against; the latter belongs on another volume
PUBLISHED_LOG = Path(env.text("PUBLISHED_LOG", str(HOME / "log-public")))
LOG_IS_PUBLIC = env.flag("LOG_IS_PUBLIC", True)
LOG_ANCHOR = Path(env.text("LOG_ANCHOR", str(HOME / "log-anchor")))
LOG_POLICY_FILE = Path(env.text("LOG_POLICY_FILE", str(HOME / "keys/log.policy")))
LOG_BACKLOG = int(env.text("LOG_BACKLOG", "100000"))  # entries without a place above which nothing more is answered

# Keys: the private ones are named only in the environment of the process that signs
LOG_ORIGIN = env.text("LOG_ORIGIN", "countersign.example/log")
LOG_VKEY_FILE = Path(env.text("LOG_VKEY_FILE", str(HOME / "keys/log.vkey")))
LOG_KEY_FILE = env.text("LOG_KEY_FILE")
WARRANT_VKEY_FILE = Path(env.text("WARRANT_VKEY_FILE", str(HOME / "keys/warrant.vkey")))
WARRANT_KEY_FILE = env.text("WARRANT_KEY_FILE")
WEBHOOK_PUBLIC_KEY_FILE = Path(env.text("WEBHOOK_PUBLIC_KEY_FILE", str(HOME / "keys/webhook.public")))
WEBHOOK_KEY_FILE = env.text("WEBHOOK_KEY_FILE")

# Who may
AUTH_USER_MODEL = "registry.User"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"

# What a browser is told
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
_https = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}

# The APIs
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "registry.api.access.TokenAuthentication",
        *([] if PROCESS == "scoring" else ["registry.api.access.SessionAuthentication"]),
    ],
    "DEFAULT_PERMISSION_CLASSES": ["registry.api.access.HasPermission"],
    "DEFAULT_RENDERER_CLASSES": ["registry.api.rendering.Json"],
    "DEFAULT_PARSER_CLASSES": ["registry.api.rendering.JsonParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "registry.api.rendering.AnyAccept",
    "EXCEPTION_HANDLER": "registry.api.problems.answer",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_THROTTLE_CLASSES": ["scoring.throttling.PerToken"] if PROCESS == "scoring" else [],
}
# Requests that a token may make within so many seconds, of all scoring processes of a host; 0/1: as many as it likes
SCORING_RATE = env.text("SCORING_RATE", "10000/1")
SCORING_PROCESSES = int(env.text("WEB_CONCURRENCY", "1"))  # as many as gunicorn starts
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_TEMP_DIR = env.text("SCRATCH") or None  # large files wait here; by default where the system keeps such
SCORE_BODY_LIMIT = 64 * 1024
BATCH_BODY_LIMIT = 8 * 1024 * 1024
INVOCATIONS_MODEL = env.text("INVOCATIONS_MODEL")  # the model that answers at /invocations, without a name
UPLOAD_LIMIT = 512 * 1024 * 1024

# The tracking server behind our front, and where artifacts may be taken from
TRACKING_SOCKET = env.text("TRACKING_SOCKET")
TRACKING_ARTIFACTS = env.text("TRACKING_ARTIFACTS")  # its folder of artifacts, if it is on this machine: a short way
TRACKING_URL = env.text("TRACKING_URL")
TRACKING_TOKEN = env.text("TRACKING_TOKEN")  # by which the tracking server of TRACKING_URL knows us
INTAKE_ROOTS = [root for root in env.text("INTAKE_ROOTS").split(":") if root]  # folders that `file:` sources may name

# Where webhooks may be sent beyond public addresses: names, addresses, networks
WEBHOOK_ALLOWED_HOSTS = [host.strip() for host in env.text("WEBHOOK_ALLOWED_HOSTS").split(",") if host.strip()]

# The online store: features of an entity that a request does not carry
FEATURES_URL = env.text("FEATURES_URL")  # redis://…, rediss://… or unix://…
FEATURES_TIMEOUT_MS = float(env.text("FEATURES_TIMEOUT_MS", "10"))
FEATURES_FEAST = env.text("FEATURES_FEAST")  # PROJECT:JOIN_KEY[:int64] of a Feast online store; else our own layout

# Queues: work that must not be lost is a row; a message only nudges
CELERY_BROKER_URL = env.text("BROKER_URL")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 1800
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# Time and language
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
USE_I18N = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {"httpx": {"level": "WARNING"}},
}
