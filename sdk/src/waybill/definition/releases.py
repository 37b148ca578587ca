"""The release of a service: the version of the distribution that its module is installed from."""

from importlib import metadata
from typing import Final

#: Of a service that is not installed, and says none.
UNRELEASED: Final = "unreleased"


def release_of(module: str) -> str:
    """Version of the distribution that has the module; `unreleased` if it is not installed."""
    package = module.partition(".")[0]
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        # Slow, as it reads the files of all distributions; most packages have the name of theirs.
        named = metadata.packages_distributions().get(package)
        return metadata.version(named[0]) if named else UNRELEASED
