"""Findings of the checks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from siglip2_multimodal_hash.errors import InputError

Status = Literal["ok", "warn", "fail"]

_ORDER: tuple[Status, ...] = ("ok", "warn", "fail")


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: Subject of the check.
        status: ``fail`` where a stage would stop, ``warn`` where it would run worse than it could.
        finding: Result of the check.
        remedy: Advice to the user; empty where nothing needs doing.
    """

    name: str
    status: Status
    finding: str
    remedy: str = ""


def ok(name: str, finding: str) -> Finding:
    """Finding of a check that passed."""
    return Finding(name, "ok", finding)


def warn(name: str, finding: str, remedy: str) -> Finding:
    """Finding of something that runs, but not as well as it could."""
    return Finding(name, "warn", finding, remedy)


def fail(name: str, finding: str, remedy: str) -> Finding:
    """Finding that would stop a stage."""
    return Finding(name, "fail", finding, remedy)


def fail_with(name: str, error: InputError) -> Finding:
    """The failure that a stage would report, its remedy apart."""
    message, _, remedy = str(error).partition("\n  -> ")
    return fail(name, message, remedy)


def worst(findings: Iterable[Finding]) -> Status:
    """The worst status; ``ok`` of none."""
    return max((one.status for one in findings), key=_ORDER.index, default="ok")
