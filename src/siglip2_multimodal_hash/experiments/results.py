"""Parameters and results of an experiment, as Git and DVC keep them.

Everything is read where it lies, in Git's objects and in DVC's cache; the working folder is not
checked out, and nothing is fetched or written.
"""

import json
from collections.abc import Collection, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.items import (
    FileOf,
    read_classifier_results,
    read_item_results,
)
from siglip2_multimodal_hash.experiments.comparable import Experiment, flatten
from siglip2_multimodal_hash.params import PARAMS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKSPACE = "workspace"
STAGE = "evaluate_knn"
CLASSIFIERS = "evaluate_classifiers"
BASELINES = "baselines.json"
_SHOWN = 3


def read_experiment(name: str, classifiers: Collection[str] = ()) -> Experiment:
    """Read one experiment of the project in the working directory.

    Args:
        name: An experiment of DVC, a Git revision, or ``workspace``: params.yaml and dvc.lock as
            they are.
        classifiers: Those that are wanted, too; they are left out where the experiment has none.

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
    with repo, _at(repo, name):
        try:
            params = flatten(_read_params(repo, name))
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
    )


def read_baselines(commit: str, params: Mapping[str, Any]) -> Any:
    """The comparison with baselines that an experiment made.

    Args:
        commit: Of the experiment.
        params: Its parameters, by their full names.

    Raises:
        DataError: It is neither in Git nor in DVC's cache, or is no JSON.
    """
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(rev=commit)
    folder = f"{params['dataset.name']}/{params['backbone.name']}"
    # Until it was kept in DVC's cache, Git had it.
    for path in (f"outputs/{folder}/details/{BASELINES}", f"metrics/{folder}/{BASELINES}"):
        with suppress(FileNotFoundError):
            try:
                return json.loads(files.read_text(path))
            except ValueError:
                raise DataError(f"{commit[:7]}: {path} is not valid JSON", _rerun(commit)) from None
    raise DataError(f"{commit[:7]}: no {BASELINES} in Git or DVC's cache", _fetch(commit))


def _finder(name: str, stage: str, files: Mapping[str, Path]) -> FileOf:
    """Where the cache has a file of a stage, which must be there."""

    def file_of(file: str) -> Path:
        if file not in files:
            raise DataError(
                f"{name}: no {file} among the outputs of `{stage}`: they were made before the "
                "results of each image were kept",
                _rerun(name)
                if name == WORKSPACE
                else f"`dvc params diff {name}` shows its parameters, `dvc exp run -S KEY=VALUE` "
                "runs them with the code of today",
            )
        path = files[file]
        if not path.exists():
            raise DataError(f"{name}: {file} is not in DVC's cache", _fetch(name))
        return path

    return file_of


@contextmanager
def _at(repo: Any, name: str) -> "Iterator[None]":
    """Let the repository show what it was at a revision."""
    from dvc.repo.brancher import switch
    from dvc.scm import InvalidRemoteSCMRepo, RevError, resolve_rev
    from scmrepo.exceptions import SCMError

    if name == WORKSPACE:
        yield
        return
    try:
        revision = resolve_rev(repo.scm, name)
    except (RevError, SCMError, InvalidRemoteSCMRepo, AttributeError):
        raise InputError(
            f"{name}: neither an experiment nor a Git revision, or not the only one of that name",
            "`dvc exp list --all-commits` names the experiments; `workspace` is what lies here",
        ) from None
    with switch(repo, revision):
        yield


def _read_params(repo: Any, name: str) -> Mapping[str, Any]:
    try:
        text = repo.fs.read_text(repo.fs.join(repo.root_dir, str(PARAMS_FILE)))
        content = YAML(typ="safe", pure=True).load(text)
    except FileNotFoundError:
        raise DataError(f"{name}: no {PARAMS_FILE} there", "compare later revisions") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: {PARAMS_FILE} is not valid YAML: {error}") from None
    if not isinstance(content, Mapping):
        raise DataError(f"{name}: {PARAMS_FILE} holds no sections")
    return content


def _check_ran(name: str, stages: Any) -> None:
    """Refuse outputs that other parameters made than those that stand beside them."""
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
            "what was evaluated is not what params.yaml says",
            _rerun(name) + ("" if name == WORKSPACE else f", and compare `{WORKSPACE}`"),
        )


def _cached_files(repo: Any, name: str, stage: str) -> dict[str, Path]:
    """Where the cache has each file of a stage's folder, by its name; a file may be missing."""
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
