"""The settings of the site."""

import os

SECRET_KEY = os.environ.get(
    "TEASHOP_SECRET_KEY", "of a site that runs on its author's machine only"
)
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
ROOT_URLCONF = "teashop.site.urls"
INSTALLED_APPS: list[str] = []
USE_TZ = True
TASKS = {
    "default": {
        "BACKEND": "waybill.django.WaybillBackend",
        "OPTIONS": {"SERVICE": "teashop-site", "ATTEMPTS": 5},
    }
}
