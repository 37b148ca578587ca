"""A service of two kinds, release by release, as a team outside of Waybill writes and deploys it."""
