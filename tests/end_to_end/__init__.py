"""The whole local stack."""
