"""Dockerfile, conda recipe and cluster example agree with the package and with each other."""

import fnmatch
import re
import tomllib
from pathlib import Path

import yaml

import nmt

CHECKOUT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {"torch": "pytorch"}


def read(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads(read("pyproject.toml"))["project"]
    return found


def test_the_conda_recipe_has_the_version_and_the_dependencies_of_the_package() -> None:
    recipe, package = yaml.safe_load(read("conda/recipe.yaml")), project()
    assert recipe["package"] == {"name": package["name"], "version": nmt.__version__}
    assert recipe["about"]["summary"] == package["description"]
    wanted = [f"python{package['requires-python']}"]
    for line in package["dependencies"]:  # type: ignore[attr-defined]
        name = re.split(r"[<>=]", line)[0]
        wanted.append(CONDA_NAMES.get(name, name) + line.removeprefix(name))
    assert [line.replace(" ", "") for line in recipe["requirements"]["run"]] == wanted
    [script] = recipe["build"]["python"]["entry_points"]
    assert script == f"nmt = {package['scripts']['nmt']}"  # type: ignore[index]


def test_all_that_the_dockerfile_copies_is_there_and_is_not_ignored() -> None:
    dockerfile, ignored = read("Dockerfile"), read(".dockerignore").split()
    copied = [name for line in re.findall(r"^COPY (.+)$", dockerfile, re.M) for name in line.split()[:-1]]
    assert copied
    for name in copied:
        assert (CHECKOUT / name).exists()
        assert any(fnmatch.fnmatch(name, rule[1:]) for rule in ignored if rule.startswith("!"))
    built = tomllib.loads(read("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*built["packages"], *built["force-include"], "README.md", "LICENSE"} <= {*copied}


def test_the_image_runs_as_a_user_who_is_not_root_and_is_that_of_the_example() -> None:
    dockerfile = read("Dockerfile")
    [user] = re.findall(r"^USER (\d+)$", dockerfile, re.M)
    assert int(user) > 0
    assert f"--uid {user}" in dockerfile
    pod = yaml.safe_load(read("docs/examples/kubernetes.yaml"))["spec"]["pytorchReplicaSpecs"]["Master"]
    [container] = pod["template"]["spec"]["containers"]
    assert container["image"].endswith("nmt:gpu")
    assert "-t nmt:gpu" in dockerfile
    assert pod["template"]["spec"]["securityContext"]["fsGroup"] == int(user)
