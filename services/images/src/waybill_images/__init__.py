"""Makes an image's variants with libvips and stores them by content address."""
