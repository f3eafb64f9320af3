"""The commands. Importing this is quick: what a command needs is loaded when it runs."""

from __future__ import annotations

import sys

import click

from .. import __version__
from .catalog import completion, list_, show
from .command import verbatim
from .compare import compare
from .completeness import completeness
from .data import check, predict
from .describe import describe
from .errors import explain
from .fit import cutoff_test, fit, learning_curve, search
from .job import report, run
from .tabulate import tabulate


class _Main(click.Group):
    """Commands in the order in which a person meets them."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_Main,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=verbatim(
        "adlayer run si100.toml            the whole job: labels, fit, active learning, checks, simulation, report",
        "adlayer check data.extxyz         what is wrong with a data set",
        "adlayer fit fit.toml              from a data set to a potential",
        "adlayer predict model.adl a.xyz   energies, forces and their uncertainty",
        "adlayer list potentials           what there is",
        "adlayer show ACE                  what it is and what arguments it takes",
    ),
)
@click.version_option(__version__, prog_name="adlayer")
@click.option("--debug", is_flag=True, help="Show the full traceback of an error.")
def commands(debug: bool) -> None:
    """From a surface to an interatomic potential that can be trusted."""


_COMMANDS = (run, fit, predict, check, list_, show, report, compare)
_MORE = (learning_curve, cutoff_test, search, describe, completeness, tabulate, completion)
for _command in (*_COMMANDS, *_MORE):
    commands.add_command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; whatever goes wrong is one sentence on stderr and a status that is not zero."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        status = commands.main(arguments, prog_name="adlayer", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except BaseException as error:
        if isinstance(error, SystemExit) or "--debug" in arguments:
            raise
        message, status = explain(error)
        if message:
            click.secho("Error: ", fg="red", bold=True, nl=False, err=True)
            click.echo(message, err=True)
    sys.exit(status if isinstance(status, int) else 0)
