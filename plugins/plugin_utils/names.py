"""Variables whose names or types can't be meant: a sentence for each.

What there is stands in a role's meta/argument_specs.yml. A value is shown only where it can't be a secret.
"""

import difflib
import functools
import re

from ansible._internal._datatag._tags import Origin, VaultedValue
from ansible.parsing.splitter import parse_kv

LONGEST = 60  # characters of a value that a sentence shows
MOST_PARTS = 10  # of a list, in an example
VAULT = "with --ask-vault-pass or --vault-password-file"
SWITCHES = {"yes", "no", "on", "off", "true", "false"}  # what YAML makes true and false of
WANTED = {
    "str": "text",
    "path": "a path",
    "int": "a whole number",
    "bool": "true or false",
    "list": "a list",
    "dict": "keys with values",
    "raw": "text or a number",
}


# A variable or key that was, to the one that it is now, or to a sentence that says what to do.
RENAMED = {
    "nginx_proxy_acme.challenge_port": "An ACME server asks port 80. Remove the line.",
    "nginx_proxy_error_log": "nginx writes its errors to /var/log/nginx/error.log. Remove the line.",
    "nginx_proxy_user": "nginx runs as www-data, as Debian sets it up. Remove the line.",
    "tornado_app_apps.release": "Give playbooks/rollback.yml -e tornado_app_release=ID. Remove the line.",
}


class Unreadable(Exception):
    """A value that Ansible can't make out."""


def renamed(name):
    """What became of a variable or key, as a sentence; None if it never was one."""
    now = RENAMED.get(name)
    if now is None:
        return None
    return f"no such variable any more. {now}" if " " in now else f"it is called {now} now. Write that."


def wanted(option):
    """What a value has to be, by its option."""
    return " or ".join(option.get("choices", [])) or WANTED[option.get("type", "str")]


def shown(value, secret=False):
    """A value as a sentence names it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a dict"
    if isinstance(value, list):
        return "a list"
    if secret or vaulted(value):
        return "the value"
    if isinstance(value, str):
        return f"'{value[:LONGEST]}{'...' * (len(value) > LONGEST)}'"
    return str(value)


def vaulted(value):
    """Whether a value was encrypted, by itself or with its file."""
    if VaultedValue.is_tagged_on(value):
        return True
    origin = Origin.get_tag(value)
    try:
        with open(origin.path, "rb") as file:
            return file.read(14) == b"$ANSIBLE_VAULT"
    except (AttributeError, TypeError, OSError):
        return False


def distance(one, other):
    """How many letters were added, left out, changed or swapped."""
    before, row = [], list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, letter_of_other in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != letter_of_other))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == letter_of_other:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]


@functools.cache
def words(name):
    """The words of a name, whatever stands between them, singular."""
    return [re.sub("ies$", "y", word).removesuffix("s") for word in re.split("[-_]+", name.lower())]


def same(one, other):
    """Whether a word is another with a slip in it; of few letters a changed one makes another word."""
    if one == other or (min(len(one), len(other)) > 2 and (one.startswith(other) or other.startswith(one))):
        return True
    if min(len(one), len(other)) < 5 and len(one) == len(other):
        return sorted(one) == sorted(other) and distance(one, other) == 1
    return distance(one, other) <= (1 if min(len(one), len(other)) < 5 else 2)


def slip(name, known):
    """The one of the known names that this is with a slip of the fingers in it, or None."""
    mine = words(name)
    for other in known if not re.search("[0-9]", name) else []:  # a number is meant
        its = words(other)
        if "".join(mine) == "".join(its):
            return other
        if len(mine) == len(its) and all(map(same, mine, its)) and distance(name, other) <= 3:
            return other
    return None


def like(name, known):
    """What may have been meant, as a sentence."""
    found = difflib.get_close_matches(str(name), known, n=1, cutoff=0.7)
    return f" Is it {found[0]}?" if found else ""


def near(name, start, known):
    """What may have been meant by a name that begins as all of these do, which makes none of them alike."""
    ends = {one.removeprefix(start): one for one in known}
    end = name.removeprefix(start)
    short = [one for one in ends if end and one.startswith(end)]
    found = difflib.get_close_matches(end, ends, n=1, cutoff=0.7) or short * (len(short) == 1)
    return f" Is it {ends[found[0]]}?" if found else f" There are {', '.join(sorted(known))}."


def check(label, value, option, secret=False):
    """What is wrong with a value, a sentence each; C(secret) values are never shown."""
    secret = secret or option.get("no_log", False)
    kind = option.get("type", "str")
    if value is None and option.get("default", "") is None:
        return
    if value is None:
        yield f"{label}: there is no value. Give {WANTED[kind]}, or leave the line out."
    elif problem := mistyped(value, kind, option, secret):
        yield f"{label}: {problem}"
    elif option.get("choices") and value not in option["choices"]:
        yield f"{label}: {none_of(value, option['choices'], secret)}"
    elif kind == "list":
        entry = {**option, "type": option.get("elements", "raw"), "choices": None}
        for number, one in enumerate(value):
            yield from check(f"{label}[{number}]", one, entry, secret)
    elif kind == "dict" and "options" in option:
        yield from check_keys(label, value, option["options"], secret)
    elif kind == "dict":
        for key, one in value.items():
            if not isinstance(key, str):
                yield f"{label}: the key {shown(key)} is no text. Write it in quotes."
            elif one is None or isinstance(one, bool | list | dict):
                said = "there is no value" if one is None else f"{shown(one)} is no text"
                yield f"{label}.{key}: {said}. Give text, in quotes where YAML makes something else of it."


def check_keys(label, value, options, secret):
    """What is wrong with the keys of a dict, and with their values."""
    for key, one in value.items():
        if key in options:
            yield from check(f"{label}.{key}", one, options[key], secret)
        elif problem := renamed(re.sub(r"\[[0-9]+\]", "", f"{label}.{key}")):
            yield f"{label}.{key}: {problem}"
        else:
            name = key if isinstance(key, str) else shown(key)
            meant = like(name, options) or f" There are {', '.join(sorted(options))}."
            yield f"{label}.{name}: no such key.{meant}"
    for key, option in options.items():
        if option.get("required") and key not in value:
            yield f"{label}: {key} is missing. Give {WANTED[option['type']]} there."


def none_of(value, choices, secret):
    """That a value is no choice, and which there are."""
    there = ", ".join(choice or "''" for choice in choices)
    return f"{shown(value, secret)} is none of the choices. There are {there}."


def parts_of(text, elements):
    """What a list would hold that was written as text: 8000,8001 or 8000-8003."""
    parts = re.split(r"[,\s]+", text[:LONGEST].strip("[]"))
    ends = re.fullmatch("([0-9]{1,5})-([0-9]{1,5})", parts[0]) if elements == "int" else None
    if ends and len(parts) == 1 and 0 < int(ends[2]) - int(ends[1]) < MOST_PARTS:
        return list(map(str, range(int(ends[1]), int(ends[2]) + 1)))
    if elements == "int" and not all(part.isdigit() for part in parts):
        return ["...", "..."]
    return parts


def mistyped(value, kind, option, secret):
    """Why a value is not of its kind, and what is; None if it is."""
    said = shown(value, secret)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    choices = option.get("choices")
    if kind in ("str", "path", "raw"):
        if isinstance(value, str) or (kind == "raw" and number):
            return None
        # Quotes make a choice of it only where there is one that YAML reads so.
        if (number or isinstance(value, bool)) and not SWITCHES & set(choices or SWITCHES):
            return none_of(value, choices, secret)
        if number:
            return f"{said} is a number. Write it in quotes, as text."
        if isinstance(value, bool):
            return f"{said} is no text: YAML reads yes, no, on, off, true and false so. Write it in quotes."
        return f"{said} is no text. Give one line of it."
    if kind == "int":
        whole = isinstance(value, int) if number else re.fullmatch("-?[0-9]{1,15}", str(value))
        return None if whole else f"{said} is no whole number. Give digits alone."
    if kind == "bool":
        if isinstance(value, bool):
            return None
        return f"{said} is neither true nor false. Give one of them, without quotes."
    if kind == "list" and not isinstance(value, list):
        if option.get("elements") == "dict":
            return f"{said} is no list. Give a list, each entry with a dash before its first key."
        parts = ["...", "..."]
        if isinstance(value, str | int) and not secret and not vaulted(value):
            parts = parts_of(str(value), option.get("elements"))
        return f"{said} is no list. Give one, as [{', '.join(parts)}]."
    if kind == "dict" and not isinstance(value, dict):
        names = f" There are {', '.join(sorted(option['options']))}." if "options" in option else ""
        return f"{said} has no keys. Give keys with values.{names}"
    return None


def plain(value):
    """The templates in a variable, as they were written."""
    if isinstance(value, dict):
        return " ".join([*map(plain, value), *map(plain, value.values())])
    if isinstance(value, list | tuple):
        return " ".join(map(plain, value))
    return value if isinstance(value, str) and ("{{" in value or "{%" in value) else ""


def reason(problem):
    """The innermost of an error's reasons: the one that speaks of the value."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    return str(problem).splitlines()[0].rstrip(".")


def unreadable(name, problem):
    """The sentence for a variable whose value can't be had."""
    said = reason(problem)
    cure = f"Give its password {VAULT}" if "decrypt" in said.lower() else "Correct what it is made of"
    return f"{name}: can't be read, {said}. {cure}."


class Names:
    """The names of a run's variables, and which of them are slips for one of the role's."""

    def __init__(self, role, options, defaults, variables, given, elsewhere):
        self.role, self.options, self.defaults = role, options, defaults
        self.variables, self.given, self.elsewhere = variables, given, elsewhere

    def used(self, name):
        """Whether another variable's template refers to this one, so that it is not a slip."""
        word = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")
        skip = {name, "hostvars", "vars", "groups", "ansible_facts"}
        return any(word.search(plain(value)) for key, value in self.variables.items() if key not in skip)

    def shortened(self, name, value):
        """The variable that this would be with the prefix whole, if nobody has set that one."""
        first = self.role.split("_")[0]
        meant = name.replace(f"{first}_", f"{self.role}_", 1)
        if not name.startswith(f"{first}_") or meant not in self.defaults:
            return None
        default = self.defaults[meant]
        if self.variables[meant] != default or value in (None, default):
            return None
        return None if list(check(name, value, self.options[meant])) else meant

    def only_ours(self, name, value):
        """Whether a value can be nothing else than that of a variable with its prefix shortened."""
        return value and isinstance(value, list) and self.options[name].get("elements") in ("dict", "int")

    def doubts(self, value_of):
        """A sentence for each name that is another role's variable, or one of ours with its prefix shortened."""
        first = self.role.split("_")[0]
        for name in sorted(one for one in map(str, self.variables) if one.startswith(f"{first}_")):
            if name in self.options:
                continue
            value = value_of(name)
            meant = self.shortened(name, value)
            if meant and not self.only_ours(meant, value) and not renamed(name) and not self.used(name):
                yield f"{name}: nothing here reads this variable. If {meant} is meant, write that."

    def forgotten(self, name):
        """The variable that was meant by -e without its prefix, or with half of it."""
        if name not in self.given or len(words(name)) > len(words(self.role)) + 3:
            return None
        starts = [f"{word}_" for word in self.role.split("_")]
        ends = [f"{self.role}_{name.removeprefix(start)}" for start in (*starts, "")]
        return next((end for end in ends if end in self.options), None)

    def refusals(self, value_of):
        """A sentence for each name that the role does not have."""
        for name in sorted(map(str, self.variables)):
            if name in self.options or name.startswith(("_", "ansible_", "molecule_")):
                continue
            if name in self.elsewhere:
                yield (
                    f"{name}: only playbooks/{self.elsewhere[name]}.yml reads it, from the command line. "
                    "Leave it out here."
                )
                continue
            if problem := renamed(name):
                yield f"{name}: {problem}"
                continue
            if name.startswith(f"{self.role}_"):
                yield f"{name}: no such variable.{near(name, f'{self.role}_', self.options)}"
                continue
            meant = slip(name, self.options) or self.forgotten(name)
            if not meant and name.startswith(self.role.split("_")[0]):
                value = value_of(name)
                short = self.shortened(name, value)
                meant = short if short and self.only_ours(short, value) else None
            if meant and not self.used(name):
                yield f"{name}: nothing reads this variable. Is it {meant}?"


def strays(given, options, own):
    """A sentence for each -e that Ansible takes no variable from, or not the whole value.

    given: all of them, as written. options: the role's. own: whether the playbooks are the
    project's, so that every such slip is for us.
    """
    for text in given:
        # What begins so is a file or YAML.
        raw = "" if text.startswith(("@", "[", "{")) else parse_kv(text).get("_raw_params", "")
        first = re.match(r"[\w-]*", text.strip())[0]
        name = next((one for one in options if re.search(rf"\b{one}\b", raw)), first)
        if not raw or not (own or name in options):
            continue
        value = re.fullmatch(rf"\s*{re.escape(name)}\s*[=:]\s*(\S+)\s*", text)
        shows = value and name in options and not options[name].get("no_log")
        example = f"{name or 'NAME'}={value[1] if shows else 'VALUE'}"
        yield (
            f"-e {name}: Ansible makes no variable of what is written so. Write -e {example},"
            " without spaces or a colon, or in quotes what has some."
        )
