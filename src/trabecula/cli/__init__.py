"""The command line: one verb for one public function.

Every error that a user can mend is one line that says how, and exit code 2; `TRABECULA_DEBUG=1` shows where it rose.
"""

from __future__ import annotations

import os
import sys

import typer

from trabecula.cli import browse, judge, reports, use  # noqa: F401 their verbs register themselves
from trabecula.cli.words import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; a mendable error is one line on standard error and exit code 2."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os._exit(0)
    except (ValueError, LookupError, OSError, TypeError) as error:
        if os.environ.get("TRABECULA_DEBUG"):
            raise
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        typer.secho(f"trabecula: {' '.join(str(message).split())}", err=True, fg="red")
        sys.exit(2)
