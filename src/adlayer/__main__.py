"""``python -m adlayer`` is ``adlayer``."""

from .cli import main

main()
