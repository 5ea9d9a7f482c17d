"""click's commands and options, with docker's flag syntax in front of them.

Knows click; must not know the engine, nor any single command.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from macvnet.cli import suggest, syntax
from macvnet.errors import UsageError
from macvnet.text import quoted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

DRY_RUN = "dry_run"


class Flag(click.Option):
    """A boolean: bare, or with ``=true`` or ``=false``; None where it was not given."""

    def __init__(self, declarations: Sequence[str], **attributes: Any) -> None:
        super().__init__(declarations, **attributes)

    def type_cast_value(self, ctx: click.Context, value: Any) -> bool | None:
        return syntax.boolean(self.opts[-1], value) if isinstance(value, str) else None

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        return (", ".join(self.opts), self.help or "")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [suggest.item(word) for word in ("true", "false")]


class Slice(click.Option):
    """A list: the flag may be repeated, and commas separate values, as in docker."""

    def __init__(self, declarations: Sequence[str], **attributes: Any) -> None:
        super().__init__(declarations, multiple=True, **attributes)

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        given = super().process_value(ctx, value) or ()
        return tuple(item for text in given for item in syntax.split_list(self.opts[-1], text))


class Integer(click.Option):
    """A whole number; 0 where it was not given."""

    def __init__(self, declarations: Sequence[str], **attributes: Any) -> None:
        super().__init__(declarations, type=click.STRING, default=0, **attributes)

    def type_cast_value(self, ctx: click.Context, value: Any) -> int:
        return syntax.integer(self.opts[-1], value) if isinstance(value, str) else 0


def short_verbose() -> Flag:
    """The letter that docker has for --verbose where it has it."""
    return Flag(["-v", "verbose"], expose_value=False, callback=_remember, help="As --verbose.")


def _remember(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    if value is not None:
        ctx.obj.given[option.name] = value


def global_options() -> list[click.Parameter]:
    """Options that stand before the command as well as after it."""
    shared: dict[str, Any] = {"expose_value": False, "callback": _remember}
    return [
        click.Option(
            ["--state-dir"],
            metavar="DIR",
            shell_complete=suggest.directories,
            help="Where the state is kept [env: MACVNET_STATE_DIR; default: /var/lib/macvnet].",
            **shared,
        ),
        click.Option(
            ["--config"],
            metavar="FILE",
            shell_complete=suggest.files,
            help="Settings [env: MACVNET_CONFIG; default: /etc/macvnet/config.toml].",
            **shared,
        ),
        Flag(
            ["--verbose"],
            help="Print each kernel operation as the 'ip' command that does the same.",
            **shared,
        ),
    ]


def _show_help(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.obj.out(ctx.get_help())
        ctx.exit()


class _Docker(click.Command):
    """What commands and the group of them share: syntax and help."""

    def get_help_option(self, ctx: click.Context) -> click.Option:
        """click's own writes past our handling of a full disk and of a closed pipe."""
        if self._help_option is None:
            self._help_option = click.Option(
                self.get_help_option_names(ctx),
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_show_help,
                help="Show this message and leave.",
            )
        return self._help_option

    def kinds(self, ctx: click.Context) -> dict[str, str]:
        """Every flag, and what kind it is."""
        kinds: dict[str, str] = {}
        for option in self.get_params(ctx):
            if isinstance(option, click.Option):
                kind = syntax.VALUE
                if isinstance(option, Flag):
                    kind = syntax.BOOLEAN
                elif option.is_flag:
                    kind = syntax.SWITCH
                kinds.update(dict.fromkeys(option.opts, kind))
        return kinds

    def _line(self, ctx: click.Context, arguments: list[str]) -> syntax.Line:
        return syntax.normalise(
            arguments,
            self.kinds(ctx),
            interspersed=ctx.allow_interspersed_args,
            where=ctx.command_path,
        )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples are shown as written, since they are meant to be copied."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write("\n".join(self.epilog.strip("\n").splitlines()) + "\n")


class Command(_Docker):
    """One command. ``aliases`` are other words for it, shown in its help.

    One that has ``--dry-run`` changes something, and is ``logged`` by default.
    One that is ``lasting`` can go on for long. ``shared``: whether it takes the
    global options.
    """

    def __init__(
        self,
        name: str,
        *,
        params: Sequence[click.Parameter],
        aliases: tuple[str, ...] = (),
        logged: bool | None = None,
        lasting: bool = False,
        shared: bool = True,
        **attributes: Any,
    ) -> None:
        self.aliases = aliases
        self.lasting = lasting
        changes = any(param.name == DRY_RUN for param in params)
        self.logged = changes if logged is None else logged
        self.globals = global_options() if shared else []
        super().__init__(name, params=[*params, *self.globals], **attributes)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        line = self._line(ctx, args)
        if not set(line.flags).intersection(ctx.help_option_names):
            self._count(ctx, len(line.positionals))
        return super().parse_args(ctx, [*line.flags, "--", *line.positionals])

    def invoke(self, ctx: click.Context) -> Any:
        if self.lasting:
            gc.enable()
        if self.logged and not ctx.params.get(DRY_RUN):
            ctx.obj.begin()
        return super().invoke(ctx)

    def _count(self, ctx: click.Context, given: int) -> None:
        positionals = [param for param in self.params if isinstance(param, click.Argument)]
        least = sum(1 for param in positionals if param.required)
        unbounded = any(param.nargs == -1 for param in positionals)
        if given >= least and (unbounded or given <= len(positionals)):
            return
        if not positionals:
            wanted = "accepts no arguments"
        else:
            most = len(positionals)
            amount, number = "exactly", least
            if unbounded or least < most:
                amount, number = ("at least", least) if given < least else ("at most", most)
            wanted = f"requires {amount} {number} argument{'' if number == 1 else 's'}"
        raise UsageError(f"'{self.name}' {wanted}", self.usage_line(ctx))

    def require(self, ctx: click.Context, *, exactly: int) -> UsageError:
        """The refusal where an argument lacks that is needed in this case."""
        return UsageError(
            f"'{self.name}' requires exactly {exactly} arguments", self.usage_line(ctx)
        )

    def usage_line(self, ctx: click.Context) -> str:
        return " ".join((ctx.command_path, *self.collect_usage_pieces(ctx)))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                (shared if param in self.globals else own).append(record)
        if self.aliases:
            with formatter.section("Aliases"):
                formatter.write_text(", ".join((self.name or "", *self.aliases)))
        with formatter.section("Options"):
            formatter.write_dl(own)
        with formatter.section("Global options"):
            formatter.write_dl(shared)


def _help_alone() -> int:
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        ctx.obj.tell(ctx.get_help())
    return 0


class Group(_Docker, click.Group):
    """Commands that are imported when they are named, and not before.

    ``table``: name to (module, one line of help). ``aliases``: other words for
    them. Each module calls its command what the table calls it (``import_`` where
    Python has another use for the word). Alone, it shows its help on stderr, and
    that is no failure (as docker has it).
    """

    def __init__(
        self,
        name: str,
        *,
        table: Mapping[str, tuple[str, str]],
        aliases: Mapping[str, str],
        **attributes: Any,
    ) -> None:
        super().__init__(
            name,
            callback=_help_alone,
            invoke_without_command=True,
            subcommand_metavar="COMMAND [ARG]...",
            options_metavar="[OPTIONS]",
            **attributes,
        )
        self.table = table
        self.other_words = aliases

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = self.other_words.get(cmd_name, cmd_name)
        if name not in self.table:
            return None
        import importlib
        import keyword

        module = importlib.import_module(self.table[name][0])
        found: click.Command = getattr(
            module, f"{name}_" if keyword.iskeyword(name) else name.replace("-", "_")
        )
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        line = self._line(ctx, args)
        separator = ["--"] if line.positionals else []
        return super().parse_args(ctx, [*line.flags, *separator, *line.positionals])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        command = self.get_command(ctx, args[0])
        if command is None:
            hint = self._hint(ctx, args)
            raise UsageError(f"unknown command {quoted(args[0])}", hint)
        return command.name, command, args[1:]

    def _hint(self, ctx: click.Context, args: list[str]) -> str:
        from macvnet.cli.meant import meant
        from macvnet.text import nearest

        known = [*self.table, *self.other_words]
        # Other programs' words are looked for at the top only: in a group they are no slip.
        if ctx.parent is None and (elsewhere := meant(args, known)):
            return f"{ctx.command_path} {elsewhere}"
        close = nearest(args[0], known)
        return f"did you mean {close}?" if close else f"{ctx.command_path} --help"

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])


def command(
    name: str, *params: click.Parameter, **attributes: Any
) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command with these parameters; its docstring is the help."""

    def decorate(function: Callable[..., Any]) -> Command:
        text = attributes.pop("help", None) or function.__doc__
        return Command(name, callback=function, params=list(params), help=text, **attributes)

    return decorate


def dry_run() -> click.Option:
    """``--dry-run``: on every command that changes something."""
    return Flag(["--dry-run"], help="Print what would be made or removed, and change nothing.")


def text_or_json(about: str = "text or json (default: text).") -> click.Option:
    """``--format`` of what is told to people or to scripts."""
    return click.Option(
        ["--format"],
        metavar="FORMAT",
        default="text",
        shell_complete=suggest.words("text", "json"),
        help=about,
    )
