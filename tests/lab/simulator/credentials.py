"""Role credentials: what an instance is given, and whose a request's are."""

from __future__ import annotations

import secrets
import string
import threading
from dataclasses import dataclass

from .calls import ACCOUNT
from .clock import Clock

LIFETIME = 6 * 3600.0
# The real service offers fresh ones at least five minutes before the old end.
ROTATE_BEFORE = 300.0
_ALPHABET = string.ascii_uppercase + string.digits


@dataclass
class Credentials:
    """One generation of an instance's role credentials."""

    instance: str
    role: str
    access_key: str
    secret_key: str
    token: str
    issued: float
    expires: float

    @property
    def caller(self) -> str:
        """The caller as access-denied messages spell it."""
        return f"arn:aws:sts::{ACCOUNT}:assumed-role/{self.role}/{self.instance}"


class CredentialStore:
    """Issues and rotates by the lab's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._current: dict[tuple[str, str], Credentials] = {}
        self._by_key: dict[str, Credentials] = {}

    def current(self, instance: str, role: str, lifetime: float = LIFETIME) -> Credentials:
        """The credentials the metadata service shows now."""
        now = self._clock.now()
        with self._lock:
            held = self._current.get((instance, role))
            margin = min(ROTATE_BEFORE, lifetime / 2)
            if held is None or held.expires - now <= margin:
                held = Credentials(
                    instance, role,
                    access_key="ASIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16)),
                    secret_key=secrets.token_urlsafe(30),
                    token=secrets.token_urlsafe(96),
                    issued=now, expires=now + lifetime,
                )
                self._current[(instance, role)] = held
                self._by_key[held.access_key] = held
            return held

    def owner(self, access_key: str) -> Credentials | None:
        """Who was given this key, if it was one of ours."""
        with self._lock:
            return self._by_key.get(access_key)

    def expired(self, access_key: str) -> bool:
        """Whether the key was ours and has run out."""
        owner = self.owner(access_key)
        return owner is not None and self._clock.now() >= owner.expires

    def reset(self) -> None:
        """Nobody holds anything."""
        with self._lock:
            self._current.clear()
            self._by_key.clear()
