from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos import databricks_pb2 as codes
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import JSONDecodeError, ReadTimeout

from kdsearch.tracking.client import is_temporary


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("API request failed with exception"),
        MlflowException("database is locked", codes.TEMPORARILY_UNAVAILABLE),
        MlflowException("too many requests", codes.REQUEST_LIMIT_EXCEEDED),
        MlflowException("the token has expired", codes.UNAUTHENTICATED),
        MlflowException("default backend: 404", codes.ENDPOINT_NOT_FOUND),
        RestException({"error_code": "INTERNAL_ERROR", "message": "500"}),
        RequestsConnectionError(),
        ReadTimeout(),
        JSONDecodeError("not JSON", "<html>", 0),
        OSError(28, "No space left on device"),
    ],
    ids=str,
)
def test_what_will_pass_is_waited_for(error: Exception) -> None:
    assert is_temporary(error)


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("changing param values is not allowed", codes.INVALID_PARAMETER_VALUE),
        RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"}),
        FileNotFoundError("student.safetensors"),
        ImportError("no module named boto3"),
    ],
    ids=str,
)
def test_what_will_never_work_is_not(error: Exception) -> None:
    assert not is_temporary(error)
