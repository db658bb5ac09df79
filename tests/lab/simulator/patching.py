"""How a method of moto is replaced: once, and with its own kept at hand."""

from __future__ import annotations

from typing import Any

_OWN = "_before_the_lab"


def replace(owner: Any, name: str, function: Any) -> Any:
    """Swap a method and return moto's own."""
    original = getattr(owner, name)
    if hasattr(original, _OWN):
        raise RuntimeError(f"`{name}` is patched twice")
    setattr(function, _OWN, original)
    setattr(owner, name, function)
    return original
