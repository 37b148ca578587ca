"""The failure desk: dead letters, their groups and redrives."""
