"""Services of kinds that are in no catalogue, written and registered as an outside team does."""
