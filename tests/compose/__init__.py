"""The containers of compose.yaml."""
