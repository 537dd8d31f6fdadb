"""The files in clusters/: valid for what reads them, of the locked versions, naming commands that exist."""

from __future__ import annotations

import copy
import itertools
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import kubernetes_validate
import pytest
import typer.main
import yaml

import kdsearch.cli

ROOT = Path(__file__).parents[2]
CLUSTERS = ROOT / "clusters"
LAUNCHED = sorted(CLUSTERS.glob("*.yaml"))
KUBERNETES = sorted((CLUSTERS / "kubernetes").glob("*.yaml"))
PAGES = sorted((ROOT / "docs" / "clusters").glob("*.md"))


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", path.read_text(), re.MULTILINE))


LOCKED = pins(ROOT / "requirements.lock")
ONLY_HERE = pins(CLUSTERS / "requirements.txt")
TEXTS = [*(p for p in CLUSTERS.rglob("*") if p.is_file()), *PAGES]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_version_is_the_locked_one(path: Path):
    text = path.read_text()
    named = re.findall(r"\b([\w.-]+)==([\w.]+)", text)
    named += [("ray", version) for version in re.findall(r"rayproject/ray:([\d.]+)", text)]
    named += [("ray", version) for version in re.findall(r"rayVersion: \"?([\d.]+)", text)]
    for package, version in named:
        assert version == LOCKED.get(package, ONLY_HERE.get(package)), f"{package} {version}"


def test_the_ray_image_and_the_cluster_name_a_version():
    assert f"rayproject/ray:{LOCKED['ray']}-py311-gpu" in (CLUSTERS / "kubernetes/Dockerfile").read_text()
    assert f'rayVersion: "{LOCKED["ray"]}"' in (CLUSTERS / "kubernetes/raycluster.yaml").read_text()
    assert ONLY_HERE["mlflow"] == LOCKED["mlflow"]


@pytest.mark.parametrize("path", LAUNCHED, ids=lambda path: path.stem)
def test_a_launchers_file_is_valid_for_ray(path: Path):
    import ray.autoscaler
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load(path.read_text())
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(config)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate({**config, "head_nodes": {}})
    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    types = prepared["available_node_types"]
    assert prepared["head_node_type"] in types
    for local in prepared["file_mounts"].values():
        assert local.startswith("~/.ray/") or (ROOT / local).exists(), local
    started = " ".join(prepared["head_start_ray_commands"] + prepared["worker_start_ray_commands"])
    assert started.count("RAY_AUTH_MODE=token ray start") == 2
    assert "--dashboard-host=127.0.0.1" in started


@pytest.mark.parametrize("path", LAUNCHED, ids=lambda path: path.stem)
def test_a_launched_node_has_the_command_that_the_pages_run_there(path: Path):
    config = yaml.safe_load(path.read_text())
    mounts = {re.sub("^(~|/home/ubuntu)/", "", there): here for there, here in config["file_mounts"].items()}
    commands = [shlex.split(command) for command in config["setup_commands"]]
    installs = [command for command in commands if command[:5] == ["python3", "-m", "uv", "pip", "install"]]
    packages, project = installs
    assert packages[-2:] == ["-r", "~/kdsearch-setup/requirements.lock"]
    # The version may be the same, and the code another.
    assert {"--no-deps", "--reinstall-package"} <= set(project)
    assert project[project.index("--python") + 1] == packages[packages.index("--python") + 1]
    folder = project[-1].removeprefix("~/")
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "kdsearch" in described["project"]["scripts"]
    (package,) = described["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for needed in ("pyproject.toml", described["project"]["readme"], "LICENSE", package):
        assert mounts[f"{folder}/{needed}"] == needed
    page = (ROOT / f"docs/clusters/{path.stem}.md").read_text()
    assert f"ray exec clusters/{path.name} 'kdsearch front" in page


@pytest.mark.parametrize(
    "path", [p for p in LAUNCHED if p.stem in ("aws", "gcp")], ids=lambda path: path.stem
)
def test_a_cloud_has_an_idle_head_and_spot_workers_that_scale_from_nothing(path: Path):
    types = yaml.safe_load(path.read_text())["available_node_types"]
    head = types.pop("head")
    assert head["resources"] == {"CPU": 0} and "spot" not in json.dumps(head).lower()
    assert any(kind["resources"].get("GPU") for kind in types.values())
    for kind in types.values():
        assert kind["min_workers"] == 0 < kind["max_workers"]
        assert '"spot"' in json.dumps(kind["node_config"]).lower()


def documents() -> Iterator[dict[str, Any]]:
    for path in KUBERNETES:
        yield from (d for d in yaml.safe_load_all(path.read_text()) if d["kind"] != "Kustomization")


def named(kind: str, name: str) -> dict[str, Any]:
    return next(d for d in documents() if (d["kind"], d["metadata"]["name"]) == (kind, name))


def pods(value: Any) -> Iterator[dict[str, Any]]:
    """Every pod's spec below a value."""
    if isinstance(value, dict):
        if "containers" in value:
            yield value
        for inner in value.values():
            yield from pods(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from pods(inner)


def check_schema(document: dict[str, Any]) -> None:
    """Hold an object against the schema of Kubernetes or KubeRay, in which no other key is known."""
    if document["apiVersion"] != "ray.io/v1":
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
        return
    schema = yaml.safe_load((Path(__file__).parent / "kuberay.yaml").read_text())
    of_kind = {"$ref": f"#/$defs/{document['kind'].lower().removeprefix('ray')}"}
    jsonschema.Draft202012Validator({**schema, **of_kind}).validate(document["spec"])
    cluster = document["spec"].get("rayClusterSpec", document["spec"])
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **group["template"]}
        check_schema(pod)


@pytest.mark.parametrize(
    "document", documents(), ids=lambda document: f"{document['kind']}-{document['metadata']['name']}"
)
def test_an_object_is_valid_for_kubernetes(document: dict[str, Any]):
    check_schema(document)


@pytest.mark.parametrize(
    ("kind", "name", "right", "wrong"),
    [
        ("RayCluster", "kdsearch", "idleTimeoutSeconds", "idleTimeoutSecs"),
        ("RayCluster", "kdsearch", "minReplicas", "minReplica"),
        ("RayCluster", "kdsearch", "claimName", "claim"),
        ("RayJob", "kdsearch-digits", "backoffLimit", "backofLimit"),
        ("RayJob", "kdsearch-digits", "containerPort", "port"),
        ("Deployment", "mlflow", "containerPort", "containerport"),
    ],
)
def test_a_misspelt_key_is_found(kind: str, name: str, right: str, wrong: str):
    text = json.dumps(named(kind, name))
    assert f'"{right}"' in text
    with pytest.raises(jsonschema.ValidationError):
        check_schema(json.loads(text.replace(f'"{right}"', f'"{wrong}"')))


def test_kustomize_lists_every_file_but_the_job():
    listed = yaml.safe_load((CLUSTERS / "kubernetes/kustomization.yaml").read_text())["resources"]
    there = {path.name for path in KUBERNETES} - {"kustomization.yaml", "rayjob.yaml"}
    assert set(listed) == there


def test_every_volume_secret_and_service_that_a_pod_names_is_there():
    claims = {d["metadata"]["name"] for d in documents() if d["kind"] == "PersistentVolumeClaim"}
    page = (ROOT / "docs/clusters/kubernetes.md").read_text()
    secrets = set(re.findall(r"--from-literal=([\w-]+)=", page))
    found = [pod for d in documents() for pod in pods(d)]
    assert len(found) == 9
    for document in documents():
        own = {t["metadata"]["name"] for t in document.get("spec", {}).get("volumeClaimTemplates", [])}
        for pod in pods(document):
            volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
            for volume in volumes.values():
                claim = volume.get("persistentVolumeClaim")
                assert claim is None or claim["claimName"] in claims
            for container in pod["containers"] + pod.get("initContainers", []):
                assert {m["name"] for m in container.get("volumeMounts", [])} <= {*volumes, *own}
                for variable in container.get("env", []):
                    if "valueFrom" in variable:
                        reference = variable["valueFrom"]["secretKeyRef"]
                        assert reference["name"] == "kdsearch" and reference["key"] in secrets
                    else:
                        assert not re.search("PASSWORD|SECRET|TOKEN", variable["name"])
    assert "auth_token" in secrets


def test_services_reach_their_pods():
    sets = [d for d in documents() if d["kind"] in ("Deployment", "StatefulSet")]
    for service in (d for d in documents() if d["kind"] == "Service"):
        (target,) = [
            d for d in sets if d["spec"]["template"]["metadata"]["labels"] == service["spec"]["selector"]
        ]
        open_ = {p["containerPort"] for pod in pods(target) for c in pod["containers"] for p in c["ports"]}
        assert {port["port"] for port in service["spec"]["ports"]} <= open_
    server = next(pods(named("Deployment", "mlflow")))["containers"][0]
    uri = next(pods(named("RayCluster", "kdsearch")))["containers"][0]["env"][0]["value"]
    assert uri == "http://mlflow.kdsearch:5000"
    hosts = next(a for a in server["command"] if a.startswith("--allowed-hosts=")).partition("=")[2]
    assert uri.removeprefix("http://") in hosts.split(",")


@pytest.mark.parametrize("path", ["RayCluster/kdsearch", "RayJob/kdsearch-digits"])
def test_ray_on_kubernetes_scales_its_groups_and_asks_for_a_token(path: str):
    spec = named(*path.split("/"))["spec"]
    cluster = spec.get("rayClusterSpec", spec)
    assert cluster["authOptions"] == {"mode": "token", "secretName": "kdsearch"}
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    for group in groups.values():
        assert group["minReplicas"] <= group["replicas"] < group["maxReplicas"]
    sizes = {
        name: next(pods(group))["containers"][0]["resources"]["limits"] for name, group in groups.items()
    }
    assert sizes["gpu"]["nvidia.com/gpu"] == "1" and "nvidia.com/gpu" not in sizes["cpu"]
    for pod in pods(cluster):
        (container,) = pod["containers"]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert {"name": "shared", "mountPath": "/mnt/kdsearch"} in container["volumeMounts"]


def test_the_job_is_the_cluster_and_a_spec():
    cluster, job = named("RayCluster", "kdsearch")["spec"], named("RayJob", "kdsearch-digits")["spec"]
    head = job["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert head["volumes"].pop()["configMap"] == {"name": "kdsearch-spec"}
    assert head["containers"][0]["volumeMounts"].pop()["mountPath"] == "/mnt/spec"
    for group in job["rayClusterSpec"]["workerGroupSpecs"]:  # its volumes are those of the head
        pod = group["template"]["spec"]
        pod["volumes"] = [v for v in pod["volumes"] if v["name"] != "spec"]
        mounts = pod["containers"][0]["volumeMounts"]
        pod["containers"][0]["volumeMounts"] = [m for m in mounts if m["name"] != "spec"]
    assert job["rayClusterSpec"] == cluster


def written() -> Iterator[tuple[str, str]]:
    """Every line of a file or a page that may hold a command, with the name of what it stands in."""
    for path in (p for p in CLUSTERS.rglob("*") if p.is_file()):
        lines = path.read_text().replace("\\\n", " ").splitlines()
        yield from (
            (path.name, line.strip().removeprefix("entrypoint: ").removeprefix("- ")) for line in lines
        )
        yield from ((path.name, command) for line in lines for command in re.findall(r"`([^`]+)`", line))
    for path in (*PAGES, ROOT / "docs/security.md"):
        for block in re.findall(r"```\w*\n(.*?)```", path.read_text(), re.DOTALL):
            yield from ((path.name, line.strip()) for line in block.replace("\\\n", " ").splitlines())


def commands() -> list[tuple[str, str]]:
    found = []
    for place, line in written():
        for part in re.split(r"&&|;|\||\$\(|\)", line.partition(" #")[0]):
            words = re.sub(r"^(?:[A-Z_]+=\S* +|until \[ \"|nohup |exec )*", "", part.strip())
            if re.match(r"(kdsearch|ray) [a-z-]+( |$)", words):
                found.append((place, words.rstrip(" &").partition(" 2>")[0]))
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(("place", "command"), commands())
def test_a_command_that_is_named_exists_and_takes_these_options(place: str, command: str):
    program, *words = shlex.split(command)
    if program == "ray":
        import ray.scripts.scripts as scripts

        entry: Any = scripts.cli
    else:
        entry = typer.main.get_command(kdsearch.cli.app)
    while isinstance(entry, click.Group) or hasattr(entry, "commands"):
        name, *words = words
        assert name in entry.commands, f"{place}: {program} has no command {name}"
        entry = entry.commands[name]
    entry.make_context(name, [word for word in words if word != "[options"])


def test_commands_were_found_in_every_place():
    places = {place for place, _ in commands()}
    assert {"aws.yaml", "gcp.yaml", "onprem.yaml", "slurm.sbatch", "rayjob.yaml"} <= places
    assert {page.name for page in PAGES} <= places


def test_the_batch_script_is_bash_with_options_that_slurm_reads():
    script = CLUSTERS / "slurm.sbatch"
    subprocess.run(["bash", "-n", script], check=True)
    lines = script.read_text().splitlines()
    body = itertools.dropwhile(lambda line: line.startswith("#"), lines)
    assert not any(line.startswith("#SBATCH") for line in body), "sbatch stops reading at the first command"
    assert {"nodes", "gpus-per-node", "time", "signal"} <= {
        match[1] for line in lines if (match := re.match(r"#SBATCH --([\w-]+)=", line))
    }
