"""What settings, as frozen dataclasses, have in common: their checks, and reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from bytecover_tf.errors import ConfigError

T = TypeVar("T")


def check_choices(settings: object) -> None:
    """Refuse a value that the `Literal` of its field does not have.

    Raises:
        ConfigError: there is such a value.
    """
    for name, kind in get_type_hints(type(settings)).items():
        if get_origin(kind) is Literal and getattr(settings, name) not in get_args(
            kind
        ):
            raise ConfigError(
                f"{name} must be one of {', '.join(get_args(kind))}, "
                f"not {getattr(settings, name)!r}"
            )


def check_positive(settings: object, *names: str) -> None:
    """Refuse values of the named fields that are not above 0.

    Raises:
        ConfigError: there is such a value.
    """
    _check(settings, "", names, lambda value: value > 0, "must be positive")


def check_not_negative(settings: object, prefix: str, *names: str) -> None:
    """Refuse values of the named fields that are below 0.

    Args:
        settings: what has the fields.
        prefix: what messages put before a field's name.
        *names: of the fields.

    Raises:
        ConfigError: there is such a value.
    """
    _check(settings, prefix, names, lambda value: value >= 0, "must be 0 or more")


def check_probabilities(settings: object, prefix: str, *names: str) -> None:
    """Refuse values of the named fields that are not between 0 and 1.

    Args:
        settings: what has the fields.
        prefix: what messages put before a field's name.
        *names: of the fields.

    Raises:
        ConfigError: there is such a value.
    """
    _check(settings, prefix, names, lambda value: 0 <= value <= 1, "is a probability")


def _check(
    settings: object,
    prefix: str,
    names: Iterable[str],
    fits: Callable[[Any], bool],
    what: str,
) -> None:
    for name in names:
        value = getattr(settings, name)
        if not fits(value):
            raise ConfigError(f"{prefix}{name} {what}, not {value}")


def check_counts(settings: object, name: str, length: int | None = None) -> None:
    """Refuse a tuple that is not of numbers from 1 on.

    Args:
        settings: what has the tuple.
        name: of the field.
        length: how many numbers there must be; None for any but none.

    Raises:
        ConfigError: the tuple is another.
    """
    values = getattr(settings, name)
    if not values or min(values) < 1 or (length and len(values) != length):
        raise ConfigError(
            f"{name} must be {length or 'some'} positive numbers, not {values}"
        )


def can_be_none(settings: object, name: str) -> bool:
    """Whether a field takes None, which switches off what it sets."""
    return type(None) in get_args(get_type_hints(type(settings))[name])


def take(kind: type[T], values: Mapping[str, Any]) -> T:
    """Make settings of the values that have the names of their fields.

    Args:
        kind: a dataclass.
        values: other names are ignored; fields without a value keep the default.
    """
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: values[name] for name in names if name in values})
