"""The API against its own document: whatever a request holds that the document allows, or nearly so, the answer is no 5xx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis

from whir_fleet.auth import Role
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings

ENDLESS = "/api/v1/alerts/stream"  # server-sent events


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, str]]]:
    """The document as the running service gives it out, and an admin's header."""
    data = tmp_path_factory.mktemp("openapi")
    with FleetService(Settings.load(data_dir=data, api_port=0, broker_port=0, sign_in_failures=1_000_000)) as service:
        headers = {"Authorization": f"Bearer {service.create_token('schemathesis', Role.ADMIN)}"}
        yield schemathesis.openapi.from_url(f"{service.url}/api/v1/openapi.json", headers=headers), headers


@pytest.mark.parametrize("examples", [2, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_no_request_is_answered_with_a_server_error(api: tuple[Any, dict[str, str]], examples: int) -> None:
    schema, headers = api
    operations = [found.ok() for found in schema.get_all_operations() if found.ok().path != ENDLESS]
    assert len(operations) > 40

    def tried(operation: Any) -> None:
        @hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate],
        )
        @hypothesis.given(case=operation.as_strategy())
        def run(case: Any) -> None:
            answer = case.call(headers=headers, timeout=60)
            assert answer.status_code < 500, f"{operation.method} {operation.path}: {answer.text}\n{case.as_curl_command()}"

        run()

    for operation in operations:
        tried(operation)
