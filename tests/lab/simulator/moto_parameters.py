"""Makes moto's GetParameter(s) answer as the real service does.

moto names a secret by its own name instead of the reference that was asked for,
fails the whole call for a missing secret, and leaves out selectors.
"""

from __future__ import annotations

import json
from typing import Any

from moto.core.responses import ActionResult
from moto.ssm.exceptions import ParameterNotFound, ParameterVersionNotFound, ValidationException
from moto.ssm.responses import SimpleSystemManagerResponse

from .patching import replace

_SECRETS = "/aws/reference/secretsmanager/"
_MOST_NAMES = 10


def install() -> None:
    """GetParameter and GetParameters."""

    def get_parameter(self: Any) -> ActionResult:
        name = self._get_param("Name")
        return ActionResult({"Parameter": _look_up(self, name)})

    def get_parameters(self: Any) -> ActionResult:
        names = self._get_param("Names")
        if not 1 <= len(names) <= _MOST_NAMES:
            raise ValidationException(
                f"1 validation error detected: Value '{names}' at 'names' failed to satisfy constraint: "
                f"Member must have length less than or equal to {_MOST_NAMES}"
            )
        found, invalid = [], []
        for name in dict.fromkeys(names):
            try:
                found.append(_look_up(self, name))
            except (ParameterNotFound, ParameterVersionNotFound):
                # For a missing secret this is the API's contract, not an observation.
                invalid.append(name)
        return ActionResult({"Parameters": found, "InvalidParameters": invalid})

    replace(SimpleSystemManagerResponse, "get_parameter", get_parameter)
    replace(SimpleSystemManagerResponse, "get_parameters", get_parameters)


def _look_up(response: Any, name: str) -> dict[str, Any]:
    decrypt = response._get_param("WithDecryption")
    bare, _, selector = response.ssm_backend._strip_parameter_arn(name).partition(":")
    secret = bare.startswith(_SECRETS)
    if secret and decrypt is not True:
        raise ValidationException("WithDecryption flag must be True for retrieving a Secret Manager secret.")
    parameter = response.ssm_backend.get_parameter(name)
    if parameter is None:
        raise ParameterNotFound(f"Parameter {name} not found.")
    shown = parameter.response_object(decrypt, response.region)
    if secret:
        shown["Name"] = bare
        shown["ARN"] = json.loads(parameter.source_result)["ARN"]
    if selector:
        shown["Selector"] = f":{selector}"
    return shown
