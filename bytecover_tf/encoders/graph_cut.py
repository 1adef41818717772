"""An ONNX graph cut at a tensor, which it then reads instead of making it.

ONNX Runtime gives values to the inputs of a graph only, so the graph itself is cut. A
file of ONNX is a message of Protocol Buffers: a series of fields, each of which is a
key, a length and a content. A cut leaves out the nodes that are no longer needed and
adds an input. That takes so little of the format that it is read here.
"""

from __future__ import annotations

from collections.abc import Iterator

# Numbers of the fields, from onnx.proto.
_GRAPH = 7  # of a model
_NODE, _INPUT, _OUTPUT = 1, 11, 12  # of a graph
_READS, _MAKES = 1, 2  # of a node
_NAME, _TYPE = 1, 2  # of an input
_TENSOR_TYPE = 1  # of a type
_FLOATS = b"\x08\x01"  # element type 1
_SHAPE, _AXIS = 2, 1  # of a tensor's type; an axis of any length is empty
_AXES = 4

_VARINT, _BYTES = 0, 2  # how the value of a field is written


def cut(model: bytes, tensor: str) -> bytes:
    """Return a model that reads a tensor as a further input.

    Args:
        model: content of an ONNX file without subgraphs.
        tensor: name of a float32 tensor of four axes that a node makes.

    Raises:
        ValueError: it is not a model, or no node makes the tensor.
    """
    fields = list(_fields(memoryview(model)))
    if _GRAPH not in [number for number, *_ in fields]:
        raise ValueError("it has no graph")
    parts: list[bytes | memoryview] = []
    for number, value, written in fields:
        if number == _GRAPH:
            graph = _cut_graph(value, tensor)
            # Joined once: each copy of the weights takes time.
            parts += [_start(_GRAPH, sum(map(len, graph))), *graph]
        else:
            parts.append(written)
    return b"".join(parts)


def _cut_graph(graph: memoryview, tensor: str) -> list[bytes | memoryview]:
    """Return the fields of the graph that is left."""
    cut_at = tensor.encode()
    fields = list(_fields(graph))
    needed: set[bytes] = set()
    for number, value, _ in fields:
        if number == _OUTPUT:
            needed.update(
                bytes(name) for key, name, _ in _fields(value) if key == _NAME
            )
    kept: list[bytes | memoryview] = []
    is_found = False
    # Nodes come after those that make what they read.
    for number, value, written in reversed(fields):
        if number == _NODE:
            reads, makes = _names(value)
            if cut_at in makes:
                is_found = True
                continue
            if needed.isdisjoint(makes):
                continue
            needed.update(reads)
        kept.append(written)
    if not is_found:
        raise ValueError(f"no node makes {tensor}")
    floats = _field(_TENSOR_TYPE, _FLOATS + _field(_SHAPE, _field(_AXIS, b"") * _AXES))
    read = _field(_INPUT, _field(_NAME, cut_at) + _field(_TYPE, floats))
    return [*reversed(kept), read]


def _names(node: memoryview) -> tuple[list[bytes], list[bytes]]:
    """Return the names of what a node reads and of what it makes."""
    reads, makes = [], []
    for number, value, _ in _fields(node):
        if number == _READS:
            reads.append(bytes(value))
        elif number == _MAKES:
            makes.append(bytes(value))
    return reads, makes


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Yield the number of each field, its value if that is bytes, and all of it."""
    start = 0
    while start < len(message):
        key, place = _read_varint(message, start)
        kind = key & 7
        if kind == _VARINT:
            _, end = _read_varint(message, place)
            value = message[place:place]
        elif kind == _BYTES:
            length, place = _read_varint(message, place)
            end = place + length
            value = message[place:end]
        else:
            raise ValueError(f"a field of kind {kind}, which an ONNX graph has not")
        if end > len(message):
            raise ValueError("it ends in a field")
        yield key >> 3, value, message[start:end]
        start = end


def _field(number: int, value: bytes) -> bytes:
    return _start(number, len(value)) + value


def _start(number: int, length: int) -> bytes:
    """Return what is written before the value of a field."""
    return _varint(number << 3 | _BYTES) + _varint(length)


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return a number, seven bits to a byte, and where it ends."""
    number = shift = 0
    while True:
        if place >= len(message):
            raise ValueError("it ends in a number")
        byte = message[place]
        number |= (byte & 0x7F) << shift
        place += 1
        shift += 7
        if byte < 0x80:
            return number, place


def _varint(number: int) -> bytes:
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
