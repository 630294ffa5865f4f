"""Checks of an ONNX file before onnxruntime parses it."""

from collections.abc import Iterator

from nmt.protobuf import read_fields, read_messages

# Numbers of the fields of onnx.proto.
GRAPH, TRAINING, FUNCTIONS = 7, 20, 25  # of the model
NODES, CONSTANTS, SPARSE_CONSTANTS = 1, 5, 15  # of a graph
OPERATION, ATTRIBUTES, DOMAIN = 4, 5, 7  # of a node
TENSOR, SUBGRAPH, TENSORS, SUBGRAPHS, SPARSE_TENSOR = 5, 6, 10, 11, 22  # of an attribute
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # of a tensor
DEEPEST = 4

REFUSED = ("Loop", "If", "SequenceMap")
"""Operations that may run without end; an exported translator only scans sequences."""
ACCEPTED = {"": None, "ai.onnx": None, "com.microsoft": ("MatMulIntegerToFloat",)}
"""The operations that are accepted by domain; None: all but those refused."""


def check_graph(content: bytes) -> None:
    """Raise ValueError unless a model is a graph of known operations with all its data inside the file."""
    model = memoryview(content)
    for number, _ in read_fields(model):
        if number in (TRAINING, FUNCTIONS):
            raise ValueError("it contains functions")
    graphs = list(read_messages(model, GRAPH))
    if len(graphs) != 1:
        raise ValueError(f"it has {len(graphs)} graphs")
    _check_graph(graphs[0], 0)


def _check_graph(graph: memoryview, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError("its graphs are nested too deep")
    if any(read_messages(graph, SPARSE_CONSTANTS)):
        raise ValueError("it has sparse constants")
    for tensor in read_messages(graph, CONSTANTS):
        _check_tensor(tensor)
    for node in read_messages(graph, NODES):
        [operation] = [*_read_texts(node, OPERATION)] or [""]
        domain = next(_read_texts(node, DOMAIN), "")
        accepted = ACCEPTED.get(domain, ())
        if operation in REFUSED or (accepted is not None and operation not in accepted):
            raise ValueError(f"it uses the operation {domain}.{operation}")
        for attribute in read_messages(node, ATTRIBUTES):
            _check_attribute(attribute, depth)


def _check_attribute(attribute: memoryview, depth: int) -> None:
    for number, value in read_fields(attribute):
        if number == SPARSE_TENSOR:
            raise ValueError("it has sparse constants")
        if number in (TENSOR, TENSORS, SUBGRAPH, SUBGRAPHS):
            if isinstance(value, int):
                raise ValueError("an attribute is damaged")
            if number in (TENSOR, TENSORS):
                _check_tensor(value)
            else:
                _check_graph(value, depth + 1)


def _check_tensor(tensor: memoryview) -> None:
    for number, value in read_fields(tensor):
        if number == EXTERNAL_DATA or (number == DATA_LOCATION and value != 0):
            raise ValueError("its data is in another file")


def _read_texts(message: memoryview, number: int) -> Iterator[str]:
    return (bytes(text).decode("utf-8", "replace") for text in read_messages(message, number))
