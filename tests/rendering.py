"""Render the roles' templates and defaults as Ansible would, without a host."""

from pathlib import Path

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).resolve().parent.parent


def trusted(value):
    """Mark every string inside as a template; Ansible leaves others unrendered."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: trusted(one) for key, one in value.items()}
    if isinstance(value, list):
        return [trusted(one) for one in value]
    return value


def load(path):
    """A YAML file of the project."""
    return yaml.safe_load((ROOT / path).read_text())


def role_variables(role, **given):
    """The role's defaults and private variables, with what the user gives on top."""
    variables = {"role_path": str(ROOT / "roles" / role), "ansible_managed": "Ansible managed"}
    for part in ("defaults", "vars"):
        variables.update(load(f"roles/{role}/{part}/main.yml"))
    return {**trusted(variables), **given}


def evaluate(role, expression, **given):
    """The value that a Jinja expression has in the role."""
    templar = Templar(loader=DataLoader(), variables=role_variables(role, **given))
    return templar.template(trust_as_template("{{ " + expression + " }}"))


def render(role, template, **given):
    """The text that one of the role's templates gives; nothing may be left unrendered."""
    variables = role_variables(role, **given)
    templar = Templar(loader=DataLoader(), variables=variables)
    text = (ROOT / "roles" / role / "templates" / template).read_text()
    templar.environment.lstrip_blocks = True
    # Of one that says nothing, it is None.
    result = templar.template(trust_as_template(text)) or ""
    assert "{{" not in result
    assert "{%" not in result
    return result
