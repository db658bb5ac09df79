"""What moto lacks around parameters of stacks that name parameters of the Parameter Store."""

from __future__ import annotations

from typing import Any

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.parsing import ResourceMap
from moto.ssm import ssm_backends

from .patching import replace

# What the public parameters of images hold here.
IMAGE = "ami-0abcdef1234567890"


def install() -> None:
    """A name stays a name, and has to be there; images have public parameters."""

    def parse_ssm_parameter(self: Any, value: str, value_type: str) -> Any:
        if value.startswith("/aws/service/"):
            return IMAGE
        if ssm_backends[self._account_id][self._region_name].get_parameter(value) is None:
            raise ValidationError(value, f"Parameters: [{value}] do not exist in Parameter Store")
        return value if value_type == "AWS::SSM::Parameter::Name" else parse(self, value, value_type)

    parse = replace(ResourceMap, "parse_ssm_parameter", parse_ssm_parameter)
