"""Which of the project's files a stage runs, derived from their sources.

A stage is to run again when its own code changes, and not when other code does. DVC would need
every file as a dependency, some fifty a stage, and takes seconds an experiment to write them all
down again and again. So one stage lists them, with their digests, and the others depend on its
lists.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from siglip2_multimodal_hash.errors import InputError

PACKAGE = "siglip2_multimodal_hash"
STAGES = "stages"
# Where the two packages lie in the repository.
FOLDERS = {PACKAGE: f"src/{PACKAGE}", STAGES: STAGES}
# The stage that lists the modules of the others.
LISTING = "list_modules"
_IGNORED = "__pycache__"


class Sources:
    """The files of the project's packages.

    Args:
        files: Contents by path from the root, such as ``src/siglip2_multimodal_hash/errors.py``.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._trees: dict[str, ast.Module] = {}

    @classmethod
    def in_folder(cls, root: Path) -> "Sources":
        """Read those that lie below ``root``."""
        paths = [path for folder in FOLDERS.values() for path in (root / folder).rglob("*")]
        return cls(
            {
                path.relative_to(root).as_posix(): path.read_bytes()
                for path in paths
                if path.is_file() and _IGNORED not in path.parts
            }
        )

    def stages(self) -> list[str]:
        """Names of the stages' scripts, without the one that lists them."""
        scripts = (PurePosixPath(path) for path in self._files)
        return sorted(
            path.stem
            for path in scripts
            if path.parent == PurePosixPath(FOLDERS[STAGES])
            and path.stem not in ("__init__", LISTING)
        )

    def of_stage(self, name: str) -> dict[str, str]:
        """SHA-256 by path, sorted, of the files that a stage runs.

        These are its script, all that it imports, whenever and however deep, without files that
        hold a docstring alone; and the files beside a module that it names in a string, such as
        ``page.css``, with those of a folder that it names.

        Raises:
            InputError: There is no such script, or a file is not valid Python.
        """
        script = f"{FOLDERS[STAGES]}/{name}.py"
        if script not in self._files:
            raise InputError(f"{script}: no such file", "a stage is the script of its name")
        found: set[str] = set()
        todo = [script, f"{FOLDERS[STAGES]}/__init__.py"]
        while todo:
            path = todo.pop()
            if path not in found and path in self._files:
                found.add(path)
                todo += [file for name in self._imports(path) if (file := self._file_of(name))]
        modules = {path for path in found if self._has_code(path)}
        beside = {file for path in modules for file in self._named_beside(path)}
        return {
            path: hashlib.sha256(self._files[path]).hexdigest() for path in sorted(modules | beside)
        }

    def _tree(self, path: str) -> ast.Module:
        if path not in self._trees:
            try:
                self._trees[path] = ast.parse(self._files[path])
            except (SyntaxError, ValueError) as error:
                raise InputError(f"{path}: not valid Python ({error})") from None
        return self._trees[path]

    def _imports(self, path: str) -> Iterator[str]:
        """Modules that a file imports anywhere, with the packages that they lie in."""
        for node in ast.walk(self._tree(path)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                if node.level or not node.module:
                    raise InputError(f"{path}: a relative import", "name the module in full")
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                parts = name.split(".")
                yield from (".".join(parts[: end + 1]) for end in range(len(parts)))

    def _file_of(self, module: str) -> str | None:
        """The file of a module of the project; None for others."""
        top, _, rest = module.partition(".")
        if top not in FOLDERS:
            return None
        base = "/".join([FOLDERS[top], *rest.split(".")] if rest else [FOLDERS[top]])
        candidates = (f"{base}.py", f"{base}/__init__.py")
        return next((path for path in candidates if path in self._files), None)

    def _has_code(self, path: str) -> bool:
        return any(
            not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
            for node in self._tree(path).body
        )

    def _named_beside(self, path: str) -> Iterator[str]:
        folder = path.rpartition("/")[0]
        names = {
            f"{folder}/{node.value}"
            for node in ast.walk(self._tree(path))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            if node.value and "/" not in node.value
        }
        for file in self._files:
            if not file.endswith(".py") and {file, file.rpartition("/")[0]} & names:
                yield file


def listed(modules: Mapping[str, str]) -> str:
    """Digests and paths, a line a file, as ``sha256sum`` prints them."""
    return "".join(f"{digest}  {path}\n" for path, digest in modules.items())
