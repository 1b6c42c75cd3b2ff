"""Room of the phone harness: latency over adb. Needs neither Keras nor TensorFlow."""
