"""Helpers shared by the command modules."""

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from siglip2_multimodal_hash.document import Part, as_markdown, as_text
from siglip2_multimodal_hash.errors import did_you_mean

TEXT, MARKDOWN = "text", "md"
# The message of argparse, with quotes around the choices in some versions of Python.
_INVALID_CHOICE = re.compile(r"invalid choice: '(.*?)' \(choose from (.*)\)")


class Parser(argparse.ArgumentParser):
    """A parser with suggestions for misspelt commands, options and values."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse all arguments: the rest of a command is refused by itself, with its own usage."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            hints = [did_you_mean(word.split("=")[0], self._option_string_actions) for word in rest]
            self.error(
                "; ".join([f"unrecognized arguments: {' '.join(rest)}", *filter(None, hints)])
            )
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and exit with 2."""
        if found := _INVALID_CHOICE.search(message):
            known = [name.strip(" '") for name in found[2].split(",")]
            hint = did_you_mean(found[1], known)
            message += f"; {hint}" if hint else ""
        super().error(message)


# In quotes, because argparse's class takes no parameter at run time.
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def new_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], None], exits: str = ""
) -> Parser:
    """Add a command.

    Args:
        commands: Where to.
        name: Its name.
        run: Called with its options; its docstring is the help.
        exits: Meanings of exit codes that it alone has.
    """
    parser = commands.add_parser(
        name, help=run.__doc__, description=run.__doc__, epilog=exits and f"Exit codes: {exits}"
    )
    parser.set_defaults(run=run)
    return parser


def add_format(parser: Parser, *others: str) -> None:
    """Add the option ``--format``; ``others`` are formats beyond text and Markdown."""
    parser.add_argument(
        "--format",
        choices=(TEXT, MARKDOWN, *others),
        help="text: aligned; md: Markdown"
        + "".join(f", {name}" for name in others)
        + " (default: text on a terminal, else md)",
    )


def default_format() -> str:
    """Aligned text on a terminal, Markdown into a file or a pipe."""
    return TEXT if sys.stdout.isatty() else MARKDOWN


def show(parts: Sequence[Part], form: str | None) -> None:
    """Print in a format, or in the default one; coloured on a terminal."""
    print(laid_out(parts, form or default_format(), colour=sys.stdout.isatty()), end="")


def laid_out(parts: Sequence[Part], form: str, *, colour: bool) -> str:
    """Text, which alone may have colours, or Markdown."""
    return as_text(parts, colour=colour) if form == TEXT else as_markdown(parts)


def at_least(least: int) -> Callable[[str], int]:
    """The type of an argument that is a number, with its smallest value."""

    def integer(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"{text}: must be at least {least}")
        return number

    return integer


def add_draws(parser: Parser) -> None:
    """Add the option ``--draws``; fewer than the least are too few for an interval."""
    parser.add_argument(
        "--draws",
        type=at_least(100),
        default=2000,
        help="number of bootstrap draws (default: %(default)s)",
    )


def path_argument(text: str) -> Path:
    """The type of an argument that is a path; an empty one would mean the working folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name")
    return Path(text)


def print_json(value: Any) -> None:
    """Print a value as JSON in ASCII, which any encoding of the output can hold.

    Raises:
        ValueError: It holds NaN or infinity, which JSON cannot express.
    """
    print(json.dumps(value, indent=2, allow_nan=False))
