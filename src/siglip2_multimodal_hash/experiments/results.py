"""Parameters and results of an experiment, as Git and DVC keep them.

Everything is read where it lies, in Git's objects and in DVC's cache; the working folder is not
checked out, and nothing is fetched or written.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.errors import DataError, InputError, did_you_mean
from siglip2_multimodal_hash.evaluation.items import (
    FileOf,
    read_classifier_results,
    read_item_results,
)
from siglip2_multimodal_hash.experiments.comparable import Experiment
from siglip2_multimodal_hash.experiments.repository import WORKSPACE, Repository
from siglip2_multimodal_hash.params import flatten
from siglip2_multimodal_hash.reporting.tables import details_file

STAGE = "evaluate_knn"
CLASSIFIERS = "evaluate_classifiers"
_SHOWN = 3


def read_experiment(name: str, classifiers: Collection[str] = ()) -> Experiment:
    """Read one experiment of the project in the working directory.

    Args:
        name: An experiment of DVC, a Git revision, or ``workspace``: params.yaml and dvc.lock as
            they are.
        classifiers: Names of classifiers to read, too; left out where the experiment has none.

    Raises:
        InputError: There is no such name, or no repository of Git and DVC.
        DataError: The stage did not run with the parameters there, its outputs are not in the
            cache, or they are damaged.
    """
    # Slow to import, and only this command needs it.
    from dvc.exceptions import DvcException
    from dvc.repo import NotDvcRepoError, Repo

    project, remedy = Path.cwd(), "go to the root of the project"
    try:
        repo = Repo()
    except (NotDvcRepoError, DvcException) as error:
        raise InputError(f"{project}: no repository of DVC ({error})", remedy) from None
    if Path(repo.root_dir) != project:
        raise InputError(f"{project}: the project's root is {repo.root_dir}", remedy)
    with repo, _at(repo, name) as revision:
        try:
            params = flatten(Repository().params(revision))
            files = _cached_files(repo, name, STAGE)
            others = _cached_files(repo, name, CLASSIFIERS) if classifiers else {}
            for stage in (STAGE, CLASSIFIERS) if classifiers else (STAGE,):
                _check_ran(name, repo.stage.collect(stage, with_deps=True))
        except DvcException as error:
            raise DataError(
                f"{name}: {error}", "compare revisions whose dvc.yaml has that stage"
            ) from None

    remedy = f"the cache is damaged: {_rerun(name)}"
    results = read_item_results(_finder(name, STAGE, files), remedy)
    find = _finder(name, CLASSIFIERS, others)
    return Experiment(
        name,
        params,
        results,
        {
            one: read_classifier_results(results.items, one, find, remedy)
            for one in classifiers
            if f"test-{one}.npy" in others
        },
        revision,
    )


def read_baselines(commit: str, params: Mapping[str, Any]) -> Any:
    """The comparison with baselines that an experiment made.

    Args:
        commit: Of the experiment.
        params: Its parameters, by their full names.

    Raises:
        DataError: It is not in DVC's cache, or is no JSON.
    """
    from dvc.api import DVCFileSystem

    # Paths are from Git's root, below which the project may lie.
    files, prefix = DVCFileSystem(".", rev=commit, subrepos=True), Repository().prefix
    path = details_file(params["dataset.name"], params["backbone.name"], "baselines")
    try:
        return json.loads(files.read_text(f"{prefix}{path}"))
    except FileNotFoundError:
        raise DataError(f"{commit[:7]}: {path} is not in DVC's cache", _fetch(commit)) from None
    except ValueError:
        raise DataError(f"{commit[:7]}: {path} is not valid JSON", _rerun(commit)) from None


def _finder(name: str, stage: str, files: Mapping[str, Path]) -> FileOf:
    """Paths of a stage's files in the cache, where they must exist."""

    def file_of(file: str) -> Path:
        if file not in files:
            raise DataError(
                f"{name}: no {file} among the outputs of `{stage}`: they were made before the "
                "results of each image were kept",
                _rerun(name)
                if name == WORKSPACE
                else f"`dvc params diff {name}` shows its parameters, `dvc exp run -S KEY=VALUE` "
                "runs them with the current code",
            )
        path = files[file]
        if not path.exists():
            raise DataError(f"{name}: {file} is not in DVC's cache", _fetch(name))
        return path

    return file_of


@contextmanager
def _at(repo: Any, name: str) -> Iterator[str]:
    """Let DVC show the project as of a revision, whose full name is given."""
    from dvc.repo.brancher import switch
    from dvc.scm import InvalidRemoteSCMRepo, RevError, resolve_rev
    from scmrepo.exceptions import SCMError

    if name == WORKSPACE:
        yield name
        return
    try:
        revision = resolve_rev(repo.scm, name)
    except (RevError, SCMError, InvalidRemoteSCMRepo, AttributeError):
        hint = did_you_mean(name, Repository().experiments())
        raise InputError(
            f"{name}: neither an experiment nor a Git revision, or not the only one of that name",
            f"{hint} `dvc exp list --all-commits` names the experiments; `workspace` is the "
            "current state".lstrip(),
        ) from None
    with switch(repo, revision):
        yield str(revision)


def _check_ran(name: str, stages: Any) -> None:
    """Refuse outputs made with other parameters than those of params.yaml."""
    from dvc.dependency.param import ParamsDependency

    changed = {
        key: state
        for stage in stages
        for dependency in stage.deps
        if isinstance(dependency, ParamsDependency)
        for states in dependency.status().values()
        for key, state in (states.items() if isinstance(states, Mapping) else [(states, states)])
    }
    if changed:
        shown = ", ".join(list(changed)[:_SHOWN]) + (", ..." if len(changed) > _SHOWN else "")
        raise DataError(
            f"{name}: {len(changed)} parameter(s) changed since the pipeline ran ({shown}), so "
            "the results are not those of params.yaml",
            _rerun(name) + ("" if name == WORKSPACE else f", and compare `{WORKSPACE}`"),
        )


def _cached_files(repo: Any, name: str, stage: str) -> dict[str, Path]:
    """Paths in the cache of the files of a stage's folder, by name; a file may be missing."""
    (target,) = repo.stage.collect(stage)
    out = target.outs[0]
    if not out.hash_info:
        raise DataError(f"{name}: `{stage}` has not run yet", _rerun(name))
    if not out.hash_info.isdir:
        return {}
    tree = out.get_obj()
    if tree is None:
        raise DataError(f"{name}: {out.def_path} is not in DVC's cache", _fetch(name))
    return {"/".join(key): Path(out.cache.oid_to_path(identity.value)) for key, _, identity in tree}


def _rerun(name: str) -> str:
    if name == WORKSPACE:
        return "run `dvc repro`"
    return f"`dvc exp apply {name}` (a commit: `git checkout {name}`), then `dvc repro`"


def _fetch(name: str) -> str:
    if name == WORKSPACE:
        return f"`dvc fetch {STAGE}` gets it from a remote; else run `dvc repro`"
    return (
        f"from a remote: `dvc fetch --all-commits {STAGE}` (an experiment: `dvc exp pull REMOTE "
        f"{name}`); else {_rerun(name)}"
    )
