"""Options after the question mark of a specification, as in `FOLDER?resize=256&crop=224`."""

from __future__ import annotations

from collections.abc import Mapping


def split_options(spec: str) -> tuple[str, str]:
    """What is before the last question mark, and the options after it.

    Args:
        spec: with or without options.
    """
    place, _, options = spec.rpartition("?") if "?" in spec else (spec, "", "")
    return place, options


def parse_options(options: str, allowed: Mapping[str, str]) -> dict[str, str]:
    """The options by name. Nothing in them is decoded, so values may be paths.

    Args:
        options: as in `resize=256&crop=224`.
        allowed: allowed names, each with an example of a value, for the message.

    Raises:
        ValueError: text that is no list of options, an unknown name, a name that occurs twice.
    """
    parts = [part.partition("=") for part in options.split("&")] if options else []
    found = {name: value for name, _, value in parts}
    if len(found) < len(parts) or not found.keys() <= set(allowed):
        example = "&".join(f"{name}={value}" for name, value in allowed.items())
        raise ValueError(
            f"cannot read the options {options!r}; write {example}, or some of these, each once"
        )
    return found


def with_option(spec: str, name: str, value: str) -> str:
    """The specification with one more option.

    Args:
        spec: with or without options.
        name: of the option.
        value: of the option.

    Raises:
        ValueError: the value would be read as further options.
    """
    if {"?", "&"} & set(value):
        raise ValueError(f"{name} must not contain ? or &; got {value!r}")
    return f"{spec}{'&' if '?' in spec else '?'}{name}={value}"
