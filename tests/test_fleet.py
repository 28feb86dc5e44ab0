"""The devices: each with a student of its own, registered under its alias and judged by its own gate."""

import json
import re

import pytest
from project import ROOT
from test_end_to_end import ran

from stillhouse.errors import BadInput
from stillhouse.params import check_params, load_params

BUDGET = {"size": None, "threads": 1, "min_retention": 0.5, "max_size_mb": 5.0, "max_latency_ms": 200.0}
DEVICES = {
    "server": {**BUDGET, "threads": 2, "student": {}, "compress": {}},
    "edge": {
        **BUDGET,
        "max_size_mb": 0.0001,
        "student": {
            "vocabulary": {"pieces": 120},
            "network": {"architecture": "vgg", "width": 8},
            "temperature": 4.0,
            "alpha": 0.7,
            "training": {"epochs": 20},
        },
        "compress": {"quantisation": "int8"},
    },
}


def params_with(**devices):
    content = load_params(ROOT / "params.yaml").model_dump(by_alias=True)
    return check_params(content | {"devices": devices}, "params.yaml")


def test_a_device_changes_only_what_it_names():
    params = params_with(**DEVICES)
    edge = params.for_device("edge")
    assert (edge.student.network.architecture, edge.student.network.width) == ("vgg", 8)
    assert (edge.student.temperature, edge.student.vocabulary.pieces) == (4.0, 120)
    assert edge.student.network.depth == params.student.network.depth and edge.student.losses == params.student.losses
    assert edge.compress.quantisation == "int8" and edge.compress.parity == params.compress.parity
    assert edge.register_.max_size_mb == 0.0001 and edge.model_name == params.model_name
    server = params.for_device("server")
    assert (server.student, server.compress) == (params.student, params.compress)
    other = params_with(edge={**DEVICES["edge"], "student": {"losses": {"mse": 1.0}}}).for_device("edge")
    assert other.student.losses == {"mse": 1.0}  # instead of the others, not beside them


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("edge", {"student": {"network": {"widht": 8}}}, r"devices.edge.student.network.widht: unknown key. Allowed.*width"),
        ("edge", {"student": {"alpha": 1.5}}, r"devices.edge.student.alpha: .*less than or equal to 1, but is 1.5"),
        ("edge", {"threads": 0}, r"devices.edge.threads: .*greater than or equal to 1, but is 0"),
        ("edge", {"student": {"losses": {"minilm": 1.0}}}, r"devices.edge.student.losses.minilm compares attention"),
        ("edge", {"student": {"vocabulary": {"pieces": 99999}}}, r"devices.edge.student.vocabulary: .*fewer pieces"),
        ("edge", {"compress": {"quantisation": "int4"}}, r"devices.edge.compress.quantisation: .*int8_static.*'int4'"),
        ("champion", {}, r"devices.champion: champion is an alias"),
        ("Edge", {}, r"devices.Edge"),
    ],
)  # fmt: skip
def test_a_devices_mistake_is_named_by_its_key(name, changes, message):
    with pytest.raises(BadInput) as error:
        params_with(**{name: {**DEVICES["server"], **changes}})
    assert re.search(message, str(error.value)), error.value


def test_a_fleet_is_registered_by_one_flow_run(project):
    project.set(devices=DEVICES)
    done = project.flow()
    assert done.returncode == 0, done.stdout
    assert set(ran(done.stdout)) == {
        "device@server",
        "device@edge",
        "deploy@server",
        "deploy@edge",
    }
    assert re.search(r"^server +\d+\.\d % +\S+ +\S+ +2 +\d+ +passed$", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^edge +\d+\.\d % +\S+ +\S+ +1 +\d+ +FAILED$", done.stdout, re.MULTILINE), done.stdout
    report = (project.folder / "outputs" / "fleet" / "report.html").read_text()
    for message in ("devices.edge.max_size_mb: 0.0001", "server", "TF-IDF + SVM", "int8_static", "data:image/png"):
        assert message in report, message
    card = (project.folder / "outputs/deploy/edge/model/README.md").read_text()
    accuracy = json.loads((project.folder / "outputs/deploy/edge/metrics.json").read_text())["accuracy"]
    assert "student for the device edge" in card and f"| compressed student | {accuracy:.1%}".replace("%", " %") in card
    message = project.mlflow(
        """
versions = {v.tags.get('device'): v for v in client.search_model_versions("name = 'topics'")}
model = client.get_registered_model('topics')
edge = mlflow.pyfunc.load_model(f"models:/topics/{versions['edge'].version}")
print(json.dumps([sorted(filter(None, versions)), sorted(model.aliases), edge.predict(['goal match team'])[0].label,
    'FAILED' in versions['edge'].description, model.aliases.get('server') == int(versions['server'].version)]))""",
    )
    assert json.loads(message)[0] == ["edge", "server"]
    assert json.loads(message)[1:] == [["champion", "edge-challenger", "server"], "sport", True, True]
    # A budget is the gate's alone: nothing is trained again, and nothing of the others is done again.
    project.set(devices__edge__max_size_mb=5.0)
    again = project.flow()
    assert again.returncode == 0 and ran(again.stdout) == ["deploy@edge"], again.stdout
    assert "up to date" in project.dvc("status").stdout
    aliases = project.mlflow("print(sorted(client.get_registered_model('topics').aliases))")
    assert aliases == "['champion', 'edge', 'server']"
