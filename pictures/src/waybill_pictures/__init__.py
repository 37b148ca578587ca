"""Opens untrusted pictures, for the gateway's check of uploads and for the renderers.

Only worker processes import it: no picture is decoded in a process that has keys.
"""
