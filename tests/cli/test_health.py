"""`wr health`: what a container's health check goes by, its exit code above all."""

from pathlib import Path

from tests.cli.conftest import run_wr
from tests.support.certificate import make_certificate
from tests.support.engines import free_port
from tests.support.processes import running_server_process
from tests.support.server import running_server
from tests.support.target_site import running_target_site
from wr.server.lifecycle import Ready


def test_a_server_that_does_its_work_is_exit_code_0(server: Ready) -> None:
    result = run_wr("health", "--url", server.url)
    assert (result.exit_code, result.stdout[:1]) == (0, "✓")


def test_it_asks_the_server_that_would_have_its_settings(server: Ready) -> None:
    bind = server.url.removeprefix("http://")
    assert run_wr("health", WR_BIND=bind).exit_code == 0
    assert run_wr("health", "--bind", bind.replace("127.0.0.1", "0.0.0.0")).exit_code == 0
    assert run_wr("health", WR_BIND=f"127.0.0.1:{free_port()}").exit_code == 1


def test_a_server_whose_store_hangs_is_exit_code_1(tmp_path: Path) -> None:
    with running_server_process(tmp_path / "data") as server:
        assert run_wr("health", "--url", server.url).exit_code == 0
        server.freeze_store()
        result = run_wr("health", "--url", server.url)
        server.thaw_store()
    assert result.exit_code == 1
    assert "is unhealthy: dragonflydb" in result.stdout


def test_nobody_there_is_exit_code_1_and_says_so() -> None:
    result = run_wr("health", "--url", f"http://127.0.0.1:{free_port()}")
    assert result.exit_code == 1
    assert "no server answers" in result.stdout


def test_another_server_at_the_address_is_exit_code_1() -> None:
    with running_target_site() as site:
        result = run_wr("health", "--url", site.url)
    assert result.exit_code == 1
    assert "is not wr" in result.stdout


def test_an_address_that_is_none_is_exit_code_2() -> None:
    assert run_wr("health", "--url", "nowhere").exit_code == 2
    assert run_wr("health", "--bind", "nowhere").exit_code == 2


def test_a_server_need_not_prove_to_its_own_machine_who_it_is(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    files = {"tls_certificate_file": str(certificate), "tls_key_file": str(key)}
    with running_server(None, data_dir=str(tmp_path / "data"), **files) as ready:
        bind = ready.url.removeprefix("https://")
        variables = {"WR_BIND": bind, "WR_TLS_CERTIFICATE_FILE": files["tls_certificate_file"]}
        assert run_wr("health", **variables).exit_code == 0
        result = run_wr("health", "--url", ready.url)
    assert result.exit_code == 1
    assert "no server answers" in result.stdout
