"""What Git knows: changes that are not committed, experiments, the code that made them, times."""

import hashlib
import json
import posixpath
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from siglip2_multimodal_hash.ablations.pipeline import stages_run
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.modules import FOLDERS, LISTING, Sources, listed
from siglip2_multimodal_hash.params import PARAMS_FILE

# Where DVC keeps an experiment: the commit it started from, then its name.
_REF = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/([^/]+)")
_STARTED = "refs/exps/stash"
_TIMES = "refs/notes/ablations"
# Untracked files elsewhere reach no stage.
_CODE = ("src/", "stages/", "models/")
_LONGEST_HEAD = 128
_CODE_TREES = tuple(folder.rstrip("/") for folder in _CODE)
HEAD = "HEAD"


@dataclass(frozen=True)
class Recorded:
    """A finished experiment.

    Attributes:
        name: Its name.
        commit: Where Git has it.
        baseline: The commit it started from.
    """

    name: str
    commit: str
    baseline: str

    @property
    def ref(self) -> str:
        """The reference that keeps it."""
        return f"refs/exps/{self.baseline[:2]}/{self.baseline[2:]}/{self.name}"


class Repository:
    """Read-only but for :meth:`remove`, :meth:`restore` and :meth:`note_time`."""

    def __init__(self, folder: Path = Path()) -> None:
        self.folder = folder
        self._code_versions: dict[tuple[str, ...], str] = {}

    def head(self) -> str:
        """The commit that lies here.

        Raises:
            InputError: No repository of Git, or nothing is committed.
        """
        try:
            return self._git("rev-parse", "--verify", "-q", HEAD).strip()
        except subprocess.CalledProcessError:
            raise InputError(
                f"{self.folder.absolute()}: no commit of Git", "go to the root of the project"
            ) from None

    def changed_files(self) -> list[str]:
        """Files that an experiment would pick up, or miss, without a commit that says so."""
        # Of the project, which may lie below Git's root: there paths start with where it lies.
        place = self._git("rev-parse", "--show-prefix").strip()
        status = self._git("status", "--porcelain", "-z", "--untracked-files=all", "--", ".")
        changed: list[str] = []
        entries = iter(status.split("\0"))
        for entry in entries:
            state, path = entry[:2], entry[3:].removeprefix(place)
            if state and (state != "??" or path.startswith(_CODE)):
                changed.append(path)
            if "R" in state or "C" in state:
                next(entries)  # what it was called
        return changed

    def experiments(self) -> dict[str, list[Recorded]]:
        """All experiments by name, those that started here first."""
        found: dict[str, list[Recorded]] = {}
        lines = self._git("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps")
        for line in lines.splitlines():
            ref, commit = line.rsplit(" ", 1)
            if match := _REF.fullmatch(ref):
                start, rest, name = match.groups()
                found.setdefault(name, []).append(Recorded(name, commit, start + rest))
        head = self.head()
        for same in found.values():
            same.sort(key=lambda one: (one.baseline != head, one.commit))
        return found

    def params(self, commit: str = HEAD) -> dict[str, Any]:
        """The parameters of a commit, nested.

        Raises:
            DataError: There is no params.yaml, or it is not YAML.
        """
        # YAML 1.2, as DVC reads it: `1e-3` is a number there and a string to the C parser.
        content = self._yaml(commit, str(PARAMS_FILE), pure=True)
        if not isinstance(content, dict):
            raise DataError(f"{commit[:7]}: {PARAMS_FILE} holds no sections")
        return content

    def metrics(self, commit: str, path: str) -> Any:
        """A JSON file of a commit.

        Raises:
            DataError: It is not there, or is no JSON.
        """
        try:
            return json.loads(self._git("show", f"{commit}:./{path}"))
        except (subprocess.CalledProcessError, json.JSONDecodeError):
            raise DataError(
                f"{commit[:7]}: no readable {path}", "run that experiment again"
            ) from None

    def code_version(self, commit: str = HEAD) -> str:
        """Digest of what an experiment runs: commands, modules, tracked files they depend on.

        Other files may change without another version: documents, tests, what this command does,
        and the report, which experiments do not make.

        Raises:
            DataError: The pipeline or a module of that commit cannot be read.
        """
        tree = self._tree(commit)
        pipelines = [path for path in tree if posixpath.basename(path) == "dvc.yaml"]
        key = tuple(self._git("ls-tree", commit, *_CODE_TREES, *pipelines).splitlines())
        if key not in self._code_versions:
            self._code_versions[key] = self._digest(commit, tree, pipelines)
        return self._code_versions[key]

    def seconds(self, commit: str) -> float | None:
        """How long the experiment took, where that was noted."""
        try:
            note = json.loads(self._git("notes", "--ref", _TIMES, "show", commit))
            return float(note["seconds"])
        except (subprocess.CalledProcessError, ValueError, KeyError, TypeError):
            return None

    def note_time(self, commit: str, seconds: float) -> None:
        """Keep how long an experiment took, beside it (``git notes --ref ablations``)."""
        note = json.dumps({"seconds": round(seconds, 1)})
        self._git("notes", "--ref", _TIMES, "add", "-f", "-m", note, commit)

    def remove(self, experiment: Recorded) -> None:
        """Forget an experiment's name; its commit stays for :meth:`restore`."""
        self._git("update-ref", "-d", experiment.ref, experiment.commit)

    def restore(self, experiment: Recorded) -> None:
        """Undo :meth:`remove`."""
        self._git("update-ref", experiment.ref, experiment.commit)

    def drop_started(self) -> None:
        """Forget experiments that were killed while they began: DVC would run them first."""
        if self._git("for-each-ref", _STARTED):
            self._git("update-ref", "-d", _STARTED)

    def _tree(self, commit: str) -> dict[str, str]:
        """Objects of all files of a commit by path."""
        lines = self._git("ls-tree", "-r", "-z", commit).split("\0")
        split = (line.partition("\t") for line in lines if line)
        return {path: about.split()[2] for about, _, path in split}

    def _digest(self, commit: str, tree: Mapping[str, str], pipelines: list[str]) -> str:
        parts: set[str] = set()
        sources = self._sources(tree)
        for pipeline in pipelines:
            content = self._yaml(commit, pipeline)
            stages = content["stages"]
            for name in stages_run(stages):
                stage = stages[name]
                parts.add(f"{name}: {stage.get('cmd', '')}")
                if name == LISTING:
                    continue  # depends on all code, and changes nothing but which of it is listed
                if name in sources.stages():
                    parts.add(f"{name}\n{listed(sources.of_stage(name))}")
                place = posixpath.join(posixpath.dirname(pipeline), stage.get("wdir", ""))
                for dependency in stage.get("deps", ()):
                    if str(dependency) == str(PARAMS_FILE):
                        continue  # what experiments differ in
                    path = posixpath.normpath(posixpath.join(place, str(dependency)))
                    parts |= {
                        f"{file} {identity}"
                        for file, identity in tree.items()
                        if file == path or file.startswith(f"{path}/")
                    }
        return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:12]

    def _sources(self, tree: Mapping[str, str]) -> Sources:
        """The files of the project's packages in a commit."""
        folders = tuple(f"{folder}/" for folder in FOLDERS.values())
        wanted = {path: identity for path, identity in tree.items() if path.startswith(folders)}
        done = subprocess.run(
            ["git", "cat-file", "--batch"], cwd=self.folder, capture_output=True, check=True,
            input="".join(f"{identity}\n" for identity in wanted.values()).encode(),
        )  # fmt: skip
        files, rest = {}, memoryview(done.stdout)
        for path in wanted:
            # IDENTITY blob SIZE, the content, and the end of a line after each of both.
            head, _, _ = bytes(rest[:_LONGEST_HEAD]).partition(b"\n")
            start, size = len(head) + 1, int(head.split()[2])
            files[path] = bytes(rest[start : start + size])
            rest = rest[start + size + 1 :]
        return Sources(files)

    def _yaml(self, commit: str, path: str, *, pure: bool = False) -> Any:
        try:
            text = self._git("show", f"{commit}:./{path}")
            return YAML(typ="safe", pure=pure).load(text)
        except (subprocess.CalledProcessError, YAMLError):
            raise DataError(f"{commit[:7]}: no readable {path}") from None

    def _git(self, *command: str) -> str:
        done = subprocess.run(
            ["git", *command], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout
