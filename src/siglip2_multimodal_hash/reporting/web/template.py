"""The page from its template: style, scripts and data put in, safely.

The policy in the page's head allows no network at all, and of scripts and styles only these, by
their digest: a caption that got through as markup could still not run (W3C, Content Security
Policy Level 3). Pictures are data within the page, or files of this machine where it links to them.
"""

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

PAGE, STYLE = "page.html", "page.css"
SCRIPTS = ("page.js", "gallery.js")

_HOLE = re.compile(r"\{\{(\w+)\}\}")


def page_text(title: str, body: str, data: dict[str, Any], *, files: bool) -> str:
    """The whole page.

    Args:
        title: Text of the head.
        body: Markup; whatever is text in it is escaped already.
        data: What the scripts read.
        files: Let it show pictures from this machine's disk, too.
    """
    style, script = packaged(STYLE), "\n".join(packaged(name) for name in SCRIPTS)
    # `file:`, not `'self'`: of a page that a server hands out, the latter is that server.
    pictures = "data: file:" if files else "data:"
    policy = (
        f"default-src 'none'; img-src {pictures}; base-uri 'none'; form-action 'none'; "
        f"style-src {_digest(style)}; script-src {_digest(script)}"
    )
    parts = {
        "policy": html.escape(policy),
        "title": html.escape(title),
        "style": style,
        "script": script,
        "body": body,
        "data": embedded_json(data),
    }
    # In one pass: nothing that is put in is searched for holes again.
    return _HOLE.sub(lambda hole: parts[hole[1]], packaged(PAGE))


def embedded_json(value: Any) -> str:
    """JSON that can stand within ``<script>``: ``<`` is escaped, so no tag begins or ends in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # U+2028 and U+2029 end a line in old JavaScript, `<!--` and `</script` need the `<`.
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def packaged(name: str) -> str:
    """The text of a file of this package."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
