"""Queries to Git and DVC: changed files, experiments, the code that made them, times."""

import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.params import PARAMS_FILE
from siglip2_multimodal_hash.reporting.tables import HEADLINE, HEADLINE_FILE

WORKSPACE = "workspace"
# The last stage with figures. `report` behind it makes a page of one run, which no table reads.
TARGET = "summarise"
# DVC's reference of an experiment: the commit it started from, then its name.
_REF = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/([^/]+)")
_TIMES = "refs/notes/ablations"
LOCK_FILE = "dvc.lock"
# libyaml's, where PyYAML was built with it.
_LOCK_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNREADABLE = (subprocess.CalledProcessError, OSError, ValueError, YAMLError, yaml.YAMLError)
# Dependencies of a stage that are code.
_CODE = ("src/", "stages/")
# Untracked files elsewhere reach no stage.
_WATCHED = ("src/", "stages/", "models/")

Code = Iterable[tuple[str, str, str]]
"""Stages with the path and the MD5 of a dependency of theirs."""


@dataclass(frozen=True)
class Recorded:
    """A finished experiment.

    Attributes:
        name: Its name.
        commit: Its commit.
        baseline: The commit it started from.
    """

    name: str
    commit: str
    baseline: str


class Repository:
    """The project in a folder, at the commit that is its HEAD when this is created.

    Raises:
        InputError: No repository of Git, or nothing is committed.
    """

    def __init__(self, folder: Path = Path()) -> None:
        self.folder = folder
        self._read: dict[tuple[str, str], Any] = {}
        try:
            self.head = self.git("rev-parse", "--verify", "-q", "HEAD").strip()
        except subprocess.CalledProcessError:
            raise InputError(
                f"{folder.absolute()}: no commit of Git", "go to the root of the project"
            ) from None
        # The project may lie below Git's root.
        self.prefix = self.git("rev-parse", "--show-prefix").strip()

    def git(self, *command: str) -> str:
        """Run Git here, out of reach of a terminal's Ctrl-C, and return its output.

        Raises:
            CalledProcessError: It fails.
        """
        done = subprocess.run(
            ["git", *command], cwd=self.folder, capture_output=True, text=True, check=True,
            start_new_session=True,
        )  # fmt: skip
        return done.stdout

    def changed_files(self) -> list[str]:
        """Files of the project whose content, or whose being code, no commit records."""
        status = self.git("status", "--porcelain", "-z", "--no-renames", "-uall", "--", ".")
        entries = [
            (one[:2], one[3:].removeprefix(self.prefix)) for one in status.split("\0") if one
        ]
        return [path for state, path in entries if state != "??" or path.startswith(_WATCHED)]

    def experiments(self) -> dict[str, list[Recorded]]:
        """All experiments by name, newest first; of one name, those of this commit first."""
        found: dict[str, list[Recorded]] = {}
        for _, commit, start, name in references(self.git):
            found.setdefault(name, []).append(Recorded(name, commit, start))
        for same in found.values():
            same.sort(key=lambda one: (one.baseline != self.head, one.commit))
        return found

    def params(self, commit: str = "") -> dict[str, Any]:
        """The parameters of a commit, of ``workspace``, or of the head; nested.

        Raises:
            DataError: There is no params.yaml, or it is not YAML.
        """
        # YAML 1.2, as DVC reads it: `1e-3` is a number there and a string to PyYAML.
        load = YAML(typ="safe", pure=True).load
        content = self._yaml(commit or self.head, str(PARAMS_FILE), load)
        if not isinstance(content, dict):
            raise DataError(f"{commit[:9]}: {PARAMS_FILE} holds no sections")
        return content

    def text(self, commit: str, path: str) -> str:
        """A file of a commit, or of ``workspace``.

        Raises:
            CalledProcessError: The commit does not have it.
            OSError: The workspace does not.
        """
        if commit == WORKSPACE:
            return (self.folder / path).read_text(encoding="utf-8")
        return self.git("show", f"{commit}:./{path}")

    def headline(self, commit: str) -> dict[str, float]:
        """The headline figures of a commit; none where it has no such file."""
        try:
            found = json.loads(self.git("show", f"{commit}:./{HEADLINE_FILE}"))
        except (subprocess.CalledProcessError, ValueError):
            return {}
        known = found if isinstance(found, dict) else {}
        return {name: known[name] for name in HEADLINE if isinstance(known.get(name), int | float)}

    def code_version(self, commit: str) -> str:
        """Digest of the code of :data:`TARGET` and of all stages before it, by the lock file.

        Raises:
            DataError: The lock file of that commit cannot be read.
        """
        # Of it only strings are read, and its C parser takes a tenth of the pure one's time.
        lock = self._yaml(commit, LOCK_FILE, partial(yaml.load, Loader=_LOCK_LOADER))
        try:
            stages = lock["stages"]
            return _digest(
                (name, dependency["path"], dependency.get("md5", ""))
                for name in _needed(stages)
                for dependency in stages[name].get("deps", ())
            )
        except (AttributeError, LookupError, TypeError):
            raise DataError(f"{commit[:9]}: {LOCK_FILE} holds no stages") from None

    @cached_property
    def code_here(self) -> str:
        """The digest that an experiment would have that ran the code in this folder.

        Raises:
            InputError: No repository of DVC, or its dvc.yaml does not have :data:`TARGET`.
        """
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        try:
            with Repo(str(self.folder)) as repo:
                return _digest(
                    (stage.name, dependency.def_path, _md5(dependency))
                    for stage in repo.stage.collect(TARGET, with_deps=True)
                    for dependency in stage.deps
                    if dependency.def_path.startswith(_CODE)
                )
        except DvcException as error:
            raise InputError(
                f"{self.folder.absolute()}: {error}", "go to the root of a clone of the project"
            ) from None

    @cached_property
    def local_config(self) -> dict[str, Any]:
        """DVC's local configuration for a clone that is to share the cache."""
        from dvc.repo import Repo

        with Repo(str(self.folder)) as repo:
            local = repo.config.read("local")
            cache = {**local.get("cache", {}), "dir": repo.cache.local_cache_dir}
            return {**local, "cache": cache}

    def seconds(self, commit: str) -> float | None:
        """Duration of an experiment, where it was noted."""
        try:
            note = json.loads(self.git("notes", "--ref", _TIMES, "show", commit))
            return float(note["seconds"])
        except (subprocess.CalledProcessError, ValueError, KeyError, TypeError):
            return None

    def note_time(self, commit: str, seconds: float) -> None:
        """Keep the duration of an experiment (``git notes --ref ablations``)."""
        note = json.dumps({"seconds": round(seconds, 1)})
        self.git("notes", "--ref", _TIMES, "add", "-f", "-m", note, commit)

    def _yaml(self, commit: str, path: str, load: Callable[[str], Any]) -> Any:
        if (commit, path) not in self._read:
            try:
                self._read[commit, path] = load(self.text(commit, path))
            except _UNREADABLE:
                raise DataError(f"{commit[:9]}: no readable {path}") from None
        return self._read[commit, path]


def references(git: Callable[..., str]) -> list[tuple[str, str, str, str]]:
    """References of experiments, newest first: each with its commit, its baseline, its name."""
    form, newest = "--format=%(refname) %(objectname)", "--sort=-committerdate"
    lines = git("for-each-ref", form, newest, "refs/exps").splitlines()
    return [
        (match.group(), commit, match[1] + match[2], match[3])
        for ref, _, commit in (line.partition(" ") for line in lines)
        if (match := _REF.fullmatch(ref))
    ]


def _needed(stages: Mapping[str, Any]) -> list[str]:
    """The target and all stages that it needs, of a lock file; all without the target."""
    if TARGET not in stages:
        return list(stages)
    makers = {out["path"]: name for name, stage in stages.items() for out in stage.get("outs", ())}
    found, todo = dict[str, None](), [TARGET]
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = None
            todo += [
                maker
                for dependency in stages[name].get("deps", ())
                for path, maker in makers.items()
                if f"{dependency['path']}/".startswith(f"{path}/")
            ]
    return list(found)


def _md5(dependency: Any) -> str:
    try:
        return str(dependency.get_hash().value)
    except FileNotFoundError:
        return "missing"


def _digest(code: Code) -> str:
    """Stages that a parameter multiplies (NAME@ITEM) do not count: they may be none."""
    lines = {
        f"{path} {md5}" for stage, path, md5 in code if path.startswith(_CODE) and "@" not in stage
    }
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:12]
