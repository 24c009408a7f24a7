"""The frame of every page we write: one file, no network, nothing runs but our own script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from conceptset.errors import printable
from conceptset.present.palette import palette_css

_NAME_LIMIT = 160


def page_environment(package: str) -> Environment:
    """Templates of a package, beside the frame `page.html` that they extend.

    Everything that a template puts on the page is escaped; a name that is not given is an error.
    Filters: `name` for text that came from a file, `number` for figures, `percent` for shares.

    Args:
        package: Dotted name; its folder `templates` holds the templates.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("conceptset.present")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"name": shown_name, "number": shown_number, "percent": shown_percent}
    return environment


def render_page(
    environment: Environment,
    template: str,
    *,
    title: str,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    **values: object,
) -> bytes:
    """The bytes of a page.

    The content security policy names our style and our script by their digest, so that nothing
    that slips into the page from elsewhere can run, load or send anything.

    Args:
        environment: See `page_environment`.
        template: The template, which extends `page.html`.
        title: For the browser's tab.
        styles: Style sheets that follow the one of the frame.
        scripts: Scripts that follow the one of the frame.
        **values: What the template needs.
    """
    own = "conceptset.present"
    style = "\n".join([read_asset(own, "page.css"), palette_css(), *styles])
    script = "\n".join([read_asset(own, "page.js"), *scripts])
    for text, end in ((style, "</style"), (script, "</script")):
        if end in text.lower():
            raise ValueError(f"{end} would end the element early")
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' file:; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )
    text = environment.get_template(template).render(
        title=title, policy=policy, style=style, script=script, **values
    )
    return text.encode("utf-8")


def read_asset(package: str, name: str) -> str:
    """A style sheet or script in the folder `templates` of a package."""
    return resources.files(package).joinpath("templates", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}"


def shown_name(text: object, limit: int = _NAME_LIMIT) -> str:
    r"""Text from a file we do not trust, without characters that move or reverse the line.

    >>> shown_name("door\u202egpj")
    'door\\u202egpj'
    """
    return printable(str(text), limit)


def shown_number(value: float | None, digits: int = 3) -> str:
    """A figure with so many decimals, thousands set apart; a dash for none.

    >>> shown_number(0.04567), shown_number(1234567, 0), shown_number(None)
    ('0.046', '1\u202f234\u202f567', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.{digits}f}".replace(",", "\u202f")


def shown_percent(value: float) -> str:
    """A share as a percentage: two figures below ten, whole numbers above.

    >>> shown_percent(0.0941), shown_percent(0.25), shown_percent(1)
    ('9.4\u202f%', '25\u202f%', '100\u202f%')
    """
    percent = value * 100
    digits = 1 if 0 < percent < 9.95 else 0
    return f"{percent:.{digits}f}\u202f%"
