"""The shared manners of both commands.

Results go to stdout, progress and notes to stderr. An option is taken from the command line, else
from the environment (`CONCEPTSET_BUILD_JOBS`), else from `--config FILE.toml`, else its default.
A verb is a plain function under `@verb`; `main_for` turns an app into an entry point:

    app = new_app("conceptset", "What it does.")

    @app.command()
    @verb
    def info(set_: SetArgument, as_json: AsJson = False) -> None: ...

    main = main_for(app)
"""

from __future__ import annotations

import difflib
import functools
import io
import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec

import typer

from conceptset.errors import ConceptsetError, ConfigError, OutputError, SourceError, printable

P = ParamSpec("P")
option = functools.partial(typer.Option, show_envvar=False)
Progress = Callable[[int, int], None]

_LINE = 1200  # characters of one line for people
EXIT_FINDINGS = 1
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


def new_app(name: str, summary: str) -> typer.Typer:
    """An app with our settings: no shell completion, plain tracebacks, environment prefix."""
    return typer.Typer(
        name=name,
        help=summary,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={
            "auto_envvar_prefix": name.upper(),
            "help_option_names": ["-h", "--help"],
            "max_content_width": 100,
        },
    )


def verb(function: Callable[P, None]) -> Callable[P, None]:
    """The function, with our errors turned into one line on stderr and their exit code."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except ConceptsetError as error:
            note(f"error: {error}")
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            note("interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except BrokenPipeError as error:
            sys.stderr.close()
            raise typer.Exit(0) from error
        except OSError as error:
            kind = OutputError if error.filename is None else SourceError
            place = kind(f"{error.strerror or error}", path=error.filename)
            note(f"error: {place}")
            raise typer.Exit(place.exit_code) from error

    return wrapped


def main_for(app: typer.Typer) -> Callable[[], None]:
    """An entry point for an app; an exception that is not ours is a bug and exits with 70."""

    def main() -> None:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # files and pipes are UTF-8 everywhere; a terminal that lacks a letter shows \\u....
                encoding = stream.encoding if stream.isatty() else "utf-8"
                stream.reconfigure(encoding=encoding, errors="backslashreplace")
        try:
            app()
        except Exception as error:
            import traceback

            traceback.print_exc()
            note(
                f"error: this is a bug of {app.info.name}, not of your data. Please report the "
                "lines above with the command you ran."
            )
            raise SystemExit(EXIT_BUG) from error

    return main


def note(text: str) -> None:
    """One line for the person at the terminal, on stderr; control characters are escaped."""
    sys.stderr.write(f"{printable(text, _LINE)}\n")
    sys.stderr.flush()


def say(text: str) -> None:
    """One line for people, on stdout; control characters are escaped."""
    show(printable(text, _LINE))


def show(text: str) -> None:
    """A result, on stdout: to a file or program as it is, to a terminal without control characters.

    A name from a file could clear the screen or show another text than it is.
    """
    if sys.stdout.isatty():
        text = "\n".join(printable(line, 10 * len(line)) for line in text.split("\n"))
    _write(text)


def _write(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def show_json(value: object) -> None:
    """A result for machines, on stdout."""
    show(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def show_table(
    columns: list[tuple[str, str]], rows: list[tuple[object, ...]], *, title: str = ""
) -> None:
    """A table on stdout.

    Args:
        columns: (heading, `left` or `right`) each.
        rows: Cells; control characters in them are escaped.
        title: A line above it; the same.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if title:
        say(title)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, side in columns:
        table.add_column(heading, justify="right" if side == "right" else "left")
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    width = None if sys.stdout.isatty() else 100
    console = Console(file=sys.stdout, width=width, highlight=False, emoji=False)
    with console.capture() as captured:  # rich would end the program on a closed pipe
        console.print(table)
    _write(captured.get())


@contextmanager
def progress(label: str, *, unit: str = "images", quiet: bool = False) -> Iterator[Progress]:
    """A bar on stderr with units per second, only on a terminal; yields `advance(done, total)`.

    A total of 0 says that it is not known yet.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None, rate="")

        def advance(done: int, total: int) -> None:
            speed = bar.tasks[task].speed
            rate = f"{speed:.0f} {unit}/s" if speed else ""
            bar.update(task, completed=done, total=total or None, rate=rate)

        yield advance


def _load_config(context: typer.Context, value: Path | None) -> Path | None:
    """Take defaults from a TOML file: option names as keys, at the top or in `[verb]`."""
    if value is None:
        return None
    try:
        data = tomllib.loads(value.read_text(encoding="utf-8"))
    except OSError as error:
        _refuse(ConfigError(f"cannot be read ({error.strerror})", path=value))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        _refuse(ConfigError(f"is no TOML ({error})", path=value))
    own = data.pop(context.info_name or "", {})
    verbs = getattr(context.parent.command, "commands", {}) if context.parent else {}
    if not isinstance(own, dict):
        name = context.info_name
        _refuse(ConfigError(f"has {name} = {own!r}, a section [{name}] was expected", path=value))
    for key in (key for key, item in data.items() if isinstance(item, dict) and key not in verbs):
        known_verbs = ", ".join(f"[{name}]" for name in verbs)
        _refuse(ConfigError(f"has a section [{key}]; known are {known_verbs}", path=value))
    flat = {key: item for key, item in data.items() if not isinstance(item, dict)} | own
    known = {parameter.name or "": parameter for parameter in context.command.params}
    by_flag = {
        option.lstrip("-"): name
        for name, parameter in known.items()
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    defaults: dict[str, Any] = {}
    for key, item in flat.items():
        name = by_flag.get(key.replace("_", "-"), key if key in known else None)
        if name is None:
            near = difflib.get_close_matches(key, by_flag, n=3)
            hint = f"Did you mean {' or '.join(near)}?" if near else "See --help for the options."
            _refuse(ConfigError(f"has no option {key!r} to set", path=value, hint=hint))
        defaults[name] = item
    context.default_map = {**(context.default_map or {}), **defaults}
    return value


def _refuse(error: ConceptsetError) -> NoReturn:
    note(f"error: {error}")
    raise typer.Exit(error.exit_code)


Quiet = Annotated[bool, option("--quiet", "-q", help="No progress, no notes.")]
Verbose = Annotated[bool, option("--verbose", "-v", help="Every note in full.")]
AsJson = Annotated[bool, option("--json", help="The result for machines, on stdout.")]
Config = Annotated[
    Path | None,
    option(
        "--config",
        metavar="FILE.toml",
        help="Options from a file.",
        is_eager=True,
        callback=_load_config,
    ),
]
