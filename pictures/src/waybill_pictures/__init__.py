"""How strangers' pictures are opened: the gateway's look at an upload and the renderers share it.

Only worker processes import it: what decodes a picture never runs in a process that holds keys.
"""
