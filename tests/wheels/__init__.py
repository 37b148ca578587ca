"""The wheels of the workspace, installed outside of it."""
