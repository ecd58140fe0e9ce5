"""Generates parts of README.md from the code. Run as a module, it writes them between their markers."""

import ast
from itertools import groupby
from pathlib import Path

import msgspec

from bench.load import SCENARIOS
from tests.support.commands import COMMANDS
from wr.metrics.catalogue import METRICS
from wr.model.event_schema import DATA
from wr.model.queue_settings import SETTINGS
from wr.model.setting import SettingDescription as QueueSetting
from wr.model.setting import by_group
from wr.model.whole_numbers import plain
from wr.server.settings import SettingDescription, describe_settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def settings_table() -> str:
    """The table of settings: option, variable, default and help."""
    lines = ["| Option | Variable | Default | What it is |", "| --- | --- | --- | --- |"]
    for group, settings in groupby(describe_settings(), key=lambda setting: setting.group):
        lines.append(f"| **{group}** | | | |")
        lines += map(_setting_row, settings)
    return "\n".join(lines)


def _setting_row(setting: SettingDescription) -> str:
    default = f"`{setting.default}`" if setting.default else ""
    # A help text may contain the character that ends a cell.
    help_text = setting.help.replace("|", "\\|")
    return f"| `{setting.flag}` | `{setting.variable}` | {default} | {help_text}. |"


def queue_settings_table() -> str:
    """Every setting of a queue: what a new queue gets, and what the setting is."""
    lines = ["| Setting | Default | What it is |", "| --- | --- | --- |"]
    for group, settings in by_group(SETTINGS).items():
        lines.append(f"| **{group}** | | |")
        lines += [f"| `{each.name}` |{_default(each)} | {_meaning(each)} |" for each in settings]
    return "\n".join(lines)


def _default(setting: QueueSetting) -> str:
    """Fill a cell up to its end: nothing, or a space and the default."""
    default = setting.default
    if setting.facts.default_in_words:
        return f" {setting.facts.default_in_words}"
    if not default and isinstance(default, str | None):
        return ""
    text = f"`{default}`" if isinstance(default, str) else str(plain(default))
    if setting.facts.concert_default is not None:
        return f" {text}; for a concert's queue {setting.facts.concert_default}"
    return f" {text}"


def _meaning(setting: QueueSetting) -> str:
    values = ", ".join(f"`{value}` ({means})" for value, means in setting.choices.items())
    return f"{setting.help}: {values}" if values else setting.help


def commands_table() -> str:
    """The table of commands with the first sentences of their help."""
    rows = [f"| `wr {name}` | {_first_sentence(command.help or '')} |" for name, command in COMMANDS.items()]
    return "\n".join(["| Command | What it does |", "| --- | --- |", *rows])


def _first_sentence(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


def layout_table() -> str:
    """The table of the package's folders with the first lines of their docstrings."""
    rows = [f"| `wr/{folder.name}/` | {_purpose(folder)} |" for folder in package_folders()]
    return "\n".join(["| Folder | What is in it |", "| --- | --- |", *rows])


def package_folders() -> list[Path]:
    """The folders of the package, without caches."""
    return sorted(folder for folder in (ROOT / "wr").iterdir() if (folder / "__init__.py").exists())


def _purpose(folder: Path) -> str:
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    return docstring.partition("\n")[0]


def events_table() -> str:
    """The table of event types: when they occur, and the fields of their data."""
    rows = [
        f"| `{kind.value}` | {(data.__doc__ or '').rstrip('.')} | {_names(data)} |"
        for kind, data in DATA.items()
    ]
    return "\n".join(["| Type | When | `data` |", "| --- | --- | --- |", *rows])


def _names(data: type[msgspec.Struct]) -> str:
    return ", ".join(f"`{field.encode_name}`" for field in msgspec.structs.fields(data))


def metrics_table() -> str:
    """The table of metrics: kind, labels and meaning."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} "
        f"| {metric.help} |"
        for metric in METRICS
    ]
    return "\n".join(["| Metric | Kind | Labels | What it is |", "| --- | --- | --- | --- |", *rows])


def load_tests_table() -> str:
    """The table of load tests with what their visitors do."""
    rows = [f"| `{name}` | `{plan.user_class}` | {plan.about} |" for name, plan in SCENARIOS.items()]
    return "\n".join(["| Scenario | Locust class | What visitors do |", "| --- | --- | --- |", *rows])


MADE = {
    "settings": settings_table,
    "queue settings": queue_settings_table,
    "commands": commands_table,
    "layout": layout_table,
    "metrics": metrics_table,
    "load tests": load_tests_table,
    "events": events_table,
}


def block(text: str, name: str) -> str | None:
    """Return the text between the markers of that name; None if there are no such markers."""
    _, opening, rest = text.partition(f"<!-- {name} -->")
    inside, closing, _ = rest.partition(f"<!-- /{name} -->")
    return inside.strip() if opening and closing else None


def filled(text: str) -> str:
    """Return the text with all marked blocks generated again."""
    for name, make in MADE.items():
        if block(text, name) is not None:
            before, _, rest = text.partition(f"<!-- {name} -->")
            after = rest.partition(f"<!-- /{name} -->")[2]
            text = f"{before}<!-- {name} -->\n{make()}\n<!-- /{name} -->{after}"
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text()))
