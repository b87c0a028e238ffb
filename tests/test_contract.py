"""Defaults, argument specs and README of a role say the same. A module's examples fit its options."""

import json
import re
from importlib import import_module

import pytest
import yaml
from rendering import ROOT, evaluate, load, trusted

COLLECTION = "ansible_collections.tornadoes.tornadoes"
ROLES = ("tornado_app", "nginx_proxy", "redis_server", "keepalived")
# Said in words in the README, since the value is a path of this checkout.
IN_WORDS = {"tornado_app_source"}


def readme_rows(role):
    """Name, type and default of each row of the README's table of variables."""
    text = (ROOT / "roles" / role / "README.md").read_text()
    rows = re.findall(rf"^\| `({role}_\w+)` \| ([^|]+) \| ([^|]+) \|", text, flags=re.MULTILINE)
    return {name: (kind.strip(), default.strip()) for name, kind, default in rows}


def options(role):
    """The role's variables, as its argument specs have them."""
    return load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["variables"]["options"]


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_known_everywhere(role):
    defaults = set(load(f"roles/{role}/defaults/main.yml"))
    assert defaults == set(options(role)) == set(readme_rows(role))


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_names_what_a_playbook_is_told(role):
    text = (ROOT / "roles" / role / "README.md").read_text()
    rows = re.findall(rf"^\| `(\w+)\.yml` \| `({role}_\w+)` \| [^|]+ \| `?([^|`]+)`? \|", text, re.MULTILINE)
    specs = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
    told = {
        (
            entry.removeprefix("playbook_"),
            name,
            "required" if option.get("required") else json.dumps(option["default"]),
        )
        for entry, spec in specs.items()
        if entry != "variables"
        for name, option in spec["options"].items()
    }
    assert {(book, name, default.strip()) for book, name, default in rows} == told
    assert all((ROOT / f"playbooks/{book}.yml").exists() for book, _name, _default in told)


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_names_the_default_that_counts(role):
    for name, (_kind, default) in readme_rows(role).items():
        if name not in IN_WORDS:
            assert yaml.safe_load(default.strip("`")) == evaluate(role, name), name


@pytest.mark.parametrize("role", ROLES)
def test_every_default_has_the_type_that_the_specs_ask_for(role):
    python = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict, "raw": str}
    for name, option in options(role).items():
        value = evaluate(role, name)
        assert isinstance(value, python[option["type"]]) or (value is None and "default" in option), name


def test_an_entry_of_several_apps_takes_every_variable():
    flat = {name.removeprefix("tornado_app_") for name in options("tornado_app")}
    nested = options("tornado_app")["tornado_app_apps"]["options"]
    assert set(nested) == flat - {"apps"}


def test_an_entry_sets_every_variable():
    for name, option in options("tornado_app").items():
        if name == "tornado_app_apps":
            continue
        value = {"int": 7, "list": [1], "dict": {"a": "b"}}.get(option["type"], "x")
        entry = {name.removeprefix("tornado_app_"): value}
        assert evaluate("tornado_app", name, __tornado_app_entry=entry) == value


ENTRY_TASKS = [
    pytest.param(task, id=path.stem)
    for path in sorted((ROOT / "roles/tornado_app/tasks").glob("*.yml"))
    for task in yaml.safe_load(path.read_text())
    if "__tornado_app_entry" in task.get("vars", {})
]


@pytest.mark.parametrize("task", ENTRY_TASKS)
def test_what_is_done_for_an_app_is_done_where_it_is_the_only_one_of_a_list(task):
    given = trusted({"tornado_app_apps": [{"name": "chat"}]})
    item = evaluate("tornado_app", task["loop"].strip("{} "), **given)[0]
    given |= {task["loop_control"]["loop_var"]: item, **trusted(task["vars"])}
    assert evaluate("tornado_app", "tornado_app_name", **given) == "chat"


@pytest.mark.parametrize(
    ("role", "variable", "heading"),
    [
        ("nginx_proxy", "nginx_proxy_sites", "A site:"),
        ("nginx_proxy", "nginx_proxy_acme", "The public CA (`nginx_proxy_acme`):"),
        (
            "nginx_proxy",
            "nginx_proxy_limits",
            "The limits (`nginx_proxy_limits`); a normal visitor notices none of them:",
        ),
        ("redis_server", "redis_server_users", "A user:"),
        ("tornado_app", "tornado_app_workers", "A worker:"),
        ("tornado_app", "tornado_app_timers", "A timer:"),
    ],
)
def test_the_readme_names_every_key_and_its_default(role, variable, heading):
    table = (ROOT / "roles" / role / "README.md").read_text().split(heading)[1].split("\n\n")[1]
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| [^|]+ \| ([^|]+) \|", table, re.MULTILINE))
    keys = options(role)[variable]["options"]
    assert set(rows) == set(keys)
    for name, option in keys.items():
        said = yaml.safe_load(rows[name].strip().strip("`"))
        assert said == ("required" if option.get("required") else option["default"]), name


# The rest of what a module says of itself is checked by validate-modules, see script/test.
@pytest.mark.parametrize("path", sorted((ROOT / "plugins/modules").glob("*.py")), ids=lambda path: path.stem)
def test_a_modules_examples_can_run_and_its_lists_say_of_what(path):
    module = import_module(f"{COLLECTION}.plugins.modules.{path.stem}")
    described = yaml.safe_load(module.DOCUMENTATION)["options"]
    for task in yaml.safe_load(module.EXAMPLES):
        given = task[f"tornadoes.tornadoes.{path.stem}"] or {}
        assert set(given) <= set(described)
        assert {name for name, option in described.items() if option.get("required")} <= set(given)
    for name, value in yaml.safe_load(getattr(module, "RETURN", "{}")).items():
        assert value["type"] != "list" or "elements" in value, name


def test_apply_does_the_work_of_each_module_that_shares_it():
    apply = import_module(f"{COLLECTION}.plugins.modules.apply")
    shared = sorted(path.stem for path in (ROOT / "plugins/module_utils/applied").glob("*.py"))
    assert yaml.safe_load(apply.DOCUMENTATION)["options"]["work"]["choices"] == shared
    for name in shared:
        assert apply.work_of(name).__name__.endswith(f".applied.{name}")
