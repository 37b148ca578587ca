"""The failure desk: dead letters, groups, redrives, audit trail."""
