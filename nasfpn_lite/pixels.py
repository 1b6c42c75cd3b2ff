"""Which numbers the network sees for a pixel; apart from what needs OpenCV, so that a file can be read without it."""

# The network sees (pixel - PIXEL_OFFSET) / PIXEL_SCALE, that is -1..1.
PIXEL_OFFSET = 127.5
PIXEL_SCALE = 127.5
PAD_VALUE = 127  # around a picture that keeps its aspect ratio
