"""Decoders for apps, generated from a contract: Python, C++ and Kotlin, with golden vectors."""
