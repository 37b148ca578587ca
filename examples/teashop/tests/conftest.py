"""Names the fixture of the stack, and the settings of the site."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "teashop.site.settings")

pytest_plugins = ["waybill.testing.plugin"]
