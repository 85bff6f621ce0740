"""The command line; ``napari-unetpp --help`` tells what it does."""

from napari_unetpp.cli._app import app, main

__all__ = ["app", "main"]
