"""Reads the text of /metrics."""

from prometheus_client.parser import text_string_to_metric_families


def values(text: str, name: str) -> dict[tuple[str, ...], float]:
    """Returns the samples called `name`, by the values of their labels in the order of the labels' names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }
