"""Turn a source and the settings of an app into one release, packed as a tar file."""

import json
import os
import shlex
import tarfile

from ..module_utils.refusal import Refusal
from . import command, jobs, project, requirements
from .git import ignored
from .left_out import LeftOut, included
from .release import Release, digest
from .shared import set_apart
from .source import fetch, is_archive, is_git
from .tree import RESERVED, Tree

MOST_LEFT_OUT = 200  # paths that a host is told of


def contents(folder, names):
    """Name to content of some files of a folder."""
    found = {}
    for name in sorted(names):
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = file.read()
    return found


def wanted(folder, params, commands):
    """Paths that belong to a release whatever git ignores: what the variables name. commands: what it starts, as words."""
    named, start = [], params["settings"].get("folder", "")
    for first, *more in filter(None, commands):
        package = more[0].split(".")[0] if first == "-m" else ""
        named += [package, f"{package}.py"] if package else [first]
    return [
        *(os.path.normpath(os.path.join(start, one)) for one in named),
        params["static"],
        os.path.normpath(params["requirements"]),
        *included(folder, params["include"]),
    ]


def needs(folder, params):
    """What the environment is made of: the file's name, its lines, pip's steps, our own files, the version of a build."""
    name, extras = params["requirements"], params["extras"]
    listed = requirements.find(folder, name)
    if listed is None:
        name = project.find(folder)
    if extras and not project.is_project(name):
        raise Refusal(
            f"tornado_app_extras: {extras[0]} is a part of a {project.PROJECT}, and {name or 'nothing of the source'}"
            f" is what is installed. Leave the variable out, or set tornado_app_requirements to {project.PROJECT}."
        )
    if listed and not project.is_project(name):
        return name, requirements.lines(folder, listed), [[f"--requirement={name}"]], {}, ""
    plan = project.plan(folder, name, extras, offline=bool(params["wheels"])) if name else None
    plan = plan or project.Plan(None)
    if plan.first is None:
        with open(params["default_requirements"], encoding="utf-8") as file:
            plan.first = file.read().splitlines()
    version = project.version(folder, params["version"]) if plan.versioned else ""
    lines = [*plan.first, *(["then", *plan.then, version] if plan.then else [])]
    return name or f"{RESERVED}/requirements.txt", lines, plan.steps(), plan.files(), version


def pack(params, scratch):
    """Write the tar file C(destination) by the action's options; what it returns. scratch: a folder to use."""
    folder, origin = fetch(params, scratch)
    given = params["settings"]
    main, others = given["main"], jobs.read(given.get("workers", ()), given.get("timers", ()))
    commands = [command.command(one) for one in (main, *(job.command for job in others))]
    settings = {**given, "main": shlex.join(commands[0]), **jobs.settings(others)}
    own = {"settings.json": json.dumps(settings, sort_keys=True).encode()}
    own |= contents(params["runtime"], [one for one in os.listdir(params["runtime"]) if one.endswith(".py")])
    try:
        fetched = is_git(params["source"], params["version"]) or is_archive(params["source"])
        left_out = LeftOut(folder, wanted(folder, params, commands), ask=None if fetched else ignored)
        tree = Tree(folder, params["static"], left_out)
        set_apart(tree, params["settings"].get("shared", ()), f"/var/lib/{params['group']}")
        start = os.path.join(folder, settings.get("folder", ""))
        if not os.path.isdir(start):
            raise Refusal(
                f"tornado_app_folder: '{settings['folder']}' is no folder of the source. Give the one there that the"
                " program starts in, or leave it out for the source itself."
            )
        if main:
            command.check(start, "tornado_app_main", main)
        for job in others:
            command.check(start, f"{job.variable}: {job.name}", job.command)
        name, lines, steps, files, version = needs(folder, params)
        own |= files
        elsewhere = requirements.over(folder) if name.startswith(RESERVED) and not fetched else []
        with tarfile.open(params["destination"], "w:gz", compresslevel=1) as packed:
            release = Release(packed, tree, params["group"])
            release.add_folders()
            code = release.add_code()
            local = [release.digest_of(path) for path in requirements.installed(folder, lines)]
            wheels = requirements.wheels(os.path.expanduser(params["wheels"]))
            venv = digest(params["python"], "\n".join(lines), *local, *wheels)
            for file_name, content in own.items():
                release.add_own(file_name, content)
            release.add_links(venv=f"../../../venvs/{venv}")
    except OSError as problem:
        raise Refusal(
            f"tornado_app_source: {origin} can't be read ({problem}). Try again when nothing writes to it."
        ) from problem
    asked = [params[one] for one in ("source", "version", "include", "static", "requirements")]
    return {
        "app": params["group"].removeprefix("tornado-"),
        "code": code[:12],
        "asked": digest(json.dumps([*asked, settings.get("shared"), commands, settings.get("folder", "")])),
        "id": digest(code, venv, *release.own, params["seal"]),
        "venv": venv,
        "origin": origin,
        "requirements": name,
        "steps": steps,
        "version": version,
        "left_out": left_out.sentence(),
        "left_out_paths": [*elsewhere, *left_out.found][:MOST_LEFT_OUT],
        "left_out_settings": left_out.settings,
        "editable": any(map(requirements.EDITABLE.match, lines)),
    }
