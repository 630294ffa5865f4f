"""The wire format of protocol buffers: checks of a file before a library parses it, and additions to it."""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LONGEST_VARINT = 10

FieldValue = int | memoryview


def read_fields(message: memoryview) -> Iterator[tuple[int, FieldValue]]:
    """Yield the number and the value of each field of a message: an integer, or bytes.

    Raises ValueError where the message is malformed.
    """
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        kind = key & 7
        if kind == VARINT:
            value, position = _read_varint(message, position)
            yield key >> 3, value
            continue
        if kind == BYTES:
            size, position = _read_varint(message, position)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind}")
        if size > len(message) - position:
            raise ValueError("a field is cut short")
        yield key >> 3, message[position : position + size]
        position += size


def read_messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """Yield the values of a field that contains messages, texts or bytes; ValueError if one is an integer."""
    for field, value in read_fields(message):
        if field == number:
            if isinstance(value, int):
                raise ValueError(f"field {number} is an integer")
            yield value


def write_field(number: int, value: bytes) -> bytes:
    """Return a field that contains bytes; appended to a message, it is part of it."""
    return _write_varint(number << 3 | BYTES) + _write_varint(len(value)) + value


def write_integer(number: int, value: int) -> bytes:
    """Return a field that contains an integer of at least 0."""
    return _write_varint(number << 3 | VARINT) + _write_varint(value)


def _write_varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return an integer and the position after it."""
    value = 0
    for index in range(LONGEST_VARINT):
        if position >= len(message):
            raise ValueError("an integer is cut short")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position
    raise ValueError("an integer is too long")
