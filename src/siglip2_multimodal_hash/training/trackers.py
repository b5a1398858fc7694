"""Follow a fit while it runs: DVCLive, TensorBoard, Weights & Biases, each on request.

All of them write below one folder that Git ignores and that is no output of a stage: figures of a
run that goes on would otherwise move DVC's lock and switch its run cache off. None of the packages
is needed by anything else.
"""

import contextlib
import csv
import importlib
import itertools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import (
    experiment_name,
    holds_only,
    main_repository,
    replacing,
    require_free,
)
from siglip2_multimodal_hash.params import LoggingParams

logger = logging.getLogger(__name__)

_DVCLIVE = r"(metrics|params)\.(json|yaml)|dvc\.yaml|report\..*|plots|artifacts"
PACKAGES = ("dvclive", "tensorboard", "wandb")


@dataclass(frozen=True)
class Live:
    """What trackers of a fit get beside its figures.

    Attributes:
        folder: Their output. A copy of the repository is deleted after its experiment, so there
            they write to the repository itself, below ``folder/NAME``.
        parameters: All of params.yaml, for those that show them. A function: the stage reads
            parameters here that it declares to nobody, because its outputs do not depend on them.
    """

    folder: Path
    parameters: Callable[[], Mapping[str, Any]]


class Tracker(Protocol):
    """Receiver of figures while a fit runs."""

    def log(self, figures: Mapping[str, float], update: int) -> None:
        """Take the figures as they are after an update, counted from 1 over the whole run."""

    def close(self) -> None:
        """Bring everything to the disk."""


class DvcLive:
    """``dvc plots show FOLDER/dvclive/plots/metrics``, and editors that follow dvc.yaml's plots.

    It neither writes a dvc.yaml nor saves an experiment: the stage is DVC's own already.
    """

    def __init__(self, folder: Path, updates_done: int) -> None:
        live = importlib.import_module("dvclive")
        self._folder = folder / "dvclive"
        # At the start DVCLive removes what an earlier run left in there.
        require_free(self._folder, ours=holds_only(_DVCLIVE))
        if updates_done:
            _drop_rows_after(self._folder, updates_done)
        self._live: Any = live.Live(
            str(self._folder), resume=bool(updates_done), save_dvc_exp=False, dvcyaml=None
        )

    def log(self, figures: Mapping[str, float], update: int) -> None:
        """See :class:`Tracker`."""
        self._live.step = update
        for name, value in figures.items():
            self._live.log_metric(name, value)
        self._live.make_summary()

    def close(self) -> None:
        """See :class:`Tracker`."""
        self._live.end()


class TensorBoard:
    """``tensorboard --logdir FOLDER/tensorboard``, a run for each fit: NAME-1, NAME-2 and so on.

    A fit that is continued goes on in the newest of them.
    """

    def __init__(self, folder: Path, updates_done: int, name: str) -> None:
        writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        folder /= "tensorboard"
        fits = list(folder.glob("*-*")) if updates_done else []
        if fits:
            run = max(fits, key=lambda fit: fit.stat().st_mtime_ns)
        else:
            names = (folder / f"{name}-{number}" for number in itertools.count(1))
            run = next(run for run in names if not run.exists())
        self._writer: Any = writer(str(run), purge_step=updates_done + 1 if fits else None)

    def log(self, figures: Mapping[str, float], update: int) -> None:
        """See :class:`Tracker`."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, update)
        self._writer.flush()

    def close(self) -> None:
        """See :class:`Tracker`."""
        self._writer.close()


class WeightsAndBiases:
    """A run of W&B; ``WANDB_MODE=offline`` in the environment keeps it in FOLDER/wandb."""

    def __init__(
        self, folder: Path, params: LoggingParams, config: Mapping[str, Any], name: str | None
    ) -> None:
        wandb = importlib.import_module("wandb")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._run: Any = wandb.init(
                project=params.wandb_project,
                entity=params.wandb_entity or None,
                name=name,
                dir=str(folder),
                config=dict(config),
            )
        except wandb.errors.Error as error:
            raise InputError(
                f"runtime.logging.use_wandb = true: {error}",
                "run `wandb login`, or set WANDB_MODE=offline in the environment",
            ) from None

    def log(self, figures: Mapping[str, float], update: int) -> None:
        """See :class:`Tracker`."""
        self._run.log(dict(figures), step=update)

    def close(self) -> None:
        """See :class:`Tracker`."""
        self._run.finish()


class Trackers:
    """Several of them as one; a tracker that cannot write is dropped, the fit goes on."""

    def __init__(self, trackers: list[Tracker]) -> None:
        self._trackers = trackers

    def log(self, figures: Mapping[str, float], update: int) -> None:
        """See :class:`Tracker`."""
        self._each(lambda tracker: tracker.log(figures, update))

    def close(self) -> None:
        """See :class:`Tracker`."""
        self._each(lambda tracker: tracker.close())

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for tracker in list(self._trackers):
            try:
                call(tracker)
            except OSError as error:
                self._trackers.remove(tracker)
                logger.warning("%s is switched off: %s", type(tracker).__name__, error)


@contextlib.contextmanager
def open_trackers(
    params: LoggingParams, live: Live | None, updates_done: int, head: Mapping[str, Any]
) -> Iterator[Trackers]:
    """Open those that ``runtime.logging`` asks for.

    Args:
        params: The section.
        live: See there; None opens none.
        updates_done: Of a fit that is continued; what was logged after them is dropped.
        head: Configuration of the head, which its data decide in part.

    Raises:
        InputError: A package is missing, or W&B has no account to write to.
    """
    trackers: list[Tracker] = []
    with contextlib.closing(Trackers(trackers)) as opened:
        if live is not None:
            require_trackers(params)
            folder, name = live.folder, experiment_name()
            copied_from = main_repository()
            if copied_from is not None:
                folder = copied_from / folder / os.environ["DVC_EXP_NAME"]
            if params.use_dvclive:
                trackers.append(DvcLive(folder, updates_done))
            if params.use_tensorboard:
                stem = "fit" if name is None or copied_from is not None else name
                trackers.append(TensorBoard(folder, updates_done, stem))
            if params.use_wandb:
                config = {**live.parameters(), "head": head}
                trackers.append(WeightsAndBiases(folder, params, config, name))
        yield opened


def require_trackers(params: LoggingParams) -> None:
    """Refuse trackers that are asked for and cannot be loaded, all in one message.

    Raises:
        InputError: There is one.
    """
    missing = []
    for package in PACKAGES:
        if getattr(params, f"use_{package}"):
            try:
                importlib.import_module(package)
            except ImportError as error:
                key = f"runtime.logging.use_{package}"
                missing.append(f"{key} = true: the package {package} is not installed ({error})")
    if missing:
        raise InputError(
            "; ".join(missing),
            'pip install --constraint constraints.txt --editable ".[tracking]", or set '
            "what names it to false",
        )


def step_figures(figures: Mapping[str, float]) -> dict[str, float]:
    """The figures of some updates as trackers group them: ``train/total``, ``lr``."""
    own = {"lr"}
    return {
        name if name in own or "/" in name else f"train/{name}": value
        for name, value in figures.items()
    }


def epoch_figures(record: Mapping[str, float]) -> dict[str, float]:
    """An epoch's record as trackers group it: ``epoch_train/total``, ``val/total``, ``val/mAP``."""
    groups = {"train": "epoch_train", "val": "val"}
    named: dict[str, float] = {}
    for name, value in record.items():
        group, _, rest = name.partition("_")
        named[f"{groups[group]}/{rest}" if rest else name] = value
    return named


def _drop_rows_after(folder: Path, update: int) -> None:
    """Remove a killed run's records of updates that are computed again."""
    for path in folder.glob("plots/metrics/**/*.tsv"):
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.reader(stream, delimiter="\t"))
        column = rows[0].index("step") if rows and "step" in rows[0] else None
        if column is None:
            continue
        kept = [rows[0], *(row for row in rows[1:] if int(row[column]) <= update)]
        with replacing(path) as new, new.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, delimiter="\t", lineterminator="\n").writerows(kept)
