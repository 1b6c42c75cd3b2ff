"""Room of the converters: Keras to .tflite, and .tflite files at work. Importing it costs nothing."""
