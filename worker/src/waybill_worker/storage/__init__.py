"""The object store: files by content address, in a folder or in S3."""
