"""The messages of TensorFlow Serving's protocol that this package exchanges.

They are declared here because the package that holds all of them,
tensorflow-serving-api, loads TensorFlow when it is imported and is released for
one version of it. What goes over the wire is fixed by the field numbers, which
are public and never reused; the fields left out are skipped by a reader. Sources:
`tensorflow_serving/apis/{model,predict,get_model_metadata,prediction_log}.proto` of
TensorFlow Serving and `tensorflow/core/framework/{types,tensor,tensor_shape}.proto`
and `tensorflow/core/protobuf/meta_graph.proto` of TensorFlow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "bytecover.serving"

DATA_TYPES = {
    "DT_INVALID": 0,
    "DT_FLOAT": 1,
    "DT_DOUBLE": 2,
    "DT_INT32": 3,
    "DT_UINT8": 4,
    "DT_STRING": 7,
    "DT_INT64": 9,
    "DT_BFLOAT16": 14,
    "DT_HALF": 19,
}

# Field: (number, type); `map` means from string.
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Dim": {"size": (1, "int64")},
    "TensorShapeProto": {"dim": (2, "repeated Dim"), "unknown_rank": (3, "bool")},
    "TensorProto": {
        "dtype": (1, "DataType"),
        "tensor_shape": (2, "TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "repeated float"),
    },
    "TensorInfo": {
        "name": (1, "string"),
        "dtype": (2, "DataType"),
        "tensor_shape": (3, "TensorShapeProto"),
    },
    "SignatureDef": {
        "inputs": (1, "map TensorInfo"),
        "outputs": (2, "map TensorInfo"),
        "method_name": (3, "string"),
    },
    "SignatureDefMap": {"signature_def": (1, "map SignatureDef")},
    "ModelSpec": {"name": (1, "string"), "signature_name": (3, "string")},
    "PredictRequest": {
        "model_spec": (1, "ModelSpec"),
        "inputs": (2, "map TensorProto"),
        "output_filter": (3, "repeated string"),
    },
    "PredictResponse": {"outputs": (1, "map TensorProto")},
    "PredictLog": {"request": (1, "PredictRequest")},
    "PredictionLog": {"predict_log": (6, "PredictLog")},
    "Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "GetModelMetadataRequest": {
        "model_spec": (1, "ModelSpec"),
        "metadata_field": (2, "repeated string"),
    },
    "GetModelMetadataResponse": {"metadata": (2, "map Any")},
}


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: str) -> None:
    if kind in MESSAGES or "." in kind:
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"
    elif kind == "DataType":
        field.type = field.TYPE_ENUM
        field.type_name = f".{_PACKAGE}.{kind}"
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")


def _add_field(
    message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str
) -> None:
    *modifier, kind = kind.split()
    if modifier == ["map"]:
        # A map is a repeated pair of key and value.
        words = (word.capitalize() for word in name.split("_"))
        entry = message.nested_type.add(name="".join(words) + "Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string")
        _add_field(entry, "value", 2, kind)
        kind = f"{message.name}.{entry.name}"
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_REPEATED if modifier else field.LABEL_OPTIONAL
    _set_type(field, kind)


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="bytecover/serving.proto", package=_PACKAGE, syntax="proto3"
    )
    data_type = file.enum_type.add(name="DataType")
    for name, number in DATA_TYPES.items():
        data_type.value.add(name=name, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(message, field, number, kind)
    # A pool of its own: nothing here can clash with TensorFlow's declarations.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")
        )
        for name in MESSAGES
    }


_CLASSES = _build()
GetModelMetadataRequest = _CLASSES["GetModelMetadataRequest"]
GetModelMetadataResponse = _CLASSES["GetModelMetadataResponse"]
PredictionLog = _CLASSES["PredictionLog"]
PredictRequest = _CLASSES["PredictRequest"]
PredictResponse = _CLASSES["PredictResponse"]
SignatureDefMap = _CLASSES["SignatureDefMap"]


def predict_request(
    model: str, signature: str, name: str, array: np.ndarray, output: str
) -> Any:
    """Return a `PredictRequest`.

    Args:
        model: name of the served model.
        signature: name of its signature.
        name: name of the signature's only input.
        array: float32 value of that input.
        output: name of the wanted output.
    """
    request = PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    request.output_filter.append(output)
    tensor = request.inputs[name]
    tensor.dtype = DATA_TYPES["DT_FLOAT"]
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = np.ascontiguousarray(array, "<f4").tobytes()
    return request


def to_array(tensor: Any) -> np.ndarray:
    """Return the float32 array in a `TensorProto`.

    Raises:
        ValueError: another type, or not as many values as the shape says.
    """
    if tensor.dtype != DATA_TYPES["DT_FLOAT"]:
        raise ValueError(f"data type {tensor.dtype}, expected 1 (float32)")
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    # A server may fill in either field.
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, "<f4").reshape(shape)
    return np.array(tensor.float_val, np.float32).reshape(shape)
