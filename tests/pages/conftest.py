"""What the tests of the page share."""

from tests.pages.fixtures import chromium, open_site, site, visit

__all__ = ["chromium", "open_site", "site", "visit"]
