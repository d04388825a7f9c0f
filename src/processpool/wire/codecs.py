"""Codecs: conversion of messages between Python values and bytes, as text, bytes or JSON.

Three rules hold here. A codec has no state, so all workers share one. Everything that it cannot
encode or decode raises a `CodecError`, which says what the codec accepts and, for bytes, the offset
of the error. And nothing is guessed or repaired: invalid UTF-8, NaN and infinity, and objects with
duplicate keys are rejected.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from processpool.errors import AnswerError, CodecError

_QUOTED = 60
"""Characters that are quoted of what is bad."""


class Codec(ABC):
    """Encodes messages as bytes, and decodes answers to values."""

    name: ClassVar[str]
    """The codec's name in a pool's YAML."""

    def __init__(self, decoded: str = "answer") -> None:
        """`decoded` is what errors call the bytes that are decoded: an answer, or a message."""
        self._decoded = decoded

    @abstractmethod
    def encode(self, message: Any) -> bytes:
        """Return the bytes of a message; raise `CodecError` if it cannot be encoded."""

    @abstractmethod
    def decode(self, payload: bytes) -> Any:
        """Return the value of an answer; raise `CodecError` with the offset of an invalid byte."""

    def encode_many(self, messages: list[Any], most: int) -> list[bytes] | None:
        """Return the bytes of many messages at once; None if they are to be encoded one by one.

        An optional fast path: `encode` finds the same, and what is wrong with which.

        Args:
            messages: they may well be others than the codec takes.
            most: the bytes of all of them, about; with more, they are to be encoded one by one.
        """
        return None

    def decode_many(self, payloads: list[bytes]) -> list[Any]:
        """Return the values of answers; raise `CodecError` if one of them is bad."""
        return list(map(self.decode, payloads))

    def decode_any(self, payload: bytes) -> Any:
        """Return the value of a message that is no answer; its bytes if it has none."""
        try:
            return self.decode(payload)
        except CodecError:
            return payload


class TextCodec(Codec):
    """Messages are str, encoded as UTF-8."""

    name = "text"

    def encode(self, message: Any) -> bytes:
        """Return the UTF-8 of a str; raise `CodecError` for other types and lone surrogates."""
        if not isinstance(message, str):
            raise CodecError(f"codec text takes a str, got {_type(message)}")
        return _utf8(message, self.name)

    def encode_many(self, messages: list[Any], most: int) -> list[bytes] | None:
        """Return the UTF-8 of many messages; None if one cannot be encoded, or they are large."""
        try:
            return None if sum(map(len, messages)) > most else list(map(str.encode, messages))
        except (TypeError, UnicodeEncodeError):
            return None

    def decode(self, payload: bytes) -> str:
        """Return the str; raise `CodecError` with the offset of the first invalid byte."""
        try:
            return payload.decode()
        except UnicodeDecodeError:
            return _text(payload, self.name, self._decoded)

    def decode_many(self, payloads: list[bytes]) -> list[Any]:
        """Return the values of answers; raise `CodecError` if one of them is bad."""
        try:
            return list(map(bytes.decode, payloads))
        except UnicodeDecodeError:
            return super().decode_many(payloads)


class BytesCodec(Codec):
    """Messages are bytes, bytearray or memoryview; answers are bytes."""

    name = "bytes"

    def encode(self, message: Any) -> bytes:
        """Return the message as bytes; raise `CodecError` for other types."""
        if isinstance(message, bytes):
            return message
        if isinstance(message, bytearray | memoryview):
            return bytes(message)
        raise CodecError(f"codec bytes takes bytes, bytearray or memoryview, got {_type(message)}")

    def encode_many(self, messages: list[Any], most: int) -> list[bytes] | None:
        """Return many messages as they are; None if one of them is not bytes, or they are large."""
        if set(map(type, messages)) != {bytes} or sum(map(len, messages)) > most:
            return None
        return messages

    def decode(self, payload: bytes) -> bytes:
        """Return the payload."""
        return payload


class JsonCodec(Codec):
    """Messages are JSON values, encoded as one line of UTF-8.

    Numbers follow Python: integers may be as large as `sys.set_int_max_str_digits` allows, and
    `1e999`, which is valid JSON, is decoded as infinity. `NaN` and `Infinity`, which are not valid
    JSON, are rejected in both directions.
    """

    name = "json"

    def __init__(self, decoded: str = "answer") -> None:
        super().__init__(decoded)
        self._encode = json.JSONEncoder(
            ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode
        self._decode = json.JSONDecoder(
            parse_constant=_refuse_constant, object_pairs_hook=_unique
        ).decode

    def encode(self, message: Any) -> bytes:
        """Return JSON without a newline; raise `CodecError` for values that JSON does not have."""
        try:
            text = self._encode(message)
        except (TypeError, ValueError, RecursionError) as error:
            raise CodecError(
                f"codec json: the message is nothing that JSON can say: {error}"
            ) from error
        return _utf8(text, self.name)

    def decode(self, payload: bytes) -> Any:
        """Return the value; raise `CodecError` for invalid JSON, NaN and duplicate keys."""
        text = _text(payload, self.name, self._decoded)
        try:
            return self._decode(text)
        except json.JSONDecodeError as error:
            offset = len(text[: error.pos].encode())
            problem = f"{error.msg} at byte {offset}"
            if text.startswith("\ufeff"):
                problem += ", a byte-order mark, which JSON does not have: leave it out"
            raise self._error(problem, text, error.pos) from error
        except (ValueError, RecursionError) as error:
            raise self._error(str(error), text) from error

    def _error(self, problem: str, text: str, at: int = 0) -> CodecError:
        where = _around(text, at)
        return CodecError(f"codec json: the {self._decoded} is bad: {problem}; it is {where!r}")


class JsonRpcCodec(JsonCodec):
    """Messages are `{"method": …, "params": …}`; answers are their results."""

    name = "jsonrpc"

    def encode(self, message: Any) -> bytes:
        """Return the JSON of a message; raise `CodecError` if it is not a request."""
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            raise CodecError('a message of jsonrpc is {"method": ..., "params": ...}')
        others = [key for key in message if key not in ("method", "params")]
        if others:
            raise CodecError(f"a message of jsonrpc has method and params, not {others[0]!r}")
        if not isinstance(message.get("params", {}), dict | list):
            raise CodecError("the params of a message of jsonrpc are an object or an array")
        return super().encode(message)

    def decode_any(self, payload: bytes) -> Any:
        """Return a message of a server that is no answer; its bytes if it is cut."""
        try:
            return super().decode(payload)
        except CodecError:
            return payload

    def decode(self, payload: bytes) -> Any:
        """Return the result; raise `AnswerError` with the code and data of an error."""
        answer = super().decode(payload)
        error = answer.get("error")
        if error is None and "result" in answer:  # as of JSON-RPC 1, `error` may be there and null
            return answer["result"]
        details = error if isinstance(error, dict) else {"message": error}
        problem = AnswerError(f"the program answered with an error: {details.get('message', '')}")
        problem.value, problem.data = error, details.get("data")
        if isinstance(details.get("code"), int):
            problem.code = details["code"]
        raise problem


_CODECS: dict[str, type[Codec]] = {
    codec.name: codec for codec in (TextCodec, BytesCodec, JsonCodec, JsonRpcCodec)
}


def make_codec(name: str, decoded: str = "answer") -> Codec:
    """Return the codec of this name; raise `ValueError` for unknown names.

    `decoded` is what errors call the bytes that are decoded.
    """
    try:
        return _CODECS[name](decoded)
    except KeyError:
        known = ", ".join(_CODECS)
        raise ValueError(f"no codec is called {name!r}; there are {known}") from None


def _type(message: object) -> str:
    return type(message).__qualname__


def _utf8(text: str, codec: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise CodecError(
            f"codec {codec}: {text[error.start]!r} at character {error.start} is half a "
            f"surrogate pair, which UTF-8 cannot say"
        ) from error


def _text(payload: bytes, codec: str, decoded: str) -> str:
    try:
        return str(payload, "utf-8")
    except UnicodeDecodeError as error:
        raise CodecError(
            f"codec {codec}: the {decoded} is bad: invalid UTF-8 at byte {error.start} "
            f"(0x{payload[error.start]:02x}: {error.reason}); it is "
            f"{_around(bytes(payload), error.start)!r}"
        ) from error


def _around(whole: Any, at: int) -> Any:
    """Return what is quoted of a text, or of bytes: all if it is short, else around `at`."""
    dots = "…" if isinstance(whole, str) else b"..."
    begin = max(at - _QUOTED // 2, 0)
    end = begin + _QUOTED
    return (
        (dots if begin else dots[:0]) + whole[begin:end] + (dots if end < len(whole) else dots[:0])
    )


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for index, key in enumerate(keys) if key in keys[:index])
        raise ValueError(f"an object has the key {twice!r} twice")
    return value
