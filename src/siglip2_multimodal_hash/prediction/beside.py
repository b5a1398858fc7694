"""The database in a process beside this one, while this one loads PyTorch and the towers.

Both take most of their time to import libraries, which threads of one process cannot do at once.
The database needs no PyTorch, so it loads in the shadow of the towers and costs next to no time
where there are two cores.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.prediction.answer import Prediction, Question
from siglip2_multimodal_hash.prediction.loading import uncollected
from siglip2_multimodal_hash.prediction.outputs import RunOutputs
from siglip2_multimodal_hash.retrieval.index_kinds import Kind

if TYPE_CHECKING:
    from siglip2_multimodal_hash.prediction.database import Database

FloatArray = npt.NDArray[np.float32]
T = TypeVar("T")


class DatabaseBeside:
    """The database, wherever it is.

    What went wrong with its loading is raised by the first question.

    Args:
        outputs: Of the run.
        kind: Of its index.
        other: The process that holds it; None for this one.
    """

    def __init__(self, outputs: RunOutputs, kind: Kind, other: ProcessPoolExecutor | None) -> None:
        self._other = other
        self._opened: Future[None] | None = None
        if other is None:
            _open(outputs, kind)
        else:
            with _interrupts_ignored():
                self._opened = other.submit(_open_beside, outputs, kind)

    def stand_in_captions(self, v_img: FloatArray) -> FloatArray:
        """A caption embedding for each photo; see :func:`.captions.stand_in_captions`."""
        return self._ask(_stand_in_captions, v_img)

    def vote_and_tell(self, question: Question) -> list[Prediction]:
        """See :func:`.telling.vote_and_tell`."""
        return self._ask(_vote_and_tell, question)

    def _ask(self, function: Callable[[Any], T], argument: Any) -> T:
        if self._other is None or self._opened is None:
            return function(argument)
        self._opened.result()
        return self._other.submit(function, argument).result()


@contextmanager
def database_beside(outputs: RunOutputs, kind: Kind) -> Iterator[DatabaseBeside]:
    """Load the database; in a process of its own, unless PyTorch is imported here already."""
    if "torch" in sys.modules:
        yield DatabaseBeside(outputs, kind, None)
        return
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        yield DatabaseBeside(outputs, kind, other)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """For a process that starts in the block: Ctrl-C reaches both, and this one tells the user."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_opened: "list[Database]" = []


def _open_beside(outputs: RunOutputs, kind: Kind) -> None:
    with uncollected():
        _open(outputs, kind)


def _open(outputs: RunOutputs, kind: Kind) -> None:
    from siglip2_multimodal_hash.prediction.database import load_database

    _opened[:] = [load_database(outputs, kind)]


def _stand_in_captions(v_img: FloatArray) -> FloatArray:
    return _opened[0].stand_in_captions(v_img)


def _vote_and_tell(question: Question) -> list[Prediction]:
    from siglip2_multimodal_hash.prediction.telling import vote_and_tell

    return vote_and_tell(_opened[0], question)
