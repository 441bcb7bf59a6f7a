"""The single entry point: an ordered pure-ASGI pipeline in front of the services. Begin at ``pipeline.py``."""
