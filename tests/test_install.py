"""The installer: uv does what pip is configured to do."""

import subprocess
import sys

from project import ROOT

sys.path.insert(0, str(ROOT))
import install


def test_what_pip_is_configured_with_is_passed_on_to_uv(tmp_path, monkeypatch):
    for name in ("UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "SSL_CERT_FILE", "UV_INDEX_STRATEGY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "simple").mkdir()
    config = {
        "index-url": "https://mirror.example/simple",
        "extra-index-url": f"file://{tmp_path}/simple file://{tmp_path}/missing https://more.example",
        "find-links": "/wheels /more",
        "cert": "/etc/own.pem",
    }
    variables = install.from_pip_config(config)
    assert variables["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert variables["UV_INDEX"].split() == [f"file://{tmp_path}/simple", "https://more.example"]
    assert variables["UV_FIND_LINKS"] == "/wheels,/more" and variables["SSL_CERT_FILE"] == "/etc/own.pem"
    assert variables["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    monkeypatch.setenv("UV_FIND_LINKS", "/mine")
    assert "UV_FIND_LINKS" not in install.from_pip_config(config)
    assert install.from_pip_config({}) == {}


def test_pips_variables_come_before_its_files(tmp_path, monkeypatch):
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nfind-links =\n    /one\n    /two\ntimeout = 7\n[install]\ntimeout = 8\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert install.pip_config()["find-links"].split() == ["/one", "/two"]
    assert install.pip_config()["timeout"] == "8"
    monkeypatch.setenv("PIP_TIMEOUT", "9")
    assert install.pip_config()["timeout"] == "9"


def test_if_uv_fails_pip_installs_and_its_errors_are_shown(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(install, "find_uv", lambda: "/nowhere/uv")
    monkeypatch.setattr(install, "run", lambda command, environment: ran.append(command) or len(ran) % 2)
    monkeypatch.setattr(sys, "argv", ["install.py", "sample"])
    monkeypatch.setenv("TORCH", "cpu")
    try:
        install.main()
    except SystemExit as ended:
        assert ended.code == 0
    uv, pip = ran
    assert uv[0] == "/nowhere/uv" and uv[uv.index("--torch-backend") + 1] == "cpu" and uv[-1] == f"{ROOT}[sample]"
    assert pip[:3] == [sys.executable, "-m", "pip"] and "https://download.pytorch.org/whl/cpu" in pip


def test_the_file_needs_nothing_but_python():
    code = "import sys; sys.modules |= dict.fromkeys(['numpy', 'uv']); import install"
    assert (
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(ROOT)!r}); {code}"]
        ).returncode
        == 0
    )
