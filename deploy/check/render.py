"""Renders the overlays. What kustomize says is all that the other checks see."""

import pathlib
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("dev", "production", "keda", "gateway", "tracing")


def text(overlay):
    """The overlay as `kubectl apply -k` would send it."""
    kubectl = pathlib.Path(sys.executable).parent / "kubectl"
    command = [str(kubectl), "kustomize", str(KUBERNETES / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or done.stderr:
        raise SystemExit(f"{overlay} does not render: {done.stderr}")
    return done.stdout


def objects(rendered):
    return [found for found in yaml.safe_load_all(rendered) if found]


def name(found):
    return f"{found.get('kind')}/{found.get('metadata', {}).get('name')}"


def pods(found):
    """The Pod's specification and labels of whatever makes Pods."""
    template = (found.get("spec") or {}).get("template")
    if found.get("kind") in ("Deployment", "StatefulSet", "Job", "DaemonSet") and template:
        labels = (template.get("metadata") or {}).get("labels") or {}
        return template.get("spec") or {}, labels
    return None, None


def of_kind(every, *kinds):
    return [found for found in every if found.get("kind") in kinds]
