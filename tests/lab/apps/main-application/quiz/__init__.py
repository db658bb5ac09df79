"""A small quiz: the main application of a team, as the lab's repository holds it."""

from .celery import app as celery_app

__all__ = ["celery_app"]
