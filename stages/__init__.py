"""Stage scripts: parse, call, write. DVC runs each as ``python -m stages.NAME``.

A queued experiment runs in a copy of the repository while an editable install still points at the
workspace. The sources beside this file come first, so that a stage runs the code of its own copy.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
