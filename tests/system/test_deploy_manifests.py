"""The compose file and the Kubernetes manifests agree with the code: settings, ports, paths. No engine needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no type information

import admin_ui.settings
import auth_service.settings
import gateway.settings
import student_service.settings
from servicekit.settings import ServiceSettings

REPOSITORY = Path(__file__).resolve().parent.parent.parent
KUBERNETES = REPOSITORY / "deploy" / "kubernetes"
SETTINGS: dict[str, type[ServiceSettings]] = {
    "gateway": gateway.settings.Settings,
    "auth_service": auth_service.settings.Settings,
    "student_service": student_service.settings.Settings,
    "admin_ui": admin_ui.settings.Settings,
}
SERVICES = sorted(SETTINGS)
FIXED_IN_COMPOSE = {"HOST", "PORT", "LOG_FORMAT", "VAR_DIR", "AUTH_SERVICE_URL", "ADMIN_UI_URL", "GATEWAY_URL"}
GIVEN_AS_FILES = {
    "AUTH_DATABASE_URL", "STUDENT_DATABASE_URL", "REDIS_URL", "SESSION_KEY", "SIGNING_KEYS_DIR", "PROXY_TOKEN",
}  # fmt: skip
NOT_IN_COMPOSE = {
    "ROUTES_FILE": SERVICES,  # the image's own
    "SIGNING_KEYS": SERVICES,  # SIGNING_KEYS_DIR is what it has
    "STATE_DIR": SERVICES,  # another name of VAR_DIR
    "REDIS_URL": ["student_service"],
    # Only the gateway is reached from outside; the others know it by PROXY_TOKEN.
    "TRUSTED_PROXIES": ["admin_ui", "auth_service", "student_service"],
}
UID = 10001


def variables(service: str) -> set[str]:
    """The environment variables that the service reads."""
    names = set()
    for name, field in SETTINGS[service].model_fields.items():
        alias: Any = field.validation_alias
        names |= {str(choice).upper() for choice in (alias.choices if alias is not None else [name])}
    return names


def all_variables() -> set[str]:
    return set().union(*(variables(service) for service in SERVICES))


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def manifests() -> list[dict[str, Any]]:
    """All that kustomization.yaml names."""
    [kustomization] = documents(KUBERNETES / "kustomization.yaml")
    return [document for name in kustomization["resources"] for document in documents(KUBERNETES / name)]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in manifests() if each["kind"] == kind}


def pod_of(service: str) -> dict[str, Any]:
    pod: dict[str, Any] = of_kind("Deployment")[service.replace("_", "-")]["spec"]["template"]["spec"]
    return pod


def container_of(service: str) -> dict[str, Any]:
    [container] = pod_of(service)["containers"]
    assert isinstance(container, dict)
    return container


def compose() -> dict[str, Any]:
    [document] = documents(REPOSITORY / "compose.yaml")
    return document


# Kubernetes


def test_every_manifest_is_in_the_kustomization_or_an_example() -> None:
    [kustomization] = documents(KUBERNETES / "kustomization.yaml")
    others = {path.name for path in KUBERNETES.glob("*.yaml")} - {*kustomization["resources"], "kustomization.yaml"}
    assert all(name.endswith(".example.yaml") for name in others)


@pytest.mark.parametrize("service", SERVICES)
def test_a_pods_variables_are_settings_of_its_service(service: str) -> None:
    container = container_of(service)
    name = service.replace("_", "-")
    assert container["args"] == ["python", "-m", service]
    secrets = {each["metadata"]["name"]: each for each in documents(KUBERNETES / "secrets.example.yaml")}
    assert container["envFrom"] == [{"configMapRef": {"name": "matricula"}}, {"secretRef": {"name": name}}]
    own = {each["name"] for each in container["env"]} | set(secrets[name]["stringData"])
    assert own <= variables(service)
    assert set(of_kind("ConfigMap")["matricula"]["data"]) <= all_variables()


@pytest.mark.parametrize("service", SERVICES)
def test_ports_and_probes_are_the_services(service: str) -> None:
    container, port = container_of(service), SETTINGS[service].model_fields["port"].default
    assert {each["name"]: each["value"] for each in container["env"]}["PORT"] == str(port)
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    [published] = of_kind("Service")[service.replace("_", "-")]["spec"]["ports"]
    assert (published["port"], published["targetPort"]) == (port, "http")
    paths = {probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz?core=true"}


@pytest.mark.parametrize("service", SERVICES)
def test_pods_run_without_rights_on_a_read_only_root(service: str) -> None:
    pod, container = pod_of(service), container_of(service)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == UID
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert f"USER {UID}:{UID}" in (REPOSITORY / "Dockerfile").read_text()


@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_has_longer_to_stop_than_its_service_takes(service: str) -> None:
    config = of_kind("ConfigMap")["matricula"]["data"]
    needed = float(config["DRAIN_SECONDS"]) + SETTINGS[service].model_fields["shutdown_seconds"].default
    assert pod_of(service)["terminationGracePeriodSeconds"] > needed


def test_the_services_find_each_other_by_the_names_and_ports_of_the_cluster() -> None:
    config = of_kind("ConfigMap")["matricula"]["data"]
    published = {name: each["spec"]["ports"][0]["port"] for name, each in of_kind("Service").items()}
    for variable in ("AUTH_SERVICE_URL", "STUDENT_SERVICE_URL", "ADMIN_UI_URL", "GATEWAY_URL"):
        name, _, port = config[variable].removeprefix("http://").partition(":")
        assert published[name] == int(port)


def test_every_deployment_survives_the_draining_of_a_node() -> None:
    names = set(of_kind("Deployment"))
    assert names == {service.replace("_", "-") for service in SERVICES} == set(of_kind("PodDisruptionBudget"))
    replicas = {name: each["spec"].get("replicas") for name, each in of_kind("Deployment").items()}
    scaler = of_kind("HorizontalPodAutoscaler")["gateway"]["spec"]
    assert replicas.pop("gateway") is None, "the autoscaler's to say"
    assert scaler["minReplicas"] >= 2
    assert min(replicas.values()) >= 2


def test_nothing_but_the_gateway_is_reached_from_outside() -> None:
    policies = of_kind("NetworkPolicy")
    assert policies["deny-all"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    open_to_all = {
        name for name, each in policies.items() if any("from" not in rule for rule in each["spec"].get("ingress", ()))
    }
    assert open_to_all == {"gateway"}
    assert policies["gateway"]["spec"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "gateway"}
    [from_gateway] = policies["student-service"]["spec"]["ingress"][0]["from"]
    assert from_gateway["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "gateway"}


def test_no_secret_is_among_what_is_applied() -> None:
    assert not of_kind("Secret")
    example = (KUBERNETES / "secrets.example.yaml").read_text()
    assert not re.search(r"[A-Za-z0-9_-]{24,}(?=\s*$)", re.sub(r"#.*", "", example), re.MULTILINE)


# Compose


@pytest.mark.parametrize("service", SERVICES)
def test_a_containers_variables_are_settings_of_some_service(service: str) -> None:
    environment = compose()["services"][service]["environment"]
    assert {name.removesuffix("_FILE") for name in environment} <= all_variables()
    assert environment["PORT"] == str(SETTINGS[service].model_fields["port"].default)


@pytest.mark.parametrize("service", SERVICES)
def test_dot_env_can_set_every_setting_of_a_container_that_compose_does_not_fix(service: str) -> None:
    environment = compose()["services"][service]["environment"]
    left_out = {name for name, services in NOT_IN_COMPOSE.items() if service in services}
    assert not left_out & environment.keys()
    for name in variables(service) - left_out - FIXED_IN_COMPOSE:
        if name in GIVEN_AS_FILES:
            assert environment.keys() & {name, f"{name}_FILE"}, name
            continue
        # Without a value it is passed on only if it is set (so says the compose specification), never as empty.
        assert name in environment, name
        value = environment[name]
        assert value is None or re.fullmatch(rf"\$\{{([A-Z]+_)?{name}:-.*\}}", value), name


def test_only_the_gateway_publishes_a_port() -> None:
    assert [name for name, each in compose()["services"].items() if "ports" in each] == ["gateway"]
    inner = {name for name, each in compose()["networks"].items() if each.get("internal")}
    assert inner == {"services", "databases", "cache"}


def test_no_container_but_the_one_that_makes_the_secrets_is_root_and_none_can_write_its_root() -> None:
    containers = compose()["services"]
    assert [name for name, each in containers.items() if each["user"].startswith("0")] == ["setup"]
    assert all(each["read_only"] and each["cap_drop"] == ["ALL"] for each in containers.values())
    assert containers["setup"]["network_mode"] == "none"


def test_every_file_that_the_container_files_name_exists() -> None:
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    mounted = re.findall(r"- \./(\S+?):", (REPOSITORY / "compose.yaml").read_text())
    copied = [name for names in copied for name in names.split()]
    named = copied + mounted
    assert len(named) >= 10
    assert not [name for name in named if not (REPOSITORY / name).exists()]
    let_through = re.findall(r"^!(\S+)$", (REPOSITORY / ".dockerignore").read_text(), re.MULTILINE)
    assert not [name for name in copied if not any(Path(name).is_relative_to(each) for each in let_through)]


def test_the_image_compiles_the_gateway_with_pinned_tools_and_leaves_them_behind() -> None:
    *_, builder, final = (REPOSITORY / "Dockerfile").read_text().split("\nFROM ")
    assert re.search(r"python -m gateway\.compile \\\n +&& rm -r build/gateway/work ", builder)
    assert "apt-get" not in final
    [tools] = re.findall(r"--target \S+ -c /tmp/requirements-dev\.txt (.+)$", builder, re.MULTILINE)
    pinned = re.findall(r"^([a-z0-9-]+)==", (REPOSITORY / "requirements-dev.txt").read_text(), re.MULTILINE)
    assert set(tools.split()) <= set(pinned), "a constraint that isn't there lets pip take the newest"
    taken = re.findall(r"^COPY --from=builder (\S+)", final, re.MULTILINE)
    assert taken == ["/opt/venv", "/app"]


# The handbook


def test_the_handbook_lists_every_setting_and_no_other() -> None:
    text = (REPOSITORY / "docs" / "operations.md").read_text()
    tables = text.partition("## Settings")[2].partition("## Installing")[0]
    rows = [line.split("|")[1] for line in tables.splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    assert listed == all_variables() - {"STATE_DIR"}


def test_the_links_of_the_handbook_lead_somewhere() -> None:
    text = (REPOSITORY / "docs" / "operations.md").read_text()
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        assert (REPOSITORY / "docs" / path).exists()
        assert path or anchor in anchors
