"""Calls to one model on a TensorFlow Serving server, by gRPC or REST."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar
from urllib.parse import SplitResult, quote, unquote, urlsplit

import grpc
import numpy as np
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from bytecover_tf.errors import ConfigError, EncoderError
from export import protos

# Seconds before the first retry; each further one waits twice as long.
_BACKOFF = 0.1
# Most bytes of an answer: a hundred times those of the largest batch of embeddings.
_MOST_BYTES = 64 * 2**20
# A server's address has no path with an @, so all up to the last one.
_LOGIN = re.compile(r"^(\w+://)?.*@", re.S)

LONGEST_TIMEOUT = 1e6
"""Seconds; a socket cannot wait for much longer."""

_Result = TypeVar("_Result")


class _Unavailable(Exception):
    """The server cannot answer now; the same request may succeed later."""


class _Refused(Exception):
    """The server answered, and would answer the same again."""


def without_login(address: str) -> str:
    """Return the address of a server without the name and password that it may hold.

    Unlike `terminal.without_password` it knows that this is no file, so it hides the
    password also where the scheme is forgotten.
    """
    return _LOGIN.sub(r"\1", address)


class ServedModel:
    """One model on a server.

    Args:
        address: `grpc://HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`.
        name: name of the model.
        timeout: seconds that a call may take, retries included.
        retries: how often a call is repeated when the server is unavailable.
        authorization: sent with each request as HTTP's header of that name; by
            default a name and password in the address, or what the environment has
            as `BYTECOVER_SERVING_AUTHORIZATION`.

    Raises:
        ConfigError: the address has another form.
    """

    def __init__(
        self,
        address: str,
        name: str,
        timeout: float,
        retries: int,
        authorization: str | None = None,
    ) -> None:
        self.where = f"{without_login(address)} (model {name!r})"
        self._transport = _connect(address, name, authorization)
        self._timeout = timeout
        self._retries = retries

    def signatures(self) -> dict[str, Any]:
        """Return the `SignatureDef` messages by name.

        Raises:
            EncoderError: as `predict`, or the server does not know the model.
        """
        return dict(self._call(self._transport.signatures).signature_def)

    def predict(
        self, signature: str, name: str, array: np.ndarray, output: str
    ) -> np.ndarray:
        """Run a signature.

        Args:
            signature: its name.
            name: name of its only input.
            array: float32 value of the input, finite.
            output: name of the output to return.

        Returns:
            float32 array.

        Raises:
            EncoderError: the server is unavailable after all retries, does not
                answer in time, or refuses the request.
        """
        return self._call(
            lambda timeout: self._transport.predict(
                signature, name, array, output, timeout
            )
        )

    def _call(self, attempt: Callable[[float], _Result]) -> _Result:
        end = time.monotonic() + self._timeout
        tries = 0
        while True:
            try:
                # After a pause that took too long, the attempt times out by itself.
                return attempt(max(end - time.monotonic(), 1e-3))
            except _Unavailable as error:
                # With jitter, so that clients do not come back all at once.
                pause = _BACKOFF * 2**tries * random.uniform(0.5, 1)
                tries += 1
                if tries > self._retries or time.monotonic() + pause >= end:
                    raise EncoderError(
                        f"{self.where}: unavailable after {tries} tries ({error})"
                    ) from None
                time.sleep(pause)
            except TimeoutError:
                raise EncoderError(
                    f"{self.where}: no answer within {self._timeout:g} s"
                ) from None
            except _Refused as error:
                raise EncoderError(f"{self.where}: {error}") from None
            except (RecursionError, MemoryError, DecodeError) as error:
                raise EncoderError(
                    f"{self.where}: its answer cannot be read ({type(error).__name__})"
                ) from None


class _Transport(Protocol):
    """A protocol; every call raises `_Unavailable`, `_Refused` or TimeoutError."""

    def signatures(self, timeout: float) -> Any:
        """Return a `SignatureDefMap`."""

    def predict(
        self, signature: str, name: str, array: np.ndarray, output: str, timeout: float
    ) -> np.ndarray:
        """Return one output of a signature."""


def _connect(address: str, model: str, authorization: str | None) -> _Transport:
    unknown = ConfigError(
        f"{without_login(address)} is not the address of a server; expected "
        "grpc://HOST:PORT, http://HOST:PORT or https://HOST:PORT"
    )
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise unknown from None
    login, _, host = parts.netloc.rpartition("@")
    if authorization is None and login:
        encoded = b64encode(unquote(login).encode()).decode()
        authorization = f"Basic {encoded}"
    authorization = authorization or os.environ.get("BYTECOVER_SERVING_AUTHORIZATION")
    # A secret that was read from a file ends with its line.
    authorization = (authorization or "").strip()
    if not (authorization.isascii() and authorization.isprintable()):
        raise ConfigError(
            "the authorization has characters that a header cannot hold; expected "
            "printable ASCII"
        )
    if host and parts.scheme == "grpc":
        return _Grpc(host, model, authorization)
    if host and parts.scheme in ("http", "https"):
        return _Rest(parts._replace(netloc=host), model, authorization)
    raise unknown


class _Grpc:
    """`tensorflow_serving/apis/prediction_service.proto`."""

    def __init__(self, target: str, model: str, authorization: str) -> None:
        # By default a lost connection is not tried again for a second, and an
        # answer may not exceed 4 MB.
        options = [
            ("grpc.initial_reconnect_backoff_ms", int(_BACKOFF * 1000)),
            ("grpc.min_reconnect_backoff_ms", int(_BACKOFF * 1000)),
            ("grpc.max_receive_message_length", _MOST_BYTES),
        ]
        self._channel = grpc.insecure_channel(target, options)
        self._model = model
        self._metadata = [("authorization", authorization)] if authorization else None

    def signatures(self, timeout: float) -> Any:
        request = protos.GetModelMetadataRequest()
        request.model_spec.name = self._model
        request.metadata_field.append("signature_def")
        response = self._call(
            "GetModelMetadata", request, protos.GetModelMetadataResponse, timeout
        )
        return protos.SignatureDefMap.FromString(
            response.metadata["signature_def"].value
        )

    def predict(
        self, signature: str, name: str, array: np.ndarray, output: str, timeout: float
    ) -> np.ndarray:
        request = protos.predict_request(self._model, signature, name, array, output)
        response = self._call("Predict", request, protos.PredictResponse, timeout)
        if output not in response.outputs:
            raise _Refused(f"expected the output {output!r} in the answer to Predict")
        try:
            return protos.to_array(response.outputs[output])
        except ValueError as error:
            raise _Refused(f"the output {output!r} cannot be read ({error})") from None

    def _call(self, method: str, request: Any, response: Any, timeout: float) -> Any:
        call = self._channel.unary_unary(
            f"/tensorflow.serving.PredictionService/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        try:
            return call(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise _Unavailable(error.details()) from None
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError from None
            raise _Refused(f"{error.code().name}: {error.details()}") from None


class _Rest:
    """https://www.tensorflow.org/tfx/serving/api_rest, in the columnar format."""

    def __init__(self, address: SplitResult, model: str, authorization: str) -> None:
        self._connect = {
            "http": http.client.HTTPConnection,
            "https": http.client.HTTPSConnection,
        }[address.scheme]
        self._host = address.netloc
        self._headers = {"Content-Type": "application/json"}
        if authorization:
            self._headers["Authorization"] = authorization
        self._url = f"{address.path.rstrip('/')}/v1/models/{quote(model, safe='')}"

    def signatures(self, timeout: float) -> Any:
        answer = self._call("GET", f"{self._url}/metadata", None, timeout)
        try:
            return json_format.ParseDict(
                answer["metadata"]["signature_def"],
                protos.SignatureDefMap(),
                ignore_unknown_fields=True,
            )
        except (KeyError, TypeError, json_format.ParseError) as error:
            raise _Refused(f"not a model's metadata: {answer!s:.200}") from error

    def predict(
        self, signature: str, name: str, array: np.ndarray, output: str, timeout: float
    ) -> np.ndarray:
        body = (
            f'{{"signature_name":{json.dumps(signature)},'
            f'"inputs":{{{json.dumps(name)}:{_to_json(array)}}}}}'
        )
        answer = self._call("POST", f"{self._url}:predict", body.encode(), timeout)
        try:
            outputs = answer["outputs"]
            # The server leaves the name out if there is only one output.
            values = outputs[output] if isinstance(outputs, dict) else outputs
            return np.array(values, np.float32)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _Refused(f"not a prediction: {answer!s:.200}") from error

    def _call(self, method: str, url: str, body: bytes | None, timeout: float) -> Any:
        end = time.monotonic() + timeout
        connection = self._connect(self._host, timeout=timeout)
        try:
            connection.connect()
            # The socket's own timeout starts anew with every byte that comes.
            with _closed_at(end, connection.sock):
                connection.request(method, url, body, self._headers)
                response = connection.getresponse()
                text = response.read(_MOST_BYTES + 1)
                if response.length and len(text) <= _MOST_BYTES:
                    raise http.client.IncompleteRead(text, response.length)
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() >= end:
                raise TimeoutError from None
            # Refused, reset or closed, also in the middle of an answer.
            is_gone = isinstance(error, (ConnectionError, http.client.IncompleteRead))
            raise (_Unavailable if is_gone else _Refused)(error) from None
        finally:
            connection.close()
        if time.monotonic() >= end:
            raise TimeoutError
        if len(text) > _MOST_BYTES:
            raise _Refused(f"its answer is longer than {_MOST_BYTES >> 20} MiB")
        try:
            answer = json.loads(text)
        except ValueError:
            answer = text.decode(errors="replace")[:200]
        if response.status == 200:
            return answer
        message = answer.get("error", answer) if isinstance(answer, dict) else answer
        kind = _Unavailable if response.status == 503 else _Refused
        raise kind(f"{response.status} {response.reason}: {message}")


@contextmanager
def _closed_at(end: float, connection: socket.socket) -> Iterator[None]:
    """Shut a connection down if it is still in use at some time."""

    def shut() -> None:
        with suppress(OSError):  # it may be closed already
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(end - time.monotonic(), 0), shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _to_json(array: np.ndarray) -> str:
    """Return nested lists; nine digits are enough for any float32 to survive."""
    if array.ndim == 1:
        return "[" + ",".join(map("{:.9g}".format, array.tolist())) + "]"
    return "[" + ",".join(map(_to_json, array)) + "]"
