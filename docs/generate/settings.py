"""Write what follows from the fields of `Settings`: docs/settings.md and python/ssimae/config/keywords.py.

Run ``make generated`` after a change of python/ssimae/config/settings.py; a test compares.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from pathlib import Path
from typing import Any

from ssimae.config import presets
from ssimae.config.rules import Group
from ssimae.config.settings import Settings, setting_fields

ROOT = Path(__file__).parents[2]


def generated() -> dict[Path, str]:
    """Return the contents of the generated files by their paths."""
    return {ROOT / "docs/settings.md": page(), ROOT / "python/ssimae/config/keywords.py": keywords()}


def body() -> list[ast.stmt]:
    """Return the statements in the source of `Settings`."""
    (definition,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(definition, ast.ClassDef)
    return definition.body


def helps() -> dict[str, str]:
    """Return the help text that stands below each field."""
    texts = {}
    for field, text in zip(body(), body()[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            texts[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return texts


def types() -> dict[str, str]:
    """Return the type of each field as it is written, without group and rules."""
    annotations = {ast.unparse(item.target): item.annotation for item in body() if isinstance(item, ast.AnnAssign)}
    return {name: ast.unparse(hint.slice.elts[0]).replace("'", '"') for name, hint in annotations.items()}  # type: ignore[attr-defined]


def page() -> str:
    """Return docs/settings.md."""
    texts, fields = helps(), setting_fields()
    defaults = dataclasses.asdict(Settings())
    lines = [
        "# Settings",
        "",
        "Each setting has one name everywhere: `--patch-size` on the command line, `patch_size` in `config.toml` and",
        "in `ssimae.Detector(patch_size=...)`. `make generated` writes this page from",
        "`python/ssimae/config/settings.py`. Sections (sec.) are those of Bergmann et al. 2019. On the command line, a",
        "setting of yes or no is switched by `--hold-out` or `--no-hold-out`.",
    ]
    groups: dict[Group, list[str]] = {}
    for name, field in fields.items():
        groups.setdefault(field.group, []).append(name)
    for group, names in groups.items():
        note = (
            "A change needs a training of its own."
            if group.retrain
            else "A change needs no new training: `ssimae run --weights RUN ...` inspects again."
        )
        lines += [
            "",
            f"## {group.title}",
            "",
            note,
            "",
            "| setting | default | values | meaning |",
            "|---|---|---|---|",
        ]
        for name in names:
            rules = " and ".join(str(rule) for rule in fields[name].rules)
            kind = fields[name].kind
            values = rules if kind == "choice" else f"{kind}{', ' if rules else ''}{rules}"
            values += ", or unset" if fields[name].optional else ""
            lines.append(f"| `{name}` | {shown(defaults[name])} | {values} | {texts[name]} |")
    lines += [
        "",
        "## Presets",
        "",
        "A preset names the settings that differ from the defaults; flags change single ones.",
    ]
    lines += ["", "| preset | differs in |", "|---|---|"]
    for name in presets.PRESETS:
        chosen = dataclasses.asdict(presets.preset(name))
        changes = [f"`{key}` {shown(value)}" for key, value in chosen.items() if value != defaults[key]]
        lines.append(f"| `{name}` | {', '.join(changes) or 'nothing'} |")
    quick = dataclasses.asdict(presets.preset("default", quick=True))
    changes = [f"`{key}` {shown(value)}" for key, value in quick.items() if value != defaults[key]]
    lines += ["", f"`--quick` sets, on top of any preset: {', '.join(changes)}."]
    return "\n".join(lines) + "\n"


def shown(value: Any) -> str:
    """Return a value as a user types it."""
    if value is None:
        return "unset"
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:,}" if value == 10_000 else str(value)


def keywords() -> str:
    """Return python/ssimae/config/keywords.py."""
    texts, kinds = helps(), types()
    lines = [
        '"""The settings as typed keywords, for editors; written by `make generated` from ``settings.py``."""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Literal, TypedDict",
        "",
        "from ssimae.config.systems import Features, Loss, Method",
        "",
        "",
        "class SettingsKeywords(TypedDict, total=False):",
        '    """Any fields of :class:`ssimae.Settings`."""',
        "",
    ]
    for name, kind in kinds.items():
        text = texts[name].replace("\\", "\\\\")
        whole = f'"""{text}"""'
        lines.append(f"    {name}: {kind}")
        lines += textwrap.wrap(whole, 120, initial_indent="    ", subsequent_indent="    ", break_long_words=False)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content)
