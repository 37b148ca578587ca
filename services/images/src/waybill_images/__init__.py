"""The images service: makes variants of images with libvips and stores them by content hash."""
