"""A page from its template: style, scripts and data put in, safely.

The policy in the page's head allows no network at all, and of scripts and styles only these, by
their digest: a caption that got through as markup could still not run (W3C, Content Security
Policy Level 3). Pictures are data within the page, or files of this machine where it links to them.
"""

import base64
import functools
import hashlib
from importlib.resources import files
from typing import Any

import altair as alt
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined

from siglip2_multimodal_hash.reporting.web.glossary import explained, term_id

SCRIPTS = ("page.js", "charts.js", "gallery.js")


def page_text(template: str, **context: Any) -> str:
    """The whole page.

    Args:
        template: One that extends layout.html.
        context: Its content; autoescaping writes all of it as text. ``links`` lets the
            page show pictures from this machine's disk, too.
    """
    style, scripts = packaged("page.css"), [vega(), "\n".join(map(packaged, SCRIPTS))]
    # `file:`, not `'self'`: of a page that a server hands out, the latter is that server.
    pictures = "data: file:" if context["links"] else "data:"
    policy = (
        f"default-src 'none'; img-src {pictures}; base-uri 'none'; form-action 'none'; "
        f"style-src {_digest(style)}; script-src {' '.join(map(_digest, scripts))}"
    )
    page = environment().get_template(template)
    return page.render(context, policy=policy, style=style, scripts=scripts) + "\n"


@functools.cache
def environment() -> Environment:
    """The templates beside this module."""
    made = Environment(
        loader=PackageLoader(__package__, ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.policies["json.dumps_kwargs"] = {
        "allow_nan": False,
        "ensure_ascii": False,
        "separators": (",", ":"),
    }
    made.filters |= {"explained": explained, "term_id": term_id}
    return made


@functools.cache
def vega() -> str:
    """Vega, Vega-Lite of the version that Altair writes, and Vega-Embed, as one script."""
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)


def plots_page() -> str:
    """A template for ``dvc plots show --html-template`` that brings Vega along.

    DVC's own loads it from the network. The names in braces are DVC's, which puts plots there; the
    one of its scripts is left out.
    """
    return (
        "<!DOCTYPE html>\n<html><head><meta charset='utf-8'><title>DVC Plot</title>{refresh_tag}\n"
        f"<script>(() => {{{vega()}}})();</script></head>\n<body>{{plot_divs}}</body></html>"
    )


def packaged(name: str) -> str:
    """The text of a file of this package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
