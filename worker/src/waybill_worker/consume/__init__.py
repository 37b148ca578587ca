"""The consume pipeline: decode, claim, attempt, report, acknowledge."""
