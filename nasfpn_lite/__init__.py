"""NAS-FPNLite: a mobile object detector, trained in Keras, measured on phones.

This file imports nothing heavy: a machine that only measures a phone has no Keras.
"""

__version__ = "0.1.0"
