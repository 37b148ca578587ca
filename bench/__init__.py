"""Measurements: Waybill beside its peers on one broker, and its images beside bare libraries."""
